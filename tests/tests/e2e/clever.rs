//! Sources over Clever, from the configuration to the store, against a simulated Clever.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rollcall_tests::{Engine, Place};
use serde_json::{Value, json};

use crate::support::total;
use crate::vendor::Running;

const NAME: &str = "simulated-clever";

/// Starts a simulated vendor and writes a configuration that reaches it.
fn simulate(place: &Place, arguments: &str) -> Running {
    let running = Running::start(place, arguments);
    configure(place, &[&running]);
    running
}

fn configure(place: &Place, vendors: &[&Running]) {
    let blocks: Vec<_> = vendors.iter().map(|running| running.config_text()).collect();
    fs::write(place.path("rollcall.toml"), blocks.join("\n")).unwrap();
}

/// Syncs one source, which must be applied, and returns the report.
#[track_caller]
fn synced(place: &Place, arguments: &str) -> Value {
    let report = place.call("sync --output json --allow-mass-change").args(arguments).answer().exits(0).json();
    assert_eq!(report["status"], "succeeded", "{report:#}");
    report
}

type Row = BTreeMap<String, String>;

/// A file of an export, as rows by their headers.
fn rows(files: &BTreeMap<String, Vec<u8>>, name: &str) -> Vec<Row> {
    let mut reader = csv::Reader::from_reader(files[&format!("{name}.csv")].as_slice());
    let header: Vec<_> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let row = |cells: csv::StringRecord| header.iter().cloned().zip(cells.iter().map(str::to_owned)).collect();
    reader.records().map(|cells| row(cells.unwrap())).collect()
}

/// What the ids of one thing have in common at both vendors: the digits in which they end.
fn end_of(id: &str) -> String {
    id[id.len().saturating_sub(16)..].to_owned()
}

fn ends_of(ids: &str) -> BTreeSet<String> {
    ids.split(',').filter(|id| !id.is_empty()).map(end_of).collect()
}

/// Who is enrolled where, as what, and who is the primary teacher.
fn enrollments(files: &BTreeMap<String, Vec<u8>>) -> BTreeSet<(String, String, String, String)> {
    let of_row = |row: Row| {
        let primary = if row["role"] == "teacher" { row["primary"].clone() } else { String::new() };
        (end_of(&row["classSourcedId"]), end_of(&row["userSourcedId"]), row["role"].clone(), primary)
    };
    rows(files, "enrollments").into_iter().map(of_row).collect()
}

#[test]
fn a_roster_from_clever_is_that_of_oneroster_but_for_what_clever_does_not_say() {
    let place = Place::new(Engine::Sqlite);
    let clever = Running::start(&place, "clever --students 200 --seed 5");
    let oneroster = Running::start(&place, "oneroster --students 200 --seed 5");
    configure(&place, &[&clever, &oneroster]);
    let _ = place.answer("sync --all --output json").exits(0);
    let (theirs, ours) = (place.export("simulated-oneroster"), place.export(NAME));

    // Who is enrolled: students and teachers, in classes that have students.
    let everybody = enrollments(&theirs);
    let with_students: BTreeSet<_> =
        everybody.iter().filter(|(_, _, role, _)| role == "student").map(|(class, ..)| class.clone()).collect();
    let expected: BTreeSet<_> = everybody
        .into_iter()
        .filter(|(class, _, role, _)| (role == "student" || role == "teacher") && with_students.contains(class))
        .collect();
    assert!(expected.len() > 1_000, "{}", expected.len());
    assert_eq!(enrollments(&ours), expected);

    // The classes, but for their terms (where one is in both semesters, Clever says the year), and what the mapping keeps
    // elsewhere.
    let classes = |files: &_| -> BTreeMap<String, [String; 4]> {
        let of_row = |row: Row| {
            let period = row["periods"].split(',').next().unwrap().to_owned();
            let said = [row["title"].clone(), row["classCode"].clone(), end_of(&row["schoolSourcedId"]), period];
            (end_of(&row["sourcedId"]), said)
        };
        rows(files, "classes").into_iter().map(of_row).collect()
    };
    let mut expected = classes(&theirs);
    expected.retain(|class, _| with_students.contains(class));
    assert_eq!(classes(&ours), expected);

    // The people.
    let contacts: BTreeSet<_> = rows(&theirs, "roles")
        .into_iter()
        .filter(|role| matches!(role["role"].as_str(), "parent" | "guardian" | "relative"))
        .map(|role| end_of(&role["userSourcedId"]))
        .collect();
    let people = |files: &_,
                  are_theirs: bool|
     -> BTreeMap<String, (String, String, String, String, BTreeSet<String>)> {
        let of_row = |row: Row| {
            let id = end_of(&row["sourcedId"]);
            let (mut given, mut family) = (row["givenName"].clone(), row["familyName"].clone());
            if are_theirs && contacts.contains(&id) {
                // The whole name of a contact stands in one field.
                family = format!("{given} {family}");
                given.clear();
            }
            (id, (given, family, row["email"].to_lowercase(), row["grades"].clone(), ends_of(&row["agentSourcedIds"])))
        };
        rows(files, "users").into_iter().map(of_row).collect()
    };
    let (served, expected) = (people(&ours, false), people(&theirs, true));
    let ids = |people: &BTreeMap<String, _>| people.keys().cloned().collect::<BTreeSet<String>>();
    assert_eq!(ids(&served), ids(&expected));
    let differing: Vec<_> = served.iter().filter(|(id, said)| expected[*id] != **said).take(5).collect();
    let theirs: Vec<_> = differing.iter().map(|(id, _)| &expected[*id]).collect();
    assert!(differing.is_empty(), "{differing:#?}\nand theirs: {theirs:#?}");

    // What they are: students, teachers and families keep their roles. Families have theirs at the district, which is what
    // a contact belongs to, and whoever is a student is nothing else.
    let roles = |files: &_, are_theirs: bool| -> BTreeSet<(String, String, String)> {
        let rows = rows(files, "roles");
        let is_student = |row: &&Row| row["role"] == "student";
        let students: BTreeSet<_> = rows.iter().filter(is_student).map(|row| row["userSourcedId"].clone()).collect();
        let of_row = |row: &Row| {
            let is_family = matches!(row["role"].as_str(), "parent" | "guardian" | "relative");
            let org = if is_family { String::new() } else { end_of(&row["orgSourcedId"]) };
            let is_kept = is_family || matches!(row["role"].as_str(), "student" | "teacher");
            let is_said = !are_theirs || row["role"] == "student" || !students.contains(&row["userSourcedId"]);
            (is_kept && is_said).then(|| (end_of(&row["userSourcedId"]), row["role"].clone(), org))
        };
        rows.iter().filter_map(of_row).collect()
    };
    let (served, expected) = (roles(&ours, false), roles(&place.export("simulated-oneroster"), true));
    let differing: Vec<_> = served.symmetric_difference(&expected).take(5).collect();
    assert!(differing.is_empty(), "{differing:#?}");
}

