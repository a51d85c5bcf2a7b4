//! The port: finds the way to a tenant's server, and lets the OneRoster source read it.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use rollcall_adapters_http::{
    Auth, ClientAuth, ClientCredentials, HttpSession, OAuth1Credentials, Token, TokenAuth, Url,
};
use rollcall_adapters_oneroster::{RestSource, ServiceRoot};
use rollcall_domain::entities::ExternalId;
use rollcall_domain::ports::{
    BatchSink, CheckReport, Clock, PullRequest, PullSummary, RosterSource, SourceDescription, SourceError,
};
use secrecy::SecretString;

use crate::applications::{Application, Applications, check_id};
use crate::bearer::ListedBearer;
use crate::config::{ClassLinkAccess, ClassLinkConfig, Mode, ServerAuth};
use crate::error::ClassLinkError;
use crate::profile::PROFILE;

/// What the tenant's id is called among the external ids of its orgs. Single sign-on tells it beside the sourcedId of
/// whoever logs in.
const TENANT_ID: &str = "classlink.tenant_id";

/// A source of one tenant's roster in ClassLink.
#[derive(Clone)]
pub struct ClassLinkSource {
    config: ClassLinkConfig,
    reach: Reach,
    clock: Arc<dyn Clock>,
}

/// How the tenant's server is reached.
#[derive(Clone)]
enum Reach {
    /// That is known.
    Known(RestSource),
    /// The list of applications says.
    Listed { applications: Applications, tenant: String, mode: Mode, application: Option<Application> },
}

/// A tenant's server that was reached.
struct Reached {
    rest: RestSource,
    /// What the list says of the tenant, if it was asked.
    application: Option<Application>,
}

impl fmt::Debug for ClassLinkSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClassLinkSource").field("config", &self.config).finish_non_exhaustive()
    }
}

impl ClassLinkSource {
    /// A source with these settings. Nothing is sent before the first check or pull.
    ///
    /// Refused are settings of a server that nobody can talk to safely, a partner's key without a tenant, and the id of an
    /// application that does not stand as ClassLink lists it.
    pub fn new(mut config: ClassLinkConfig, clock: Arc<dyn Clock>) -> Result<Self, ClassLinkError> {
        config.tenant = config.tenant.map(|tenant| tenant.trim().to_owned()).filter(|tenant| !tenant.is_empty());
        config.roster.org_ids = (config.tenant.iter())
            .map(|tenant| ExternalId { scheme: TENANT_ID.into(), value: tenant.as_str().into() })
            .collect();
        let reach = match &config.access {
            ClassLinkAccess::Partner { partner_key, mode } => {
                let tenant = config.tenant.clone().ok_or_else(|| ClassLinkError::Settings {
                    message:
                        "`tenant` is missing: the partner's key opens many. `rollcall sources discover` lists them"
                            .to_owned(),
                })?;
                let applications = Applications::new(&config, partner_key, Arc::clone(&clock))?;
                Reach::Listed { applications, tenant, mode: *mode, application: None }
            }
            ClassLinkAccess::Bearer { application_id, bearer } => {
                check_id(application_id)?;
                Reach::Known(rest(&config, &proxied(&config, application_id), Auth::Bearer(bearer.clone()), &clock)?)
            }
            ClassLinkAccess::Consumer { base_url, consumer_key, consumer_secret } => {
                Reach::Known(server(&config, base_url.as_str(), consumer_key, consumer_secret, &clock)?)
            }
        };
        Ok(Self { config, reach, clock })
    }

    /// The same, with what the list of applications has just said of the tenant.
    pub(crate) fn knowing(mut self, known: Application) -> Self {
        if let Reach::Listed { application, .. } = &mut self.reach {
            *application = Some(known);
        }
        self
    }

    /// The settings.
    pub fn config(&self) -> &ClassLinkConfig {
        &self.config
    }

