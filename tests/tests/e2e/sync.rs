//! Configured sources: `sync` and `sources check`.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use rollcall_tests::{Engine, Package, Place, write_zip};
use serde_json::Value;

use crate::support::{filters, total};

/// A place whose configuration has these sources, each with its other keys.
fn configured(engine: Engine, sources: &[(&str, &str)]) -> Place {
    let place = Place::new(engine);
    configure(&place, sources);
    place
}

fn configure(place: &Place, sources: &[(&str, &str)]) {
    let mut text = String::new();
    for (name, keys) in sources {
        writeln!(text, "[[source]]\nname = \"{name}\"\nkind = \"oneroster-csv\"\n{keys}\n").unwrap();
    }
    fs::write(place.path("rollcall.toml"), text).unwrap();
}

/// Drops a package into a folder, this many minutes before some day.
fn drop_zip(place: &Place, name: &str, package: &Package, minutes: u64) {
    let path = place.path(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    write_zip(&path, package.files().iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())));
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_780_000_000 - minutes * 60);
    File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

fn course(title: &str) -> Package {
    let row = format!("k1,active,2026-11-01T00:00:00.000Z,y1,{title},MA4,04,s1,,");
    Package::small_delta().with_changes("courses.csv", &[&row])
}

fn field<'v>(runs: &'v Value, name: &str) -> Vec<&'v str> {
    runs["runs"].as_array().unwrap().iter().map(|run| run[name].as_str().unwrap_or("-")).collect()
}

#[test]
fn a_sync_reads_what_the_configuration_says_and_writes_nothing_twice() {
    for engine in Engine::ALL {
        let place =
            configured(engine, &[("s", "path = \"package\"\ndemographics = true"), ("t", "path = \"package\"")]);
        Package::small().write(&place.path("package"));
        let _ = place.answer("import package --source by-hand --with-demographics").exits(0);
        let planned = place.json("sync s --dry-run");
        assert_eq!((planned["status"].as_str(), total(&planned, "created")), (Some("planned"), 17));
        let report = place.json("sync s");
        assert_eq!((report["source"].as_str(), total(&report, "created")), (Some("s"), 17));
        assert_eq!(place.export("s"), place.export("by-hand"));
        let feed = place.changes("s");
        let again = place.json("sync s --full");
        assert_eq!(total(&again, "unchanged"), total(&again, "received"));
        assert_eq!(place.changes("s"), feed);
        // Named twice it is still one source, and one report.
        assert_eq!(place.json("sync s s")["status"], "succeeded");
        let runs = place.json("sync s t");
        assert_eq!(field(&runs, "source"), ["t", "s"]);
        assert_eq!(runs["runs"][0]["skipped"], serde_json::json!(["demographics"]));
    }
}

#[test]
fn a_drop_folder_is_synced_until_nothing_waits() {
    let place = configured(Engine::Sqlite, &[("s", "path = \"drops\"")]);
    drop_zip(&place, "drops/1.zip", &Package::small(), 40);
    drop_zip(&place, "drops/2.zip", &course("Arithmetic"), 30);
    drop_zip(&place, "drops/3.zip", &course("Algebra"), 20);
    let runs = place.json("sync s");
    assert_eq!(field(&runs, "mode"), ["incremental", "incremental", "full"]);
    assert!(field(&runs, "note").iter().zip(["3.zip", "2.zip", "1.zip"]).all(|(note, zip)| note.starts_with(zip)));
    let roster = place.export("s");
    assert!(String::from_utf8_lossy(&roster["courses.csv"]).contains("Algebra"));
    let nothing = place.json("sync --all");
    assert_eq!(field(&nothing, "note"), ["no new package"]);
    // From the newest bulk package on, each package once.
    let full = place.json("sync s --full --allow-mass-change");
    assert_eq!(full["runs"].as_array().unwrap().len(), 3);
    assert_eq!(place.export("s"), roster);
}

