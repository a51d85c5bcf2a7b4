//! The tenants that a partner's key opens.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use rollcall_domain::ports::{Clock, SourceError, Tenant, TenantDirectory};

use crate::applications::{Application, Applications, choose};
use crate::config::{ClassLinkAccess, ClassLinkConfig, Mode};
use crate::error::ClassLinkError;
use crate::source::ClassLinkSource;

/// The list of the tenants that a partner's key opens.
#[derive(Clone)]
pub struct ClassLinkDirectory {
    config: ClassLinkConfig,
    applications: Applications,
    mode: Mode,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for ClassLinkDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClassLinkDirectory").field("config", &self.config).finish_non_exhaustive()
    }
}

/// A tenant of the list.
#[derive(Debug)]
pub struct ListedTenant {
    /// ClassLink's id of it.
    pub tenant: String,
    /// A source of its roster, or why there can be none.
    pub source: Result<ClassLinkSource, ClassLinkError>,
}

impl ClassLinkDirectory {
    /// The directory of a partner. The settings are those of every source that it makes; `tenant` is not looked at. What
    /// opens one tenant opens no directory.
    pub fn new(config: ClassLinkConfig, clock: Arc<dyn Clock>) -> Result<Self, ClassLinkError> {
        let ClassLinkAccess::Partner { partner_key, mode } = &config.access else {
            return Err(ClassLinkError::Settings {
                message: "what is configured opens one tenant alone; to list tenants, give the `partner_key`"
                    .to_owned(),
            });
        };
        let applications = Applications::new(&config, partner_key, Arc::clone(&clock))?;
        Ok(Self { applications, mode: *mode, config, clock })
    }

    /// Every tenant of the list, in the order of their ids, each with a source or with the reason why it has none.
    pub async fn sources(&self) -> Result<Vec<ListedTenant>, SourceError> {
        let tenants = self.applications.by_tenant().await?;
        let listed = tenants.into_iter().map(|(tenant, applications)| {
            let source = choose(applications, &tenant, self.mode).and_then(|application| self.source(application));
            ListedTenant { tenant, source }
        });
        Ok(listed.collect())
    }

    fn source(&self, application: Application) -> Result<ClassLinkSource, ClassLinkError> {
        let config = ClassLinkConfig { tenant: Some(application.tenant.clone()), ..self.config.clone() };
        Ok(ClassLinkSource::new(config, Arc::clone(&self.clock))?.knowing(application))
    }

    fn tenant(&self, id: String, applications: Vec<Application>) -> Tenant {
        let first = |what: fn(&Application) -> &str| {
            applications.iter().map(what).find(|text| !text.is_empty()).unwrap_or_default().to_owned()
        };
        let name = first(|application| &application.tenant_name);
        let details = [
            ("application", first(|application| &application.name)),
            ("status", first(|application| &application.status)),
        ];
        let details = details.into_iter().filter(|(_, value)| !value.is_empty());
        let details = details.map(|(name, value)| (name.to_owned(), value)).collect();
        let unusable = choose(applications, &id, self.mode).err().map(|error| error.to_string());
        Tenant { name: if name.is_empty() { id.clone() } else { name }, id, unusable, details }
    }
}

#[async_trait]
impl TenantDirectory for ClassLinkDirectory {
    async fn tenants(&self) -> Result<Vec<Tenant>, SourceError> {
        let tenants = self.applications.by_tenant().await?;
        Ok(tenants.into_iter().map(|(id, applications)| self.tenant(id, applications)).collect())
    }
}
