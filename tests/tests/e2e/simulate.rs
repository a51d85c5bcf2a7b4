//! The simulated vendors, as programs.

use std::collections::BTreeSet;
use std::io::ErrorKind;

use rollcall_tests::{Engine, Package, Place};
use serde_json::{Value, json};

use crate::vendor::{Running, json_of};

/// The standard alphabet, padded: RFC 4648 section 4.
fn base64_of(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[test]
fn a_simulated_vendor_says_where_it_is_and_ends_on_ctrl_c() {
    let place = Place::new(Engine::Sqlite);
    let running = Running::start(&place, "oneroster --students 60 --seed 3 --version 1.1 --auth bearer");
    assert!(running.base_url().ends_with("/ims/oneroster/v1p1"));
    let source = running.config()["source"][0].clone();
    assert_eq!(source["base_url"].as_str(), Some(running.base_url()));
    assert_eq!(source["kind"].as_str(), Some("oneroster-rest"));
    assert!(running.send("GET", "/users", "", "").unwrap().starts_with("HTTP/1.1 401 "));

    // The district is the one that `generate` writes.
    let _ = place.answer("generate written --students 60 --seed 3 --version 1.1").exits(0);
    let mut reader = csv::Reader::from_path(place.path("written").join("orgs.csv")).unwrap();
    let mut written: Vec<_> = reader.records().map(|row| row.unwrap()[0].to_owned()).collect();
    written.sort();
    let served = json_of(&running.get("/orgs?fields=sourcedId").unwrap());
    let served: Vec<_> =
        served["orgs"].as_array().unwrap().iter().map(|org| org["sourcedId"].as_str().unwrap()).collect();
    assert_eq!(served, written);

    let advanced = json_of(&running.send("POST", "/_sim/advance", "", "{\"churn\": 0.1}").unwrap());
    assert_eq!(advanced["generation"], 1);
    let _ = json_of(&running.send("POST", "/_sim/fault", "", "{\"kind\": \"reset\", \"times\": 1}").unwrap());
    assert_eq!(running.get("/orgs").unwrap_err().kind(), ErrorKind::ConnectionReset);
    let _ = json_of(&running.send("POST", "/_sim/fault", "", "{\"kind\": \"truncated\", \"times\": 1}").unwrap());
    let broken = running.get("/orgs").unwrap();
    let (head, body) = broken.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && serde_json::from_str::<Value>(body).is_err());
    let status = json_of(&running.send("GET", "/_sim/status", "", "").unwrap());
    assert_eq!(status["requests"], 3);

    let secret = source["auth"]["token"]["file"].as_str().unwrap().to_owned();
    assert_eq!(running.interrupt(), Some(0));
    assert!(!std::path::Path::new(&secret).exists());
}

