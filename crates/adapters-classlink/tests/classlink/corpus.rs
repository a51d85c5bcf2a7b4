//! Answers that others wrote down. They are not part of the project: `ROLLCALL_CORPUS` names the folder they lie in. Their
//! vectors of signatures are tried where requests are signed.
//!
//! The snapshots hold shapes, counts and codes only.

use std::path::{Path, PathBuf};

use rollcall_domain::Kind;
use rollcall_domain::ports::TenantDirectory;
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use crate::harness::ClassLink;

#[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
fn corpus() -> Option<PathBuf> {
    let corpus = std::env::var_os("ROLLCALL_CORPUS").map(|folder| PathBuf::from(folder).join("classlink/synthetic"));
    if corpus.is_none() {
        println!("SKIPPED: ROLLCALL_CORPUS does not name the folder of recordings");
    }
    corpus
}

fn read(corpus: &Path, file: &str) -> Value {
    serde_json::from_slice(&std::fs::read(corpus.join(file)).unwrap()).unwrap()
}

/// The headers of a recorded answer, but for what belongs to the body on its way.
fn headers(corpus: &Path, file: &str) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(corpus.join(file)).unwrap();
    let headers = text.lines().filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()));
    headers.filter(|(name, _)| name != "content-type" && !name.ends_with("-count")).collect()
}

/// The names of the fields that are set, and none of their values.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), shape(value))).collect(),
        Value::Array(items) => json!(format!("{} items", items.len())),
        _ => json!("set"),
    }
}

/// A ClassLink that has what was written down.
async fn replaying(corpus: &Path) -> ClassLink {
    let mut classlink = ClassLink::fixture().await;
    let applications = read(corpus, "applications.json")["applications"].as_array().unwrap().clone();
    let (of_list, of_page) =
        (headers(corpus, "headers_applications.txt"), headers(corpus, "headers_collection_page.txt"));
    let bearer = applications[0]["bearer"].as_str().unwrap().to_owned();
    let base = format!("/{}/ims/", applications[0]["oneroster_application_id"].as_str().unwrap());
    classlink.config.tenant = Some(applications[0]["tenant_id"].to_string());
    let (users, classes) = (read(corpus, "users_page.json"), read(corpus, "classes_page.json"));
    classlink.change(|behaviour| {
        behaviour.applications = applications;
        behaviour.revision = None;
        behaviour.server = read(corpus, "application_server.json")["server"].clone();
        for (kind, page) in [("users", users), ("classes", classes)] {
            behaviour.data.insert(kind.to_owned(), page[kind].as_array().unwrap().clone());
        }
    });
    classlink.script(move |asked, behaviour| {
        let (answer, headers) = match asked.path.as_str() {
            "/applications" => (behaviour.honest(asked), &of_list),
            path if path.starts_with(&base) && asked.authorization == format!("Bearer {bearer}") => {
                (behaviour.page(asked), &of_page)
            }
            _ => return Some(ResponseTemplate::new(401)),
        };
        let with = |answer: ResponseTemplate, (name, value): &(String, String)| {
            answer.insert_header(name.as_str(), value.as_str())
        };
        Some(headers.iter().fold(answer, with))
    });
    classlink
}

#[tokio::test]
async fn the_recorded_answers_give_a_roster() {
    let Some(corpus) = corpus() else { return };
    let classlink = replaying(&corpus).await;
    let pulled = classlink.pull().await;
    let shapes = |kind| -> Vec<_> {
        pulled.of(kind).into_iter().map(|record| shape(&serde_json::to_value(record).unwrap())).collect()
    };
    let remarks = pulled.remarks();
    let remarks: Vec<_> = remarks.lines().map(|line| line.split(": ").next().unwrap()).collect();
    assert!(pulled.summary.cursor.as_ref().unwrap().0.contains("synthetic-rev-1"), "the revision is remembered");
    insta::assert_json_snapshot!(json!({
        "users": shapes(Kind::Users), "classes": shapes(Kind::Classes), "remarks": remarks,
    }));
}

#[tokio::test]
async fn the_recorded_list_has_one_tenant_that_can_be_synced() {
    let Some(corpus) = corpus() else { return };
    let classlink = replaying(&corpus).await;
    let tenants = classlink.directory().tenants().await.unwrap();
    let usable: Vec<_> = tenants.iter().map(|tenant| (tenant.id.as_str(), tenant.unusable.is_none())).collect();
    assert_eq!(usable, [("2222", true), ("2223", false), ("2224", false)]);

    let degraded = read(&corpus, "applications_degraded_200.json");
    classlink.script(move |_, _| Some(ResponseTemplate::new(200).set_body_json(&degraded)));
    assert_eq!(classlink.failure().await.code, "envelope.missing");
}
