//! Gathers items into batches and hands them to the sync, waiting while it is behind.

use rollcall_domain::ports::{Deletion, Item, Upsert};
use rollcall_domain::{Finding, Kind, Location, Reject, SourcedId, Warning};
use tokio::sync::mpsc::Sender;

use crate::error::CsvError;

/// How many items go over at once: enough that handing over costs nothing, few enough to hold several in memory.
const BATCH: usize = 2_000;

/// Where what is read goes.
pub(crate) struct Output {
    batches: Sender<Vec<Item>>,
    batch: Vec<Item>,
}

impl Output {
    pub(crate) fn new(batches: Sender<Vec<Item>>) -> Self {
        Self { batches, batch: Vec::with_capacity(BATCH) }
    }

    pub(crate) fn push(&mut self, item: Item) -> Result<(), CsvError> {
        self.batch.push(item);
        if self.batch.len() >= BATCH { self.flush() } else { Ok(()) }
    }

    pub(crate) fn upsert(&mut self, upsert: Upsert) -> Result<(), CsvError> {
        self.push(Item::Upsert(upsert))
    }

    pub(crate) fn delete(&mut self, deletion: Deletion) -> Result<(), CsvError> {
        self.push(Item::Delete(deletion))
    }

    pub(crate) fn reject(&mut self, reject: Reject) -> Result<(), CsvError> {
        self.push(Item::Reject(reject))
    }

    /// Pushes what was noted about a record that was accepted.
    pub(crate) fn warn_all(
        &mut self,
        kind: Kind,
        sourced_id: Option<&SourcedId>,
        location: &Location,
        findings: &mut Vec<Finding>,
    ) -> Result<(), CsvError> {
        for finding in findings.drain(..) {
            self.push(Item::Warning(Warning {
                kind: Some(kind),
                sourced_id: sourced_id.cloned(),
                location: location.clone(),
                finding,
            }))?;
        }
        Ok(())
    }

    /// Hands over what is left.
    pub(crate) fn flush(&mut self) -> Result<(), CsvError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH));
        self.batches.blocking_send(batch).map_err(|_| CsvError::Stopped)
    }
}
