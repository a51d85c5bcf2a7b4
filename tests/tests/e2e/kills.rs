//! Whatever dies when, the store shows the old roster or the new one.

use std::thread::sleep;
use std::time::{Duration, Instant};

use rollcall_tests::{Engine, Place};

use crate::support::{applied, generate, import};

/// How many imports are killed.
const KILLS: u32 = 17;

#[test]
fn r6_a_killed_import_leaves_the_old_roster_or_the_new_one_on_sqlite() {
    kill_imports(Engine::Sqlite);
}

#[test]
fn r6_a_killed_import_leaves_the_old_roster_or_the_new_one_on_postgresql() {
    kill_imports(Engine::Postgres);
}

fn kill_imports(engine: Engine) {
    let place = Place::new(engine);
    generate(&place, "monday", "--students 1500 --seed 9 --version 1.1");
    generate(&place, "tuesday", "--students 1500 --seed 9 --version 1.1 --generation 1 --churn 0.05");
    let arguments = "--with-demographics --allow-mass-change";
    applied(&place, "monday", arguments);
    let monday = place.export("s");
    let begin = Instant::now();
    applied(&place, "tuesday", arguments);
    let whole = begin.elapsed();
    let tuesday = place.export("s");
    assert_ne!(monday, tuesday);

    let mut seen = [0_u32; 2];
    for kill in 0..KILLS {
        let package = if kill % 2 == 0 { "monday" } else { "tuesday" };
        let call = place.call("import").arg(place.path(package)).args("--source s").args(arguments);
        let mut child = call.start();
        // Spread over the whole run, in an order that is no order: 7 is prime to 17.
        sleep(whole * (kill * 7 % KILLS + 1) / KILLS);
        child.kill().unwrap();
        child.wait().unwrap();

        let export = place.export("s");
        if export == monday {
            seen[0] += 1;
        } else if export == tuesday {
            seen[1] += 1;
        } else {
            panic!("kill {kill} left a roster that is neither");
        }
        // A run whose process is gone is not running.
        let status = place.json("runs show latest")["status"].clone();
        assert!(status == "failed" || status == "succeeded", "kill {kill}: {status}");
    }
    println!("after the kills: {} times the first roster, {} times the second", seen[0], seen[1]);

    // The source is free again: at once where the system gives it back, soon where a server has to notice.
    let begin = Instant::now();
    loop {
        let last = import(&place, "monday", arguments);
        if last.code == 0 {
            break;
        }
        assert_eq!(last.json()["error"]["code"], "source.busy", "{last}");
        assert!(begin.elapsed() < Duration::from_secs(30), "{last}");
        sleep(Duration::from_millis(200));
    }
    assert_eq!(place.export("s"), monday);
}

#[test]
fn an_interrupted_import_ends_at_once_and_shows_as_failed() {
    let place = Place::new(Engine::Sqlite);
    generate(&place, "d1", "--students 20000 --seed 9 --version 1.1");
    let mut child = place.call("import").arg(place.path("d1")).args("--source s").start();
    // Until the run is in the books.
    let begin = Instant::now();
    let is_running = || {
        let runs = place.call("runs list --output json").answer();
        runs.code == 0 && runs.json()["runs"][0]["status"] == "running"
    };
    while !is_running() {
        assert!(begin.elapsed() < Duration::from_secs(30), "the import never began");
        sleep(Duration::from_millis(20));
    }
    let interrupted = Instant::now();
    let kill = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(130), "{status}");
    assert!(interrupted.elapsed() < Duration::from_secs(5), "{:?}", interrupted.elapsed());

    let run = place.json("runs show latest");
    assert_eq!(run["status"], "failed", "{run:#}");
    assert!(place.changes("s").is_empty());
}
