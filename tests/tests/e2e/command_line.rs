//! The command line as a contract: screens, documents, exit codes and streams.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Stdio;

use rollcall_tests::{Engine, Package, Place};

use crate::support::{applied, filters, generate, import};

/// A place with a clean run, a run with rejects and warnings, and a held one.
fn lived_in() -> Place {
    let place = Place::new(Engine::Sqlite);
    Package::small().write(&place.path("package"));
    let _ = place.answer("import package --source springfield").exits(0);
    Package::small()
        .row("enrollments.csv", "e9,,,c9,s1,u2,student,,,")
        .replace("users.csv", "u4,,,true,s1,student", "u4,,,true,s1,wizard")
        .row("classes.csv", "c3,,,Art,,k9,AR,scheduled,,s1,t1,,,")
        .row("orgs.csv", "s2,,,Shelbyville Elementary,school,,d1")
        .write(&place.path("package"));
    let _ = place.answer("import package --source springfield").exits(0);
    Package::small().write(&place.path("held"));
    let _ = place.answer("import held --source springfield").exits(3);
    Package::small()
        .without_file("classes.csv")
        .replace("enrollments.csv", "userSourcedId", "nothing")
        .write(&place.path("lacking"));
    Package::small()
        .replace("academicSessions.csv", "2026-08-15,2026-12-20", "8/15/2026,12/20/2026")
        .write(&place.path("slashes"));
    place
}

#[test]
fn the_screens_read_well() {
    let place = lived_in();
    let mut screens = String::new();
    for line in [
        "import package --source springfield",
        "runs show latest",
        "runs rejects latest",
        "runs rejects latest --summary",
        "runs rejects latest --summary --format csv",
        "runs rejects latest --format csv",
        "import package --source springfield --dry-run",
        "import held --source springfield",
        "import held --source springfield --dry-run",
        "runs rejects latest",
        "runs rejects latest --summary",
        "import nowhere --source springfield",
        "import lacking --source springfield",
        "import slashes --source springfield",
        "validate package",
        "validate package --strict",
        "validate lacking",
        "runs list",
        "runs list --source nobody",
        "runs show 00000000",
        "sources list",
        "export out --source springfield",
        "export out --source nobody",
        "db status",
        "db migrate",
        "generate district --students 10 --seed 1 --version 1.1",
        "generate district --students 0 --seed 1",
    ] {
        let answer = place.answer(line);
        writeln!(screens, "$ rollcall {line}\n{}{}[exit {}]\n", answer.stdout, answer.stderr, answer.code).unwrap();
    }
    insta::with_settings!({ filters => filters() }, { insta::assert_snapshot!(screens) });
}

#[test]
fn the_documents_are_stable() {
    let place = lived_in();
    let mut documents = String::new();
    for line in [
        "import package --source springfield",
        "runs rejects latest",
        "runs rejects latest --summary",
        "import held --source springfield --dry-run",
        "import lacking --source springfield",
        "import nowhere --source springfield",
        "validate package",
        "validate lacking",
        "validate nowhere",
        "runs list --limit 1",
        "runs show nothing",
        "sources list",
        "export out --source springfield",
        "export out --source nobody",
        "db status",
        "generate district --students 10 --seed 1",
    ] {
        let answer = place.call(line).args("--output json").answer();
        let document = serde_json::to_string_pretty(&answer.json()).unwrap();
        assert!(answer.stderr.is_empty(), "{answer}");
        writeln!(documents, "$ rollcall {line} --output json\n{document}\n[exit {}]\n", answer.code).unwrap();
    }
    insta::with_settings!({ filters => filters() }, { insta::assert_snapshot!(documents) });
}

#[test]
fn help_has_examples_and_names_only_what_works() {
    let place = Place::new(Engine::Sqlite);
    let mut screens = String::new();
    for line in [
        "--help",
        "import --help",
        "sync --help",
        "runs --help",
        "runs rejects --help",
        "sources --help",
        "generate --help",
    ] {
        let answer = place.answer(line).exits(0);
        writeln!(screens, "$ rollcall {line}\n{}", answer.stdout).unwrap();
    }
    insta::assert_snapshot!(screens);
}