#[test]
fn a_package_is_served_in_its_own_version() {
    let place = Place::new(Engine::Sqlite);
    Package::small().write(&place.path("small"));
    std::fs::write(place.path("token"), "sesame\n").unwrap();
    let running = Running::start(&place, "oneroster --data small --auth bearer --secret-file token");
    let class = json_of(&running.send("GET", "/classes/c1", "Authorization: Bearer sesame\r\n", "").unwrap());
    assert_eq!(class["class"]["title"], "Mathematics 4a");
    assert_eq!(class["class"]["periods"], json!(["1"]));

    let answer = place.answer("simulate oneroster --data small --version 1.2").exits(2);
    assert!(answer.stderr.contains("1.1, not 1.2"), "{}", answer.stderr);
    let _ = place.answer("simulate oneroster --students 5 --auth oauth1").exits(2);
    let _ = place.answer("simulate oneroster --data nowhere").exits(1);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the simulator's clock is compared with the machine's")]
fn a_simulated_clever_says_how_to_reach_its_districts() {
    let place = Place::new(Engine::Sqlite);
    let running = Running::start(&place, "clever --students 60 --seed 3 --districts 2 --days-ago 40");
    let source = running.config()["source"][0].clone();
    assert_eq!((source["kind"].as_str(), source["districts"].as_str()), (Some("clever"), Some("all")));
    assert!(running.base_url().ends_with("/v3.1"));
    assert_eq!(source["api_url"].as_str().map(|url| format!("{url}/v3.1")).as_deref(), Some(running.base_url()));

    let secret = std::fs::read_to_string(source["client_secret"]["file"].as_str().unwrap()).unwrap();
    let basic = base64_of(&format!("{}:{secret}", source["client_id"].as_str().unwrap()));
    let tokens = "/oauth/tokens?owner_type=district";
    let tokens = json_of(&running.send_to(tokens, "GET", &format!("Authorization: Basic {basic}\r\n"), "").unwrap());
    let rows = tokens["data"].as_array().unwrap().clone();
    assert_eq!(rows.len(), 2);
    for (row, seed) in rows.iter().zip([3, 4]) {
        let bearer = format!("Authorization: Bearer {}\r\n", row["access_token"].as_str().unwrap());
        let schools = json_of(&running.send("GET", "/schools", &bearer, "").unwrap());
        let written = format!("written-{seed}");
        let _ = place.answer(&format!("generate {written} --students 60 --seed {seed}")).exits(0);
        let mut reader = csv::Reader::from_path(place.path(&written).join("orgs.csv")).unwrap();
        let rows = reader.records().map(Result::unwrap);
        let written = rows.filter(|row| &row[4] == "school").map(|row| row[0].to_owned()).collect::<BTreeSet<_>>();
        let served = schools["data"].as_array().unwrap().iter();
        let served = served.map(|item| item["data"]["sis_id"].as_str().unwrap().to_owned()).collect::<BTreeSet<_>>();
        assert_eq!(served, written);
        let event = json_of(&running.send("GET", "/events", &bearer, "").unwrap())["data"][0]["data"].clone();
        let minted = i64::from_str_radix(&event["id"].as_str().unwrap()[..8], 16).unwrap();
        let age = jiff::Timestamp::now().as_second() - minted;
        assert!((40..41).contains(&(age / 86_400)), "{age} seconds");
    }
    let advanced = json_of(&running.send("POST", "/_sim/advance", "", "{\"churn\": 0.1}").unwrap());
    assert_eq!(advanced["generation"], 1);
    let paused = json_of(&running.send_to("/_sim/district", "POST", "", "{\"state\": \"paused\"}").unwrap());
    assert_eq!(paused["districts"][1]["state"], "paused");
    assert_eq!(running.interrupt(), Some(0));

    let running = Running::start(&place, "clever --students 60 --auth district-token --api-version 3.0");
    let source = running.config()["source"][0].clone();
    let token = std::fs::read_to_string(source["district_token"]["file"].as_str().unwrap()).unwrap();
    let bearer = format!("Authorization: Bearer {token}\r\n");
    let districts = json_of(&running.send("GET", "/districts", &bearer, "").unwrap());
    assert!(districts["data"][0]["uri"].as_str().unwrap().starts_with("/v3.0/districts/"));
}

#[test]
fn a_simulated_classlink_lists_its_tenants_and_passes_on_to_each() {
    let place = Place::new(Engine::Sqlite);
    let running = Running::start(&place, "classlink --students 60 --seed 3 --tenants 3");
    let source = running.config()["source"][0].clone();
    assert_eq!((source["kind"].as_str(), source["tenants"].as_str()), (Some("classlink"), Some("all")));
    assert_eq!(source["proxy_url"].as_str(), Some(running.base_url()));
    let bearer = |token: &str| format!("Authorization: Bearer {token}\r\n");
    let key = std::fs::read_to_string(source["partner_key"]["file"].as_str().unwrap()).unwrap();
    let listed = json_of(&running.send_to("/applications?limit=1000", "GET", &bearer(&key), "").unwrap());
    let applications = listed["applications"].as_array().unwrap();
    assert_eq!(applications.len(), 3);
    for application in applications {
        let id = application["oneroster_application_id"].as_str().unwrap();
        let path = format!("/{id}/ims/oneroster/v1p1/schools?limit=1");
        let answer = running.send_to(&path, "GET", &bearer(application["bearer"].as_str().unwrap()), "").unwrap();
        assert!(answer.to_ascii_lowercase().contains("\r\nx-perm-rev: "), "{answer}");
        assert_eq!(json_of(&answer)["orgs"].as_array().unwrap().len(), 1);
    }
    let moved = json_of(&running.send_to("/_sim/advance", "POST", "", "").unwrap());
    assert_eq!(moved["generation"], 1);
    assert_eq!(running.interrupt(), Some(0));

    let running = Running::start(&place, "classlink --students 60 --mode direct");
    let source = running.config()["source"][0].clone();
    assert_eq!(source["base_url"].as_str(), Some(running.base_url()));
    assert!(source["consumer_secret"]["file"].is_str() && running.base_url().ends_with("/ims/oneroster/v1p1"));
    assert!(running.send("GET", "/users", "", "").unwrap().starts_with("HTTP/1.1 401 "));
}
