//! OAuth 1.0a, two-legged, on the server's side: RFC 5849 section 3, written from its text.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use axum::http::header::{AUTHORIZATION, HOST};
use axum::http::request::Parts;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use secrecy::{ExposeSecret as _, SecretString};
use sha1::Sha1;
use sha2::Sha256;

use super::Refusal;

/// Section 3.6: everything but letters, digits, `-`, `.`, `_` and `~`.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// How far a request's time may lie behind and ahead, in seconds.
const BEHIND: i64 = 600;
const AHEAD: i64 = 300;

/// Verifies signed requests of one consumer.
#[derive(Debug)]
pub struct OAuth1 {
    consumer_key: String,
    consumer_secret: SecretString,
    /// Times and nonces of requests that were accepted.
    seen: Mutex<HashSet<(i64, String)>>,
}

pub(super) fn refusal(message: impl Into<String>) -> Refusal {
    Refusal { message: message.into(), challenge: "OAuth realm=\"roster\"" }
}

impl OAuth1 {
    /// Verifies requests of a consumer.
    pub fn new(consumer_key: impl Into<String>, consumer_secret: SecretString) -> Self {
        Self { consumer_key: consumer_key.into(), consumer_secret, seen: Mutex::default() }
    }

    /// Verifies a request: section 3.2.
    pub(super) fn check(&self, request: &Parts, now: Timestamp) -> Result<(), Refusal> {
        let protocol = Protocol::read(request)?;
        if protocol.required("oauth_consumer_key")? != self.consumer_key {
            return Err(refusal("the consumer key is unknown"));
        }
        if protocol.get("oauth_version").is_some_and(|version| version != "1.0") {
            return Err(refusal("oauth_version must be 1.0"));
        }
        if protocol.get("oauth_token").is_some_and(|token| !token.is_empty()) {
            return Err(refusal("there are no tokens here: requests are signed by the consumer alone"));
        }
        let stated = protocol.required("oauth_timestamp")?;
        let stated: i64 = stated
            .parse()
            .ok()
            .filter(|_| stated.bytes().all(|byte| byte.is_ascii_digit()))
            .ok_or_else(|| refusal("oauth_timestamp must be seconds since 1970"))?;
        let now = now.as_second();
        if !(now - BEHIND..=now + AHEAD).contains(&stated) {
            return Err(refusal(format!("oauth_timestamp is off by {} seconds", stated - now)));
        }
        let nonce = protocol.required("oauth_nonce")?;
        if nonce.is_empty() {
            return Err(refusal("oauth_nonce must not be blank"));
        }
        let signature = STANDARD
            .decode(protocol.required("oauth_signature")?)
            .map_err(|_| refusal("oauth_signature is not base64"))?;
        let base = base_string(request, &protocol)?;
        let key = signing_key(self.consumer_secret.expose_secret(), "");
        let valid = match protocol.required("oauth_signature_method")? {
            "HMAC-SHA1" => verify_sha1(&key, &base, &signature),
            "HMAC-SHA256" => verify_sha256(&key, &base, &signature),
            _ => return Err(refusal("oauth_signature_method must be HMAC-SHA1 or HMAC-SHA256")),
        };
        if !valid {
            return Err(refusal("the signature does not match the request"));
        }
        // Only now: who cannot sign cannot use up nonces.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|(time, _)| *time >= now - BEHIND);
        if !seen.insert((stated, nonce.to_owned())) {
            return Err(refusal("this nonce was used before"));
        }
        Ok(())
    }
}

/// The protocol parameters of the `Authorization` header: section 3.5.1.
#[derive(Debug, Default)]
struct Protocol(Vec<(String, String)>);

impl Protocol {
    fn read(request: &Parts) -> Result<Self, Refusal> {
        let mut headers = request.headers.get_all(AUTHORIZATION).iter();
        let (Some(header), None) = (headers.next(), headers.next()) else {
            return Err(refusal("the request needs one Authorization header"));
        };
        let header = header.to_str().map_err(|_| refusal("the Authorization header is no text"))?;
        let parameters = match header.split_once(' ') {
            Some((scheme, parameters)) if scheme.eq_ignore_ascii_case("oauth") => parameters,
            _ => return Err(refusal("the Authorization header is not `OAuth`")),
        };
        let mut read = Self::default();
        for parameter in parameters.split(',') {
            let (name, value) = parameter
                .trim()
                .split_once('=')
                .and_then(|(name, value)| Some((name, value.strip_prefix('"')?.strip_suffix('"')?)))
                .ok_or_else(|| refusal("a parameter of the Authorization header is not `name=\"value\"`"))?;
            let (name, value) = (decoded(name)?, decoded(value)?);
            if read.get(&name).is_some() {
                return Err(refusal(format!("the parameter {name} stands there twice")));
            }
            read.0.push((name, value));
        }
        Ok(read)
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn required(&self, name: &str) -> Result<&str, Refusal> {
        self.get(name).ok_or_else(|| refusal(format!("the parameter {name} is missing")))
    }
}

fn decoded(text: &str) -> Result<String, Refusal> {
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| refusal("a parameter is not UTF-8"))?;
    Ok(decoded.into_owned())
}

