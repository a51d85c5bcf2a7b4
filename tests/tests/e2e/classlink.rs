//! Sources over ClassLink, from the configuration to the store, against a simulated ClassLink.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use rollcall_domain::{Kind, Record};
use rollcall_tests::{Engine, Place};
use serde_json::{Value, json};

use crate::support::{generate, total};
use crate::vendor::Running;

const NAME: &str = "simulated-classlink";
const DISTRICT: &str = "--students 200 --seed 12";

/// Starts a simulated vendor and writes a configuration that reaches it, with more keys below.
fn simulate(place: &Place, arguments: &str, more: &str) -> Running {
    let running = Running::start(place, &format!("classlink {arguments}"));
    configure(place, &running, more);
    running
}

fn configure(place: &Place, running: &Running, more: &str) {
    fs::write(place.path("rollcall.toml"), format!("{}{more}", running.config_text())).unwrap();
}

/// Syncs, which must be applied, and returns the report.
#[track_caller]
fn synced(place: &Place, arguments: &str) -> Value {
    let report = place.json(&format!("sync {NAME} {arguments}"));
    assert_eq!(report["status"], "succeeded", "{report:#}");
    report
}

/// Syncs, which must fail, and returns the code and the message.
#[track_caller]
fn failed(place: &Place, arguments: &str) -> (String, String) {
    let report = place.call(&format!("sync {NAME} --output json {arguments}")).answer().exits(1).json();
    let text = |key: &str| report["error"][key].as_str().unwrap().to_owned();
    assert_eq!(report["status"], "failed", "{report:#}");
    (text("code"), text("message"))
}

/// The export of the source, read in full into a store of its own.
#[track_caller]
fn read_afresh(running: &Running, more: &str) -> BTreeMap<String, Vec<u8>> {
    let place = Place::new(Engine::Sqlite);
    configure(&place, running, more);
    assert_eq!(synced(&place, "")["mode"], "full");
    place.export(NAME)
}

#[track_caller]
fn assert_same(found: &BTreeMap<String, Vec<u8>>, expected: &BTreeMap<String, Vec<u8>>, what: &str) {
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{what}");
    for (name, bytes) in expected {
        assert!(found[name] == *bytes, "{what}: {name} differs");
    }
}

/// Does something to a tenant.
fn order(running: &Running, tenant: &str, what: &Value) {
    let mut order = what.clone();
    order["tenant"] = json!(tenant);
    let _ = running.control("POST", "/tenant", &order);
}

