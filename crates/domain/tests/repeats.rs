//! Property test of R1 over histories that no model follows: any mixture of whole kinds and changes, dated, dangling,
//! contradictory and refused records, users with their roles and without.

#![allow(clippy::allow_attributes, clippy::unwrap_used, missing_docs, reason = "a test")]

mod support;

use std::collections::HashSet;

use proptest::prelude::*;
use rollcall_domain::ports::{Coverage, Deletion, Item, OwnedChange, Repeats, RoleChange, RunStatus};
use rollcall_domain::{Code, Counts, Finding, Kind, PerKind, Record, Reject};
use rollcall_testkit::memory::MemoryStore;
use support::{
    Script, class, course, demographics, enrollment, id, location, mass, org, role, session, sync_with, upsert_at, user,
};

/// What a source says in one run.
#[derive(Clone)]
struct Input {
    coverage: PerKind<Coverage>,
    roles: Option<Coverage>,
    repeats: Repeats,
    items: Vec<Item>,
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let coverage: Vec<_> = self.coverage.iter().map(|(kind, coverage)| format!("{kind} {coverage:?}")).collect();
        writeln!(f, "{} roles {:?} {:?}", coverage.join(", "), self.roles, self.repeats)?;
        for item in &self.items {
            let date = |date: &Option<i64>| date.map(|date| format!(" @{date}")).unwrap_or_default();
            match item {
                Item::Upsert(upsert) => {
                    let mut targets = Vec::new();
                    upsert.record().each_reference(|reference| targets.push(reference.target.to_string()));
                    let text = serde_json::to_string(upsert.record()).unwrap();
                    let name = if text.contains("\"B\"") { "B" } else { "A" };
                    let (id, targets) = (upsert.record().sourced_id(), targets.join(","));
                    writeln!(f, "  {id} {name} > {targets}{} {:?}", date(&upsert.modified_ms), upsert.half)?;
                }
                Item::Delete(deletion) => {
                    writeln!(f, "  delete {} {}{}", deletion.kind, deletion.sourced_id, date(&deletion.modified_ms))?;
                }
                Item::Owned(OwnedChange::Role { change: RoleChange::Put { user, role }, modified_ms, .. }) => {
                    let (name, org) = (&role.role, role.org.as_ref().map(ToString::to_string));
                    writeln!(f, "  role {:?} of {user}: {name} {org:?}{}", role.sourced_id, date(modified_ms))?;
                }
                Item::Owned(OwnedChange::Role { change: RoleChange::Delete { user, role }, modified_ms, .. }) => {
                    writeln!(f, "  delete role {role} of {user:?}{}", date(modified_ms))?;
                }
                Item::Reject(reject) => {
                    let part = if reject.is_part { " role" } else { "" };
                    writeln!(f, "  bad {}{part} {:?}", reject.kind, reject.sourced_id)?;
                }
                other => writeln!(f, "  {other:?}")?,
            }
        }
        Ok(())
    }
}

