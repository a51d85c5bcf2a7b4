//! A roster's life: first import, again, change, and back.

use std::collections::BTreeMap;

use rollcall_adapters_oneroster::export::{ExportOptions, ExportVersion, PackageWriter};
use rollcall_domain::{Kind, PerKind};
use rollcall_tests::{Engine, Place, Roster, read_folder};
use rollcall_vendor_sim::{District, as_1_1_can_say};

use crate::support::{applied, count, generate, import, rejects, total};

const DISTRICT: &str = "--students 2000 --seed 7 --version 1.1";
const NEXT_DAY: &str = "--students 2000 --seed 7 --version 1.1 --generation 1 --churn 0.02";

/// Everything in `counts` is as an independent comparison of the files says.
#[track_caller]
fn assert_counts(report: &serde_json::Value, old: &Roster, new: &Roster) {
    for (kind, difference) in old.difference(new) {
        let numbers = ["created", "updated", "deleted", "unchanged"].map(|name| count(report, kind, name));
        let [created, updated, deleted] =
            [&difference.created, &difference.updated, &difference.deleted].map(|ids| ids.len() as u64);
        assert_eq!(numbers, [created, updated, deleted, difference.unchanged], "{kind}: {report:#}");
        assert_eq!(count(report, kind, "received"), new.len(kind), "{kind}");
    }
}

#[test]
fn a_first_import_creates_everything_and_the_same_again_changes_nothing() {
    for engine in Engine::ALL {
        let place = Place::new(engine);
        generate(&place, "d1", DISTRICT);
        let files = Roster::read(&place.path("d1"));

        let first = applied(&place, "d1", "");
        for kind in Kind::ALL.map(Kind::as_str) {
            let expected = if kind == "demographics" { 0 } else { files.len(kind) };
            assert_eq!(count(&first, kind, "received"), expected, "{kind}");
            assert_eq!(count(&first, kind, "created"), expected, "{kind}");
        }
        let feed = place.changes("s").len() as u64;
        assert_eq!(feed, total(&first, "created"));

        // R1
        let again = applied(&place, "d1", "");
        assert_eq!(total(&again, "unchanged"), total(&first, "created"));
        assert_eq!(total(&again, "received"), total(&again, "unchanged"));
        assert_eq!(place.changes("s").len() as u64, feed);

        // R12
        let with = applied(&place, "d1", "--with-demographics");
        assert_eq!(count(&with, "demographics", "created"), files.len("demographics"));
        assert_eq!(total(&with, "created"), files.len("demographics"));
        let exported = place.export("s");
        assert!(exported.contains_key("demographics.csv"));
        let without = applied(&place, "d1", "");
        assert_eq!(count(&without, "demographics", "received"), 0);
        assert!(without["skipped"].to_string().contains("demographics"));
        assert!(!place.export("s").contains_key("demographics.csv"));
    }
}

