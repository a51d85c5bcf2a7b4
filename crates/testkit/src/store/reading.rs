//! Reads of the roster.

use rollcall_domain::entities::Role;
use rollcall_domain::ports::{DanglingLink, DeleteReason, StagedChange};
use rollcall_domain::{ENCODING_VERSION, Kind, Record, RefField};

use super::{Fixture, Scene, all, created, deleted, ids_of, small_roster, updated};
use crate::build;

/// Deleted records have fingerprints too, with the reason; users say whether they are switched off.
pub async fn fingerprints_cover_deleted_records(fixture: Fixture) {
    let scene = Scene::new(fixture).await;
    scene.apply(small_roster()).await;
    let mut off = build::user("off");
    off.enabled_user = false;
    let StagedChange::Put { record, fingerprint, change, .. } = created(off) else { panic!("a put") };
    let put = StagedChange::Put { record, fingerprint, modified_ms: Some(-5), change };
    scene.apply(vec![put, deleted(Kind::Users, "ben", DeleteReason::Explicit)]).await;
    let found = scene.fingerprints(Kind::Users).await;
    let lines: Vec<_> = found.iter().map(|found| (found.sourced_id.as_str(), found.deleted, found.disabled)).collect();
    assert_eq!(lines, [("anna", None, false), ("ben", Some(DeleteReason::Explicit), false), ("off", None, true)]);
    assert_eq!(found[0].fingerprint, build::fingerprint(&mut build::user("anna").into()));
    assert_eq!((found[2].modified_ms, found[2].encoding), (Some(-5), ENCODING_VERSION));

    let internal: Vec<_> = found.iter().map(|found| found.internal_id).collect();
    let asked = [internal[2], internal[1], internal.iter().sum::<i64>() + 1];
    let mut ids = scene.store().sourced_ids(scene.source, Kind::Users, &asked).await.unwrap();
    ids.sort_unstable();
    assert_eq!(ids, ids_of(&["ben", "off"]));
    let other = scene.store().source_open("other", "test").await.unwrap();
    assert!(scene.store().sourced_ids(other.id, Kind::Users, &asked).await.unwrap().is_empty());
}

/// `records` is ordered by sourcedId as bytes, whatever a language would make of it.
pub async fn live_records_are_ordered_by_id_byte_by_byte(fixture: Fixture) {
    let scene = Scene::new(fixture).await;
    let ids = ["b", "B", "a-1", "a1", "é", "z", "A", "10", "9", "_", "a 1"];
    scene.apply(ids.iter().map(|id| created(build::school(id))).collect()).await;
    let mut expected = ids.map(str::to_owned);
    expected.sort_unstable();
    assert_eq!(scene.ids(Kind::Orgs).await, expected);
}

/// Links to records that are not live are left out, a role stays without its org, and an enrollment's school is its
/// class's.
pub async fn live_records_show_links_to_live_records_only(fixture: Fixture) {
    let scene = Scene::new(fixture).await;
    let mut user = build::user("user");
    user.roles = vec![build::role("gone"), build::role("school"), build::role("unknown")];
    user.agents = ids_of(&["agent", "gone agent", "unknown"]);
    user.primary_org = Some(build::id("gone"));
    let mut class = build::class("class", "school");
    class.terms = ids_of(&["gone term", "term", "unknown"]);
    class.course = Some(build::id("gone course"));
    let mut enrollment = build::enrollment("e1", "class", "user");
    enrollment.school = Some(build::id("gone"));
    let mut child = build::school("child");
    child.parent = Some(build::id("school"));
    scene
        .apply(vec![
            created(child),
            created(build::school("gone")),
            created(build::school("school")),
            created(build::term("gone term")),
            created(build::term("term")),
            created(build::course("gone course")),
            created(class),
            created(build::user("agent")),
            created(build::user("gone agent")),
            created(user),
            created(enrollment),
        ])
        .await;
    scene
        .apply(vec![
            deleted(Kind::Orgs, "gone", DeleteReason::Explicit),
            deleted(Kind::AcademicSessions, "gone term", DeleteReason::Explicit),
            deleted(Kind::Courses, "gone course", DeleteReason::Explicit),
            deleted(Kind::Users, "gone agent", DeleteReason::Explicit),
        ])
        .await;
    let users = scene.records(Kind::Users).await;
    let Record::Users(user) = &users[1] else { panic!("a user") };
    assert_eq!(user.agents, ids_of(&["agent"]));
    assert_eq!(user.primary_org, None);
    let mut orgs: Vec<_> = user.roles.iter().map(|role| role.org.clone()).collect();
    orgs.sort();
    assert_eq!(orgs, [None, None, Some(build::id("school"))]);
    let classes = scene.records(Kind::Classes).await;
    let Record::Classes(class) = &classes[0] else { panic!("a class") };
    assert_eq!((&class.terms, &class.course), (&ids_of(&["term"]), &None));
    let enrollments = scene.records(Kind::Enrollments).await;
    let Record::Enrollments(enrollment) = &enrollments[0] else { panic!("an enrollment") };
    assert_eq!(enrollment.school, Some(build::id("school")));
    let orgs = scene.records(Kind::Orgs).await;
    let Record::Orgs(child) = &orgs[0] else { panic!("an org") };
    assert_eq!(child.parent, Some(build::id("school")));
}