fn record() -> impl Strategy<Value = Record> {
    let name = prop_oneof![Just("A"), Just("B")];
    prop_oneof![
        2 => (0..2, prop::option::of(0..3), name.clone()).prop_map(|(number, parent, name)| {
            let mut org = org(&format!("s{number}"));
            org.parent = parent.map(|parent| id(&format!("s{parent}")));
            org.name = name.into();
            Record::from(org)
        }),
        1 => (0..2, name.clone()).prop_map(|(number, title)| {
            let mut session = session(&format!("t{number}"));
            session.title = title.into();
            Record::from(session)
        }),
        1 => (0..2, prop::option::of(0..2)).prop_map(|(number, org)| {
            let mut course = course(&format!("k{number}"));
            course.org = org.map(|org| id(&format!("s{org}")));
            Record::from(course)
        }),
        3 => (0..3, 0..3, prop::option::of(0..2), prop::option::of(0..2), name.clone()).prop_map(
            |(number, school, course, term, title)| {
                let mut class = class(&format!("c{number}"), &format!("s{school}"));
                class.course = course.map(|course| id(&format!("k{course}")));
                class.terms = term.map(|term| id(&format!("t{term}"))).into_iter().collect();
                class.title = title.into();
                Record::from(class)
            }
        ),
        3 => (0..3, prop::option::of(0..4), prop::option::of((0..2_usize, 0..3)), name).prop_map(
            |(number, agent, of_school, name)| {
                let mut user = user(&format!("u{number}"));
                user.given_name = Some(name.into());
                user.agents = agent.map(|agent| id(&format!("u{agent}"))).into_iter().collect();
                user.roles = of_school
                    .map(|(sort, org)| role(["teacher", "aide"][sort], Some(&format!("s{org}")), Some("r0")))
                    .into_iter()
                    .collect();
                Record::from(user)
            }
        ),
        6 => (0..5, 0..4, 0..4).prop_map(|(number, class, user)| {
            Record::from(enrollment(&format!("e{number}"), &format!("c{class}"), &format!("u{user}")))
        }),
        1 => (0..4).prop_map(|user| Record::from(demographics(&format!("u{user}")))),
    ]
}

fn id_of(kind: Kind, number: u8) -> String {
    let letter = match kind {
        Kind::Orgs => "s",
        Kind::AcademicSessions => "t",
        Kind::Courses => "k",
        Kind::Classes => "c",
        Kind::Users | Kind::Demographics => "u",
        Kind::Enrollments => "e",
    };
    format!("{letter}{number}")
}

fn date() -> impl Strategy<Value = Option<i64>> {
    prop_oneof![2 => Just(None), 3 => (1_i64..6).prop_map(Some)]
}

fn item() -> impl Strategy<Value = Item> {
    let kind = prop::sample::select(Kind::ALL.to_vec());
    prop_oneof![
        12 => (record(), date()).prop_map(|(record, date)| upsert_at(record, date, 2)),
        2 => (kind.clone(), 0_u8..4, date()).prop_map(|(kind, number, modified_ms)| {
            let sourced_id = id(&id_of(kind, number));
            Item::Delete(Deletion { kind, sourced_id, modified_ms, location: location(3) })
        }),
        2 => (0..3, 0..3, 0..2_usize, 0..3, date()).prop_map(|(user, number, sort, org, modified_ms)| {
            let role = role(["teacher", "aide"][sort], Some(&format!("s{org}")), Some(&format!("r{number}")));
            let change = RoleChange::Put { user: id(&format!("u{user}")), role };
            Item::Owned(OwnedChange::Role { change, modified_ms, location: location(4) })
        }),
        1 => (prop::option::of(0..3), 0..3, date()).prop_map(|(user, number, modified_ms)| {
            let user = user.map(|user| id(&format!("u{user}")));
            let change = RoleChange::Delete { user, role: id(&format!("r{number}")) };
            Item::Owned(OwnedChange::Role { change, modified_ms, location: location(4) })
        }),
        1 => (kind, prop::option::weighted(0.8, 0_u8..4), any::<bool>()).prop_map(|(kind, number, is_part)| {
            Item::Reject(Reject {
                kind,
                sourced_id: number.map(|number| id(&id_of(kind, number))),
                is_part: is_part && kind == Kind::Users,
                location: location(5),
                findings: vec![Finding::whole(Code::CsvMalformed, "too many cells")],
                record: None,
            })
        }),
    ]
}

