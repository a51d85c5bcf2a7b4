//! Random histories: both engines end with the same roster, and it is the one that a simple model predicts.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use rollcall_domain::entities::{Class, Enrollment, Org, User};
use rollcall_domain::ports::{DanglingLink, DeleteReason, StagedChange};
use rollcall_domain::{Kind, Record};
use rollcall_testkit::build;
use rollcall_testkit::store::{Scene, all, created, deleted};

/// One step on one of a few records.
#[derive(Debug, Clone)]
enum Step {
    Put(Record),
    Delete(Kind, String, DeleteReason),
    Revive(Kind, String),
}

fn org(number: u8, parent: Option<u8>) -> Org {
    let mut org = build::school(&format!("o{number}"));
    org.parent = parent.map(|parent| build::id(&format!("o{parent}")));
    org
}

fn class(number: u8, terms: &BTreeSet<u8>) -> Class {
    let mut class = build::class(&format!("c{number}"), "school");
    class.terms = terms.iter().map(|term| build::id(&format!("t{term}"))).collect();
    class
}

fn user(number: u8, orgs: &BTreeSet<u8>, agents: &BTreeSet<u8>, ids: &BTreeSet<u8>) -> User {
    let mut user = build::user(&format!("u{number}"));
    user.roles = orgs.iter().map(|org| build::role(&format!("o{org}"))).collect();
    user.agents = agents.iter().map(|agent| build::id(&format!("u{agent}"))).collect();
    user.external_ids = ids.iter().map(|id| build::external("sis", &id.to_string())).collect();
    user
}

fn enrollment(number: u8, user: u8, title: u8) -> Enrollment {
    let mut enrollment = build::enrollment(&format!("e{number}"), "class", &format!("always{user}"));
    enrollment.metadata.insert("n".into(), title.to_string().into());
    enrollment
}

fn some_of() -> impl Strategy<Value = BTreeSet<u8>> {
    proptest::collection::btree_set(0..4_u8, 0..3)
}

fn step() -> impl Strategy<Value = Step> {
    let kind = prop_oneof![
        Just((Kind::Orgs, "o")),
        Just((Kind::Classes, "c")),
        Just((Kind::Users, "u")),
        Just((Kind::Enrollments, "e"))
    ];
    let reason = prop_oneof![Just(DeleteReason::Explicit), Just(DeleteReason::Absent), Just(DeleteReason::Cascade)];
    prop_oneof![
        (0..4_u8, proptest::option::of(0..4_u8)).prop_map(|(number, parent)| Step::Put(org(number, parent).into())),
        (0..4_u8, some_of()).prop_map(|(number, terms)| Step::Put(class(number, &terms).into())),
        (0..4_u8, some_of(), some_of(), some_of())
            .prop_map(|(number, orgs, agents, ids)| Step::Put(user(number, &orgs, &agents, &ids).into())),
        (0..4_u8, 0..2_u8, 0..3_u8).prop_map(|(number, user, title)| Step::Put(enrollment(number, user, title).into())),
        (kind.clone(), 0..4_u8, reason).prop_map(|((kind, letter), number, reason)| Step::Delete(
            kind,
            format!("{letter}{number}"),
            reason
        )),
        (kind, 0..4_u8).prop_map(|((kind, letter), number)| Step::Revive(kind, format!("{letter}{number}"))),
    ]
}

/// Runs of steps; a record is put at most once in a run, as the port asks.
fn history() -> impl Strategy<Value = Vec<Vec<Step>>> {
    let run = proptest::collection::vec(step(), 0..12).prop_map(|steps| {
        let mut put = BTreeSet::new();
        steps
            .into_iter()
            .filter(|step| match step {
                Step::Put(record) => put.insert((record.kind(), record.sourced_id().clone())),
                _ => true,
            })
            .collect()
    });
    proptest::collection::vec(run, 1..5)
}

type Model = BTreeMap<(Kind, String), (Record, bool)>;

