//! Credentials: exchanged, configured, expired, and good for logins only.

use rollcall_adapters_clever::{CleverCredentials, CleverSource};
use rollcall_domain::ports::{RosterSource, SourceFailure};
use std::sync::Arc;

use crate::harness::{Clever, DISTRICT, LOGIN_ONLY, SECRET, TOKEN, request, token_row};

#[tokio::test]
async fn a_token_that_clever_has_replaced_is_fetched_again_once() {
    let clever = Clever::fixture().await;
    let source = clever.source();
    let pull = |source: CleverSource| async move {
        struct Nowhere;
        #[async_trait::async_trait]
        impl rollcall_domain::ports::BatchSink for Nowhere {
            async fn push(
                &mut self,
                _: Vec<rollcall_domain::ports::Item>,
            ) -> Result<(), rollcall_domain::ports::SinkClosed> {
                Ok(())
            }
        }
        source.pull(&request(None), Box::new(Nowhere)).await
    };
    pull(source.clone()).await.unwrap();
    {
        let mut behaviour = clever.behaviour.lock().unwrap();
        behaviour.tokens = vec![token_row(DISTRICT, "another", &crate::harness::SECURE_SYNC)];
        "another".clone_into(&mut behaviour.valid);
    }
    pull(source.clone()).await.unwrap();

    // Clever's list and its API disagree: there is nothing more to try.
    "a third".clone_into(&mut clever.behaviour.lock().unwrap().valid);
    clever.asked();
    let error = pull(source).await.unwrap_err();
    assert_eq!((error.code.as_str(), error.failure), ("unauthorized", SourceFailure::Permanent));
    let asked = clever.asked();
    let fetched = asked.iter().filter(|asked| asked.starts_with("oauth/tokens")).count();
    assert_eq!(fetched, 2, "before the first request, and after the refusal: {asked:?}");
}

#[tokio::test]
async fn a_token_for_logins_stops_the_pull_with_a_word_about_it() {
    let clever = Clever::fixture().await;
    clever.behaviour.lock().unwrap().tokens = vec![token_row(DISTRICT, TOKEN, &LOGIN_ONLY)];
    let error = clever.try_pull(request(None)).await.unwrap_err();
    assert_eq!(error.code, "scopes.insufficient");
    insta::assert_snapshot!(error.message);
    assert_eq!(clever.asked().len(), 1, "nothing is asked with it");
    let report = clever.source().check().await.unwrap();
    assert_eq!(report.problems.len(), 1);
}

#[tokio::test]
async fn a_district_that_is_not_connected_any_more_is_an_error_and_no_empty_roster() {
    let clever = Clever::fixture().await;
    clever.behaviour.lock().unwrap().tokens.clear();
    let error = clever.try_pull(request(None)).await.unwrap_err();
    assert_eq!((error.code.as_str(), error.failure), ("district.disconnected", SourceFailure::Permanent));
    insta::assert_snapshot!(error.message);
}

#[tokio::test]
async fn a_configured_token_is_used_and_held_against_the_configured_district() {
    let mut clever = Clever::fixture().await;
    clever.config.credentials = CleverCredentials::DistrictToken(TOKEN.into());
    assert!(clever.pull().await.is_full());
    assert!(!clever.asked().iter().any(|asked| asked.starts_with("oauth/tokens")));
    clever.config.district = Some("58da8a43cc70ab00017affff".to_owned());
    let error = clever.try_pull(request(None)).await.unwrap_err();
    assert_eq!(error.code, "district.other");
    clever.config.district = None;
    assert!(clever.pull().await.is_full());
}

#[tokio::test]
async fn the_scope_tells_districts_and_applications_apart_and_not_tokens_or_secrets() {
    let mut clever = Clever::fixture().await;
    let digest = |clever: &Clever| clever.source().describe().scope;
    let first = digest(&clever);
    assert_eq!(first, digest(&clever));
    clever.config.credentials =
        CleverCredentials::Application { client_id: "app".to_owned(), client_secret: "another".into() };
    assert_eq!(first, digest(&clever), "a renewed secret sees the same");
    clever.config.district = Some("58da8a43cc70ab00017affff".to_owned());
    assert_ne!(first, digest(&clever));
    clever.config.district = Some(DISTRICT.to_owned());
    clever.config.credentials =
        CleverCredentials::Application { client_id: "other".to_owned(), client_secret: SECRET.into() };
    assert_ne!(first, digest(&clever));
}

#[tokio::test]
async fn nothing_secret_is_shown() {
    let mut clever = Clever::fixture().await;
    let shown = format!("{:?} {:?}", clever.source(), clever.source().config());
    assert!(!shown.contains(SECRET), "{shown}");
    clever.config.credentials = CleverCredentials::DistrictToken(TOKEN.into());
    let shown = format!("{:?} {:?}", clever.source(), clever.source().describe());
    assert!(!shown.contains(TOKEN), "{shown}");
    clever.config.credentials =
        CleverCredentials::Application { client_id: "app".to_owned(), client_secret: SECRET.into() };
    clever.config.district = None;
    let error = CleverSource::new(clever.config.clone(), Arc::new(clever.clock.clone())).unwrap_err();
    assert!(error.to_string().contains("`district` is missing"), "{error}");
}
