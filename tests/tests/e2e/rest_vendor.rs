//! The program against a simulated vendor: what is synced over REST is what the same district's package brings.

use std::collections::BTreeMap;
use std::fs;

use rollcall_domain::Kind;
use rollcall_tests::{Engine, Place};
use serde_json::{Value, json};

use crate::corpus::corpus;
use crate::support::{count, generate, total};
use crate::vendor::Running;

/// The name of the source that a simulator announces.
const SOURCE: &str = "simulated-oneroster";
const DISTRICT: &str = "--students 250 --seed 11";

/// Writes the announced source into the place's configuration, as somebody would paste it, with more keys below.
fn configure(place: &Place, vendor: &Running, more: &str) {
    fs::write(place.path("rollcall.toml"), format!("{}{more}", vendor.config_text())).unwrap();
}

/// Syncs, which must be applied, and returns the report.
#[track_caller]
fn synced(place: &Place, arguments: &str) -> Value {
    let report = place.json(&format!("sync {SOURCE} {arguments}"));
    assert_eq!(report["status"], "succeeded", "{report:#}");
    report
}

/// The export of a source in the folder's configuration, read in full into a store of its own.
#[track_caller]
fn read_afresh(vendor: &Running, more: &str) -> BTreeMap<String, Vec<u8>> {
    let place = Place::new(Engine::Sqlite);
    configure(&place, vendor, more);
    assert_eq!(synced(&place, "")["mode"], "full");
    place.export(SOURCE)
}

#[track_caller]
fn assert_same(found: &BTreeMap<String, Vec<u8>>, expected: &BTreeMap<String, Vec<u8>>) {
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (name, bytes) in expected {
        assert!(found[name] == *bytes, "{name} differs");
    }
}

/// Nothing of it was new.
#[track_caller]
fn assert_wrote_nothing(report: &Value) {
    for change in ["created", "updated", "deleted", "restored", "rejected"] {
        assert_eq!(total(report, change), 0, "{change}: {report:#}");
    }
}

#[test]
fn r2_a_district_over_rest_is_the_one_in_its_package_however_it_is_signed_for() {
    let ways = [
        ("1.1", "--auth oauth1"),
        ("1.1", "--auth oauth2 --client-auth body"),
        ("1.2", "--auth oauth2 --client-auth basic"),
        ("1.2", "--auth bearer"),
    ];
    for (version, auth) in ways {
        for engine in Engine::ALL {
            let place = Place::new(engine);
            generate(&place, "package", &format!("{DISTRICT} --version {version}"));
            let imported = place.json("import package --source csv --with-demographics");
            // Pages small enough that several are under way at once.
            let vendor =
                Running::start(&place, &format!("oneroster {DISTRICT} --version {version} {auth} --max-limit 200"));
            configure(&place, &vendor, "demographics = true\n");
            let checked = place.json(&format!("sources check {SOURCE}"));
            assert_eq!(checked["ok"], true, "{checked:#}");

            let report = synced(&place, "");
            assert_eq!(report["counts"], imported["counts"]);
            assert!(count(&report, "demographics", "created") >= 250, "{report:#}");
            assert_same(&place.export(SOURCE), &place.export("csv"));

            let feed = place.changes(SOURCE);
            for (arguments, mode) in [("", "incremental"), ("--full", "full")] {
                let again = synced(&place, arguments);
                assert_eq!(again["mode"], mode);
                assert_wrote_nothing(&again);
            }
            assert_eq!(place.changes(SOURCE), feed);
        }
    }
}

#[test]
fn a_day_later_only_what_changed_is_asked_for_and_the_roster_is_the_one_of_a_full_pull() {
    for (engine, version) in Engine::ALL.into_iter().zip(["1.1", "1.2"]) {
        let place = Place::new(engine);
        let vendor = Running::start(&place, &format!("oneroster {DISTRICT} --version {version}"));
        let more = "demographics = true\npage_size = 100\n";
        configure(&place, &vendor, more);
        let first = synced(&place, "");
        let everything = vendor.served();
        assert_eq!(everything, total(&first, "received"));

        let day = vendor.control("POST", "/advance", &json!({ "churn": 0.05 }));
        let changed = |kind: Kind, what: &str| day["changes"][kind.as_str()][what].as_u64().unwrap_or_default();
        let second = synced(&place, "");
        assert_eq!(second["mode"], "incremental");
        let mut changes = 0;
        for kind in Kind::ALL {
            for what in ["created", "updated", "deleted"] {
                let number = changed(kind, what);
                // What goes with its class or its user is gone already when its own deletion is looked at.
                assert_eq!(count(&second, kind.as_str(), what), number, "{kind} {what}: {second:#}");
                changes += number;
            }
        }
        assert!(changes > 100, "{day:#}");
        assert_eq!(vendor.served() - everything, changes, "only what changed was sent");

        let incremental = place.export(SOURCE);
        assert_same(&incremental, &read_afresh(&vendor, more));
        generate(&place, "package", &format!("{DISTRICT} --version {version} --generation 1 --churn 0.05"));
        let _ = place.json("import package --source csv --with-demographics");
        assert_same(&incremental, &place.export("csv"));

        let feed = place.changes(SOURCE);
        for arguments in ["", "--full"] {
            assert_wrote_nothing(&synced(&place, arguments));
        }
        assert_eq!(place.changes(SOURCE), feed);
    }
}

