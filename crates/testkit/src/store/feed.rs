//! The change feed.

use rollcall_domain::Kind;
use rollcall_domain::ports::{ChangeKind, DeleteReason};

use super::{Fixture, Scene, all, created, deleted, restored, small_roster, updated};
use crate::build;

/// All changes are in one order, creations included, each with the state before.
pub async fn creations_updates_deletions_and_restorations_are_in_one_order(fixture: Fixture) {
    let scene = Scene::new(fixture).await;
    let first = scene.apply(small_roster()).await;
    let mut ben = build::user("ben");
    ben.email = Some("ben@example.org".into());
    let second = scene.apply(vec![updated(ben.clone()), created(build::user("carl"))]).await;
    scene
        .apply(vec![
            deleted(Kind::Users, "anna", DeleteReason::Explicit),
            deleted(Kind::Enrollments, "e1", DeleteReason::Cascade),
        ])
        .await;
    scene.apply(vec![restored(build::user("anna"))]).await;
    assert_eq!(
        scene.feed_lines().await,
        [
            "orgs school created",
            "classes class created",
            "users anna created",
            "users ben created",
            "enrollments e1 created",
            "users carl created",
            "users ben updated",
            "enrollments e1 deleted",
            "users anna deleted",
            "users anna restored",
        ]
    );
    let feed = scene.feed().await;
    assert!(feed.windows(2).all(|pair| pair[0].sequence < pair[1].sequence));
    assert!(feed.windows(2).all(|pair| pair[0].at <= pair[1].at));
    assert_eq!((feed[0].run, feed[6].run), (first, second));
    assert_eq!(feed[0].before, None);
    let before = feed[6].before.as_ref().unwrap();
    assert_eq!(serde_json::from_value::<rollcall_domain::Record>(before.clone()).unwrap(), build::user("ben").into());
    let stored = scene.stored(Kind::Users, "ben").await.unwrap();
    assert_eq!((feed[6].internal_id, feed[3].internal_id), (stored.internal_id, stored.internal_id));
    assert_eq!(feed[9].change, ChangeKind::Restored);
}

/// A reader that has seen a number is given what comes after it, and only that.
pub async fn the_feed_goes_on_after_a_number(fixture: Fixture) {
    let scene = Scene::new(fixture).await;
    scene.apply(small_roster()).await;
    scene.apply(vec![deleted(Kind::Users, "ben", DeleteReason::Absent)]).await;
    let feed = scene.feed().await;
    for (index, entry) in feed.iter().enumerate() {
        let rest = all(scene.store().changes(scene.source, entry.sequence, None)).await;
        assert_eq!(rest, feed[index + 1..]);
    }
}

/// The feed can be narrowed to one record.
pub async fn the_feed_of_one_record(fixture: Fixture) {
    let scene = Scene::new(fixture).await;
    scene.apply(small_roster()).await;
    scene.apply(vec![deleted(Kind::Users, "ben", DeleteReason::Absent)]).await;
    let of = |kind, id: &str| all(scene.store().changes(scene.source, 0, Some((kind, build::id(id)))));
    let changes: Vec<_> = of(Kind::Users, "ben").await.iter().map(|entry| entry.change).collect();
    assert_eq!(changes, [ChangeKind::Created, ChangeKind::Deleted]);
    assert!(of(Kind::Users, "ben").await.iter().all(|entry| entry.sourced_id.as_str() == "ben"));
    assert_eq!(of(Kind::Orgs, "school").await.len(), 1);
    assert!(of(Kind::Orgs, "ben").await.is_empty());
}