fn input() -> impl Strategy<Value = Input> {
    let coverage = || {
        prop_oneof![
            4 => Just(Coverage::Snapshot),
            4 => Just(Coverage::Delta),
            1 => Just(Coverage::Absent),
        ]
    };
    let coverages = prop_oneof![
        3 => prop::collection::vec(coverage(), 7),
        1 => coverage().prop_map(|coverage| vec![coverage; 7]),
    ];
    let roles = prop_oneof![3 => Just(None), 2 => coverage().prop_map(Some)];
    let repeats = prop_oneof![2 => Just(Repeats::Conflict), 1 => Just(Repeats::LastWins)];
    (coverages, roles, repeats, prop::collection::vec(item(), 0..16)).prop_map(|(coverages, roles, repeats, items)| {
        let coverage = PerKind::from_fn(|kind| coverages[Kind::ALL.iter().position(|of| *of == kind).unwrap()]);
        let sent: HashSet<_> = items
            .iter()
            .filter_map(|item| match item {
                Item::Upsert(upsert) if upsert.record().kind() == Kind::Users => {
                    Some(upsert.record().sourced_id().clone())
                }
                _ => None,
            })
            .collect();
        // A source pushes nothing of a kind that it did not read, and either users with roles or users without.
        let items = items
            .into_iter()
            .filter(|item| match item {
                Item::Upsert(upsert) => coverage[upsert.record().kind()] != Coverage::Absent,
                Item::Delete(deletion) => coverage[deletion.kind] != Coverage::Absent,
                // A complete list takes away by saying nothing.
                Item::Owned(OwnedChange::Role { change: RoleChange::Delete { .. }, .. }) => {
                    roles == Some(Coverage::Delta)
                }
                // A user who comes with roles comes with all of them.
                Item::Owned(OwnedChange::Role { change: RoleChange::Put { user, .. }, .. })
                    if roles.is_none() && sent.contains(user) =>
                {
                    false
                }
                Item::Owned(_) => roles != Some(Coverage::Absent),
                Item::Reject(reject) => coverage[reject.kind] != Coverage::Absent,
                _ => true,
            })
            .map(|item| match item {
                Item::Upsert(upsert) if roles.is_some() && upsert.record().kind() == Kind::Users => {
                    let Record::Users(mut user) = upsert.record().clone() else { unreachable!() };
                    user.roles.clear();
                    let Item::Upsert(whole) = upsert_at(Record::Users(user), upsert.modified_ms, 2) else {
                        unreachable!()
                    };
                    Item::Upsert(whole.without_roles())
                }
                other => other,
            })
            .collect();
        Input { coverage, roles, repeats, items }
    })
}

fn script(input: &Input) -> Script {
    let mut script = Script::new(Coverage::Absent, input.items.clone());
    script.summary.coverage = input.coverage;
    script.summary.roles = input.roles;
    script.capabilities.repeats = input.repeats;
    script
}

/// Everything that was received came to one thing. What comes back with its parent was not received, and of deletions
/// it is not counted which were.
fn adds_up(counts: &Counts) -> bool {
    let sent = counts.created + counts.updated + counts.unchanged + counts.rejected + counts.stale;
    (sent..=sent + counts.restored + counts.deleted).contains(&counts.received)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(1024), ..ProptestConfig::default() })]

    #[test]
    fn r1_the_same_input_again_writes_nothing_after_any_history(inputs in prop::collection::vec(input(), 1..5)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let store = MemoryStore::default();
            for input in &inputs {
                let report = sync_with(&store, &script(input), &mass()).await;
                assert_eq!(report.status, RunStatus::Succeeded, "{:?}", report.error);
                let (rows, feed, books) = (store.rows(), store.feed_len(), store.books());
                let again = sync_with(&store, &script(input), &mass()).await;
                assert_eq!(again.status, RunStatus::Succeeded, "{:?}", again.error);
                for (key, row) in store.rows() {
                    assert_eq!(rows.get(&key), Some(&row), "{key:?} after {input:?}");
                }
                assert_eq!(store.feed_len(), feed, "after {input:?}");
                assert_eq!(store.books(), books, "after {input:?}");
                for (kind, counts) in again.counts.iter() {
                    let written = counts.created + counts.updated + counts.deleted + counts.restored;
                    assert_eq!(written, 0, "{kind} {counts:?} after {input:?}");
                }
                for (kind, counts) in report.counts.iter().chain(again.counts.iter()) {
                    assert!(adds_up(counts), "{kind} {counts:?} after {input:?}");
                }
            }
        });
    }
}
