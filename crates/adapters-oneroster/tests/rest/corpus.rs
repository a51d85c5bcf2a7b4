//! Payloads that others recorded. They are not part of the project: `ROLLCALL_CORPUS` names the folder they lie in.
//!
//! The snapshots hold shapes, counts and codes only.

use std::path::PathBuf;

use rollcall_adapters_oneroster::RestVersion;
use rollcall_domain::Kind;
use rollcall_domain::ports::Item;
use serde_json::{Value, json};

use crate::harness::{Service, payloads};

#[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
fn corpus() -> Option<PathBuf> {
    let corpus = std::env::var_os("ROLLCALL_CORPUS").map(|folder| PathBuf::from(folder).join("oneroster"));
    if corpus.is_none() {
        println!("SKIPPED: ROLLCALL_CORPUS does not name the folder of payloads");
    }
    corpus
}

/// The names of the fields that are set, and none of their values.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), shape(value))).collect(),
        Value::Array(items) => json!(format!("{} items", items.len())),
        _ => json!("set"),
    }
}

#[tokio::test]
async fn what_the_recorded_payloads_of_1_2_give() {
    let Some(corpus) = corpus() else { return };
    let mut given = serde_json::Map::new();
    for folder in ["I", "U"] {
        let mut data = payloads(&corpus.join("1EdTechJapan-DA2022").join(folder));
        for kind in Kind::ALL {
            data.entry(kind.as_str().to_owned()).or_default();
        }
        let pulled = Service::with(RestVersion::V1_2, data).await.pull().await;
        let records: Vec<_> =
            pulled.records().into_iter().map(|record| shape(&serde_json::to_value(record).unwrap())).collect();
        let remarks: Vec<_> = pulled
            .items
            .iter()
            .filter_map(|item| match item {
                Item::Warning(warning) => Some(("warning", &warning.finding)),
                Item::Reject(reject) => Some(("reject", &reject.findings[0])),
                _ => None,
            })
            .map(|(what, finding)| format!("{what} {} {}", finding.code, finding.field.as_deref().unwrap_or("-")))
            .collect();
        given.insert(folder.to_owned(), json!({"records": records, "remarks": remarks}));
    }
    insta::assert_json_snapshot!(given);
}
