//! What may be shown of a URL and of what a server says.

use std::borrow::Cow;
use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

/// Query parameters whose values tell how a list was asked for, and nothing about anybody.
const HARMLESS: &[&str] = &[
    "limit",
    "offset",
    "sort",
    "orderby",
    "fields",
    "starting_after",
    "ending_before",
    "count",
    "owner_type",
    "record_type",
    "expand",
];

/// What stands for something that is not shown.
const HIDDEN: &str = "…";

/// The longest value of a parameter that is shown, in bytes: the list of all fields says the same every time.
const LONGEST_VALUE: usize = 40;

/// The longest message of a server that is passed on, in characters.
const LONGEST_MESSAGE: usize = 300;

/// A URL as it may be shown: no user, no password, no fragment, and of the query only what cannot be secret. Of a `filter`
/// the fields and operators are shown, and values only if they are points in time.
#[derive(Clone, PartialEq, Eq)]
pub struct RedactedUrl(String);

impl RedactedUrl {
    /// What may be shown of a URL.
    pub fn new(url: &Url) -> Self {
        let mut text = server(url);
        text.push_str(url.path());
        for (at, (name, value)) in url.query_pairs().enumerate() {
            text.push(if at == 0 { '?' } else { '&' });
            // A name can be a secret too, if somebody forgot the `token=` before it.
            let known = name.len() <= 32 && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c));
            let lower = name.to_ascii_lowercase();
            text.push_str(if known { &name } else { HIDDEN });
            if value.is_empty() {
                continue;
            }
            text.push('=');
            if HARMLESS.contains(&lower.as_str()) && value.len() <= LONGEST_VALUE {
                text.push_str(&value);
            } else if lower == "filter" {
                text.push_str(&without_quoted(&value));
            } else {
                text.push_str(HIDDEN);
            }
        }
        Self(text)
    }
}

impl From<&Url> for RedactedUrl {
    fn from(url: &Url) -> Self {
        Self::new(url)
    }
}

impl fmt::Display for RedactedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RedactedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The server of a URL: scheme, host, and port if it does not go without saying.
pub(crate) fn server(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{host}{port}", url.scheme())
}

/// A filter without what it compares with. A time of day makes a value a point in time; a mere date may be a birth date.
fn without_quoted(filter: &str) -> String {
    let mut shown = String::with_capacity(filter.len());
    for (at, part) in filter.split('\'').enumerate() {
        if at > 0 {
            shown.push('\'');
        }
        let quoted = at % 2 == 1;
        let time = part.contains('T') && part.chars().all(|c| c.is_ascii_digit() || "-:.+TZ".contains(c));
        shown.push_str(if quoted && !time && !part.is_empty() { HIDDEN } else { part });
    }
    // Without quotes there is no telling a value from a field, except by the operator before it.
    match filter.find('\'') {
        Some(_) => shown,
        None => filter.split_inclusive(['=', '<', '>', '~']).next().map_or_else(String::new, |field| {
            if field.len() == filter.len() { HIDDEN.to_owned() } else { format!("{field}{HIDDEN}") }
        }),
    }
}

/// A text without secrets.
pub(crate) fn strike<'t>(text: &'t str, secrets: &[SecretString]) -> Cow<'t, str> {
    let mut text = Cow::Borrowed(text);
    for secret in secrets {
        let secret = secret.expose_secret();
        if !secret.is_empty() && text.contains(secret) {
            text = Cow::Owned(text.replace(secret, HIDDEN));
        }
    }
    text
}

/// A server's message as it may be shown: on one line, of bounded length, without e-mail addresses and without the secrets
/// that the request carried.
pub(crate) fn message(text: &str, secrets: &[SecretString]) -> Option<String> {
    let text = strike(text, secrets);
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
        .map(|word| if word.contains('@') { HIDDEN } else { word })
        .collect();
    let line = words.join(" ");
    if line.is_empty() {
        return None;
    }
    match line.char_indices().nth(LONGEST_MESSAGE) {
        Some((end, _)) => Some(format!("{}{HIDDEN}", &line[..end])),
        None => Some(line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(url: &str) -> String {
        RedactedUrl::new(&url.parse().unwrap()).to_string()
    }

    #[test]
    fn a_shown_url_keeps_how_a_list_was_asked_for_and_nothing_secret() {
        assert_eq!(
            shown("https://ada:pw@sis.example.org:8443/v1p1/users?limit=100&offset=200&access_token=tok#frag"),
            "https://sis.example.org:8443/v1p1/users?limit=100&offset=200&access_token=…"
        );
        assert_eq!(
            shown("https://h.example/x?oauth_signature=abc&district=5f&se%20cret"),
            "https://h.example/x?oauth_signature=…&district=…&…"
        );
        assert_eq!(
            shown(
                "https://h.example/u?filter=dateLastModified%3E%3D%272026-01-01T00%3A00%3A00.000Z%27%20AND%20email%3D%27ada%40x.org%27"
            ),
            "https://h.example/u?filter=dateLastModified>='2026-01-01T00:00:00.000Z' AND email='…'"
        );
        assert_eq!(
            shown("https://h.example/u?filter=birthDate%3D%272010-02-03%27"),
            "https://h.example/u?filter=birthDate='…'"
        );
        assert_eq!(
            shown("https://h.example/u?filter=familyName%3DLovelace"),
            "https://h.example/u?filter=familyName=…"
        );
        assert_eq!(shown("https://h.example/u?filter=Lovelace"), "https://h.example/u?filter=…");
    }

    #[test]
    fn a_shown_message_is_one_short_line_without_secrets_and_addresses() {
        let secrets = [SecretString::from("s3cret"), SecretString::from("")];
        assert_eq!(
            message("bad token 's3cret'\r\n for  ada@example.org\u{7}", &secrets).as_deref(),
            Some("bad token '…' for …")
        );
        assert_eq!(message(" \n ", &secrets), None);
        let long = message(&"é".repeat(1000), &secrets).unwrap();
        assert_eq!(long.chars().count(), LONGEST_MESSAGE + 1);
    }
}