#[test]
fn events_and_everything_anew_end_with_the_same_roster_on_sqlite() {
    events_and_everything(Engine::Sqlite);
}

#[test]
fn events_and_everything_anew_end_with_the_same_roster_on_postgresql() {
    events_and_everything(Engine::Postgres);
}

fn events_and_everything(engine: Engine) {
    let place = Place::new(engine);
    let running = simulate(&place, "clever --students 200 --seed 6");
    assert_eq!(synced(&place, NAME)["mode"], "full");
    let feed = place.changes(NAME);
    for arguments in ["", "--full"] {
        let again = synced(&place, &format!("{NAME} {arguments}"));
        assert_eq!(total(&again, "unchanged"), total(&again, "received"), "{again:#}");
        assert_eq!(place.changes(NAME), feed, "nothing is written where nothing changed");
    }

    for _ in 0..3 {
        let _ = running.control("POST", "/advance", &json!({ "churn": 0.02 }));
        let report = synced(&place, NAME);
        assert_eq!(report["mode"], "incremental", "{report:#}");
        let other = Place::new(Engine::Sqlite);
        configure(&other, &[&running]);
        assert_eq!(synced(&other, NAME)["mode"], "full");
        assert_eq!(place.export(NAME), other.export(NAME));
        let everything = total(&synced(&other, &format!("{NAME} --full")), "received");
        let changed = total(&report, "received");
        assert!((1..everything).contains(&changed), "{changed} of {everything}");
    }
    let feed = place.changes(NAME);
    let quiet = synced(&place, NAME);
    assert_eq!((quiet["mode"].as_str(), total(&quiet, "received")), (Some("incremental"), 0), "{quiet:#}");
    assert_eq!(place.changes(NAME), feed);
}

#[test]
fn r10_events_that_are_too_old_switched_off_or_lost_are_no_reason_to_miss_anything() {
    // What happens there happened forty days ago: events of that time are kept no more, and nobody says so.
    let place = Place::new(Engine::Sqlite);
    let running = simulate(&place, "clever --students 100 --seed 9 --days-ago 40");
    synced(&place, NAME);
    let late = synced(&place, NAME);
    assert_eq!(late["mode"], "full", "{late:#}");
    assert!(late["note"].as_str().unwrap().contains("so old"), "{late:#}");
    drop(running);

    for lost in [json!({ "events": false }), json!({ "forget_events": true }), json!({})] {
        let place = Place::new(Engine::Sqlite);
        let running = simulate(&place, "clever --students 100 --seed 9 --days-ago 2");
        synced(&place, NAME);
        if lost.get("events").is_some() {
            let _ = running.control("POST", "/district", &lost);
        }
        let _ = running.control("POST", "/advance", &json!({ "churn": 0.02 }));
        let _ = running.control("POST", "/district", &lost);
        let report = synced(&place, NAME);
        let mode = if lost == json!({}) { "incremental" } else { "full" };
        assert_eq!(report["mode"], mode, "{lost}: {report:#}");
        let other = Place::new(Engine::Sqlite);
        configure(&other, &[&running]);
        synced(&other, NAME);
        assert_eq!(place.export(NAME), other.export(NAME), "{lost}");
    }
}