/// The signature base string: section 3.4.1.
fn base_string(request: &Parts, protocol: &Protocol) -> Result<String, Refusal> {
    let host = request
        .headers
        .get(HOST)
        .and_then(|host| host.to_str().ok())
        .or_else(|| request.uri.authority().map(axum::http::uri::Authority::as_str))
        .ok_or_else(|| refusal("the request has no Host"))?
        .to_ascii_lowercase();
    // Section 3.4.1.2: the scheme's own port is left out.
    let host = host.strip_suffix(":80").unwrap_or(&host);
    let mut parameters = form_pairs(request.uri.query().unwrap_or_default())?;
    parameters.extend(protocol.0.iter().filter(|(name, _)| name != "realm" && name != "oauth_signature").cloned());
    Ok(concatenated(request.method.as_str(), &format!("http://{host}{}", request.uri.path()), &parameters))
}

/// Section 3.4.1.1.
fn concatenated(method: &str, uri: &str, parameters: &[(String, String)]) -> String {
    let encode = |text: &str| utf8_percent_encode(text, ENCODED).to_string();
    // Section 3.4.1.3.2: encoded first, then sorted.
    let mut pairs: Vec<_> = parameters.iter().map(|(name, value)| (encode(name), encode(value))).collect();
    pairs.sort();
    let normalised = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&");
    format!("{}&{}&{}", encode(&method.to_ascii_uppercase()), encode(uri), encode(&normalised))
}

/// The pairs of a query as of a form: section 3.4.1.3.1.
fn form_pairs(query: &str) -> Result<Vec<(String, String)>, Refusal> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decoded(&name.replace('+', " "))?, decoded(&value.replace('+', " "))?))
        })
        .collect()
}

/// Section 3.4.2.
fn signing_key(consumer_secret: &str, token_secret: &str) -> String {
    format!("{}&{}", utf8_percent_encode(consumer_secret, ENCODED), utf8_percent_encode(token_secret, ENCODED))
}

fn verify_sha1(key: &str, base: &str, signature: &[u8]) -> bool {
    Hmac::<Sha1>::new_from_slice(key.as_bytes())
        .is_ok_and(|mac| mac.chain_update(base.as_bytes()).verify_slice(signature).is_ok())
}

fn verify_sha256(key: &str, base: &str, signature: &[u8]) -> bool {
    Hmac::<Sha256>::new_from_slice(key.as_bytes())
        .is_ok_and(|mac| mac.chain_update(base.as_bytes()).verify_slice(signature).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        form_pairs(text).unwrap()
    }

    /// The example of RFC 5849 section 3.4.1.1, whose form body counts as parameters.
    #[test]
    fn the_base_string_is_the_one_of_the_rfc() {
        let mut parameters = pairs("b5=%3D%253D&a3=a&c%40=&a2=r%20b&c2&a3=2+q");
        for (name, value) in [
            ("oauth_consumer_key", "9djdj82h48djs9d2"),
            ("oauth_token", "kkk9d7dh3k39sjv7"),
            ("oauth_signature_method", "HMAC-SHA1"),
            ("oauth_timestamp", "137131201"),
            ("oauth_nonce", "7d8f3e4a"),
        ] {
            parameters.push((name.to_owned(), value.to_owned()));
        }
        assert_eq!(
            concatenated("post", "http://example.com/request", &parameters),
            "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D%26c%25\
             40%3D%26c2%3D%26oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_method\
             %3DHMAC-SHA1%26oauth_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7"
        );
    }

    /// The last request of RFC 5849 section 1.2.
    #[test]
    fn the_signature_is_the_one_of_the_rfc() {
        let parameters = pairs(
            "file=vacation.jpg&size=original&oauth_consumer_key=dpf43f3p2l4k3l03&oauth_token=nnch734d00sl2jdk&\
             oauth_signature_method=HMAC-SHA1&oauth_timestamp=137131202&oauth_nonce=chapoH",
        );
        let base = concatenated("GET", "http://photos.example.net/photos", &parameters);
        let key = signing_key("kd94hf93k423kf44", "pfkkdhi9sl3r4s00");
        let signature = STANDARD.decode("MdpQcU8iPSUjWoN/UDMsK2sui9I=").unwrap();
        assert!(verify_sha1(&key, &base, &signature));
        assert!(!verify_sha1(&key, &base.replace("vacation", "Vacation"), &signature));
    }
}