#[test]
fn r2_a_district_is_the_same_from_its_package_over_oneroster_from_its_server_and_through_the_proxy() {
    for engine in Engine::ALL {
        let place = Place::new(engine);
        generate(&place, "package", &format!("{DISTRICT} --version 1.1"));
        let oneroster = Running::start(&place, &format!("oneroster {DISTRICT} --version 1.1 --auth oauth1"));
        let classlink = Running::start(&place, &format!("classlink {DISTRICT} --tenants 2"));
        // Neither revisions nor counts, and a key of its own.
        let bare = Running::start(&place, &format!("classlink {DISTRICT} --quirk no-revision,no-counts --mode direct"));
        let secret = classlink.config()["source"][0]["partner_key"].to_string();
        let origin = classlink.base_url();
        let usual = "demographics = true\npage_size = 150\n";
        let sources = [
            "[[source]]\nname = \"csv\"\nkind = \"oneroster-csv\"\npath = \"package\"\ndemographics = true\n"
                .to_owned(),
            format!("{}{usual}", oneroster.config_text()),
            format!("{}{usual}", bare.config_text()),
            format!(
                "[[source]]\nname = \"proxy\"\nkind = \"classlink\"\nmode = \"proxy\"\nproxy_url = \"{origin}\"\n\
                 partner_key = {secret}\ntenant = \"2222\"\n{usual}"
            ),
            format!(
                "[[source]]\nname = \"server\"\nkind = \"classlink\"\nmode = \"direct\"\nbase_url = \"{origin}\"\n\
                 consumer_key = \"rollcall\"\nconsumer_secret = {secret}\nsignature = \"HMAC-SHA1\"\nsend_version = false\n{usual}"
            ),
            format!(
                "[[source]]\nname = \"listed-server\"\nkind = \"classlink\"\nmode = \"direct\"\nproxy_url = \"{origin}\"\n\
                 partner_key = {secret}\ntenant = 2222\n{usual}"
            ),
        ];
        fs::write(place.path("rollcall.toml"), sources.join("\n")).unwrap();
        let checked = place.json("sources check proxy");
        assert_eq!(checked["ok"], true, "{checked:#}");
        let runs = place.json("sync --all");
        let runs = runs["runs"].as_array().unwrap();
        assert_eq!(runs.len(), sources.len());
        assert!(runs.iter().all(|run| run["status"] == "succeeded"), "{runs:#?}");
        let expected = place.export("csv");
        for name in ["simulated-oneroster", NAME, "proxy", "server", "listed-server"] {
            assert_same(&place.export(name), &expected, &format!("{name} on {engine:?}"));
        }

        // What single sign-on says of whoever logs in finds the roster: the tenant by its id, and the user by the sourcedId.
        let text = String::from_utf8(expected["orgs.csv"].clone()).unwrap();
        let org = text.lines().nth(1).unwrap().split(',').next().unwrap().trim_matches('"');
        for (name, tenant) in [("proxy", Some("2222")), ("listed-server", Some("2222")), ("server", None)] {
            let stored = place.stored(name, Kind::Orgs, &[org]);
            let Record::Orgs(stored) = &stored[org].record else { panic!("no org") };
            let ids: Vec<_> = stored.external_ids.iter().map(|id| (id.scheme.as_str(), id.value.as_str())).collect();
            assert_eq!(ids, tenant.map(|tenant| ("classlink.tenant_id", tenant)).into_iter().collect::<Vec<_>>());
        }
    }
}

#[test]
fn r1_an_unchanged_revision_ends_a_run_with_nothing_to_do_and_a_day_later_only_what_changed_is_read() {
    for engine in Engine::ALL {
        let place = Place::new(engine);
        let more = "demographics = true\npage_size = 100\n";
        let running = simulate(&place, DISTRICT, more);
        let first = synced(&place, "");
        assert_eq!(first["mode"], "full");
        let (feed, served) = (place.changes(NAME), running.served());

        let again = synced(&place, "");
        assert_eq!((again["mode"].as_str(), total(&again, "received")), (Some("incremental"), 0), "{again:#}");
        assert!(again["note"].as_str().unwrap().starts_with("nothing has changed"), "{again:#}");
        assert_eq!(running.served() - served, 1, "one record, to see the revision");
        let full = synced(&place, "--full");
        assert_eq!(full["mode"], "full");
        assert_eq!(total(&full, "unchanged"), total(&first, "received"), "{full:#}");
        assert_eq!(place.changes(NAME), feed);

        for _ in 0..2 {
            let _ = running.control("POST", "/advance", &json!({ "churn": 0.03 }));
            let report = synced(&place, "");
            assert_eq!(report["mode"], "incremental", "{report:#}");
            let changed = total(&report, "received");
            assert!((1..total(&first, "received") / 2).contains(&changed), "{changed}");
            assert_same(&place.export(NAME), &read_afresh(&running, more), "after a day");
        }
        // Changes alone prove nothing about everything; a full pull does.
        assert!(!synced(&place, "")["note"].as_str().unwrap().starts_with("nothing has changed"));
        let _ = synced(&place, "--full");
        assert!(synced(&place, "")["note"].as_str().unwrap().starts_with("nothing has changed"));

        // Other settings show something else, whatever the revision says.
        configure(&place, &running, &format!("{more}filter = {{ users = \"role='student'\" }}\n"));
        let held = place.call(&format!("sync {NAME} --output json")).answer().exits(3).json();
        assert_eq!((held["mode"].as_str(), held["status"].as_str()), (Some("full"), Some("held")), "{held:#}");
    }
}

