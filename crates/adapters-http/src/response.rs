//! A complete, successful answer, and what can be read from it.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, DATE};
use http::{HeaderMap, StatusCode};
use jiff::fmt::rfc2822;
use jiff::{SignedDuration, Timestamp};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::error::Category;
use url::Url;

use crate::error::{ErrorPayload, HttpError};
use crate::link;
use crate::redact::{self, RedactedUrl};

/// A complete answer with a status of success.
///
/// Its body can hold anything about anybody: `Debug` shows only its length.
#[derive(Clone)]
pub struct HttpResponse {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The URL that was asked.
    pub url: Url,
    /// The body, unpacked.
    pub body: Bytes,
    /// When the answer had come, by our clock.
    pub received_at: Timestamp,
    /// What the request carried, to be struck from what the server says.
    pub(crate) secrets: Vec<secrecy::SecretString>,
}

/// What was read from a JSON answer, and the answer without its body.
#[derive(Debug, Clone)]
pub struct Json<T> {
    /// What was read.
    pub value: T,
    /// The answer. Its body is empty.
    pub response: HttpResponse,
}

impl<T: DeserializeOwned> Json<T> {
    /// Reads an answer's body and lets go of it.
    pub(crate) fn read(mut response: HttpResponse) -> Result<Self, HttpError> {
        let value = response.json()?;
        response.body = Bytes::new();
        Ok(Self { value, response })
    }
}

impl HttpResponse {
    /// Reads the body as JSON.
    ///
    /// Tells what is no JSON ([`HttpError::NotJson`]: a login page, for one) from JSON that ends too early
    /// ([`HttpError::Truncated`]) and from JSON of another form ([`HttpError::Shape`]). No error quotes the body.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, HttpError> {
        let url = || RedactedUrl::new(&self.url);
        let body = self.body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&self.body).trim_ascii_start();
        let media = self.header(CONTENT_TYPE.as_str()).map(|value| value.split(';').next().unwrap_or(value).trim());
        if body.first() == Some(&b'<') || media.is_some_and(|media| media.to_ascii_lowercase().contains("html")) {
            let head = body[..body.len().min(14)].to_ascii_lowercase();
            let html = media.is_some_and(|media| media.to_ascii_lowercase().contains("html"))
                || head.starts_with(b"<!doctype html")
                || head.starts_with(b"<html");
            let found = if html { "an HTML page" } else { "markup" };
            return Err(HttpError::NotJson { url: url(), found: found.to_owned(), html });
        }
        serde_json::from_slice(body).map_err(|error| match error.classify() {
            Category::Eof | Category::Io if body.is_empty() => {
                HttpError::Truncated { url: url(), reason: "it is empty".to_owned() }
            }
            Category::Eof | Category::Io => {
                HttpError::Truncated { url: url(), reason: format!("its JSON breaks off after {} bytes", body.len()) }
            }
            Category::Syntax => HttpError::NotJson {
                url: url(),
                found: match media {
                    Some(media) if !media.to_ascii_lowercase().contains("json") => format!("content of type {media}"),
                    _ => format!("something unreadable at line {}, column {}", error.line(), error.column()),
                },
                html: false,
            },
            Category::Data => {
                // Other messages quote what they found. This one names only a field that we know.
                let text = error.to_string();
                let what = text
                    .starts_with("missing field")
                    .then(|| text.split(" at line").next().unwrap_or_default().to_owned());
                HttpError::Shape { url: url(), line: error.line(), column: error.column(), what }
            }
        })
    }

    /// A header's value, if there is one and it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The URL of the next page, from the `Link` header (RFC 8288); a relative one is resolved. Nothing if there is none, or
    /// none that can be read. It may lead to another server, which the session then refuses:
    /// see [`HttpSession::serves`](crate::HttpSession::serves).
    pub fn next_link(&self) -> Option<Url> {
        self.url.join(link::target(&self.headers, "next")?).ok()
    }

    /// The number of all records, from `X-Total-Count`.
    pub fn total_count(&self) -> Option<u64> {
        self.number("x-total-count")
    }

    /// A header's value as a number.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.header(name)?.trim().parse().ok()
    }

    /// What time it is at the server, from the `Date` header; to the second.
    pub fn date(&self) -> Option<Timestamp> {
        date(&self.headers)
    }

    /// By how much the server's clock is ahead of ours, to the second; negative if it is behind.
    pub fn clock_skew(&self) -> Option<SignedDuration> {
        Some(self.date()?.duration_since(self.received_at))
    }
}

