//! What a generated district promises: it is always the same, it is complete, and it changes as much as it says.

#![expect(clippy::unwrap_used, reason = "a helper of a test may panic as the test may")]

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use rollcall_domain::vocabulary::{EnrollmentRole, OrgType, RoleType, UserRole};
use rollcall_domain::{Encoder, Fingerprint, Kind, Record, SourcedId};
use rollcall_vendor_sim::{Churn, District, DistrictError, as_1_1_can_say};

const SIZES: [usize; 6] = [1, 6, 40, 415, 416, 3000];

fn churn(share: f64) -> Churn {
    Churn::new(share).unwrap()
}

fn day(students: usize, generation: usize, share: f64) -> District {
    District::at_generation(students, 7, generation, churn(share)).unwrap()
}

fn fingerprints(district: &District, kind: Kind) -> HashMap<SourcedId, Fingerprint> {
    let mut scratch = Encoder::default();
    district.records(kind).map(|record| (record.sourced_id().clone(), record.fingerprint(&mut scratch))).collect()
}

/// How many records of a kind were dropped, added and changed.
#[derive(Debug, Default, PartialEq, Eq)]
struct Difference {
    before: usize,
    dropped: usize,
    added: usize,
    changed: usize,
}

fn difference(before: &District, after: &District, kind: Kind) -> Difference {
    let (old, new) = (fingerprints(before, kind), fingerprints(after, kind));
    Difference {
        before: old.len(),
        dropped: old.keys().filter(|id| !new.contains_key(*id)).count(),
        added: new.keys().filter(|id| !old.contains_key(*id)).count(),
        changed: new.iter().filter(|(id, print)| old.get(*id).is_some_and(|was| was != *print)).count(),
    }
}

/// The share, in thousandths.
fn permille(part: usize, whole: usize) -> usize {
    part * 1000 / whole
}

#[test]
fn the_same_students_seed_generation_and_churn_give_the_same_records() {
    let first: Vec<_> = day(500, 3, 0.02).all_records().collect();
    let again: Vec<_> = day(500, 3, 0.02).all_records().collect();
    assert_eq!(first, again);
}

#[test]
fn another_seed_gives_another_district_that_shares_no_id() {
    let ids = |seed| -> BTreeSet<_> {
        let district = District::new(100, seed).unwrap();
        district.all_records().map(|record| (record.kind(), record.sourced_id().clone())).collect()
    };
    assert!(ids(1).is_disjoint(&ids(2)));
}

#[test]
fn generations_add_up_however_one_gets_there() {
    let by_steps = day(500, 1, 0.02).next_day(churn(0.02)).next_day(churn(0.02));
    assert!(by_steps.all_records().eq(day(500, 3, 0.02).all_records()));
    assert_eq!(by_steps.generation(), 3);
}

#[test]
fn generation_0_ignores_the_churn_and_a_day_without_churn_changes_nothing() {
    let first = District::new(300, 7).unwrap();
    assert!(first.all_records().eq(day(300, 0, 0.5).all_records()));
    assert!(first.all_records().eq(day(300, 4, 0.0).all_records()));
}

#[test]
fn every_reference_resolves_and_every_id_is_unique() {
    for students in SIZES {
        for generation in [0, 5] {
            let district = day(students, generation, 0.05);
            let mut seen: BTreeMap<Kind, HashSet<SourcedId>> = BTreeMap::new();
            let mut referred: Vec<(Kind, SourcedId)> = Vec::new();
            for record in district.all_records() {
                let new = seen.entry(record.kind()).or_default().insert(record.sourced_id().clone());
                assert!(new, "{students}/{generation}: {} twice", record.sourced_id());
                record.each_reference(|reference| {
                    referred.push((reference.field.target(), reference.target.clone()));
                });
            }
            for (kind, id) in referred {
                assert!(seen[&kind].contains(&id), "{students}/{generation}: no {kind} {id}");
            }
        }
    }
}