#[test]
fn three_tenants_are_discovered_and_one_that_fails_leaves_the_others_alone() {
    let place = Place::new(Engine::Sqlite);
    let running = simulate(&place, "--students 60 --seed 30 --tenants 3", "guards = { delete_percent = 5 }\n");
    let tenants: Vec<_> = ["2222", "2223", "2224"].map(|id| format!("{NAME}/{id}")).into();
    let found = place.json(&format!("sources discover {NAME}"));
    let found = found["tenants"].as_array().unwrap();
    assert_eq!(found.iter().map(|tenant| tenant["id"].as_str().unwrap()).collect::<Vec<_>>(), ["2222", "2223", "2224"]);
    assert!(found.iter().all(|tenant| tenant["usable"] == true), "{found:#?}");
    let _ = place.answer(&format!("sources check {NAME}")).exits(0);

    order(&running, "2223", &json!({ "failing": true }));
    let answer = place.answer("sync --all --output json").exits(1);
    let of = |runs: &Value| -> BTreeSet<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        runs["runs"].as_array().unwrap().iter().map(|run| (text(&run["source"]), text(&run["status"]))).collect()
    };
    let with = |statuses: [&str; 3]| -> BTreeSet<(String, String)> {
        tenants.iter().cloned().zip(statuses.map(str::to_owned)).collect()
    };
    assert_eq!(of(&answer.json()), with(["succeeded", "failed", "succeeded"]), "{answer}");
    let error =
        answer.json()["runs"].as_array().unwrap().iter().find(|run| run["status"] == "failed").cloned().unwrap();
    assert_eq!(error["error"]["code"], "server_error", "{error:#}");
    order(&running, "2223", &json!({ "failing": false }));
    let runs = place.json("sync --all");
    assert_eq!(of(&runs), with(["succeeded"; 3]));
    for (name, seed) in tenants.iter().zip(30..) {
        let package = format!("package-{seed}");
        generate(&place, &package, &format!("--students 60 --seed {seed} --version 1.1"));
        let _ = place.call("import").arg(&package).args("--source").arg(&package).answer().exits(0);
        assert_same(&place.export(name), &place.export(&package), name);
    }

    // Everything that is printed is a configuration, in which a tenant that cannot be synced is a comment.
    order(&running, "2224", &json!({ "enabled": false }));
    let screen = place.answer(&format!("sources discover {NAME}")).exits(0);
    let blocks = screen.stdout.as_str();
    let sources: toml::Table = blocks.parse().unwrap();
    let sources = sources["source"].as_array().unwrap();
    let told: Vec<_> = sources.iter().map(|source| (&source["name"], &source["tenant"])).collect();
    assert_eq!(told.len(), 2, "{blocks}");
    assert_eq!((told[1].0.as_str(), told[1].1.as_str()), (Some(tenants[1].as_str()), Some("2223")));
    assert_eq!(sources[0]["guards"]["delete_percent"].as_integer(), Some(5));
    assert!(blocks.contains("switched off at ClassLink"), "{blocks}");

    // One that was synced and is switched off is a failed run; one that is not listed any more is left out. Both keep
    // their rosters, and the third its runs.
    let rosters: Vec<_> = tenants.iter().map(|name| place.export(name)).collect();
    order(&running, "2223", &json!({ "listed": false }));
    let runs = place.answer(&format!("sync {NAME} --output json")).exits(1).json();
    let expected = [(tenants[0].clone(), "succeeded".to_owned()), (tenants[2].clone(), "failed".to_owned())];
    assert_eq!(of(&runs), expected.into(), "{runs:#}");
    assert_eq!(
        (&runs["left_out"][0]["source"], &runs["left_out"][0]["code"]),
        (&json!(tenants[1]), &json!("tenant.vanished"))
    );
    for (name, roster) in tenants.iter().zip(&rosters) {
        assert_same(&place.export(name), roster, name);
    }
    // Whether it is named or one of all, the run is told alike and can be looked up.
    let alone = place.call("sync --output json").arg(&tenants[2]).answer().exits(1).json();
    let runs = runs["runs"].as_array().unwrap();
    let failed = runs.iter().find(|run| run["status"] == "failed").unwrap();
    assert_eq!(failed["error"], alone["error"]);
    assert_eq!(failed["error"]["code"], "tenant.disabled");
    let listed = place.json("runs list");
    assert!(listed["runs"].as_array().unwrap().iter().any(|run| run["run_id"] == failed["run_id"]), "{listed:#}");
    let listed = place.json("sources list");
    let last = |name: &str| listed["sources"].as_array().unwrap().iter().find(|one| one["name"] == name).cloned();
    assert_eq!(last(&tenants[2]).unwrap()["last_run"]["status"], "failed", "{listed:#}");
    // A check tries each of those that are listed.
    let checked = place.call(&format!("sources check {NAME} --output json")).answer().exits(1).json();
    assert_eq!(checked["ok"], false, "{checked:#}");
    let problems: Vec<_> =
        checked["problems"].as_array().unwrap().iter().map(|one| (&one["code"], &one["place"])).collect();
    assert_eq!(problems, [(&json!("tenant.disabled"), &json!(tenants[2]))], "{checked:#}");
    // One that nobody has heard of does not become a source.
    for arguments in ["", "--dry-run"] {
        let unknown = place.call(&format!("sync {NAME}/9999 --output json {arguments}")).answer().exits(1).json();
        assert_eq!(unknown["error"]["code"], "tenant.missing", "{unknown:#}");
    }
    assert_eq!(place.json("sources list"), listed);
    // The blocks go on where the source for all left off.
    order(&running, "2223", &json!({ "listed": true }));
    fs::write(place.path("rollcall.toml"), blocks).unwrap();
    let runs = place.json("sync --all");
    assert!(runs["runs"].as_array().unwrap().iter().all(|run| run["mode"] == "incremental"), "{runs:#}");
    // Those that have a source of their own are synced with all of them, and once.
    order(&running, "2224", &json!({ "enabled": true }));
    configure(&place, &running, blocks);
    for (arguments, left_out) in [(NAME, 0), ("--all", 2)] {
        let runs = place.json(&format!("sync {arguments}"));
        assert_eq!(of(&runs), with(["succeeded"; 3]), "{runs:#}");
        assert_eq!(runs["left_out"].as_array().map_or(0, Vec::len), left_out, "{runs:#}");
    }
}