impl HttpResponse {
    /// Words of the server as they may be shown: without the secrets that the request carried.
    pub fn without_secrets(&self, words: &str) -> String {
        redact::strike(words, &self.secrets).into_owned()
    }
}

impl std::fmt::Debug for HttpResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpResponse")
            .field("status", &self.status)
            .field("url", &RedactedUrl::new(&self.url))
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// What time it is at a server, from its `Date` header.
pub(crate) fn date(headers: &HeaderMap) -> Option<Timestamp> {
    http_date(headers.get(DATE)?.to_str().ok()?)
}

/// A date as HTTP writes it (RFC 9110 section 5.6.7).
pub(crate) fn http_date(text: &str) -> Option<Timestamp> {
    rfc2822::DateTimeParser::new().parse_timestamp(text.trim()).ok()
}

impl ErrorPayload {
    /// What a JSON body says about an error. It is empty if the body is none of the known shapes: OneRoster's payloads in the
    /// spellings that servers use, OAuth's `{error, error_description}`, and the common `{error | message}`.
    pub fn of(body: &Value) -> Self {
        Self::read(body, &[])
    }

    /// The same from the bytes of a body, without the secrets that the request carried.
    pub(crate) fn of_bytes(body: &[u8], secrets: &[secrecy::SecretString]) -> Self {
        serde_json::from_slice(body).map(|body| Self::read(&body, secrets)).unwrap_or_default()
    }

    fn read(body: &Value, secrets: &[secrecy::SecretString]) -> Self {
        let found = find(body, 0);
        let shown = |text: Option<String>| text.and_then(|text| redact::message(&text, secrets));
        Self { code: shown(found.code), description: shown(found.description) }
    }
}

/// How deep an error may be wrapped.
const DEEPEST: usize = 3;

fn find(body: &Value, depth: usize) -> ErrorPayload {
    let object = match body {
        Value::Object(object) => object,
        Value::Array(values) if depth < DEEPEST => {
            return values.first().map(|v| find(v, depth + 1)).unwrap_or_default();
        }
        _ => return ErrorPayload::default(),
    };
    let get = |wanted: &[&str]| {
        wanted.iter().find_map(|wanted| {
            object.iter().find(|(key, value)| plain_key(key) == *wanted && !value.is_null()).map(|(_, value)| value)
        })
    };
    let text = |wanted: &[&str]| get(wanted).and_then(text_of);
    let mut found = ErrorPayload {
        code: get(&["codeminor"]).and_then(code_minor),
        description: text(&["description", "errordescription", "message", "detail", "title"]),
    };
    match get(&["error", "errors"]) {
        Some(Value::String(error)) if found.code.is_none() && !error.contains(' ') => found.code = Some(error.clone()),
        Some(Value::String(error)) if found.description.is_none() => found.description = Some(error.clone()),
        Some(inner @ (Value::Object(_) | Value::Array(_))) if depth < DEEPEST => {
            let inner = find(inner, depth + 1);
            found.code = found.code.or(inner.code);
            found.description = found.description.or(inner.description);
        }
        _ => {}
    }
    if found.code.is_none() {
        found.code = text(&["code"]);
    }
    if found == ErrorPayload::default()
        && depth < DEEPEST
        && let Some(inner) = get(&["statusinfoset", "statusinfo"])
    {
        return find(inner, depth + 1);
    }
    found
}