#[test]
fn a_change_and_the_way_back_are_counted_exactly_and_leave_no_trace_in_the_export() {
    let mut exports = Vec::new();
    for engine in Engine::ALL {
        let place = Place::new(engine);
        generate(&place, "d1", DISTRICT);
        generate(&place, "d2", NEXT_DAY);
        let (old, new) = (Roster::read(&place.path("d1")), Roster::read(&place.path("d2")));
        let difference = old.difference(&new);
        for kind in ["users", "enrollments"] {
            assert!(!difference[kind].created.is_empty() && !difference[kind].deleted.is_empty(), "{kind}");
        }
        assert!(!difference["users"].updated.is_empty());

        let first = applied(&place, "d1", "--with-demographics");
        assert_counts(&first, &Roster::read(&place.path("nowhere")), &old);
        let before = place.export("s");
        let leaving: Vec<_> = difference["users"].deleted.iter().map(String::as_str).collect();
        let stored_before = place.stored("s", Kind::Users, &leaving);
        assert_eq!(stored_before.len(), leaving.len());

        let change = applied(&place, "d2", "--with-demographics");
        assert_counts(&change, &old, &new);
        let feed = total(&first, "created") + total(&change, "created");
        let feed = feed + total(&change, "updated") + total(&change, "deleted");
        assert_eq!(place.changes("s").len() as u64, feed);
        assert!(place.stored("s", Kind::Users, &leaving).values().all(|user| user.deleted.is_some()));
        exports.push(place.export("s"));

        // R7: what had gone comes back as what it was.
        let back = applied(&place, "d1", "--with-demographics");
        for (kind, part) in new.difference(&old) {
            assert_eq!(count(&back, kind, "restored"), part.created.len() as u64, "{kind}");
            assert_eq!(count(&back, kind, "created"), 0, "{kind}");
            assert_eq!(count(&back, kind, "updated"), part.updated.len() as u64, "{kind}");
            assert_eq!(count(&back, kind, "deleted"), part.deleted.len() as u64, "{kind}");
        }
        let stored_after = place.stored("s", Kind::Users, &leaving);
        for (id, user) in &stored_before {
            assert_eq!(stored_after[id].internal_id, user.internal_id, "{id}");
            assert_eq!(stored_after[id].deleted, None, "{id}");
        }
        assert_eq!(place.export("s"), before);
    }
    assert_eq!(exports[0], exports[1], "the engines differ");
}

#[test]
fn an_export_is_itself_importable_and_comes_out_the_same() {
    for engine in Engine::ALL {
        let place = Place::new(engine);
        generate(&place, "d1", "--students 300 --seed 3");
        applied(&place, "d1", "--with-demographics");
        let out = place.path("out");
        let _ = place.call("export").arg(&out).args("--source s").answer().exits(0);
        let first = read_folder(&out);
        // The writer of districts and that of exports are the same; what the store made of it must not show.
        assert_eq!(Roster::read(&out), Roster::read(&place.path("d1")));

        let other = Place::new(engine);
        crate::support::copy(&out, &other.path("in"));
        let report = applied(&other, "in", "--with-demographics");
        assert_eq!(total(&report, "rejected"), 0, "{report:#}");
        assert_eq!(other.export("s"), first);
        // And into the store that it came from, it is nothing new.
        let again = applied(&place, "out", "--with-demographics");
        assert_eq!(total(&again, "unchanged"), total(&again, "received"), "{again:#}");
    }
}

#[test]
fn the_same_roster_in_1_1_and_in_1_2_gives_the_same_export() {
    let place = Place::new(Engine::Sqlite);
    generate(&place, "v11", "--students 500 --seed 11 --version 1.1");
    let district = District::new(500, 11).unwrap();
    let metadata = PerKind::from_fn(District::metadata_keys);
    let options = ExportOptions { metadata, ..ExportOptions::new(ExportVersion::V1_2) };
    let mut writer = PackageWriter::create(&place.path("v12"), options).unwrap();
    for record in district.all_records() {
        writer.write(&as_1_1_can_say(record)).unwrap();
    }
    writer.finish().unwrap();

    applied(&place, "v11", "--with-demographics");
    let from_1_1 = place.export("s");
    let report = applied(&place, "v12", "--with-demographics");
    assert_eq!(total(&report, "unchanged"), total(&report, "received"), "{report:#}");
    assert_eq!(place.export("s"), from_1_1);
}

#[test]
fn equal_rosters_in_another_order_and_another_folder_are_equal() {
    let place = Place::new(Engine::Sqlite);
    generate(&place, "d1", "--students 200 --seed 5");
    applied(&place, "d1", "--with-demographics");
    let files: BTreeMap<_, _> = read_folder(&place.path("d1"));
    std::fs::create_dir(place.path("shuffled")).unwrap();
    for (name, bytes) in files {
        let text = String::from_utf8(bytes).unwrap();
        let mut lines: Vec<_> = text.split_inclusive("\r\n").collect();
        if name != "manifest.csv" {
            lines[1..].reverse();
        }
        std::fs::write(place.path("shuffled").join(name), lines.concat()).unwrap();
    }
    let report = applied(&place, "shuffled", "--with-demographics");
    assert_eq!(total(&report, "unchanged"), total(&report, "received"), "{report:#}");
}

