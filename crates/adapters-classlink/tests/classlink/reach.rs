//! How a tenant's server is reached: the way, the address, the credentials, and what is said where there is none.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use rollcall_adapters_classlink::{ClassLinkAccess, ClassLinkSource, Mode, ServerAuth};
use rollcall_adapters_http::SignatureMethod;
use rollcall_domain::Kind;
use rollcall_domain::ports::{RosterSource, SourceFailure};
use serde_json::json;
use wiremock::ResponseTemplate;

use crate::harness::{
    APPLICATION, Asked, BEARER, CONSUMER_SECRET, ClassLink, PARTNER_KEY, application, request, unauthorized,
};

impl ClassLink {
    /// Goes to the server itself, which the list names.
    fn directly(mut self) -> Self {
        self.config.access = ClassLinkAccess::Partner { partner_key: PARTNER_KEY.into(), mode: Mode::Direct };
        self
    }

    /// Goes to the server itself, which the settings name.
    fn by_key(mut self, path: &str) -> Self {
        self.config.access = ClassLinkAccess::Consumer {
            base_url: format!("{}{path}", self.server.uri()).parse().unwrap(),
            consumer_key: "0123456789abcdef01234567".to_owned(),
            consumer_secret: CONSUMER_SECRET.into(),
        };
        self
    }

    fn rosters(&self) -> Vec<Asked> {
        self.asked().into_iter().filter(|asked| asked.path.contains("/ims/")).collect()
    }
}

#[tokio::test]
async fn the_id_of_the_application_goes_into_the_path_as_it_is_listed() {
    let mut classlink = ClassLink::fixture().await;
    let listed = classlink.pull().await;
    let asked = classlink.rosters();
    assert!(asked.len() >= Kind::ALL.len());
    for asked in asked {
        assert!(asked.path.starts_with("/%2FgVa0ed75Gs%3D/ims/oneroster/v1p1/"), "{}", asked.path);
        assert_eq!(asked.authorization, format!("Bearer {BEARER}"));
        assert_eq!((asked.query["sort"].as_str(), asked.query["orderBy"].as_str()), ("sourcedId", "asc"));
        assert!(!asked.query["fields"].contains("password"), "{:?}", asked.query);
    }
    // The same, handed over by somebody, without the list.
    classlink.config.access = ClassLinkAccess::Bearer { application_id: APPLICATION.to_owned(), bearer: BEARER.into() };
    let given = classlink.pull().await;
    for kind in Kind::ALL {
        assert_eq!(given.of(kind), listed.of(kind));
    }
    assert_eq!(classlink.asked_for("/applications"), 0);
    let double = ClassLinkAccess::Bearer { application_id: "%252FgVa0ed75Gs%253D".to_owned(), bearer: BEARER.into() };
    classlink.config.access = double;
    let error =
        ClassLinkSource::new(classlink.config.clone(), std::sync::Arc::new(classlink.clock.clone())).unwrap_err();
    insta::assert_snapshot!(error, @"the application id `%252FgVa0ed75Gs%253D` is percent-encoded twice; it has to stand as ClassLink lists it");
}

#[tokio::test]
async fn a_bearer_that_was_replaced_is_read_from_the_list_once() {
    let classlink = ClassLink::fixture().await;
    classlink.script(|asked, behaviour| {
        if asked.collection == "classes" && behaviour.valid == BEARER {
            "another".clone_into(&mut behaviour.valid);
            behaviour.applications[0]["bearer"] = json!("another");
        }
        None
    });
    let pulled = classlink.pull().await;
    assert_eq!(pulled.of(Kind::Users).len(), 5);
    let asked = classlink.asked();
    let lists = asked.iter().filter(|asked| asked.collection == "applications").count();
    assert_eq!(lists, 6, "a page and its end before the first request, and again after the refusal");
    let users: Vec<_> = asked.iter().filter(|asked| asked.collection == "users").collect();
    assert!(users.iter().all(|asked| asked.authorization == "Bearer another"));
}

#[tokio::test]
async fn a_refusal_that_the_list_does_not_explain_stops_the_pull() {
    let classlink = ClassLink::fixture().await;
    classlink.script(|asked, _| (asked.collection == "classes").then(unauthorized));
    let error = classlink.failure().await;
    assert_eq!((error.code.as_str(), error.failure), ("unauthorized", SourceFailure::Permanent));
    insta::assert_snapshot!(error.message);
    assert_eq!(classlink.asked_for("/classes"), 1, "it is not tried again with what was refused");

    // Gone, switched off or moved in the midst of it.
    let cases = [
        json!([]),
        json!([{"tenant_id": 2222, "enabled": "false", "tenant_status": "Active", "bearer": BEARER,
            "oneroster_application_id": APPLICATION}]),
        json!([application(2222, "another%3D", Some("another"))]),
    ];
    let mut told = Vec::new();
    for listed in cases {
        let classlink = ClassLink::fixture().await;
        classlink.script(move |asked, behaviour| {
            (asked.collection == "classes").then(|| {
                behaviour.applications.clone_from(listed.as_array().unwrap());
                unauthorized()
            })
        });
        let error = classlink.failure().await;
        told.push(format!("{}: {}", error.code, error.message));
    }
    insta::assert_snapshot!("stopped_in_the_midst", told.join("\n"));
}