#[test]
fn r6_a_kill_in_the_middle_of_a_crawl_leaves_the_old_roster_and_the_old_cursor_on_sqlite() {
    killed_in_the_middle(Engine::Sqlite);
}

#[test]
fn r6_a_kill_in_the_middle_of_a_crawl_leaves_the_old_roster_and_the_old_cursor_on_postgresql() {
    killed_in_the_middle(Engine::Postgres);
}

fn killed_in_the_middle(engine: Engine) {
    let place = Place::new(engine);
    let running = simulate(&place, "clever --students 200 --seed 7");
    synced(&place, NAME);
    let old = place.export(NAME);
    let _ = running.control("POST", "/advance", &json!({ "churn": 0.1 }));
    let fault = json!({ "kind": "slow", "times": 1, "delay_ms": 60_000, "collection": "sections" });
    let armed = running.control("POST", "/fault", &fault);
    let now_armed = || running.control("GET", "/fault", &Value::Null);
    assert_eq!(now_armed(), armed);

    let mut child = place.call("sync --full --allow-mass-change").args(NAME).start();
    let begin = Instant::now();
    while now_armed() == armed {
        assert!(begin.elapsed() < Duration::from_mins(1), "the sections were never asked for");
        sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(place.json("runs show latest")["status"], "failed");
    assert_eq!(place.export(NAME), old);

    // From the old cursor on, events tell everything.
    let report = synced(&place, NAME);
    assert_eq!(report["mode"], "incremental", "{report:#}");
    let other = Place::new(Engine::Sqlite);
    configure(&other, &[&running]);
    synced(&other, NAME);
    assert_eq!(place.export(NAME), other.export(NAME));
    assert_ne!(place.export(NAME), old);
}

#[test]
fn a_district_that_is_paused_in_trouble_or_not_shared_changes_nothing() {
    let place = Place::new(Engine::Sqlite);
    let running = simulate(&place, "clever --students 60 --auth district-token");
    synced(&place, NAME);
    let (old, feed) = (place.export(NAME), place.changes(NAME));
    let _ = running.control("POST", "/district", &json!({ "state": "paused" }));
    for arguments in ["", "--full"] {
        let report = synced(&place, &format!("{NAME} {arguments}"));
        assert!(report["note"].as_str().unwrap().contains("paused"), "{report:#}");
    }
    let _ = running.control("POST", "/district", &json!({ "state": "error", "error": "the SIS is down" }));
    let failed = place.call("sync --output json --full").args(NAME).answer().exits(1).json();
    assert_eq!(failed["error"]["code"], "district.not_ready", "{failed:#}");
    assert!(failed["error"]["message"].as_str().unwrap().contains("the SIS is down"), "{failed:#}");

    let _ = running.control("POST", "/district", &json!({ "state": "running", "secure_sync": false }));
    let failed = place.call("sync --output json").args(NAME).answer().exits(1).json();
    assert_eq!(failed["error"]["code"], "scopes.insufficient", "{failed:#}");
    assert!(failed["error"]["message"].as_str().unwrap().contains("Secure Sync"), "{failed:#}");
    assert_eq!((place.export(NAME), place.changes(NAME)), (old, feed));
    let checked = place.call("sources check --output json").args(NAME).answer().exits(1);
    assert!(checked.stdout.contains("Secure Sync"), "{checked}");
    let refused = place.call("sources discover").args(NAME).answer().exits(2);
    assert!(refused.stderr.contains("`client_id` and `client_secret`"), "{refused}");
}

#[test]
fn districts_are_discovered_each_with_a_source_that_works() {
    let place = Place::new(Engine::Sqlite);
    let running = Running::start(&place, "clever --students 60 --seed 8 --districts 2");
    // With credentials, and no district yet.
    let mut config = running.config();
    let source = config["source"][0].as_table_mut().unwrap();
    source.remove("districts");
    source.insert("guards".to_owned(), toml::toml! { delete_percent = 5 }.into());
    let package = "[[source]]\nname = \"csv\"\nkind = \"oneroster-csv\"\npath = \"drops\"\n";
    fs::write(place.path("rollcall.toml"), format!("{config}\n{package}")).unwrap();
    let unsaid = place.call("sync").args(NAME).answer().exits(2);
    assert!(unsaid.stderr.contains("rollcall sources discover simulated-clever"), "{unsaid}");
    let refused = place.answer("sources discover csv").exits(2);
    assert!(refused.stderr.contains("no list of districts"), "{refused}");

    let found = place.json(&format!("sources discover {NAME}"));
    let tenants = found["tenants"].as_array().unwrap();
    assert_eq!(tenants.len(), 2, "{found:#}");
    let id = tenants[1]["id"].as_str().unwrap();
    for tenant in tenants {
        assert_eq!((tenant["usable"].as_bool(), tenant["reason"].as_str()), (Some(true), None), "{tenant:#}");
        assert!(tenant["details"]["users"].as_str().unwrap().parse::<u32>().unwrap() > 60, "{tenant:#}");
    }
    let _ = running.control("POST", "/district", &json!({ "district": id, "secure_sync": false }));
    let screen = place.call("sources discover").args(NAME).answer().exits(0);
    assert!(screen.stdout.contains("Secure Sync"), "{screen}");

    // Everything that is printed is a configuration, in which the district that cannot be synced is a comment.
    let blocks = screen.stdout.as_str();
    fs::write(place.path("rollcall.toml"), blocks).unwrap();
    let sources: toml::Table = blocks.parse().unwrap();
    let sources = sources["source"].as_array().unwrap();
    assert_eq!(sources.len(), 1, "{blocks}");
    assert_eq!(sources[0]["guards"]["delete_percent"].as_integer(), Some(5));
    let runs = place.json("sync --all");
    assert_eq!(runs["runs"][0]["source"], sources[0]["name"].as_str().unwrap(), "{runs:#}");
    assert_eq!(runs["runs"][0]["status"], "succeeded", "{runs:#}");
}

#[test]
fn every_district_is_a_source_of_its_own_and_one_that_vanishes_keeps_its_roster() {
    let place = Place::new(Engine::Sqlite);
    let running = simulate(&place, "clever --students 60 --seed 8 --districts 3");
    let ids: Vec<_> = place.json(&format!("sources discover {NAME}"))["tenants"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tenant| tenant["id"].as_str().unwrap().to_owned())
        .collect();
    let names: Vec<_> = ids.iter().map(|id| format!("{NAME}/{id}")).collect();
    let _ = place.call("sources check").args(NAME).answer().exits(0);
    let disconnect = |id: &str| running.control("POST", "/district", &json!({ "district": id, "connected": false }));
    let _ = disconnect(&ids[2]);

    let sync = || place.call("sync --output json").args(NAME).answer();
    let of = |runs: &Value| -> BTreeSet<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        runs["runs"].as_array().unwrap().iter().map(|run| (text(&run["source"]), text(&run["status"]))).collect()
    };
    let status = |name: &String, status: &str| (name.clone(), status.to_owned());
    let runs = sync().exits(0).json();
    assert_eq!(of(&runs), [status(&names[0], "succeeded"), status(&names[1], "succeeded")].into());
    assert_eq!(runs["left_out"], Value::Null);
    let listed = place.json("sources list");
    let listed = listed["sources"].as_array().unwrap();
    assert_eq!(listed.iter().map(|source| source["name"].as_str().unwrap()).collect::<Vec<_>>(), names[..2]);
    assert!(listed.iter().all(|source| source["configured"] == true), "{listed:#?}");

    // One source of them, by its name.
    let one = synced(&place, &names[0]);
    assert_eq!((one["source"].as_str(), one["mode"].as_str()), (Some(names[0].as_str()), Some("incremental")));

    // The second district leaves.
    let roster = place.export(&names[1]);
    let _ = disconnect(&ids[1]);
    let runs = sync().exits(0).json();
    assert_eq!(of(&runs), [status(&names[0], "succeeded")].into());
    assert_eq!(runs["left_out"][0]["source"], names[1].as_str(), "{runs:#}");
    assert_eq!(runs["left_out"][0]["code"], "tenant.vanished");
    assert_eq!(place.export(&names[1]), roster);
    let screen = place.call("sync").args(NAME).answer().exits(0);
    assert!(screen.stderr.contains(&format!("`{}` is left out", names[1])), "{screen}");

    // The first one is shared for logins only: its roster is not kept any more, and nobody else's can be.
    let _ = running.control("POST", "/district", &json!({ "district": ids[0], "secure_sync": false }));
    let runs = sync().exits(1).json();
    assert_eq!(of(&runs), [status(&names[0], "failed"), status(&NAME.to_owned(), "failed")].into(), "{runs:#}");
}
