//! What Clever says of a request that it does not answer.

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use serde_json::json;

use crate::server::Fault;

/// What is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Problem {
    /// A parameter that cannot be read.
    Invalid(String),
    /// More objects in a page than there may be.
    TooLarge,
    /// No token, or a void one.
    Unauthorised,
    /// No such object, or none that the token may see.
    NotFound(String),
    /// No such path, for this token at least.
    NoRoute,
    /// Too many requests.
    Busy,
    Internal(StatusCode),
    /// What the endpoints for tokens say.
    OAuth(StatusCode, &'static str, &'static str),
}

impl Problem {
    /// What a token sees of what it may not see.
    pub(super) fn out_of_scope() -> Self {
        Self::NotFound("Resource not in token's scopes".to_owned())
    }

    /// A status that was asked for. 404 is the page of a path that is not there.
    pub(super) fn of_fault(fault: &Fault) -> Self {
        match fault.status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR) {
            StatusCode::NOT_FOUND => Self::NoRoute,
            status => Self::Internal(status),
        }
    }

    pub(super) fn answer(&self, method: &Method, path: &str) -> Response {
        let message = |status: StatusCode, message: &str| json_answer(status, &json!({ "message": message }));
        match self {
            Self::Invalid(text) => message(StatusCode::BAD_REQUEST, text),
            Self::TooLarge => message(StatusCode::PAYLOAD_TOO_LARGE, "limit must be at most 10000"),
            Self::Unauthorised => message(StatusCode::UNAUTHORIZED, "Invalid token"),
            Self::NotFound(text) => message(StatusCode::NOT_FOUND, text),
            Self::Internal(status) => message(*status, "Internal error"),
            Self::Busy => StatusCode::TOO_MANY_REQUESTS.into_response(),
            Self::OAuth(status, error, description) => {
                json_answer(*status, &json!({ "error": error, "error_description": description }))
            }
            Self::NoRoute => {
                let page = format!(
                    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>Error</title>\n</head>\
                     \n<body>\n<pre>Cannot {method} {path}</pre>\n</body>\n</html>\n"
                );
                (StatusCode::NOT_FOUND, Html(page)).into_response()
            }
        }
    }
}

/// An answer with a document.
pub(super) fn json_answer(status: StatusCode, document: &serde_json::Value) -> Response {
    written(status, document.to_string().into_bytes())
}

/// An answer with a document that is written already.
pub(super) fn written(status: StatusCode, body: Vec<u8>) -> Response {
    (status, [(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"))], body).into_response()
}
