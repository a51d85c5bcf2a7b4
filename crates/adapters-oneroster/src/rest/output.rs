//! Hands items to the sync in batches of one size, waiting while it is behind.

use rollcall_domain::ports::{BatchSink, Item};

use super::error::RestError;

/// How many items go over at once: enough that handing over costs nothing, few enough to hold several in memory.
const BATCH: usize = 2_000;

/// Where what is read goes.
pub(crate) struct Output {
    sink: Box<dyn BatchSink>,
    /// Whether anything went over since the pull last began.
    has_pushed: bool,
    restarts: u32,
}

impl Output {
    /// How often a pull may begin again.
    const RESTARTS: u32 = 3;

    pub(crate) fn new(sink: Box<dyn BatchSink>) -> Self {
        Self { sink, has_pushed: false, restarts: 0 }
    }

    pub(crate) async fn push(&mut self, mut items: Vec<Item>) -> Result<(), RestError> {
        while !items.is_empty() {
            let rest = items.split_off(items.len().min(BATCH));
            self.has_pushed = true;
            self.sink.push(items).await.map_err(|_| RestError::Stopped)?;
            items = rest;
        }
        Ok(())
    }

    /// Takes back everything pushed so far.
    pub(crate) async fn restart(&mut self, reason: String) -> Result<(), RestError> {
        if !self.has_pushed {
            return Ok(());
        }
        self.has_pushed = false;
        self.sink.push(vec![Item::Restart { reason }]).await.map_err(|_| RestError::Stopped)
    }

    /// The same because the upstream moved while it was read, which can happen only so often.
    pub(crate) async fn moved(&mut self, reason: String) -> Result<(), RestError> {
        self.restarts += 1;
        if self.restarts > Self::RESTARTS {
            return Err(RestError::Moving { reason, times: self.restarts });
        }
        tracing::warn!(reason, "the source moved while it was read; the pull begins again");
        self.restart(reason).await
    }
}
