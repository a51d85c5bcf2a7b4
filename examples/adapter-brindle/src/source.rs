//! The port: what is read, in which order, and what it covers.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use rollcall_adapters_http::RedactedUrl;
use rollcall_domain::ports::{
    BatchSink, Capabilities, CheckReport, Clock, Coverage, Cursor, EmptySnapshot, PullRequest, PullSummary, Repeats,
    RosterSource, ScopeDigest, SourceDescription, SourceError,
};
use rollcall_domain::{Finding, Kind, Location};
use serde::de::DeserializeOwned;

use crate::client::Client;
use crate::config::BrindleConfig;
use crate::error::BrindleError;
use crate::mapping::{self, Mapped};

/// What the configuration calls this sort of source.
const KIND: &str = "brindle";

/// A source of one district's roster in Brindle.
#[derive(Clone)]
pub struct BrindleSource {
    config: BrindleConfig,
    client: Client,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for BrindleSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BrindleSource").field("config", &self.config).finish_non_exhaustive()
    }
}

impl BrindleSource {
    /// A source with these settings. Nothing is sent before the first check or pull.
    pub fn new(config: BrindleConfig, clock: Arc<dyn Clock>) -> Result<Self, BrindleError> {
        let client = Client::new(&config, Arc::clone(&clock))?;
        Ok(Self { config, client, clock })
    }

    /// Reads a list to its end and hands over what it maps to. What was announced of a kind is held against what came by the
    /// domain.
    async fn read<W: DeserializeOwned>(
        &self,
        list: &str,
        (kind, derived): (Kind, Option<Kind>),
        map: fn(&W) -> Result<Mapped, Finding>,
        summary: &mut PullSummary,
        sink: &mut dyn BatchSink,
    ) -> Result<(), BrindleError> {
        let first = self.client.list(list);
        let place = Arc::from(RedactedUrl::new(&first).to_string());
        let mut next = Some(first);
        let mut received = 0;
        while let Some(url) = next {
            let (page, following) = self.client.page(&url).await?;
            next = following;
            let mut batch = Vec::new();
            for object in page.items {
                batch.extend(mapping::items(kind, derived, &object, &Location::index(&place, received), map));
                received += 1;
            }
            sink.push(batch).await?;
            summary.totals[kind] = Some(page.total);
            if received > page.total && next.is_some() {
                // It goes on and on.
                return Err(BrindleError::Link { url: RedactedUrl::new(&url) });
            }
        }
        summary.coverage[kind] = Coverage::Snapshot;
        if let Some(derived) = derived {
            summary.coverage[derived] = Coverage::Snapshot;
        }
        Ok(())
    }

    async fn read_all(&self, mut sink: Box<dyn BatchSink>) -> Result<PullSummary, BrindleError> {
        // A point known before anything is read.
        let began = self.clock.now();
        let cursor = serde_json::json!({ "v": "1", "read": began.to_string() });
        let mut summary = PullSummary { cursor: Some(Cursor(cursor.to_string())), ..PullSummary::default() };
        self.read("schools", (Kind::Orgs, None), mapping::school, &mut summary, &mut *sink).await?;
        self.read("people", (Kind::Users, None), mapping::person, &mut summary, &mut *sink).await?;
        // The enrollments come with the groups.
        let classes = (Kind::Classes, Some(Kind::Enrollments));
        self.read("groups", classes, mapping::group, &mut summary, &mut *sink).await?;
        Ok(summary)
    }
}

#[async_trait]
impl RosterSource for BrindleSource {
    fn describe(&self) -> SourceDescription {
        // Stored, and compared with that of the next pull. The key itself is no part of it, nor is any hash of it.
        let shaping = serde_json::json!([self.config.base_url.as_str(), self.config.credential]);
        let digest = blake3::hash(shaping.to_string().as_bytes()).to_hex();
        SourceDescription {
            kind: KIND,
            capabilities: Capabilities {
                incremental: false,
                repeats: Repeats::LastWins,
                empty_snapshot: EmptySnapshot::Fail,
            },
            scope: ScopeDigest(format!("{KIND}/1:{}", &digest[..32])),
        }
    }

    async fn check(&self) -> Result<CheckReport, SourceError> {
        let mut report = CheckReport::default();
        for list in ["schools", "people", "groups"] {
            let (page, _) = self.client.page(&self.client.list(list)).await?;
            report.facts.push((list.to_owned(), page.total.to_string()));
        }
        Ok(report)
    }

    async fn pull(&self, _: &PullRequest, sink: Box<dyn BatchSink>) -> Result<PullSummary, SourceError> {
        // Brindle cannot say what changed, and has no demographics that would have to be left out.
        Ok(self.read_all(sink).await?)
    }
}