#[test]
fn a_tenant_that_is_switched_off_missing_or_not_shared_stops_and_loses_nothing() {
    let place = Place::new(Engine::Sqlite);
    let running = simulate(&place, "--students 60 --seed 4", "");
    let _ = synced(&place, "");
    let (roster, feed) = (place.export(NAME), place.changes(NAME));
    let cases = [
        (json!({ "enabled": false }), json!({ "enabled": true }), "tenant.disabled"),
        (json!({ "status": "Inactive" }), json!({ "status": "Active" }), "tenant.disabled"),
        (json!({ "listed": false }), json!({ "listed": true }), "tenant.missing"),
        (json!({ "bearer": false }), json!({ "bearer": true }), "tenant.not_shared"),
    ];
    for (trouble, mended, expected) in cases {
        order(&running, "2222", &trouble);
        for arguments in ["", "--full --allow-mass-change"] {
            let (code, message) = failed(&place, arguments);
            assert_eq!(code, expected, "{message}");
            assert!(message.contains("2222"), "{message}");
        }
        let checked = place.answer(&format!("sources check {NAME}")).exits(1);
        assert!(checked.stdout.contains("2222"), "{checked}");
        assert_eq!((place.export(NAME), place.changes(NAME)), (roster.clone(), feed.clone()));
        order(&running, "2222", &mended);
    }
    // The key of the server itself is another matter.
    let text = fs::read_to_string(place.path("rollcall.toml")).unwrap();
    fs::write(place.path("rollcall.toml"), text.replace("\"proxy\"", "\"direct\"")).unwrap();
    order(&running, "2222", &json!({ "shares_key": false }));
    let (code, message) = failed(&place, "");
    assert_eq!(code, "tenant.not_shared");
    assert!(message.contains("`mode = \"proxy\"`"), "{message}");
    order(&running, "2222", &json!({ "shares_key": true }));
    assert_eq!(total(&synced(&place, ""), "unchanged"), total(&synced(&place, "--full"), "received"));
    assert_eq!(place.changes(NAME), feed);
}

