//! The contract suite of sources: one line, and an upstream for it to work on.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use rollcall_adapters_brindle::{BrindleConfig, BrindleSource};
use rollcall_domain::Kind;
use rollcall_domain::ports::RosterSource;
use rollcall_testkit::source::{Fault, Nonsense, Times, Upstream};
use serde_json::{Value, json};

use crate::server::{KEY, RealTime, Server, source_at};

rollcall_testkit::roster_source_contract!(brindle);

async fn brindle() -> Arc<dyn Upstream> {
    Arc::new(Server::with(district()).await)
}

#[test]
fn r9_a_rotated_key_keeps_the_scope_and_another_credential_does_not() {
    let scope = |key: &str, credential: &str| {
        let base_url = "https://api.brindle.example/v1".parse().unwrap();
        let config = BrindleConfig::new(base_url, key.into(), credential.to_owned());
        BrindleSource::new(config, Arc::new(RealTime)).unwrap().describe().scope
    };
    assert_eq!(scope("old", "HILLSIDE"), scope("new", "HILLSIDE"));
    assert_ne!(scope("old", "HILLSIDE"), scope("old", "LAKESIDE"));
}

/// A school with 110 pupils and ten teachers.
fn district() -> BTreeMap<String, Vec<Value>> {
    let person = |number: usize| {
        let kind = if number < 10 { "teacher" } else { "pupil" };
        json!({"id": format!("p{number:03}"), "first": "Ada", "last": format!("Nr {number}"), "kind": kind, "school": "s1"})
    };
    let group = |number: usize| {
        let members: Vec<_> = (0..11).map(|seat| format!("p{:03}", 10 + number * 11 + seat)).collect();
        let leader = format!("p{number:03}");
        json!({"id": format!("g{number}"), "name": "Music", "school": "s1", "leader": leader, "members": members})
    };
    BTreeMap::from([
        ("schools".to_owned(), vec![json!({"id": "s1", "name": "Hillside School"})]),
        ("people".to_owned(), (0..120).map(person).collect()),
        ("groups".to_owned(), (0..10).map(group).collect()),
    ])
}

#[async_trait]
impl Upstream for Server {
    fn source(&self) -> Arc<dyn RosterSource> {
        Arc::new(source_at(&self.origin()))
    }

    fn rescoped(&self) -> Option<Arc<dyn RosterSource>> {
        // The same server by another address.
        Some(Arc::new(source_at(&self.origin().replace("127.0.0.1", "localhost"))))
    }

    async fn advance(&self) {
        let lists = &mut self.state.lock().unwrap().lists;
        // Somebody marries, somebody leaves with their seat, somebody comes.
        lists.get_mut("people").unwrap()[20]["last"] = json!("Lovelace");
        let left = lists.get_mut("people").unwrap().remove(119);
        let newcomer = format!("{}x", left["id"].as_str().unwrap());
        lists.get_mut("people").unwrap().push(json!({"id": newcomer, "last": "New", "kind": "pupil", "school": "s1"}));
        for group in lists.get_mut("groups").unwrap() {
            group["members"].as_array_mut().unwrap().retain(|member| *member != left["id"]);
        }
        lists.get_mut("groups").unwrap()[0]["members"].as_array_mut().unwrap().push(json!(newcomer));
    }

    async fn nonsense(&self) -> Nonsense {
        let mut lists = district();
        lists.get_mut("people").unwrap().extend([
            json!({"id": "p-nameless", "kind": "pupil", "school": "s1"}),
            json!({"id": "p-odd", "last": {"not": "a text"}}),
            json!({"id": "p-new", "last": "Green", "kind": "gardener", "school": "s1"}),
        ]);
        lists.get_mut("groups").unwrap().push(json!({"id": "g-nowhere", "name": "Nowhere"}));
        let server = Server::with(lists).await;
        Nonsense {
            source: Arc::new(source_at(&server.origin())),
            refused: vec![(Kind::Users, "p-nameless"), (Kind::Users, "p-odd"), (Kind::Classes, "g-nowhere")],
            keep: Box::new(server),
        }
    }

    fn faults(&self) -> &'static [Fault] {
        &[
            Fault::TooManyRequests,
            Fault::InternalError,
            Fault::Truncated,
            Fault::ShortPage,
            Fault::ExpiredToken,
            Fault::LoginPage,
            Fault::EmptyCollection,
            Fault::MissingEnvelope,
        ]
    }

    fn arm(&self, fault: Fault, times: Times) {
        self.state.lock().unwrap().fault = Some((fault, if times == Times::Once { 1 } else { usize::MAX }));
    }

    fn disarm(&self) -> usize {
        let mut state = self.state.lock().unwrap();
        state.fault = None;
        std::mem::take(&mut state.struck)
    }

    fn secrets(&self) -> Vec<String> {
        vec![KEY.to_owned()]
    }

    fn plain(&self, message: &str) -> String {
        message.replace(&self.origin(), "https://brindle")
    }
}