/// An optional reference to what was never stored is dangling until an `Attach`, which is an update in the feed.
pub async fn references_to_what_was_never_stored_dangle_until_they_are_attached(fixture: Fixture) {
    let scene = Scene::new(fixture).await;
    scene.apply(build::full_records().into_iter().map(created).collect()).await;
    let dangling = async |kind| {
        let mut links = all(scene.store().dangling(scene.source, kind)).await;
        links.sort_by_key(|link| (link.field, link.holder.clone()));
        links
    };
    let link = |field, holder: &str, target: &str| DanglingLink {
        field,
        holder: build::id(holder),
        target: build::id(target),
    };
    assert_eq!(dangling(Kind::Orgs).await, [link(RefField::RoleOrg, "user", "unknown org")]);
    assert_eq!(dangling(Kind::AcademicSessions).await, [link(RefField::ClassTerm, "class", "unknown term")]);
    assert_eq!(dangling(Kind::Users).await, [link(RefField::UserAgent, "user", "unknown agent")]);
    assert!(dangling(Kind::Courses).await.is_empty());
    let before = scene.stored(Kind::Users, "user").await.unwrap();
    let feed = scene.feed().await.len();
    scene
        .apply(vec![
            created(build::school("unknown org")),
            created(build::user("unknown agent")),
            StagedChange::Attach(link(RefField::RoleOrg, "user", "unknown org")),
            StagedChange::Attach(link(RefField::UserAgent, "user", "unknown agent")),
        ])
        .await;
    assert!(dangling(Kind::Orgs).await.is_empty() && dangling(Kind::Users).await.is_empty());
    assert_eq!(scene.stored(Kind::Users, "user").await.unwrap(), before);
    let lines = scene.feed_lines().await;
    assert_eq!(lines[feed..], ["orgs unknown org created", "users unknown agent created", "users user updated"]);
    let records = scene.records(Kind::Users).await;
    let Record::Users(user) = &records[2] else { panic!("a user") };
    assert_eq!(user.agents, ids_of(&["agent", "unknown agent"]));
}

/// The records of a source lie between those of others.
pub async fn sources_that_take_turns_are_told_apart(fixture: Fixture) {
    let mut scene = Scene::new(fixture).await;
    scene.apply(build::full_records().into_iter().map(created).collect()).await;
    scene.turn_to("shelbyville").await;
    scene.apply(vec![created(build::user("zoe")), created(build::school("school"))]).await;
    scene.turn_to("springfield").await;
    scene.apply(vec![created(build::user("walt"))]).await;
    scene.turn_to("shelbyville").await;
    scene.apply(vec![created(build::user("yves"))]).await;
    assert_eq!(scene.ids(Kind::Users).await, ["yves", "zoe"]);
    assert_eq!(scene.fingerprints(Kind::Users).await.len(), 2);
    let dangling = async |scene: &Scene| all(scene.store().dangling(scene.source, Kind::Users)).await.len();
    assert_eq!(dangling(&scene).await, 0);
    scene.turn_to("springfield").await;
    assert_eq!(scene.ids(Kind::Users).await, ["agent", "user", "walt"]);
    assert_eq!(scene.fingerprints(Kind::Users).await.len(), 3);
    assert_eq!(dangling(&scene).await, 1);
}