#[test]
fn half_of_the_enrollments_missing_is_held_until_somebody_allows_it() {
    for engine in Engine::ALL {
        let place = Place::new(engine);
        generate(&place, "d1", "--students 300 --seed 3");
        applied(&place, "d1", "--with-demographics");
        let before = place.export("s");
        let feed = place.changes("s").len();

        let enrollments = std::fs::read_to_string(place.path("d1").join("enrollments.csv")).unwrap();
        let half: String = enrollments
            .split_inclusive("\r\n")
            .enumerate()
            .filter(|(number, _)| *number == 0 || number % 2 == 1)
            .map(|(_, line)| line)
            .collect();
        std::fs::write(place.path("d1").join("enrollments.csv"), half).unwrap();

        let planned = import(&place, "d1", "--with-demographics --dry-run").exits(3).json();
        assert_eq!(planned["status"], "planned");
        let held = import(&place, "d1", "--with-demographics").exits(3).json();
        assert_eq!(held["status"], "held");
        assert_eq!(held["held_by"][0]["code"], "guard.delete");
        assert_eq!(planned["counts"], held["counts"]);
        assert_eq!(place.export("s"), before);
        assert_eq!(place.changes("s").len(), feed);

        let gone = count(&held, "enrollments", "deleted");
        assert!(gone > 1_000, "{held:#}");
        let planned = import(&place, "d1", "--with-demographics --dry-run --allow-mass-change").exits(0).json();
        assert_eq!(planned["held_by"], serde_json::json!([]));
        let allowed = applied(&place, "d1", "--with-demographics --allow-mass-change");
        assert_eq!(count(&allowed, "enrollments", "deleted"), gone);
        assert_eq!(place.changes("s").len() as u64, feed as u64 + gone);
    }
}

#[test]
fn a_held_run_shows_what_it_refuses() {
    for engine in Engine::ALL {
        let place = Place::new(engine);
        generate(&place, "d1", "--students 100 --seed 3 --version 1.1");
        let users = std::fs::read_to_string(place.path("d1").join("users.csv")).unwrap();
        let broken = users.replace(",student,", ",wizard,");
        std::fs::write(place.path("d1").join("users.csv"), broken).unwrap();
        let held = import(&place, "d1", "").exits(3).json();
        assert_eq!(held["held_by"][0]["code"], "guard.reject", "{held:#}");
        assert_eq!(rejects(&place).len() as u64, total(&held, "rejected"));
        let planned = import(&place, "d1", "--dry-run").exits(3).json();
        assert_eq!(rejects(&place).len() as u64, total(&planned, "rejected"));
    }
}

#[test]
fn a_dry_run_shows_the_plan_and_changes_nothing() {
    let place = Place::new(Engine::Sqlite);
    generate(&place, "d1", "--students 200 --seed 3");
    let planned = import(&place, "d1", "--dry-run").exits(0).json();
    assert_eq!(planned["status"], "planned");
    assert!(place.changes("s").is_empty());
    let first = applied(&place, "d1", "");
    assert_eq!(first["counts"], planned["counts"]);
    assert!(rejects(&place).is_empty());
}

#[test]
fn two_sources_with_the_same_ids_never_mix() {
    for engine in Engine::ALL {
        let place = Place::new(engine);
        generate(&place, "d1", "--students 100 --seed 3");
        generate(&place, "d2", "--students 100 --seed 4");
        applied(&place, "d1", "");
        let before = place.export("s");
        let import = |package: &str| {
            let call =
                place.call("import").arg(place.path(package)).args("--source other --output json --allow-mass-change");
            call.answer().exits(0).json()
        };
        let other = import("d1");
        assert_eq!(total(&other, "created"), total(&other, "received"));
        assert_eq!(place.export("other"), before);
        import("d2");
        assert_eq!(place.export("s"), before);
    }
}
