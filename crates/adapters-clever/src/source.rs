//! The port: decides whether events will do.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use rollcall_adapters_http::HttpSession;
use rollcall_domain::ports::{
    BatchSink, Capabilities, CheckReport, Clock, EmptySnapshot, PullRequest, PullSummary, Repeats, RosterSource,
    ScopeDigest, SourceDescription, SourceError,
};
use rollcall_domain::sync::Totals;
use secrecy::ExposeSecret;

use crate::check;
use crate::client::Client;
use crate::config::{CleverConfig, CleverCredentials};
use crate::cursor::Memory;
use crate::error::CleverError;
use crate::output::Output;
use crate::pull::Pull;
use crate::tokens::Access;

/// What the configuration calls this sort of source.
const KIND: &str = "clever";

/// Why everything is read where there is no memory.
const NEW: &str = "nothing of it was read before, or it was read otherwise";

/// A source of one district's roster in Clever.
#[derive(Clone)]
pub struct CleverSource {
    config: CleverConfig,
    pub(crate) client: Client,
    pub(crate) access: Access,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for CleverSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CleverSource").field("config", &self.config).finish_non_exhaustive()
    }
}

impl CleverSource {
    /// A source with these settings. Nothing is sent before the first check or pull.
    ///
    /// Refused are settings of a server that nobody can talk to safely, and an application's credentials without a
    /// district.
    pub fn new(config: CleverConfig, clock: Arc<dyn Clock>) -> Result<Self, CleverError> {
        let (access, auth) = Access::new(&config, &clock)?;
        let session = config.session(config.api_base()?).with_auth(auth);
        let client = Client {
            session: HttpSession::new(session, Arc::clone(&clock))?,
            limit: config.limit(),
            trusts_totals: config.totals == Totals::Trust,
        };
        Ok(Self { config, client, access, clock })
    }

    /// The settings.
    pub fn config(&self) -> &CleverConfig {
        &self.config
    }

    /// What time it is.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn scope(&self) -> ScopeDigest {
        let credential = match &self.config.credentials {
            CleverCredentials::Application { client_id, .. } => client_id.clone(),
            // A district that is named is the same district under its next token.
            CleverCredentials::DistrictToken(_) if self.config.district.is_some() => String::new(),
            CleverCredentials::DistrictToken(token) => digest(token.expose_secret().trim()),
        };
        let shaping = serde_json::json!([
            self.client.session.base_url().as_str().trim_end_matches('/'),
            self.config.district,
            credential,
        ]);
        ScopeDigest(format!("{KIND}/1:{}", digest(&shaping.to_string())))
    }

    /// Why everything is to be read, if so.
    fn why_full(&self, memory: Option<&Memory>, request: &PullRequest, now: Timestamp) -> Option<&'static str> {
        let full_every = SignedDuration::try_from(self.config.full_every).unwrap_or(SignedDuration::MAX);
        if request.full {
            return Some("that was asked for");
        }
        let Some(memory) = memory else { return Some(NEW) };
        if !memory.events {
            Some("Clever gives no events of the district")
        } else if memory.is_expired(now) {
            Some("the last event that is accounted for is so old that later ones may be gone")
        } else if now.duration_since(memory.full) >= full_every {
            Some("it is time to")
        } else if request.demographics && !memory.demographics {
            Some("demographics were not read before")
        } else {
            None
        }
    }
}

fn digest(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex()[..32].to_owned()
}

#[async_trait]
impl RosterSource for CleverSource {
    fn describe(&self) -> SourceDescription {
        SourceDescription {
            kind: KIND,
            capabilities: Capabilities {
                // Events may turn out to be switched off; that takes asking.
                incremental: !self.config.full_every.is_zero(),
                // An object that comes twice has moved or changed while its list was read; the later state is the true one.
                repeats: Repeats::LastWins,
                empty_snapshot: EmptySnapshot::Fail,
            },
            scope: self.scope(),
        }
    }

    async fn check(&self) -> Result<CheckReport, SourceError> {
        Ok(check::check(self).await?)
    }

    async fn pull(&self, request: &PullRequest, sink: Box<dyn BatchSink>) -> Result<PullSummary, SourceError> {
        let memory = match Memory::of(request.cursor.as_ref()) {
            // A memory that cannot be read must not keep anybody from beginning anew.
            Err(error) if request.full => {
                tracing::warn!(error = %error, "what the last run remembered is left aside");
                None
            }
            memory => memory?,
        };
        self.access.preflight().await?;
        let began = self.now();
        let expected = self.config.district.as_deref();
        let pull = Pull { client: &self.client, expected, request, began, output: Output::new(sink) };
        let summary = match (self.why_full(memory.as_ref(), request, began), memory) {
            (None, Some(memory)) => pull.changes(memory).await,
            (why, memory) => pull.full(why.unwrap_or(NEW), memory.as_ref()).await,
        };
        Ok(summary?)
    }
}
