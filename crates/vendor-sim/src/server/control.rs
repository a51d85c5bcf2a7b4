//! `/_sim`: what whoever tests against a simulated vendor asks of it.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{FaultOrder, Vendor};
use crate::district::Churn;

pub(super) fn routes(vendor: Arc<dyn Vendor>) -> Router {
    Router::new()
        .route("/advance", post(advance))
        .route("/fault", post(arm).get(armed))
        .route("/status", get(status))
        .with_state(Arc::clone(&vendor))
        .merge(vendor.controls())
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct AdvanceOrder {
    churn: Option<f64>,
}

async fn advance(State(vendor): State<Arc<dyn Vendor>>, body: Bytes) -> Response {
    let order = if body.is_empty() { Ok(AdvanceOrder::default()) } else { serde_json::from_slice(&body) };
    let churn = match order.map(|order: AdvanceOrder| order.churn.map(Churn::new).transpose()) {
        Ok(Ok(churn)) => churn,
        Ok(Err(error)) => return refused(StatusCode::BAD_REQUEST, &error),
        Err(error) => return refused(StatusCode::BAD_REQUEST, &error),
    };
    // Making a generation takes seconds for a large district.
    match tokio::task::spawn_blocking(move || vendor.advance(churn)).await {
        Ok(Ok(done)) => answer(StatusCode::OK, &json!(done)),
        Ok(Err(cannot)) => refused(StatusCode::CONFLICT, &cannot),
        Err(error) => refused(StatusCode::INTERNAL_SERVER_ERROR, &error),
    }
}

async fn arm(State(vendor): State<Arc<dyn Vendor>>, body: Bytes) -> Response {
    match serde_json::from_slice::<FaultOrder>(&body) {
        Ok(order) => {
            vendor.faults().arm(order);
            armed(State(vendor)).await
        }
        Err(error) => refused(StatusCode::BAD_REQUEST, &error),
    }
}

async fn armed(State(vendor): State<Arc<dyn Vendor>>) -> Response {
    answer(StatusCode::OK, &json!({ "armed": vendor.faults().armed() }))
}

async fn status(State(vendor): State<Arc<dyn Vendor>>) -> Response {
    answer(StatusCode::OK, &vendor.status())
}

fn refused(status: StatusCode, error: &dyn std::error::Error) -> Response {
    answer(status, &json!({ "error": error.to_string() }))
}

pub(crate) fn answer(status: StatusCode, document: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], document.to_string()).into_response()
}
