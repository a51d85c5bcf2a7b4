//! A tenant's bearer, which the list of applications may replace.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use rollcall_adapters_http::{HttpError, Token, TokenSource};
use secrecy::{ExposeSecret, SecretString};

use crate::applications::{Application, Applications};
use crate::config::Mode;
use crate::error::ClassLinkError;

/// Reads the list again when a bearer was refused: the first one is at hand.
pub(crate) struct ListedBearer {
    applications: Applications,
    tenant: String,
    /// The address of everything that is read has it.
    application_id: String,
    refused: Mutex<SecretString>,
}

impl ListedBearer {
    pub(crate) fn new(applications: Applications, application: &Application, bearer: &SecretString) -> Self {
        Self {
            applications,
            tenant: application.tenant.clone(),
            application_id: application.id.clone(),
            refused: Mutex::new(bearer.clone()),
        }
    }
}

#[async_trait]
impl TokenSource for ListedBearer {
    async fn fetch(&self) -> Result<Token, HttpError> {
        let tenant = || self.tenant.clone();
        let Application { id, bearer, .. } = self.applications.find(&self.tenant, Mode::Proxy).await?;
        let Some(bearer) = bearer else { return Err(ClassLinkError::Refused { tenant: tenant() }.into()) };
        if id != self.application_id {
            return Err(ClassLinkError::Moved { tenant: tenant() }.into());
        }
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        // The same one would be refused again.
        if refused.expose_secret().trim() == bearer.expose_secret().trim() {
            return Err(ClassLinkError::Refused { tenant: tenant() }.into());
        }
        tracing::info!(tenant = %self.tenant, "ClassLink lists another bearer for the tenant");
        refused.clone_from(&bearer);
        Ok(Token { value: bearer, valid_for: None })
    }
}
