//! Packages that others made. They are not part of the project: `ROLLCALL_CORPUS` names the folder they lie in.
//!
//! The snapshots hold counts and codes only.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rollcall_domain::Kind;
use rollcall_tests::{Engine, Place};
use serde_json::{Value, json};

use crate::support::rejects;

pub(crate) fn corpus() -> Option<PathBuf> {
    let corpus = std::env::var_os("ROLLCALL_CORPUS").map(|folder| PathBuf::from(folder).join("oneroster"));
    if corpus.is_none() {
        println!("SKIPPED: ROLLCALL_CORPUS does not name the folder of packages");
    }
    corpus
}

/// Every zip, and every folder that holds CSV files, by its path in the corpus.
fn packages(corpus: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![corpus.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let mut holds_csv = false;
        for entry in fs::read_dir(&folder).expect("the corpus can be read") {
            let path = entry.expect("the corpus can be read").path();
            let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
            match extension.to_ascii_lowercase().as_str() {
                _ if path.is_dir() => folders.push(path),
                "zip" => found.push(path),
                "csv" => holds_csv = true,
                _ => {}
            }
        }
        if holds_csv {
            found.push(folder);
        }
    }
    found.sort();
    found
}

/// What an import came to, without a word of the data.
fn outcome(place: &Place, report: &Value) -> Value {
    let mut counts = serde_json::Map::new();
    for kind in Kind::ALL.map(Kind::as_str) {
        let all = report["counts"][kind].as_object().expect("counts");
        let nonzero: serde_json::Map<_, _> =
            all.iter().filter(|(_, count)| **count != 0).map(|(name, count)| (name.clone(), count.clone())).collect();
        if !nonzero.is_empty() {
            counts.insert(kind.to_owned(), Value::Object(nonzero));
        }
    }
    let codes = |list: &Value| -> BTreeMap<String, u64> {
        let mut codes = BTreeMap::new();
        for entry in list.as_array().into_iter().flatten() {
            let name = |key: &str| entry[key].as_str().unwrap_or("-").to_owned();
            let file = name("file");
            let file = if file == "-" { name("place") } else { file };
            // Only the file's name: where the corpus lies is nobody's business.
            let file = file.rsplit('/').next().unwrap_or_default().split(':').next().unwrap_or_default().to_owned();
            let key = format!("{} {} {}", name("code"), file, name("field"));
            *codes.entry(key.trim_end_matches(" -").to_owned()).or_default() += entry["count"].as_u64().unwrap_or(1);
        }
        codes
    };
    let mut refused = BTreeMap::new();
    if report["run_id"].is_string() {
        for reject in rejects(place) {
            let name = |key: &str| reject[key].as_str().unwrap_or("-").to_owned();
            *refused.entry(format!("{} {} {}", name("kind"), name("code"), name("field"))).or_insert(0_u64) += 1;
        }
    }
    json!({
        "status": report["status"],
        "mode": report["mode"],
        "counts": counts,
        "warnings": codes(&report["warnings"]),
        "held_by": codes(&report["held_by"]),
        "rejects": refused,
        "error": report["error"]["code"],
        "problems": codes(&report["error"]["problems"]),
    })
}

fn import(place: &Place, package: &Path, arguments: &str) -> Value {
    let call = place.call("import").arg(package).args("--source s --output json").args(arguments);
    let answer = call.answer();
    let report = answer.json();
    assert!([0, 1, 3].contains(&answer.code), "{answer}");
    outcome(place, &report)
}

#[test]
fn what_an_import_of_each_package_gives() {
    let Some(corpus) = corpus() else { return };
    let mut outcomes = BTreeMap::new();
    for package in packages(&corpus) {
        let name = package.strip_prefix(&corpus).expect("it lies in the corpus").display().to_string();
        let place = Place::new(Engine::Sqlite);
        let plain = import(&place, &package, "--with-demographics");
        let is_ambiguous = plain["problems"].to_string().contains("date.ambiguous");
        if is_ambiguous {
            let place = Place::new(Engine::Sqlite);
            outcomes.insert(
                format!("{name} --slash-dates mdy"),
                import(&place, &package, "--with-demographics --slash-dates mdy"),
            );
        }
        outcomes.insert(name, plain);
    }
    assert!(!outcomes.is_empty(), "{} holds no packages", corpus.display());
    insta::assert_json_snapshot!(outcomes);
}

#[test]
fn five_snapshots_of_one_school_in_order() {
    let Some(corpus) = corpus() else { return };
    let school = corpus.join("rjeike-OneRoster.Net");
    let mut steps: Vec<_> = packages(&school);
    steps.sort();
    let mut results = Vec::new();
    for engine in Engine::ALL {
        let place = Place::new(engine);
        let mut outcomes = Vec::new();
        // Rows are marked as deleted in files that hold everything else too: somebody has to say that they are whole.
        let arguments = "--with-demographics --slash-dates mdy";
        for step in &steps {
            let name = step.strip_prefix(&corpus).expect("it lies in the corpus").display().to_string();
            outcomes.push((name, import(&place, step, arguments)));
        }
        let again = import(&place, steps.last().expect("there are steps"), arguments);
        outcomes.push(("the last one again".to_owned(), again));
        results.push((outcomes, place.export("s")));
    }
    assert_eq!(results[0], results[1], "the engines differ");
    insta::assert_json_snapshot!(results[0].0);
}
