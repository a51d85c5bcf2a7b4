//! What every kind of record looks like once it is mapped. The snapshot reads like documentation.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use rollcall_domain::ports::{BatchSink, Item, PullRequest, RosterSource, SinkClosed};
use serde_json::{Value, json};

use crate::server::{Server, source_at};

/// Remembers what it is given.
#[derive(Clone, Default)]
struct Remembering(Arc<Mutex<Vec<Item>>>);

#[async_trait]
impl BatchSink for Remembering {
    async fn push(&mut self, batch: Vec<Item>) -> Result<(), SinkClosed> {
        self.0.lock().unwrap().extend(batch);
        Ok(())
    }
}

#[tokio::test]
async fn payloads_are_mapped() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let read = |list: &str| -> (String, Vec<Value>) {
        let text = std::fs::read(fixtures.join(format!("{list}.json"))).unwrap();
        (list.to_owned(), serde_json::from_slice(&text).unwrap())
    };
    let server = Server::with(BTreeMap::from(["schools", "people", "groups"].map(read))).await;
    let sink = Remembering::default();
    let source = source_at(&server.origin());
    source.pull(&PullRequest::default(), Box::new(sink.clone())).await.unwrap();
    let shown: Vec<_> = sink.0.lock().unwrap().iter().map(shown).collect();
    insta::assert_json_snapshot!(shown);
}

fn shown(item: &Item) -> Value {
    match item {
        Item::Upsert(upsert) => json!(upsert.record()),
        Item::Reject(reject) => {
            json!({"refused": reject.sourced_id, "kind": reject.kind, "because": reject.findings})
        }
        Item::Warning(warning) => json!({"warning": warning.sourced_id, "because": warning.finding}),
        other => panic!("{other:?}"),
    }
}