/// A key without the prefix `imsx_`, underscores and capitals: servers spell them in many ways.
fn plain_key(key: &str) -> String {
    let key = key.strip_prefix("imsx_").unwrap_or(key);
    key.chars().filter(|c| *c != '_').map(|c| c.to_ascii_lowercase()).collect()
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.trim().is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The minor code: a plain word, or the first of a list of fields in the shape of OneRoster 1.2.
fn code_minor(value: &Value) -> Option<String> {
    let Value::Object(object) = value else { return text_of(value) };
    let (_, fields) = object.iter().find(|(key, _)| plain_key(key) == "codeminorfield")?;
    let field = fields.as_array().and_then(|fields| fields.first()).unwrap_or(fields);
    let (_, value) = field.as_object()?.iter().find(|(key, _)| plain_key(key) == "codeminorfieldvalue")?;
    text_of(value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_error_payloads_that_servers_send_are_understood() {
        let cases = [
            (
                json!({"imsx_codeMajor": "failure", "imsx_severity": "error", "imsx_description": "no such field",
                    "imsx_CodeMinor": {"imsx_codeMinorField": [{"imsx_codeMinorFieldName": "TargetEndSystem",
                        "imsx_codeMinorFieldValue": "invalid_filter_field"}]}}),
                Some("invalid_filter_field"),
                Some("no such field"),
            ),
            (
                json!({"imsx_codeMajor": "failure", "imsx_codeMinor": "unknown object", "imsx_description": "gone"}),
                Some("unknown object"),
                Some("gone"),
            ),
            (
                json!({"CodeMajor": "failure", "CodeMinor": "forbidden", "Description": "no"}),
                Some("forbidden"),
                Some("no"),
            ),
            (json!({"codeMajor": "failure", "codeMinor": "invalid data"}), Some("invalid data"), None),
            (
                json!({"users": [], "statusInfoSet": [{"imsx_codeMinor": "invalid_selection_field"}]}),
                Some("invalid_selection_field"),
                None,
            ),
            (
                json!({"error": "invalid_client", "error_description": "unknown client"}),
                Some("invalid_client"),
                Some("unknown client"),
            ),
            (json!({"message": "Resource not in token's scopes"}), None, Some("Resource not in token's scopes")),
            (json!({"error": "token has been revoked"}), None, Some("token has been revoked")),
            (json!({"error": {"code": 429, "message": "slow down"}}), Some("429"), Some("slow down")),
            (json!({"errors": [{"detail": "bad page"}]}), None, Some("bad page")),
            (json!({"users": [{"givenName": "Ada"}]}), None, None),
            (json!("text"), None, None),
        ];
        for (body, code, description) in cases {
            let payload = ErrorPayload::of(&body);
            assert_eq!((payload.code.as_deref(), payload.description.as_deref()), (code, description), "{body}");
        }
    }

    #[test]
    fn codes_are_compared_without_their_spelling() {
        let payload = ErrorPayload { code: Some("Unknown Object".to_owned()), description: None };
        assert!(payload.is("unknownobject") && payload.is("unknown_object") && !payload.is("unknown"));
    }

    fn answer(content_type: &str, body: &[u8]) -> HttpResponse {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, content_type.parse().unwrap());
        HttpResponse {
            status: StatusCode::OK,
            headers,
            url: "https://h.example/users?access_token=s3cret".parse().unwrap(),
            body: Bytes::copy_from_slice(body),
            received_at: Timestamp::UNIX_EPOCH,
            secrets: Vec::new(),
        }
    }

    #[derive(Debug, serde::Deserialize)]
    struct Users {
        #[serde(rename = "users")]
        _users: Vec<u8>,
    }

    #[test]
    fn what_is_not_the_expected_json_is_told_apart_and_never_quoted() {
        let cases: &[(&str, &[u8], &str)] = &[
            ("text/html; charset=utf-8", b"<!DOCTYPE html><p>Ada, log in", "not_json"),
            ("application/json", b" \r\n<html>Ada", "not_json"),
            ("application/xml", b"<users>Ada</users>", "not_json"),
            ("text/plain", b"Ada is not here", "not_json"),
            ("application/json", b"", "truncated"),
            ("application/json", b"{\"users\":[1,2", "truncated"),
            ("application/json", b"{\"users\":\"Ada\"}", "json.unexpected"),
            ("application/json", b"{\"students\":[]}", "json.unexpected"),
        ];
        for (content_type, body, code) in cases {
            let error = answer(content_type, body).json::<Users>().unwrap_err();
            assert_eq!(error.code(), *code, "{content_type} {body:?}");
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("Ada") && !shown.contains("s3cret"), "{shown}");
        }
        let error = answer("application/json", b"{}").json::<Users>().unwrap_err();
        assert!(error.to_string().ends_with("line 1, column 2: missing field `users`"), "{error}");
        answer("application/octet-stream", b"\xEF\xBB\xBF {\"users\":[]}").json::<Users>().unwrap();
    }

    #[test]
    fn dates_are_read_as_http_writes_them() {
        assert_eq!(http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some("1994-11-06T08:49:37Z".parse().unwrap()));
        assert_eq!(http_date("tomorrow"), None);
    }
}