#[test]
fn whatever_goes_wrong_in_mid_pull_ends_in_the_roster_or_in_a_failed_run_with_nothing_applied() {
    for mode in ["proxy", "direct"] {
        let place = Place::new(Engine::Sqlite);
        let more = "page_size = 40\n";
        let running = simulate(&place, &format!("--students 100 --seed 5 --mode {mode}"), more);
        let _ = synced(&place, "");
        let arm = |kind: &str, times: u32, extra: &Value| {
            let mut order = json!({ "kind": kind, "times": times, "collection": "users", "after": 1 });
            order.as_object_mut().unwrap().extend(extra.as_object().cloned().unwrap_or_default());
            let _ = running.control("POST", "/fault", &order);
        };

        // Once: the pull goes on, or begins again.
        let _ = running.control("POST", "/advance", &json!({ "churn": 0.05 }));
        arm("moved_revision", 1, &Value::Null);
        arm("rate_limited", 1, &json!({ "after": 2 }));
        arm("missing_envelope", 1, &json!({ "collection": "classes", "after": 0 }));
        arm("truncated", 1, &json!({ "collection": "enrollments" }));
        if mode == "proxy" {
            arm("expired_token", 1, &json!({ "collection": "courses", "after": 0 }));
        }
        let _ = synced(&place, "--full");
        arm("rate_limited", 1, &json!({ "retry_after": 1 }));
        let _ = synced(&place, "--full");
        assert_eq!(running.control("GET", "/fault", &Value::Null)["armed"], json!([]), "each of them struck");
        let roster = read_afresh(&running, more);
        assert_same(&place.export(NAME), &roster, mode);

        // Time and again: nothing is applied.
        let _ = running.control("POST", "/advance", &json!({ "churn": 0.05 }));
        let feed = place.changes(NAME);
        let lasting = [
            ("moved_revision", Value::Null, "source.moving"),
            ("missing_envelope", Value::Null, "envelope.missing"),
            ("rate_limited", json!({ "retry_after": 3600 }), "rate_limited"),
            ("short_page", Value::Null, "pull.short"),
            ("empty_collection", json!({ "after": 0 }), "collection.empty"),
            ("expired_token", Value::Null, "unauthorized"),
        ];
        for (kind, extra, expected) in lasting {
            arm(kind, 1000, &extra);
            let (code, message) = failed(&place, "--full");
            assert_eq!(code, expected, "{kind}: {message}");
            arm(kind, 0, &Value::Null);
            assert!(place.changes(NAME) == feed, "{kind}: something was applied");
            assert_same(&place.export(NAME), &roster, kind);
        }
        let report = synced(&place, "");
        assert_eq!(report["mode"], "incremental", "{report:#}");
        assert_same(&place.export(NAME), &read_afresh(&running, more), "once it is over");
    }
}

#[test]
fn a_source_is_told_what_it_lacks() {
    let place = Place::new(Engine::Sqlite);
    let running = simulate(&place, "--students 20", "");
    let text = running.config_text().replace("tenant = \"2222\"\n", "");
    fs::write(place.path("rollcall.toml"), &text).unwrap();
    let unsaid = place.answer(&format!("sync {NAME}")).exits(2);
    assert!(unsaid.stderr.contains("`rollcall.toml` line 1, column 1: "), "{unsaid}");
    // Nothing was synced, and yet there is something to list.
    assert_eq!(place.json("sources list")["sources"][0]["name"], NAME);
    let nothing = place.answer("sync").exits(2);
    assert!(nothing.stderr.contains("`--all`"), "{nothing}");
    assert!(unsaid.stderr.contains(&format!("rollcall sources discover {NAME}")), "{unsaid}");
    let found = place.json(&format!("sources discover {NAME}"));
    assert_eq!(found["tenants"][0]["details"], json!({ "application": "Rollcall", "status": "Active" }));

    let direct = Running::start(&place, "classlink --students 20 --mode direct");
    configure(&place, &direct, "");
    let refused = place.answer(&format!("sources discover {NAME}")).exits(2);
    assert!(refused.stderr.contains("`partner_key`"), "{refused}");
}
