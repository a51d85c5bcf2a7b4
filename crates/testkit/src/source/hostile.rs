//! Upstreams that fail.

use std::fmt::Write as _;
use std::future::Future;
use std::sync::Arc;

use futures::future::join_all;
use rollcall_domain::ports::RunStatus;
use rollcall_domain::report::RunReport;

use super::{Fault, Kept, Times, Upstream, assert_applied, assert_same_roster, read_afresh, sync};
use crate::memory::MemoryStore;

/// Tries each fault on an upstream of its own, and tells how the runs ended, a line for each.
pub async fn endings<F: Future<Output = Arc<dyn Upstream>>>(make: impl Fn() -> F, times: Times) -> String {
    let faults = make().await.faults();
    assert!(!faults.is_empty());
    let endings = faults.iter().map(|&fault| {
        let upstream = make();
        async move { ending(&*upstream.await, fault, times).await }
    });
    join_all(endings).await.join("\n")
}

/// A roster is stored, a day passes, and everything is read again while something goes wrong: then the run brings the
/// new roster or leaves the old one and the cursor, says what happened, and the next run brings the new roster.
async fn ending(upstream: &dyn Upstream, fault: Fault, times: Times) -> String {
    let store = MemoryStore::default();
    assert_applied(&sync(&store, &*upstream.source(), true).await);
    upstream.advance().await;
    let expected = read_afresh(upstream).await;
    let before = Kept::of(&store);

    upstream.arm(fault, times);
    let report = sync(&store, &*upstream.source(), true).await;
    assert!(upstream.disarm() > 0, "{fault:?} never struck");
    let told = told(&report);
    for secret in upstream.secrets() {
        assert!(!told.contains(&secret), "{fault:?}: a secret is told");
    }
    match report.status {
        RunStatus::Succeeded => assert_same_roster(&store, &expected, format!("{fault:?}")),
        RunStatus::Failed | RunStatus::Held => {
            assert!(Kept::of(&store) == before, "{fault:?}: something of a run that is {told} was applied");
        }
        other => panic!("{fault:?}: {other:?}"),
    }

    assert_applied(&sync(&store, &*upstream.source(), false).await);
    assert_same_roster(&store, &expected, format!("after {fault:?}"));
    format!("{fault:?}: {}", upstream.plain(&told))
}

/// How a run ended, in its own words.
fn told(report: &RunReport) -> String {
    let mut told = format!("{:?}", report.status).to_lowercase();
    let error = report.error.as_ref();
    let holds = report.held_by.iter().map(|hold| (hold.code.to_string(), hold.message.clone()));
    for (code, message) in error.map(|error| (error.code.clone(), error.message.clone())).into_iter().chain(holds) {
        assert!(!code.is_empty() && !message.is_empty());
        write!(told, "\n  {code}: {}", untimed(&message)).expect("a string takes everything");
    }
    for problem in error.iter().flat_map(|error| &error.problems) {
        write!(told, "\n  - {} {}", problem.code, problem.message).expect("a string takes everything");
    }
    assert!(report.status == RunStatus::Succeeded || told.contains('\n'), "{told} without a word");
    told
}

/// A message without how long something took.
fn untimed(message: &str) -> String {
    match message.split_once(" times in ") {
        Some((before, after)) if after.starts_with(|character: char| character.is_ascii_digit()) => {
            let after = after.trim_start_matches(|character: char| character.is_ascii_digit());
            format!("{before} times in ?{after}")
        }
        _ => message.to_owned(),
    }
}