#[test]
fn what_vanishes_without_a_word_is_found_by_the_next_full_pull() {
    let place = Place::new(Engine::Sqlite);
    let vendor = Running::start(&place, &format!("oneroster {DISTRICT} --quirk no-tombstones,no-totals,no-links"));
    configure(&place, &vendor, "page_size = 100\n");
    let _ = synced(&place, "");
    let day = vendor.control("POST", "/advance", &json!({ "churn": 0.05 }));
    let gone = day["changes"]["enrollments"]["deleted"].as_u64().unwrap();
    assert!(gone > 0);
    // Nobody said so.
    assert_eq!(total(&synced(&place, ""), "deleted"), 0);
    assert_eq!(count(&synced(&place, "--full"), "enrollments", "deleted"), gone);
    assert_same(&place.export(SOURCE), &read_afresh(&vendor, ""));
}

#[test]
fn a_vendor_that_fails_in_mid_pull_costs_a_retry_or_the_run_and_never_the_roster() {
    let place = Place::new(Engine::Sqlite);
    let vendor = Running::start(&place, &format!("oneroster {DISTRICT} --max-limit 100"));
    configure(&place, &vendor, "");
    let _ = synced(&place, "");
    let before = place.export(SOURCE);
    let _ = vendor.control("POST", "/advance", &json!({ "churn": 0.05 }));

    let arm = |kind: &str, times: u32, more: Value| {
        let mut order = json!({ "kind": kind, "times": times, "collection": "users", "after": 1 });
        order.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
        let _ = vendor.control("POST", "/fault", &order);
    };
    for (kind, code) in [("login_page", "not_json"), ("missing_envelope", "envelope.missing")] {
        arm(kind, 1000, Value::Null);
        let failed = place.call(&format!("sync {SOURCE} --full --output json")).answer().exits(1).json();
        assert_eq!(failed["error"]["code"], code, "{failed:#}");
        arm(kind, 0, Value::Null);
        assert_same(&place.export(SOURCE), &before);
    }

    // The token of the request becomes void, and another one is fetched.
    let tokens = || vendor.control("GET", "/status", &Value::Null)["tokens"].as_u64().unwrap();
    let earlier = tokens();
    arm("expired_token", 1, Value::Null);
    arm("rate_limited", 1, json!({ "retry_after": 1, "after": 2 }));
    arm("truncated", 1, json!({ "collection": "enrollments", "after": 3 }));
    assert_eq!(synced(&place, "--full")["mode"], "full");
    assert_eq!(tokens() - earlier, 2, "one for the run, and one in place of the one that ended");
    assert_eq!(vendor.control("GET", "/fault", &Value::Null)["armed"], json!([]), "each of them struck");
    assert_same(&place.export(SOURCE), &read_afresh(&vendor, ""));
}

#[test]
fn r2_a_package_that_others_made_is_the_same_over_rest() {
    let Some(corpus) = corpus() else { return };
    let package = corpus.join("Ed-Fi-Exchange-OSS-LMS-Toolkit/OneRoster 1.1 Sample Data");
    for engine in Engine::ALL {
        let place = Place::new(engine);
        crate::support::copy(&package, &place.path("package"));
        let imported = place.json("import package --source csv --with-demographics");
        assert_eq!(imported["status"], "succeeded", "{imported:#}");
        let vendor = Running::start(&place, "oneroster --data package");
        configure(&place, &vendor, "demographics = true\npage_size = 100\n");
        let report = synced(&place, "");
        // Warnings differ: a row with cells beyond the header is no matter of JSON.
        for kind in Kind::ALL.map(Kind::as_str) {
            for what in ["received", "created", "rejected"] {
                assert_eq!(count(&report, kind, what), count(&imported, kind, what), "{kind} {what}: {report:#}");
            }
        }
        assert_same(&place.export(SOURCE), &place.export("csv"));
    }
}
