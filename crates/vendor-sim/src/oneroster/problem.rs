//! What a server says of a request that it cannot answer.

use axum::http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use uuid::Uuid;

use super::Version;
use crate::auth::Refusal;

/// What is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Problem {
    Filter(String),
    /// `fields`.
    Selection(String),
    /// `sort`, which 1.1 ignores with a warning.
    Sort(String),
    InvalidData(String),
    Unauthorised(Refusal),
    Forbidden(String),
    Unknown(String),
    MethodNotAllowed,
    Busy,
    Internal(StatusCode),
}

impl Problem {
    fn message(&self) -> String {
        match self {
            Self::Filter(message)
            | Self::Selection(message)
            | Self::Sort(message)
            | Self::InvalidData(message)
            | Self::Forbidden(message)
            | Self::Unknown(message) => message.clone(),
            Self::Unauthorised(refusal) => refusal.message.clone(),
            Self::MethodNotAllowed => "rostering is read with GET".to_owned(),
            Self::Busy => "too many requests".to_owned(),
            Self::Internal(_) => "the server has failed".to_owned(),
        }
    }

    /// Status, and the minor code of 1.1 and of 1.2.
    const fn codes(&self, version: Version) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Filter(_) => (StatusCode::BAD_REQUEST, "invalid filter field", "invalid_filter_field"),
            Self::Selection(_) => (StatusCode::BAD_REQUEST, "invalid selection field", "invalid_selection_field"),
            Self::Sort(_) => (StatusCode::BAD_REQUEST, "invalid sort field", "invalid_selection_field"),
            Self::InvalidData(_) => match version {
                Version::V1_1 => (StatusCode::BAD_REQUEST, "invalid data", "invaliddata"),
                Version::V1_2 => (StatusCode::UNPROCESSABLE_ENTITY, "invalid data", "invaliddata"),
            },
            Self::Unauthorised(_) => (StatusCode::UNAUTHORIZED, "unauthorized", "unauthorisedrequest"),
            Self::Forbidden(_) => (StatusCode::FORBIDDEN, "forbidden", "forbidden"),
            Self::Unknown(_) => (StatusCode::NOT_FOUND, "unknown object", "unknownobject"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "invalid data", "invaliddata"),
            Self::Busy => (StatusCode::TOO_MANY_REQUESTS, "server_busy", "server_busy"),
            Self::Internal(status) => (*status, "internal_server_error", "internal_server_error"),
        }
    }

    /// The answer.
    pub(super) fn answer(&self, version: Version) -> Response {
        let (status, ..) = self.codes(version);
        let document = self.status_info(version, "failure", "error");
        let mut answer = (status, [(CONTENT_TYPE, "application/json")], document.to_string()).into_response();
        if let Self::Unauthorised(refusal) = self {
            answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(refusal.challenge));
        }
        answer
    }

    /// What 1.1 puts beside a collection that it serves all the same.
    pub(super) fn warning(&self) -> Value {
        self.status_info(Version::V1_1, "success", "warning")
    }

    fn status_info(&self, version: Version, major: &str, severity: &str) -> Value {
        let (_, minor_1_1, minor_1_2) = self.codes(version);
        match version {
            Version::V1_1 => json!({
                "imsx_codeMajor": major,
                "imsx_severity": severity,
                "imsx_messageRefIdentifier": Uuid::new_v4(),
                "imsx_operationRefIdentifier": Uuid::new_v4(),
                "imsx_description": self.message(),
                "imsx_codeMinor": minor_1_1,
            }),
            Version::V1_2 => json!({
                "imsx_codeMajor": major,
                "imsx_severity": severity,
                "imsx_description": self.message(),
                "imsx_CodeMinor": {"imsx_codeMinorField": [
                    {"imsx_codeMinorFieldName": "TargetEndSystem", "imsx_codeMinorFieldValue": minor_1_2},
                ]},
            }),
        }
    }
}
