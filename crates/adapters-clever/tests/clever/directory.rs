//! The districts of an application: listed, described, made into sources.

use std::fmt::Write as _;
use std::sync::Arc;

use rollcall_adapters_clever::{CleverCredentials, CleverDirectory};
use rollcall_domain::ports::{RosterSource, TenantDirectory};
use serde_json::json;
use wiremock::ResponseTemplate;

use crate::harness::{Clever, DISTRICT, LOGIN_ONLY, SECURE_SYNC, TOKEN, token_row};

const LOGINS: &str = "5d0a9e5d0958b300014e49d2";
const BROKEN: &str = "6d0a9e5d0958b300014e49d3";

async fn three_districts() -> Clever {
    let clever = Clever::fixture().await;
    clever.behaviour.lock().unwrap().tokens = vec![
        token_row(BROKEN, "revoked", &SECURE_SYNC),
        token_row(LOGINS, "logins", &LOGIN_ONLY),
        token_row(DISTRICT, TOKEN, &SECURE_SYNC),
    ];
    clever.script(|asked, _| {
        let is_of_logins = asked.authorization == "Bearer logins" && asked.path == "districts";
        is_of_logins.then(|| {
            let district = json!({"id": LOGINS, "name": "Logins Only", "state": "running"});
            ResponseTemplate::new(200).set_body_json(json!({"data": [{"data": district}], "links": []}))
        })
    });
    clever
}

fn directory(clever: &Clever) -> CleverDirectory {
    CleverDirectory::new(clever.config.clone(), Arc::new(clever.clock.clone())).unwrap()
}

#[tokio::test]
async fn every_connected_district_is_listed_with_what_it_shares() {
    let clever = three_districts().await;
    let mut text = String::new();
    for tenant in directory(&clever).tenants().await.unwrap() {
        let _ = writeln!(text, "{} {}", tenant.id, tenant.name);
        for (name, value) in tenant.details {
            let _ = writeln!(text, "  {name}: {value}");
        }
        if let Some(why) = tenant.unusable {
            let _ = writeln!(text, "  unusable: {why}");
        }
    }
    let port = clever.server.address().port().to_string();
    insta::with_settings!({filters => vec![(r"; the server's clock is .*", "")]}, {
        insta::assert_snapshot!(text.replace(&port, "PORT"));
    });
    assert!(!text.contains(TOKEN) && !text.contains("revoked"), "{text}");
}

#[tokio::test]
async fn each_usable_district_becomes_a_source_and_vanished_ones_are_named() {
    let clever = three_districts().await;
    let known = [DISTRICT.to_owned(), "5e0000000000000000000000".to_owned()];
    let found = directory(&clever).sources(&known).await.unwrap();
    let districts: Vec<_> = found.sources.iter().map(|source| source.district.as_str()).collect();
    assert_eq!(districts, [DISTRICT, BROKEN]);
    assert_eq!(found.unusable.len(), 1);
    assert_eq!((found.unusable[0].district.as_str(), found.vanished), (LOGINS, vec![known[1].clone()]));

    let report = found.sources[0].source.check().await.unwrap();
    let facts: Vec<_> = report.facts.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    insta::assert_snapshot!(
        "check",
        facts.iter().filter(|fact| !fact.starts_with("clock")).cloned().collect::<Vec<_>>().join("\n")
    );

    assert_ne!(found.sources[0].source.describe().scope, found.sources[1].source.describe().scope);
    assert_eq!(found.sources[0].source.describe().scope, clever.source().describe().scope);
}

#[tokio::test]
async fn a_districts_token_opens_no_directory() {
    let mut clever = Clever::fixture().await;
    clever.config.credentials = CleverCredentials::DistrictToken(TOKEN.into());
    let error = CleverDirectory::new(clever.config.clone(), Arc::new(clever.clock.clone())).unwrap_err();
    assert_eq!(error.code(), "settings.invalid");
}