/// A put is attached to stored, deleted and newly staged targets alike, of its own kind too, in any order.
pub async fn a_put_attaches_what_is_there_and_what_comes_with_it(fixture: Fixture) {
    let scene = Scene::new(fixture).await;
    scene.apply(vec![created(build::school("old")), created(build::school("dead"))]).await;
    scene.apply(vec![deleted(Kind::Orgs, "dead", DeleteReason::Absent)]).await;
    let org = |id: &str, parent: &str| {
        let mut org = build::school(id);
        org.parent = Some(build::id(parent));
        org
    };
    scene
        .apply(vec![
            created(org("a", "old")),
            created(org("b", "dead")),
            created(org("c", "d")),
            created(org("d", "c")),
            created(org("e", "nowhere")),
            updated(org("old", "a")),
        ])
        .await;
    let links = all(scene.store().dangling(scene.source, Kind::Orgs)).await;
    assert_eq!(links.len(), 1);
    assert_eq!(links[0].holder, build::id("e"));
    let parents: Vec<_> = scene
        .records(Kind::Orgs)
        .await
        .into_iter()
        .map(|record| match record {
            Record::Orgs(org) => (org.sourced_id.to_string(), org.parent.map(|parent| parent.to_string())),
            _ => panic!("an org"),
        })
        .collect();
    let some = |text: &str| Some(text.to_owned());
    let expected =
        [("a", some("old")), ("b", None), ("c", some("d")), ("d", some("c")), ("e", None), ("old", some("a"))];
    assert_eq!(parents, expected.map(|(id, parent)| (id.to_owned(), parent)));
}

/// A reference to a deleted record is attached: it shows again when the record comes back, without another change.
pub async fn a_deleted_target_does_not_make_a_reference_dangle(fixture: Fixture) {
    let scene = Scene::new(fixture).await;
    let mut course = build::course("course");
    course.org = Some(build::id("school"));
    scene.apply(vec![created(build::school("school")), created(course.clone())]).await;
    scene.apply(vec![deleted(Kind::Orgs, "school", DeleteReason::Absent)]).await;
    assert!(all(scene.store().dangling(scene.source, Kind::Orgs)).await.is_empty());
    scene.apply(vec![super::restored(build::school("school"))]).await;
    assert_eq!(scene.records(Kind::Courses).await, [Record::from(course)]);
}

/// Vendor ids of roles need not be unique; deleted users and other sources are left out.
pub async fn live_users_are_found_by_the_vendor_ids_of_their_roles(fixture: Fixture) {
    let scene = Scene::new(fixture).await;
    let with_roles = |user: &str, roles: &[&str]| {
        let mut user = build::user(user);
        user.roles = roles
            .iter()
            .map(|role| Role {
                sourced_id: Some(build::id(role)),
                user_profile: Some((*role).into()),
                ..build::role("school")
            })
            .collect();
        created(user)
    };
    scene
        .apply(vec![
            with_roles("anna", &["r1", "r2"]),
            with_roles("ben", &["r2"]),
            with_roles("carl", &["r3"]),
            created(build::user("dora")),
        ])
        .await;
    scene.apply(vec![deleted(Kind::Users, "carl", DeleteReason::Explicit)]).await;
    let other = scene.store().source_open("shelbyville", "test").await.unwrap();
    let roles = ids_of(&["r2", "r3", "r4"]);
    let mut holders = scene.store().role_holders(scene.source, &roles).await.unwrap();
    holders.sort();
    let expected = ["anna", "ben"].map(|user| (build::id(user), build::id("r2")));
    assert_eq!(holders, expected);
    assert!(scene.store().role_holders(other.id, &roles).await.unwrap().is_empty());
}
