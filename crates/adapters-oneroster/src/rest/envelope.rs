//! A response as a whole: the collection that was asked for, or what stands in its place.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// How much of what a server says in its own words is shown.
const MAX_QUOTE: usize = 200;

/// Why a response with the status 200 is no page of a collection (R6).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PageFault {
    /// A web page: a login form, or a proxy's error.
    #[error("the answer is a web page, not JSON; the address, or a login in front of it, is not what the source needs")]
    WebPage,
    /// The body ends in the middle, or is no JSON at all.
    #[error(
        "the answer is not complete JSON of a collection, at line {line}, column {column}; it was cut off on the way, or the server is broken"
    )]
    NotJson {
        /// The line at which that shows, from 1.
        line: usize,
        /// The column.
        column: usize,
    },
    /// JSON, but without the collection under its key.
    #[error("the answer has no list `{key}`{}; an answer without it says nothing about what exists", instead(.found))]
    NoCollection {
        /// The key that was expected.
        key: String,
        /// The keys that are there instead.
        found: Vec<String>,
    },
    /// The server says in its own words that it failed, with a status of success.
    #[error("the server answered with the status 200 and reports a failure{}", said(.0))]
    ReportedFailure(String),
}

impl PageFault {
    /// The same as it may be shown. `strike` takes out the secrets of the request, before anything is cut off.
    pub(crate) fn shown(self, strike: impl Fn(&str) -> String) -> Self {
        match self {
            Self::ReportedFailure(words) => Self::ReportedFailure(shorten(&strike(&words))),
            Self::NoCollection { key, found } => {
                Self::NoCollection { key, found: found.iter().map(|key| shorten(&strike(key))).collect() }
            }
            fault @ (Self::WebPage | Self::NotJson { .. }) => fault,
        }
    }
}

fn instead(keys: &[String]) -> String {
    if keys.is_empty() { String::new() } else { format!(" (but `{}`)", keys.join("`, `")) }
}

fn said(words: &str) -> String {
    if words.is_empty() { String::new() } else { format!(": {words}") }
}

/// The records of a page, each still as JSON.
pub(crate) fn records<'j>(body: &'j str, key: &str) -> Result<Vec<&'j RawValue>, PageFault> {
    let start = body.trim_start_matches('\u{feff}').trim_start();
    if start.starts_with('<') {
        return Err(PageFault::WebPage);
    }
    let mut deserializer = serde_json::Deserializer::from_str(start);
    let envelope = EnvelopeSeed(key)
        .deserialize(&mut deserializer)
        .and_then(|envelope| deserializer.end().map(|()| envelope))
        // What the reader says of it can quote the body.
        .map_err(|cause| PageFault::NotJson { line: cause.line(), column: cause.column() })?;
    if envelope.has_failed {
        return Err(PageFault::ReportedFailure(envelope.description));
    }
    envelope.records.ok_or(PageFault::NoCollection { key: key.to_owned(), found: envelope.others })
}

#[derive(Default)]
struct Envelope<'j> {
    records: Option<Vec<&'j RawValue>>,
    others: Vec<String>,
    has_failed: bool,
    /// What the server says of a failure.
    description: String,
}

struct EnvelopeSeed<'k>(&'k str);

impl<'j> DeserializeSeed<'j> for EnvelopeSeed<'_> {
    type Value = Envelope<'j>;

    fn deserialize<D: Deserializer<'j>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'j> Visitor<'j> for EnvelopeSeed<'_> {
    type Value = Envelope<'j>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object with the list `{}`", self.0)
    }

    fn visit_map<A: MapAccess<'j>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut envelope = Envelope::default();
        while let Some(key) = map.next_key::<String>()? {
            if key == self.0 {
                let value = map.next_value::<&'j RawValue>()?;
                if value.get().starts_with('[') {
                    envelope.records = Some(serde_json::from_str(value.get()).map_err(Error::custom)?);
                } else {
                    envelope.others.push(key);
                }
                continue;
            }
            match key.to_ascii_lowercase().trim_start_matches("imsx_") {
                "codemajor" => {
                    let Text(said) = map.next_value()?;
                    envelope.has_failed = said.eq_ignore_ascii_case("failure");
                }
                "description" => {
                    let Text(said) = map.next_value()?;
                    envelope.description = said.into_owned();
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
            if envelope.others.len() < 8 {
                envelope.others.push(key);
            }
        }
        Ok(envelope)
    }

    /// A bare list, which is not what was asked for.
    fn visit_seq<A: serde::de::SeqAccess<'j>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Envelope { others: vec!["[…]".to_owned()], ..Envelope::default() })
    }
}

/// A text, or nothing if it is something else.
struct Text<'j>(Cow<'j, str>);

impl<'j> Deserialize<'j> for Text<'j> {
    fn deserialize<D: Deserializer<'j>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&'j RawValue>::deserialize(deserializer)?;
        Ok(Self(serde_json::from_str::<String>(raw.get()).map_or(Cow::Borrowed(""), Cow::Owned)))
    }
}

/// One line of bounded length, without e-mail addresses.
fn shorten(text: &str) -> String {
    let shown = |word| if str::contains(word, '@') { "…" } else { word };
    let line = text.split_whitespace().map(shown).collect::<Vec<_>>().join(" ");
    if line.chars().count() <= MAX_QUOTE {
        return line;
    }
    line.chars().take(MAX_QUOTE).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(body: &str) -> String {
        records(body, "users").unwrap_err().to_string()
    }

    #[test]
    fn the_list_is_found_under_its_key_whatever_stands_beside_it() {
        let body = r#"{"statusInfoSet": [{"imsx_codeMajor": "success"}], "users": [{"a": 1}, 7], "more": {"x": []}}"#;
        let found: Vec<_> = records(body, "users").unwrap().iter().map(|raw| raw.get()).collect();
        assert_eq!(found, [r#"{"a": 1}"#, "7"]);
        assert_eq!(records("\u{feff}{\"users\":[]}", "users").unwrap().len(), 0);
    }

    #[test]
    fn r6_what_is_no_page_is_never_an_empty_page() {
        let faults = [
            "<!DOCTYPE html><title>Sign in</title>",
            r#"{"users": [{"sourcedId": "u1"}, {"sour"#,
            r#"{"users": []} trailing"#,
            "",
            r#"{"students": []}"#,
            r#"{"users": null}"#,
            r#"{"users": {"sourcedId": "u1"}}"#,
            "[]",
            "null",
            r#"{"imsx_codeMajor": "failure", "imsx_description": "no", "users": []}"#,
        ]
        .map(fault);
        insta::assert_snapshot!(faults.join("\n"));
    }
}