#[test]
fn records_come_normalised_and_their_extension_fields_are_declared() {
    for record in day(600, 2, 0.05).all_records() {
        let mut normalised = record.clone();
        normalised.normalise();
        assert_eq!(record, normalised);
        let metadata = match &record {
            Record::Orgs(org) => &org.metadata,
            Record::AcademicSessions(session) => &session.metadata,
            Record::Courses(course) => &course.metadata,
            Record::Classes(class) => &class.metadata,
            Record::Users(user) => &user.metadata,
            Record::Enrollments(enrollment) => &enrollment.metadata,
            Record::Demographics(demographics) => &demographics.metadata,
        };
        let declared = District::metadata_keys(record.kind());
        assert!(metadata.keys().all(|key| declared.contains(key)));
    }
}

#[test]
fn there_are_about_eleven_records_per_student_eight_of_them_enrollments() {
    let district = District::new(20_000, 7).unwrap();
    let counts: BTreeMap<_, _> = Kind::ALL.into_iter().map(|kind| (kind, district.records(kind).count())).collect();
    let share = |kind| permille(counts[&kind], 20_000);
    assert!((8_200..8_500).contains(&share(Kind::Enrollments)), "{counts:?}");
    assert!((1_500..1_700).contains(&share(Kind::Users)), "{counts:?}");
    assert!((230..270).contains(&share(Kind::Classes)), "{counts:?}");
    assert_eq!(counts[&Kind::Demographics], 20_000);
}

#[test]
fn a_day_changes_about_as_much_as_its_churn_says() {
    let (before, after) = (day(20_000, 2, 0.02), day(20_000, 3, 0.02));
    let users = difference(&before, &after, Kind::Users);
    assert!((17..25).contains(&permille(users.changed, users.before)), "{users:?}");
    // Twenty students, which is 5 % of the churn, and their guardians.
    assert!((20..60).contains(&users.dropped), "{users:?}");
    assert!((20..60).contains(&users.added), "{users:?}");
    let enrollments = difference(&before, &after, Kind::Enrollments);
    assert!((16..24).contains(&permille(enrollments.dropped, enrollments.before)), "{enrollments:?}");
    assert!((16..24).contains(&permille(enrollments.added, enrollments.before)), "{enrollments:?}");
    let classes = difference(&before, &after, Kind::Classes);
    assert!(classes.dropped > 0 && permille(classes.dropped, classes.before) < 3, "{classes:?}");
    assert!(classes.added > 0 && classes.changed > 0, "{classes:?}");
    for kind in [Kind::Orgs, Kind::AcademicSessions, Kind::Courses] {
        let difference = difference(&before, &after, kind);
        assert_eq!((difference.dropped, difference.added, difference.changed), (0, 0, 0), "{kind}");
    }
}

#[test]
fn a_churn_of_two_percent_stays_far_below_the_guards_in_a_district_of_any_size() {
    for students in [6, 20, 39, 40, 60, 199, 200, 416, 1000] {
        let mut before = District::new(students, 11).unwrap();
        for _ in 0..3 {
            let after = before.clone().next_day(churn(0.02));
            for kind in Kind::ALL {
                let of_kind = difference(&before, &after, kind);
                let disabled =
                    |district: &District| -> usize { district.records(kind).filter(Record::is_disabled_user).count() };
                let weighed = of_kind.dropped + disabled(&after).saturating_sub(disabled(&before));
                assert!(
                    of_kind.before < 20 || permille(weighed, of_kind.before) <= 60,
                    "{students} {kind} {of_kind:?}"
                );
                assert!(permille(of_kind.changed, of_kind.before) < 200, "{students} {kind} {of_kind:?}");
            }
            before = after;
        }
    }
}

#[test]
fn from_forty_students_on_each_day_somebody_comes_and_somebody_leaves() {
    let (before, after) = (day(40, 0, 0.01), day(40, 1, 0.01));
    let users = difference(&before, &after, Kind::Users);
    assert!(users.dropped > 0 && users.added > 0, "{users:?}");
}