#[test]
fn wrong_usage_exits_with_2() {
    let place = Place::new(Engine::Sqlite);
    for line in [
        "",
        "import",
        "import x",
        "runs show",
        "runs list --limit 0",
        "import x --source s --mode weekly",
        "validate",
        "validate --source nobody",
        "generate out --students 0",
        "runs list --database-url mysql://h/d",
        "--config nowhere.toml runs list",
        "frobnicate",
    ] {
        let answer = place.answer(line).exits(2);
        assert!(answer.stdout.is_empty(), "{answer}");
    }
    let document = place.answer("import x --output json").exits(2).json();
    assert_eq!(document["error"]["code"], "usage");
    assert_eq!(document["status"], "failed");
    let message = document["error"]["message"].as_str().unwrap();
    assert!(message.ends_with("were not provided: --source <NAME>"), "{message}");
    let document = place.answer("runs list --database-url mysql://h/d --output json").exits(2).json();
    assert_eq!(document["error"]["code"], "store.address");
    assert!(document["error"]["hint"].as_str().unwrap().contains("--database-url"), "{document}");
}

#[test]
fn a_run_is_found_by_the_beginning_of_its_id() {
    let place = lived_in();
    let runs = place.json("runs list");
    let ids: Vec<_> = runs["runs"].as_array().unwrap().iter().map(|run| run["run_id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 3);
    assert!(ids.windows(2).all(|pair| pair[0] > pair[1]), "newest first: {ids:?}");
    assert_eq!(place.json(&format!("runs show {}", ids[1]))["run_id"], ids[1]);
    assert_eq!(place.json("runs show last")["run_id"], ids[0]);
    let shared = ids[0].bytes().zip(ids[1].bytes()).take_while(|(one, other)| one == other).count();
    // The first character in which two ids differ is enough, and what they share is not.
    let prefix = &ids[0][..=shared];
    if ids.iter().filter(|id| id.starts_with(prefix)).count() == 1 {
        assert_eq!(place.json(&format!("runs show {prefix}"))["run_id"], ids[0]);
    }
    let ambiguous = place.answer(&format!("runs show {} --output json", &ids[0][..shared])).exits(1).json();
    assert_eq!(ambiguous["error"]["code"], "run.ambiguous");
}

#[test]
fn the_configuration_speaks_for_a_source_and_flags_overrule_it() {
    let place = Place::new(Engine::Sqlite);
    Package::small().write(&place.path("package"));
    std::fs::write(
        place.path("rollcall.toml"),
        "[[source]]\nname = \"s\"\nkind = \"oneroster-csv\"\ndemographics = true\nguards = { delete_max = 0 }\n",
    )
    .unwrap();
    let report = applied(&place, "package", "");
    assert_eq!(report["counts"]["demographics"]["created"], 1);
    Package::small().without_row("enrollments.csv", "e4").write(&place.path("package"));
    let held = import(&place, "package", "").exits(3).json();
    assert_eq!(held["held_by"][0]["code"], "guard.delete");

    std::fs::write(
        place.path("other.toml"),
        "[[source]]\nname = \"s\"\nkind = \"oneroster-csv\"\nslash_date = \"mdy\"\n",
    )
    .unwrap();
    let refused = place.answer("--config other.toml import package --source s --output json").exits(2).json();
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(message.contains("line 4, column 1") && message.contains("did you mean `slash_dates`?"), "{message}");
}

#[test]
fn a_package_is_validated_with_the_settings_of_its_source() {
    let place = Place::new(Engine::Sqlite);
    let slashed = Package::small().replace("academicSessions.csv", "2026-08-15,2026-12-20", "8/15/2026,12/20/2026");
    slashed.bytes("users.csv", "Krabappel", b"Krab\xe4ppel").write(&place.path("package"));
    let _ = place.answer("validate package").exits(1);
    let _ = place.answer("validate package --slash-dates mdy --encoding windows-1252").exits(0);
    let _ = place.answer("validate package --slash-dates dmy --encoding windows-1252").exits(1);
    std::fs::write(
        place.path("rollcall.toml"),
        "[[source]]\nname = \"springfield\"\nkind = \"oneroster-csv\"\npath = \"package\"\nslash_dates = \"mdy\"\nencoding = \"windows-1252\"\n",
    )
    .unwrap();
    let _ = place.answer("validate package --source springfield").exits(0);
    let _ = place.answer("validate --source springfield").exits(0);
    let _ = place.answer("import --source springfield").exits(0);
    let unknown = place.answer("validate package --source sprigfield").exits(2);
    assert!(unknown.stderr.contains("did you mean `springfield`?"), "{unknown}");
    // A new source beside configured ones may be a mistyped one.
    let new = place.answer("import package --source sprinfield --slash-dates mdy --encoding windows-1252").exits(0);
    assert!(new.stderr.contains("not in the configuration; did you mean `springfield`?"), "{new}");
    let known = place.answer("import package --source sprinfield --slash-dates mdy --encoding windows-1252").exits(0);
    assert_eq!(known.stderr, "");
}

#[test]
fn a_validation_judges_repeated_ids_as_an_import_would() {
    let place = Place::new(Engine::Sqlite);
    // A user with one row for each org is a form of 1.1; an id with two meanings is a mistake, and both rows are named.
    let roles = Package::small().row("users.csv", "u4,,,true,d1,student,milhouse,,Milhouse,Van Houten,,,,,,,04,");
    roles.clone().write(&place.path("roles"));
    let merged = place.answer("validate roles --output json").exits(0).json();
    assert_eq!(merged["findings"][0]["code"], "id.duplicate");
    assert_eq!(import(&place, "roles", "").exits(0).json()["counts"]["users"]["created"], 5);
    let rows = [
        ("users.csv", "u5,,,true,s1,guardian,marge,,Marjorie,Simpson,,,,,,\"u2,u3\",,", [6, 7]),
        ("enrollments.csv", "e4,,,c1,s1,u4,student,,2026-08-15,2026-12-20", [5, 6]),
        (
            "demographics.csv",
            "u2,,,2015-04-01,male,false,false,false,false,true,false,false,US,OR,Springfield,",
            [2, 3],
        ),
    ];
    for (file, row, lines) in rows {
        Package::small().row(file, row).write(&place.path("twice"));
        let document = place.answer("validate twice --output json").exits(1).json();
        let errors: Vec<_> =
            document["findings"].as_array().unwrap().iter().filter(|finding| finding["severity"] == "error").collect();
        let mut named: Vec<_> = errors.iter().filter_map(|finding| finding["line"].as_u64()).collect();
        named.sort_unstable();
        assert_eq!(named, lines, "{document}");
        for finding in errors {
            assert_eq!((&finding["file"], &finding["code"]), (&file.into(), &"id.duplicate".into()));
            let message = "another row has this sourcedId and says something else; keep the right one";
            assert_eq!(finding["message"], message);
        }
    }
}

#[test]
fn a_drop_folder_with_nothing_in_it_is_neither_valid_nor_broken() {
    let place = Place::new(Engine::Sqlite);
    std::fs::create_dir(place.path("drops")).unwrap();
    std::fs::write(
        place.path("rollcall.toml"),
        "[[source]]\nname = \"s\"\nkind = \"oneroster-csv\"\npath = \"drops\"\n",
    )
    .unwrap();
    let report = place.json("import --source s");
    assert_eq!((report["status"].as_str(), report["note"].as_str()), (Some("succeeded"), Some("no new package")));
    let document = place.answer("validate --source s --output json").exits(1).json();
    assert_eq!(document["valid"], false);
    assert_eq!(document["findings"][0]["message"], "there is no package to look at: no new package");
    // Named by hand, a folder without a package is a mistake.
    let _ = place.answer("validate drops").exits(1);
    assert_eq!(import(&place, "drops", "").exits(1).json()["error"]["code"], "package.invalid");
}

#[test]
fn the_database_is_the_strongest_word() {
    let place = Place::new(Engine::Sqlite);
    Package::small().write(&place.path("package"));
    std::fs::write(place.path("rollcall.toml"), "[database]\nurl = \"sqlite://configured.db\"\n").unwrap();
    let import = "import package --source s";
    let _ = rollcall_tests::Rollcall::call(place.folder()).args(import).answer().exits(0);
    assert!(place.path("configured.db").exists() && !place.path("rollcall.db").exists());
    let call = rollcall_tests::Rollcall::call(place.folder()).env("DATABASE_URL", "sqlite://environment.db");
    let _ = call.args(import).answer().exits(0);
    assert!(place.path("environment.db").exists());
    let call = rollcall_tests::Rollcall::call(place.folder()).env("DATABASE_URL", "sqlite://unused.db");
    let _ = call.args(import).args("--database-url sqlite://flag.db").answer().exits(0);
    assert!(place.path("flag.db").exists() && !place.path("unused.db").exists());
}

#[test]
fn a_busy_source_exits_with_1_and_leaves_the_other_run_alone() {
    for engine in Engine::ALL {
        let place = Place::new(engine);
        generate(&place, "large", "--students 10000 --seed 1 --version 1.1");
        Package::small().write(&place.path("package"));
        let mut first = place.call("import").arg(place.path("large")).args("--source s").start();
        let mut busy = None;
        while first.try_wait().unwrap().is_none() {
            let runs = place.answer("runs list --output json");
            if runs.code == 0 && runs.json()["runs"][0]["status"] == "running" {
                busy = Some(import(&place, "package", ""));
                break;
            }
        }
        let busy = busy.expect("the first import ran long enough to be seen");
        assert_eq!(busy.code, 1, "{busy}");
        let busy = busy.json();
        assert_eq!(busy["error"]["code"], "source.busy", "{busy}");
        assert!(first.wait().unwrap().success());
        // The run that was turned away is in the books, and the other one was left alone.
        assert_eq!(place.json(&format!("runs show {}", busy["run_id"].as_str().unwrap())), busy);
        let runs = place.json("runs list");
        let statuses: Vec<_> = runs["runs"].as_array().unwrap().iter().map(|run| run["status"].clone()).collect();
        assert_eq!(statuses, ["failed", "succeeded"]);
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let place = Place::new(Engine::Sqlite);
    generate(&place, "d1", "--students 2000 --seed 1 --version 1.1");
    // No class, no enrollment: every one of them is a reject, many pages of them.
    let classes = std::fs::read_to_string(place.path("d1").join("classes.csv")).unwrap();
    std::fs::write(place.path("d1").join("classes.csv"), classes.lines().next().unwrap()).unwrap();
    let _ = import(&place, "d1", "--allow-mass-change").exits(0);
    for format in ["", "--format csv", "--format json"] {
        let mut command = place.call("runs rejects latest").args(format).into_command();
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut reader = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        assert!(!line.is_empty());
        drop(reader);
        let mut stderr = String::new();
        child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        assert_eq!(stderr, "", "{format}");
        assert_eq!(child.wait().unwrap().code(), Some(0), "{format}");
    }
    let all = place.answer("runs rejects latest --format json").exits(0).json();
    let run = place.json("runs show latest");
    let refused = crate::support::total(&run, "rejected");
    assert_eq!(all["rejects"].as_array().unwrap().len() as u64, refused);
    let summary = place.json("runs rejects latest --summary");
    let counted: u64 =
        summary["summary"].as_array().unwrap().iter().map(|group| group["count"].as_u64().unwrap()).sum();
    assert_eq!(counted, refused);
    let csv = place.answer("runs rejects latest --format csv").exits(0);
    let rows = csv::Reader::from_reader(csv.stdout.as_bytes()).records().count() as u64;
    assert_eq!(rows, refused);
}

#[test]
fn commands_that_only_read_make_no_database() {
    let place = Place::new(Engine::Sqlite);
    for line in ["runs list", "runs show latest", "sources list", "export out --source s", "db status"] {
        let _ = place.answer(line);
        assert!(!place.path("rollcall.db").exists(), "{line}");
        assert!(!place.path("out").exists(), "{line}");
    }
}