    async fn reach(&self) -> Result<Reached, ClassLinkError> {
        let (applications, tenant, mode, known) = match &self.reach {
            Reach::Known(rest) => return Ok(Reached { rest: rest.clone(), application: None }),
            Reach::Listed { applications, tenant, mode, application } => (applications, tenant, *mode, application),
        };
        let application = match known {
            Some(known) => known.clone(),
            None => applications.find(tenant, mode).await?,
        };
        application.usable(mode)?;
        let (config, clock) = (&self.config, &self.clock);
        let rest = match (mode, &application.bearer) {
            (Mode::Proxy, Some(bearer)) => {
                let listed = ListedBearer::new(applications.clone(), &application, bearer);
                let first = Token { value: bearer.clone(), valid_for: None };
                let auth = TokenAuth::new(listed, Arc::clone(clock)).starting_with(&first)?;
                rest(config, &proxied(config, &application.id), Auth::Custom(Arc::new(auth)), clock)?
            }
            (Mode::Proxy, None) => {
                return Err(ClassLinkError::NotShared { tenant: tenant.clone(), missing: "a bearer" });
            }
            (Mode::Direct, _) => {
                let key = applications.server(&application).await?;
                server(config, &key.address, &key.consumer_key, &key.consumer_secret, clock)?
            }
        };
        Ok(Reached { rest, application: Some(application) })
    }
}

/// Where a tenant's collections are at the proxy. The application's id is percent-encoded already.
fn proxied(config: &ClassLinkConfig, application_id: &str) -> String {
    format!("{}/{application_id}", config.proxy_url.as_str().trim_end_matches('/'))
}

/// A source of a district's own server.
fn server(
    config: &ClassLinkConfig,
    address: &str,
    consumer_key: &str,
    consumer_secret: &SecretString,
    clock: &Arc<dyn Clock>,
) -> Result<RestSource, ClassLinkError> {
    let auth = match &config.server_auth {
        ServerAuth::OAuth1 { signature, with_version } => Auth::OAuth1(OAuth1Credentials {
            consumer_key: consumer_key.to_owned(),
            consumer_secret: consumer_secret.clone(),
            signature: *signature,
            with_version: *with_version,
        }),
        ServerAuth::OAuth2 { token_url } => Auth::OAuth2(ClientCredentials {
            token_url: match token_url {
                Some(url) => url.clone(),
                None => at_the_root(address)?,
            },
            client_id: consumer_key.to_owned(),
            client_secret: consumer_secret.clone(),
            scopes: Vec::new(),
            client_auth: ClientAuth::Basic,
        }),
    };
    rest(config, address, auth, clock)
}

/// The token endpoint of a server: it is at the root of the host, whatever the path of the API is.
fn at_the_root(address: &str) -> Result<Url, ClassLinkError> {
    let root = address.parse::<Url>().and_then(|url| url.join("/token"));
    root.map_err(|_| ClassLinkError::Settings {
        message: "the address of the server cannot be read; expected https://HOST".to_owned(),
    })
}

/// A source of what is at an address, with the path of OneRoster or without it.
fn rest(
    config: &ClassLinkConfig,
    address: &str,
    auth: Auth,
    clock: &Arc<dyn Clock>,
) -> Result<RestSource, ClassLinkError> {
    let root = ServiceRoot::find(address, Some(config.roster.version))?;
    let session = HttpSession::new(config.session(root.base_url).with_auth(auth), Arc::clone(clock))?;
    Ok(RestSource::with_profile(config.roster.clone(), session, Arc::clone(clock), PROFILE))
}

#[async_trait]
impl RosterSource for ClassLinkSource {
    fn describe(&self) -> SourceDescription {
        self.config.roster.describe(&PROFILE, &self.config.place())
    }

    async fn check(&self) -> Result<CheckReport, SourceError> {
        let Reached { rest, application } = self.reach().await?;
        let mut report = CheckReport::default();
        let mode = match (&self.config.access, &self.reach) {
            (_, Reach::Listed { mode, .. }) => *mode,
            (ClassLinkAccess::Consumer { .. }, _) => Mode::Direct,
            _ => Mode::Proxy,
        };
        report.facts.push(("mode".to_owned(), mode.as_str().to_owned()));
        if let Some(Application { tenant, tenant_name, .. }) = application {
            report.facts.push(("tenant".to_owned(), format!("{tenant_name} ({tenant})")));
        }
        let of_server = rest.check().await?;
        report.facts.extend(of_server.facts);
        report.problems.extend(of_server.problems);
        Ok(report)
    }

    async fn pull(&self, request: &PullRequest, sink: Box<dyn BatchSink>) -> Result<PullSummary, SourceError> {
        self.reach().await?.rest.pull(request, sink).await
    }
}