#[test]
fn a_district_has_what_real_ones_have() {
    let district = District::new(3000, 7).unwrap();
    let mut roles: BTreeMap<String, usize> = BTreeMap::new();
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut agents: HashMap<SourcedId, Vec<SourcedId>> = HashMap::new();
    let mut see = |what, there| *seen.entry(what).or_default() += usize::from(there);
    for record in district.all_records() {
        match &record {
            Record::Orgs(org) => {
                see("department", org.org_type == OrgType::Department);
                see("school", org.org_type == OrgType::School);
            }
            Record::Users(user) => {
                for role in &user.roles {
                    *roles.entry(role.role.to_string()).or_default() += 1;
                    see("secondary role", role.role_type == RoleType::Secondary);
                    see("role that ends", role.end_date.is_some());
                }
                let mut kinds: Vec<_> = user.roles.iter().map(|role| &role.role).collect();
                kinds.dedup();
                see("different roles", kinds.len() > 1);
                see("disabled", !user.enabled_user);
                see("preferred name", user.preferred_given_name.is_some());
                see("pronouns", user.pronouns.is_some());
                see("student with two guardians", user.roles[0].role == UserRole::Student && user.agents.len() == 2);
                see("name outside ASCII", user.given_name.as_deref().is_some_and(|name| !name.is_ascii()));
                see("apostrophe", user.family_name.as_deref().is_some_and(|name| name.contains('\'')));
                agents.insert(user.sourced_id.clone(), user.agents.clone());
            }
            Record::Enrollments(enrollment) => {
                see("co-teacher", enrollment.primary == Some(false));
                see("proctor in a class", enrollment.role == EnrollmentRole::Proctor);
                assert!(enrollment.begin_date.is_none() || enrollment.begin_date < enrollment.end_date);
            }
            Record::Classes(class) => {
                see("class of one semester", class.terms.len() == 1);
                see("class of two semesters", class.terms.len() == 2);
                see("several periods", class.periods.len() > 1);
            }
            _ => {}
        }
    }
    for (what, count) in &seen {
        assert!(*count > 0, "no {what}");
    }
    for role in UserRole::STANDARD.iter().filter(|role| **role != UserRole::Administrator) {
        assert!(roles.contains_key(role.as_str()), "nobody is {role}");
    }
    // Who lists an agent is listed by it.
    for (user, listed) in &agents {
        assert!(listed.iter().all(|agent| agents[agent].contains(user)));
    }
}

#[test]
fn a_user_has_at_most_one_primary_role_at_an_org_and_one_at_the_primary_org() {
    for record in day(3000, 2, 0.02).records(Kind::Users) {
        let Record::Users(user) = record else { unreachable!() };
        let mut primary: Vec<_> =
            user.roles.iter().filter(|role| role.role_type == RoleType::Primary).map(|role| &role.org).collect();
        let count = primary.len();
        primary.sort();
        primary.dedup();
        assert_eq!(primary.len(), count, "{user:?}");
        assert!(user.primary_org.is_none() || user.roles.iter().any(|role| role.org == user.primary_org), "{user:?}");
    }
}

#[test]
fn what_1_1_can_say_is_said_again_unchanged() {
    let district = District::new(3000, 7).unwrap();
    let mut reduced = 0;
    for record in district.all_records() {
        let once = as_1_1_can_say(record.clone());
        assert_eq!(as_1_1_can_say(once.clone()), once);
        assert!(record.kind() == Kind::Users || once == record);
        reduced += usize::from(once != record);
        if let (Record::Users(before), Record::Users(after)) = (record, once) {
            assert!(!after.roles.is_empty());
            assert!(after.roles.iter().all(|role| role.role == after.roles[0].role));
            // No org is added: nobody is granted anything anywhere.
            assert!(after.roles.iter().all(|role| before.roles.iter().any(|was| was.org == role.org)));
        }
    }
    assert!(reduced > 0);
}

#[test]
fn a_district_without_students_and_a_churn_that_is_no_share_are_refused() {
    assert_eq!(District::new(0, 7).unwrap_err(), DistrictError::Students { students: 0 });
    for share in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        assert!(Churn::new(share).is_err(), "{share}");
    }
    insta::assert_snapshot!(District::new(0, 7).unwrap_err(), @"a district has between 1 and 50000000 students, not 0");
    insta::assert_snapshot!(Churn::new(1.5).unwrap_err(), @"churn is a share between 0 and 1, not 1.5");
}