fn predict(model: &mut Model, steps: &[Step]) {
    for step in steps {
        match step {
            Step::Put(record) => {
                let mut record = record.clone();
                record.normalise();
                model.insert((record.kind(), record.sourced_id().to_string()), (record, true));
            }
            Step::Delete(kind, id, _) => {
                if let Some(entry) = model.get_mut(&(*kind, id.clone())) {
                    entry.1 = false;
                }
            }
            Step::Revive(kind, id) => {
                if let Some(entry) = model.get_mut(&(*kind, id.clone())) {
                    entry.1 = true;
                }
            }
        }
    }
}

/// Operations before the put of a record that is not stored yet have nothing to work on: a store may leave them out.
fn meaningful(model: &Model, steps: Vec<Step>) -> Vec<Step> {
    let mut known: BTreeSet<(Kind, String)> = model.keys().cloned().collect();
    steps
        .into_iter()
        .filter(|step| match step {
            Step::Put(record) => {
                known.insert((record.kind(), record.sourced_id().to_string()));
                true
            }
            Step::Delete(kind, id, _) | Step::Revive(kind, id) => known.contains(&(*kind, id.clone())),
        })
        .collect()
}

async fn apply(scene: &Scene, steps: &[Step]) {
    let changes = steps
        .iter()
        .map(|step| match step {
            Step::Put(record) => created(record.clone()),
            Step::Delete(kind, id, reason) => deleted(*kind, id, *reason),
            Step::Revive(kind, id) => StagedChange::Revive { kind: *kind, sourced_id: build::id(id) },
        })
        .collect();
    scene.apply(changes).await;
    // What dangles and has arrived is attached, as the sync does it.
    let mut attach = Vec::new();
    for kind in [Kind::Orgs, Kind::AcademicSessions, Kind::Courses, Kind::Users] {
        for link in all(scene.store().dangling(scene.source, kind)).await {
            let DanglingLink { target, .. } = &link;
            if scene.stored(kind, target.as_str()).await.is_some() {
                attach.push(StagedChange::Attach(link));
            }
        }
    }
    if !attach.is_empty() {
        scene.apply(attach).await;
    }
}

async fn check(scene: &Scene, model: &Model) -> Vec<Vec<Record>> {
    for ((kind, id), (record, live)) in model {
        let stored = scene.stored(*kind, id).await.expect("every record that was ever put");
        assert_eq!(&stored.record, record);
        assert_eq!(stored.deleted.is_none(), *live, "{kind} {id}");
        let mut again = stored.record;
        assert_eq!(build::fingerprint(&mut again), stored.fingerprint);
    }
    let mut streams = Vec::new();
    for kind in Kind::ALL {
        let records = scene.records(kind).await;
        let ids: Vec<_> = records.iter().map(|record| record.sourced_id().to_string()).collect();
        let expected: Vec<_> =
            model.iter().filter(|((of, _), (_, live))| *of == kind && *live).map(|((_, id), _)| id.clone()).collect();
        assert_eq!(ids, expected);
        streams.push(records);
    }
    streams
}

/// What the random records need to be there.
fn foundation() -> Vec<Step> {
    vec![
        Step::Put(build::school("school").into()),
        Step::Put(build::class("class", "school").into()),
        Step::Put(build::user("always0").into()),
        Step::Put(build::user("always1").into()),
        Step::Put(build::term("t0").into()),
    ]
}

#[test]
fn any_history_gives_the_same_roster_on_both_engines() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let config = ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(history in history())| {
        runtime.block_on(async {
            let scenes = [Scene::new(crate::common::sqlite().await).await, Scene::new(crate::common::postgres().await).await];
            let mut model = Model::new();
            for steps in std::iter::once(foundation()).chain(history) {
                let steps = meaningful(&model, steps);
                predict(&mut model, &steps);
                let mut streams = Vec::new();
                for scene in &scenes {
                    apply(scene, &steps).await;
                    streams.push(check(scene, &model).await);
                }
                assert_eq!(streams[0], streams[1]);
                let (one, other) = (scenes[0].feed_lines().await, scenes[1].feed_lines().await);
                assert_eq!(one, other);
            }
        });
    });
}