#[tokio::test]
async fn a_tenant_that_is_missing_switched_off_or_not_shared_stops_with_a_word_about_it() {
    let changed = |key: &str, value: serde_json::Value| {
        let mut application = application(2222, APPLICATION, Some(BEARER));
        application[key] = value;
        vec![application]
    };
    let cases = [
        vec![application(2223, APPLICATION, Some(BEARER))],
        changed("enabled", json!("false")),
        changed("tenant_status", json!("Inactive")),
        changed("bearer", json!(null)),
        changed("bearer", json!("")),
        changed("oneroster_application_id", json!("")),
        [changed("id", json!(1)), vec![application(2222, "another%3D", Some("another"))]].concat(),
    ];
    let mut told = Vec::new();
    for listed in cases {
        let classlink = ClassLink::fixture().await;
        classlink.change(|behaviour| behaviour.applications = listed);
        let error = classlink.failure().await;
        assert_eq!(error.failure, SourceFailure::Permanent);
        assert!(classlink.rosters().is_empty(), "nothing of the roster is asked for");
        assert!(classlink.source().check().await.is_err());
        told.push(format!("{}: {}", error.code, error.message));
    }
    insta::assert_snapshot!(told.join("\n"));
}

#[tokio::test]
async fn a_server_that_the_list_names_is_asked_with_signed_requests() {
    let classlink = ClassLink::fixture().await.directly();
    classlink.change(|behaviour| behaviour.applications[0]["bearer"] = json!(null));
    classlink.pull().await;
    assert_eq!(classlink.asked_for(&format!("/applications/{APPLICATION}/server")), 1);
    let asked = classlink.rosters();
    let mut nonces = BTreeSet::new();
    for asked in &asked {
        assert!(asked.path.starts_with("/ims/oneroster/v1p1/"));
        let header = &asked.authorization;
        for part in ["oauth_consumer_key=\"0123456789abcdef01234567\"", "HMAC-SHA256", "oauth_version=\"1.0\""] {
            assert!(header.contains(part), "{header}");
        }
        nonces.insert(header.split("oauth_nonce=\"").nth(1).unwrap().split('"').next().unwrap().to_owned());
    }
    assert_eq!(nonces.len(), asked.len(), "each request is signed anew");

    for server in [
        json!({"client_id": "k", "client_secret": "", "endpoint_url": classlink.server.uri()}),
        json!({"client_id": "", "client_secret": "s", "endpoint_url": classlink.server.uri()}),
        json!({"client_id": "k", "client_secret": "s", "endpoint_url": ""}),
    ] {
        classlink.change(|behaviour| behaviour.server = server);
        let error = classlink.failure().await;
        assert_eq!((error.code.as_str(), error.failure), ("tenant.not_shared", SourceFailure::Permanent));
    }
}

#[tokio::test]
async fn a_server_is_found_with_the_path_or_without_it_and_signed_for_as_it_wants() {
    for path in ["", "/", "/ims/oneroster/v1p1", "/ims/oneroster/v1p1/"] {
        let mut classlink = ClassLink::fixture().await.by_key(path);
        classlink.config.server_auth = ServerAuth::OAuth1 { signature: SignatureMethod::HmacSha1, with_version: false };
        classlink.pull().await;
        let asked = classlink.asked();
        assert!(asked.len() >= Kind::ALL.len());
        for asked in asked {
            assert!(asked.path.starts_with("/ims/oneroster/v1p1/"), "{}", asked.path);
            assert!(asked.authorization.contains("HMAC-SHA1"), "{}", asked.authorization);
            assert!(!asked.authorization.contains("oauth_version"), "{}", asked.authorization);
        }
    }
}

#[tokio::test]
async fn a_key_that_is_refused_is_not_looked_up_again() {
    let classlink = ClassLink::fixture().await.directly();
    classlink.script(|asked, _| asked.path.starts_with("/ims/").then(unauthorized));
    let error = classlink.failure().await;
    assert_eq!((error.code.as_str(), error.failure), ("unauthorized", SourceFailure::Permanent));
    assert_eq!(classlink.rosters().len(), 1);
}

