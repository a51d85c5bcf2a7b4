//! The revision: proof that nothing has changed, and that nothing changes while it is read.

use rollcall_domain::Kind;
use rollcall_domain::ports::{Coverage, PullRequest, SourceFailure};
use wiremock::ResponseTemplate;

use crate::harness::{ClassLink, Pulled, request};

fn is_unchanged(pulled: &Pulled) -> bool {
    pulled.items.is_empty() && Kind::ALL.iter().all(|kind| pulled.summary.coverage[*kind] == Coverage::Unchanged)
}

#[tokio::test]
async fn a_revision_that_stays_ends_the_pull_early_for_a_week() {
    let classlink = ClassLink::fixture().await;
    let first = classlink.pull().await;
    classlink.asked();
    // Long after everything would be read again by the clock.
    classlink.clock.set("2026-11-07T02:00:00Z");
    let second = classlink.pull_after(&first).await;
    assert!(is_unchanged(&second), "{:?}", second.summary);
    assert_eq!(second.summary.cursor, first.summary.cursor);
    insta::assert_snapshot!(second.summary.note.as_deref().unwrap(), @"nothing has changed since everything was last read, at revision rev-1");
    let rosters = classlink.asked().into_iter().filter(|asked| asked.path.contains("/ims/")).count();
    assert_eq!(rosters, 1, "one record is asked for, to see the revision");

    // One that a server forgets to move freezes no roster.
    classlink.clock.set("2026-11-08T02:00:00Z");
    assert_eq!(classlink.pull_after(&second).await.summary.coverage[Kind::Users], Coverage::Snapshot);
    let full = PullRequest { full: true, ..request(first.summary.cursor.clone()) };
    assert_eq!(classlink.try_pull(full).await.unwrap().summary.coverage[Kind::Users], Coverage::Snapshot);
    let anew = classlink.pull().await;
    assert_eq!(anew.summary.coverage[Kind::Users], Coverage::Snapshot, "without a cursor there is nothing to compare");
}

#[tokio::test]
async fn demographics_that_were_not_read_before_are_no_part_of_the_proof() {
    let classlink = ClassLink::fixture().await;
    let without = PullRequest { demographics: false, ..request(None) };
    let first = classlink.try_pull(without.clone()).await.unwrap();
    let again = classlink.try_pull(PullRequest { cursor: first.summary.cursor.clone(), ..without }).await.unwrap();
    assert_eq!(again.summary.coverage[Kind::Demographics], Coverage::Absent);
    assert_eq!(again.summary.coverage[Kind::Users], Coverage::Unchanged);
    let second = classlink.pull_after(&first).await;
    assert_eq!(second.summary.coverage[Kind::Demographics], Coverage::Snapshot);
    assert_eq!(second.of(Kind::Demographics).len(), 1);
    // Switched off they are erased, and what proves something of the other kinds proves nothing of them any more.
    let whole = classlink.pull().await;
    let off = PullRequest { demographics: false, ..request(whole.summary.cursor.clone()) };
    let off = classlink.try_pull(off).await.unwrap();
    assert_eq!(off.summary.coverage[Kind::Users], Coverage::Unchanged);
    let on_again = classlink.pull_after(&off).await;
    assert_eq!(on_again.of(Kind::Demographics).len(), 1);
}

#[tokio::test]
async fn another_revision_is_read_by_date_within_a_night_and_in_full_the_next() {
    let classlink = ClassLink::fixture().await;
    let first = classlink.pull().await;
    classlink.change(|behaviour| behaviour.revision = Some("rev-2".to_owned()));
    classlink.clock.set("2026-11-01T12:00:00Z");
    let noon = classlink.pull_after(&first).await;
    assert_eq!(noon.summary.coverage[Kind::Users], Coverage::Delta);
    // What changes alone may have missed is not proven by a revision.
    let evening = classlink.pull_after(&noon).await;
    assert_eq!(evening.summary.coverage[Kind::Users], Coverage::Delta);
    // A few minutes earlier than the night before.
    classlink.clock.set("2026-11-02T01:55:00Z");
    let night = classlink.pull_after(&evening).await;
    assert_eq!(night.summary.coverage[Kind::Users], Coverage::Snapshot);
    assert!(is_unchanged(&classlink.pull_after(&night).await));
}

#[tokio::test]
async fn a_revision_that_moves_begins_the_pull_again_and_one_that_keeps_moving_fails_it() {
    let classlink = ClassLink::fixture().await;
    let expected = classlink.pull().await;
    classlink.asked();
    classlink.script(|asked, behaviour| {
        if asked.collection == "users" && asked.before == 0 {
            behaviour.revision = Some("rev-2".to_owned());
        }
        None
    });
    let pulled = classlink.pull().await;
    assert_eq!(pulled.restarts, ["the revision went from rev-1 to rev-2 at the users"]);
    for kind in Kind::ALL {
        assert_eq!(pulled.of(kind), expected.of(kind));
    }

    classlink.asked();
    classlink.script(|asked, behaviour| {
        if asked.collection == "enrollments" {
            behaviour.revision = Some(format!("rev-{}", asked.before + 10));
        }
        None
    });
    let error = classlink.failure().await;
    assert_eq!((error.code.as_str(), error.failure), ("source.moving", SourceFailure::Temporary));
    assert_eq!(classlink.asked_for("/enrollments"), 4, "once, and three times again");
}

#[tokio::test]
async fn without_a_revision_on_every_page_nothing_is_proven() {
    let classlink = ClassLink::fixture().await;
    classlink.script(|asked, behaviour| {
        (asked.collection == "courses").then(|| {
            let revision = behaviour.revision.take();
            let answer = behaviour.page(asked);
            behaviour.revision = revision;
            answer
        })
    });
    let first = classlink.pull().await;
    assert_eq!(first.restarts.len(), 0, "a page that says nothing has not moved");
    let second = classlink.pull_after(&first).await;
    assert_eq!(second.summary.coverage[Kind::Users], Coverage::Delta);

    classlink.change(|behaviour| (behaviour.revision, behaviour.script) = (None, None));
    let first = classlink.pull().await;
    let second = classlink.pull_after(&first).await;
    assert_eq!(
        second.summary.coverage[Kind::Users],
        Coverage::Delta,
        "servers without a revision are read all the same"
    );
}

#[tokio::test]
async fn a_server_that_stumbles_over_the_question_is_read() {
    let classlink = ClassLink::fixture().await;
    let first = classlink.pull().await;
    classlink.script(|asked, _| {
        (asked.query.get("limit").is_some_and(|limit| limit == "1")).then(|| ResponseTemplate::new(400))
    });
    let second = classlink.pull_after(&first).await;
    assert_eq!(second.summary.coverage[Kind::Users], Coverage::Delta);
}
