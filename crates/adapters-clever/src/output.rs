//! Hands items to the sync in batches of one size, waiting while it is behind.

use rollcall_domain::ports::{BatchSink, Item};

use crate::error::CleverError;

/// How many items go over at once: enough that handing over costs nothing, few enough to hold several in memory.
const BATCH: usize = 2_000;

/// Where what is read goes.
pub(crate) struct Output {
    sink: Box<dyn BatchSink>,
}

impl Output {
    pub(crate) fn new(sink: Box<dyn BatchSink>) -> Self {
        Self { sink }
    }

    pub(crate) async fn push(&mut self, mut items: Vec<Item>) -> Result<(), CleverError> {
        while !items.is_empty() {
            let rest = items.split_off(items.len().min(BATCH));
            self.sink.push(items).await?;
            items = rest;
        }
        Ok(())
    }
}