#[tokio::test]
async fn client_credentials_are_used_where_they_are_switched_on_and_nowhere_else() {
    let mut classlink = ClassLink::fixture().await.by_key("");
    classlink.pull().await;
    assert_eq!(classlink.asked_for("/token"), 0);
    classlink.config.server_auth = ServerAuth::OAuth2 { token_url: None };
    classlink.script(|asked, behaviour| match asked.path.as_str() {
        "/token" => Some(ResponseTemplate::new(200).set_body_json(json!({"access_token": "t0ken"}))),
        path if path.starts_with("/ims/") => {
            Some(if asked.authorization == "Bearer t0ken" { behaviour.page(asked) } else { unauthorized() })
        }
        _ => None,
    });
    classlink.asked();
    let pulled = classlink.pull().await;
    assert_eq!(pulled.of(Kind::Users).len(), 5);
    let asked = classlink.asked();
    assert_eq!((asked[0].path.as_str(), asked[0].authorization.split(' ').next()), ("/token", Some("Basic")));
    let body = classlink.server.received_requests().await.unwrap();
    let body = body.iter().find(|request| request.url.path() == "/token").unwrap();
    assert_eq!(String::from_utf8_lossy(&body.body), "grant_type=client_credentials");
    assert_eq!(asked.iter().filter(|asked| asked.path == "/token").count(), 1);
}

#[tokio::test]
async fn a_check_names_the_tenant_and_says_what_is_seen() {
    let classlink = ClassLink::fixture().await;
    let report = classlink.source().check().await.unwrap();
    let facts: Vec<_> = report
        .facts
        .iter()
        .filter(|(name, _)| name != "clock")
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    insta::assert_snapshot!(classlink.plain(&facts.join("\n")));
}

#[tokio::test]
async fn r9_the_scope_tells_tenants_and_ways_apart_and_not_bearers_or_secrets() {
    let scope = |classlink: &ClassLink| classlink.source().describe().scope;
    let mut classlink = ClassLink::fixture().await;
    let listed = scope(&classlink);
    classlink.config.access = ClassLinkAccess::Partner { partner_key: "renewed".into(), mode: Mode::Proxy };
    classlink.config.roster.page_size = 77;
    assert_eq!(scope(&classlink), listed);
    let mut scopes = vec![listed];
    classlink.config.tenant = Some("2223".to_owned());
    scopes.push(scope(&classlink));
    classlink.config.roster.filters.insert(Kind::Users, "role='student'".to_owned());
    scopes.push(scope(&classlink));
    classlink.config.roster.credential = "another variable".to_owned();
    scopes.push(scope(&classlink));
    classlink = classlink.directly();
    scopes.push(scope(&classlink));
    classlink = classlink.by_key("");
    scopes.push(scope(&classlink));
    classlink.config.tenant = None;
    scopes.push(scope(&classlink));
    for (position, scope) in scopes.iter().enumerate() {
        assert!(!scopes[..position].contains(scope), "{position}");
    }
}

#[tokio::test]
async fn nothing_secret_is_shown() {
    let mut classlink = ClassLink::fixture().await;
    let mut shown = format!("{:?} {:?} {:?}", classlink.source(), classlink.directory(), classlink.config);
    classlink.script(|asked, _| (asked.collection == "users").then(unauthorized));
    shown.push_str(&classlink.failure().await.to_string());
    classlink = classlink.by_key("");
    let _ = write!(shown, "{:?} {:?}", classlink.source(), classlink.source().describe());
    classlink.config.access = ClassLinkAccess::Bearer { application_id: APPLICATION.to_owned(), bearer: BEARER.into() };
    let _ = write!(shown, "{:?} {:?}", classlink.source(), classlink.source().describe());
    for secret in [PARTNER_KEY, BEARER, CONSUMER_SECRET] {
        assert!(!shown.contains(secret), "{shown}");
    }
    classlink.config.access = ClassLinkAccess::Partner { partner_key: PARTNER_KEY.into(), mode: Mode::Proxy };
    classlink.config.tenant = None;
    let error =
        ClassLinkSource::new(classlink.config.clone(), std::sync::Arc::new(classlink.clock.clone())).unwrap_err();
    assert!(error.to_string().contains("`tenant` is missing"), "{error}");
}

#[tokio::test]
async fn no_more_than_ten_thousand_records_are_asked_for_at_once() {
    let mut classlink = ClassLink::fixture().await;
    classlink.config.roster.page_size = 50_000;
    classlink.try_pull(request(None)).await.unwrap();
    assert!(classlink.rosters().iter().all(|asked| asked.query["limit"] == "10000"));
}

#[tokio::test]
async fn a_bearer_that_comes_back_in_the_words_of_a_failure_is_struck() {
    let classlink = ClassLink::fixture().await;
    classlink.script(|asked, _| {
        // So far on that it would be cut in two.
        let words = format!("{}{}", "no luck with ".repeat(14), asked.authorization);
        let body = serde_json::json!({"imsx_codeMajor": "failure", "imsx_description": words});
        (asked.collection != "applications").then(|| ResponseTemplate::new(200).set_body_json(body))
    });
    let error = classlink.failure().await;
    assert_eq!(error.code, "server_error");
    assert!(error.message.contains("no luck") && !error.message.contains(&BEARER[..6]), "{}", error.message);
}