#[test]
fn a_source_that_fails_does_not_keep_the_others_from_their_runs() {
    let place = configured(
        Engine::Sqlite,
        &[
            ("gone", "path = \"nowhere\""),
            ("shrunk", "path = \"shrunk\""),
            ("broken", "path = \"broken\""),
            ("fed", ""),
            ("well", "path = \"well\""),
        ],
    );
    Package::small().write(&place.path("well"));
    Package::small().row("orgs.csv", "s2,,,Shelbyville Elementary,school,,d1").write(&place.path("shrunk"));
    Package::small().without_file("classes.csv").write(&place.path("broken"));
    let _ = place.answer("sync shrunk").exits(0);
    Package::small().write(&place.path("shrunk"));

    let answer = place.call("sync --all --output json").answer().exits(1);
    let runs = answer.json();
    assert_eq!(field(&runs, "source"), ["well", "broken", "shrunk", "gone"]);
    assert_eq!(field(&runs, "status"), ["succeeded", "failed", "held", "failed"]);
    assert_eq!(runs["runs"][3]["error"]["code"], "package.unreadable");
    assert!(answer.stderr.contains("`fed` has no `path`"), "{answer}");
    assert_eq!(total(&place.json("runs show latest"), "created"), 16);

    let human = place.answer("sync gone well").exits(1);
    assert!(human.stderr.starts_with("`gone`: failed; nothing is applied\nerror: cannot read `nowhere`"), "{human}");
    assert!(human.stdout.starts_with("`well`: succeeded"), "{human}");
    // Of held and succeeded the worse one counts, and so does it of a dry run.
    let _ = place.answer("sync shrunk well").exits(3);
    let _ = place.answer("sync shrunk well --dry-run").exits(3);
    let _ = place.answer("sync shrunk well --allow-mass-change").exits(0);
    let _ = place.answer("sync fed").exits(2);
}

#[test]
fn a_source_that_is_not_configured_is_wrong_usage() {
    let place = configured(Engine::Sqlite, &[("springfield", "path = \"package\""), ("fed", "")]);
    Package::small().write(&place.path("package"));
    let mut screens = String::new();
    for line in ["sync sprinfield", "sources check capital", "sync", "sync --all springfield"] {
        let answer = place.answer(line).exits(2);
        assert!(answer.stdout.is_empty(), "{answer}");
        writeln!(screens, "$ rollcall {line}\n{}", answer.stderr).unwrap();
    }
    let _ = place.answer("import package --source by-hand").exits(0);
    for line in ["sync by-hand", "sources check by-hand"] {
        let answer = place.answer(line).exits(2);
        writeln!(screens, "$ rollcall {line}\n{}", answer.stderr).unwrap();
    }
    fs::write(place.path("rollcall.toml"), "").unwrap();
    for line in ["sync springfield", "sync --all"] {
        let answer = place.answer(line).exits(2);
        writeln!(screens, "$ rollcall {line}\n{}", answer.stderr).unwrap();
    }
    insta::assert_snapshot!(screens);
    let document = place.answer("sync springfield --output json").exits(2).json();
    assert_eq!(
        (document["error"]["code"].as_str(), document["source"].as_str()),
        (Some("source.unconfigured"), Some("springfield"))
    );
}

#[test]
fn a_check_says_what_is_there_and_what_is_wrong() {
    let place = configured(
        Engine::Sqlite,
        &[
            ("well", "path = \"well\""),
            ("lacking", "path = \"lacking\""),
            ("gone", "path = \"nowhere\""),
            ("drops", "path = \"drops\""),
            ("fed", ""),
        ],
    );
    Package::small().write(&place.path("well"));
    Package::small()
        .without_file("classes.csv")
        .replace("enrollments.csv", "userSourcedId", "nothing")
        .write(&place.path("lacking"));
    fs::create_dir(place.path("drops")).unwrap();
    let mut screens = String::new();
    for line in ["well", "lacking", "gone", "drops", "fed"] {
        let answer = place.answer(&format!("sources check {line}"));
        assert!(answer.stderr.is_empty(), "{answer}");
        writeln!(screens, "$ rollcall sources check {line}\n{}[exit {}]\n", answer.stdout, answer.code).unwrap();
    }
    for line in ["drops", "lacking"] {
        let answer = place.answer(&format!("sources check {line} --output json"));
        let document = serde_json::to_string_pretty(&answer.json()).unwrap();
        writeln!(screens, "$ rollcall sources check {line} --output json\n{document}\n[exit {}]\n", answer.code)
            .unwrap();
    }
    insta::with_settings!({ filters => filters() }, { insta::assert_snapshot!(screens) });
    // A check makes no database.
    assert!(!place.path("rollcall.db").exists());
}
