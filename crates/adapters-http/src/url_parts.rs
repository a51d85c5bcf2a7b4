//! Building URLs whose escapes stay as they were written.
//!
//! RFC 3986 escapes everything but its unreserved characters, a space as `%20`. The form encoding of query strings, with `+`
//! for a space, is not understood everywhere.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

/// All but `A-Z a-z 0-9 - . _ ~`.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Percent-encodes a text so that it can be one segment of a path or one value of a query (RFC 3986 section 2.3).
pub fn encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// A query string of names and values as they are, encoded by [`encode`]: spaces become `%20`, never `+`.
pub fn query_string(pairs: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    pairs.join("&")
}

/// A URL under a base, with its path appended as it is: escapes in it are kept, nothing is encoded twice.
pub(crate) fn below(base: &Url, path: &str, query: &[(&str, &str)]) -> Url {
    let mut url = base.clone();
    let path = path.trim_start_matches('/');
    if !path.is_empty() {
        url.set_path(&format!("{}/{path}", base.path().trim_end_matches('/')));
    }
    url.set_query((!query.is_empty()).then(|| query_string(query)).as_deref());
    url.set_fragment(None);
    url
}

/// Whether two URLs name the same server by the same protocol.
pub(crate) fn same_server(one: &Url, other: &Url) -> bool {
    one.scheme() == other.scheme()
        && one.host() == other.host()
        && one.port_or_known_default() == other.port_or_known_default()
}

/// Whether a URL names the machine itself.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_in_a_path_stay_as_they_were_written() {
        let base: Url = "https://proxy.example.org/a/".parse().unwrap();
        let url = below(&base, "%2FMoY%3D/ims/oneroster/v1p1/classes/7%7C33%2f44%20A", &[("limit", "10")]);
        assert_eq!(
            url.as_str(),
            "https://proxy.example.org/a/%2FMoY%3D/ims/oneroster/v1p1/classes/7%7C33%2f44%20A?limit=10"
        );
    }

    #[test]
    fn a_query_is_encoded_as_rfc_3986_has_it() {
        let base: Url = "https://h.example/users?old=1#x".parse().unwrap();
        let url = below(&base, "", &[("filter", "status='active' AND name~'a+b'"), ("fields", "a,b")]);
        assert_eq!(
            url.as_str(),
            "https://h.example/users?filter=status%3D%27active%27%20AND%20name~%27a%2Bb%27&fields=a%2Cb"
        );
    }

    #[test]
    fn only_the_machine_itself_is_loopback() {
        for (url, expected) in [
            ("http://localhost:80/", true),
            ("http://127.8.0.1/", true),
            ("http://[::1]:9/", true),
            ("http://sim.localhost/", false),
            ("http://localhost.example.org/", false),
            ("http://10.0.0.1/", false),
        ] {
            assert_eq!(is_loopback(&url.parse().unwrap()), expected, "{url}");
        }
    }
}
