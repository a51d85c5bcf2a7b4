//! OAuth 1.0a without a token (RFC 5849): each request is signed.

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use http::Method;
use rollcall_domain::ports::Clock;
use secrecy::{ExposeSecret, SecretString};
use sha1::Sha1;
use sha2::Sha256;
use url::{Position, Url};
use uuid::Uuid;

use crate::auth::{Authenticator, Authorization};
use crate::config::{OAuth1Credentials, SignatureMethod};
use crate::error::HttpError;
use crate::url_parts::encode;

/// Signs requests as one consumer.
pub(super) struct Signer {
    credentials: OAuth1Credentials,
    clock: Arc<dyn Clock>,
}

impl Signer {
    pub(super) fn new(credentials: OAuth1Credentials, clock: Arc<dyn Clock>) -> Self {
        Self { credentials, clock }
    }

    /// The value of the `Authorization` header (RFC 5849 section 3.5.1), with its parameters in the order of their names.
    fn header(&self, method: &Method, url: &Url, timestamp: i64, nonce: &str) -> String {
        let OAuth1Credentials { consumer_key, consumer_secret, signature, with_version } = &self.credentials;
        let timestamp = timestamp.to_string();
        let mut params = vec![
            ("oauth_consumer_key", consumer_key.as_str()),
            ("oauth_nonce", nonce),
            ("oauth_signature_method", signature.as_str()),
            ("oauth_timestamp", &timestamp),
        ];
        if *with_version {
            params.push(("oauth_version", "1.0"));
        }
        let base = base_string(method, url, &params);
        let signed = sign(*signature, &base, consumer_secret, &SecretString::default());
        params.push(("oauth_signature", &signed));
        params.sort_unstable();
        let params: Vec<String> =
            params.into_iter().map(|(name, value)| format!("{name}=\"{}\"", encode(value))).collect();
        format!("OAuth {}", params.join(", "))
    }
}

#[async_trait]
impl Authenticator for Signer {
    async fn authorize(&self, method: &Method, url: &Url) -> Result<Authorization, HttpError> {
        let nonce = Uuid::new_v4().simple().to_string();
        let header = self.header(method, url, self.clock.now().as_second(), &nonce);
        Authorization::new(&header, vec![self.credentials.consumer_secret.clone()])
    }
}

/// The text that is signed (RFC 5849 section 3.4.1): the method, the URL without its query, and all parameters, those of the
/// query as a form decoder reads them.
fn base_string(method: &Method, url: &Url, oauth: &[(&str, &str)]) -> String {
    let mut pairs: Vec<(String, String)> =
        url.query_pairs().map(|(name, value)| (encode(&name), encode(&value))).collect();
    pairs.extend(oauth.iter().map(|(name, value)| (encode(name), encode(value))));
    // Encoded texts are ASCII: this is the byte order that section 3.4.1.3.2 asks for.
    pairs.sort_unstable();
    let pairs: Vec<String> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    // The path goes in as it goes over the wire. `Url` has put scheme and host in lower case and dropped a default port.
    let authority = &url[Position::BeforeHost..Position::AfterPort];
    let target = format!("{}://{authority}{}", url.scheme(), url.path());
    format!("{method}&{}&{}", encode(&target), encode(&pairs.join("&")))
}

/// The signature of a text (RFC 5849 section 3.4.2), in base64.
fn sign(method: SignatureMethod, base: &str, consumer_secret: &SecretString, token_secret: &SecretString) -> String {
    let key = format!("{}&{}", encode(consumer_secret.expose_secret()), encode(token_secret.expose_secret()));
    match method {
        SignatureMethod::HmacSha1 => mac::<Hmac<Sha1>>(&key, base),
        SignatureMethod::HmacSha256 => mac::<Hmac<Sha256>>(&key, base),
    }
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
fn mac<M: Mac + KeyInit>(key: &str, text: &str) -> String {
    let mut mac = <M as KeyInit>::new_from_slice(key.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    BASE64_STANDARD.encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use rollcall_domain::ports::MockClock;

    use super::*;

    fn header(
        url: &str,
        (key, secret): (&str, &str),
        signature: SignatureMethod,
        with_version: bool,
        (timestamp, nonce): (i64, &str),
    ) -> String {
        let credentials =
            OAuth1Credentials { consumer_key: key.to_owned(), consumer_secret: secret.into(), signature, with_version };
        let signer = Signer::new(credentials, Arc::new(MockClock::new()));
        signer.header(&Method::GET, &url.parse().unwrap(), timestamp, nonce)
    }

    fn signature_of(header: &str) -> String {
        let (_, from) = header.split_once("oauth_signature=\"").unwrap();
        percent_encoding::percent_decode_str(from.split_once('"').unwrap().0).decode_utf8().unwrap().into_owned()
    }

    /// RFC 5849 section 3.4.1.1: repeated names, blank values, a body's pairs and a port that goes without saying.
    #[test]
    fn the_base_string_is_the_one_of_the_standard() {
        let url = "http://EXAMPLE.COM:80/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b".parse().unwrap();
        let params = [
            ("c2", ""),
            ("a3", "2 q"),
            ("oauth_consumer_key", "9djdj82h48djs9d2"),
            ("oauth_token", "kkk9d7dh3k39sjv7"),
            ("oauth_signature_method", "HMAC-SHA1"),
            ("oauth_timestamp", "137131201"),
            ("oauth_nonce", "7d8f3e4a"),
        ];
        assert_eq!(
            base_string(&Method::POST, &url, &params),
            "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D\
             %26c2%3D%26oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA1\
             %26oauth_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7"
        );
    }

    /// RFC 5849 section 1.2: the request without a token, and the one with.
    #[test]
    fn the_signatures_are_those_of_the_standard() {
        let secret = SecretString::from("kd94hf93k423kf44");
        let first = base_string(
            &Method::POST,
            &"https://photos.example.net/initiate".parse().unwrap(),
            &[
                ("oauth_consumer_key", "dpf43f3p2l4k3l03"),
                ("oauth_signature_method", "HMAC-SHA1"),
                ("oauth_timestamp", "137131200"),
                ("oauth_nonce", "wIjqoS"),
                ("oauth_callback", "http://printer.example.com/ready"),
            ],
        );
        let none = SecretString::default();
        assert_eq!(sign(SignatureMethod::HmacSha1, &first, &secret, &none), "74KNZJeDHnMBp0EMJ9ZHt/XKycU=");
        let last = base_string(
            &Method::GET,
            &"http://photos.example.net/photos?file=vacation.jpg&size=original".parse().unwrap(),
            &[
                ("oauth_consumer_key", "dpf43f3p2l4k3l03"),
                ("oauth_token", "nnch734d00sl2jdk"),
                ("oauth_signature_method", "HMAC-SHA1"),
                ("oauth_timestamp", "137131202"),
                ("oauth_nonce", "chapoH"),
            ],
        );
        let token_secret = SecretString::from("pfkkdhi9sl3r4s00");
        assert_eq!(sign(SignatureMethod::HmacSha1, &last, &secret, &token_secret), "MdpQcU8iPSUjWoN/UDMsK2sui9I=");
    }

    /// The expected values were computed with another implementation of HMAC, from base strings assembled independently.
    #[test]
    fn requests_for_rosters_are_signed_over_their_final_url() {
        use SignatureMethod::{HmacSha1, HmacSha256};
        const DELTA: &str = "https://sis.example.org/ims/oneroster/v1p1/enrollments?limit=5000&offset=10000&filter=\
                             dateLastModified%3E%3D%272026-08-01T00%3A00%3A00.000Z%27%20AND%20status%3D%27active%27&sort=sourcedId";
        const PATH: &str = "https://SIS.example.org:8443/app%2F42%3D/classes/7%7C33%2f44%20A/students?limit=1";
        // A plus is a space to whoever decodes forms.
        const PLUS: &str = "https://sis.example.org:443/ims/oneroster/v1p1/users?a=x+y&a=b&b";
        const NONE: &str = "https://sis.example.org/ims/oneroster/v1p1/orgs";
        let usual = ("rollcall-key", "rollcall-secret");
        let odd = ("key with space&=", "s3/+=%&~ ü");
        for (url, consumer, method, with_version, expected) in [
            (DELTA, usual, HmacSha1, true, "0HcUhTt9ldBnj/YhzDAKqFzzdf4="),
            (DELTA, usual, HmacSha1, false, "YUjplDNwXYTX2SY204/DlhINHbU="),
            (DELTA, usual, HmacSha256, true, "nDuwWl8tx6zgdLLEh1c7P2NP6GwEOQ7xNR0r9Xs8zlw="),
            (DELTA, usual, HmacSha256, false, "Y/M/hPL0h+YDjBDXJe4jWi/ioVSmGxwFhmf3LZXvTcA="),
            (PATH, odd, HmacSha256, true, "2MAOGm51TuHuO6kYi/kaWi3AkpXYWF4s6EG+L90AVsI="),
            (PLUS, ("k", "s"), HmacSha256, true, "hivxNzoe1D9Ivg/HKaGPtvJiPxqcQPm+aQbwyTbZqrU="),
            (NONE, ("k", ""), HmacSha1, true, "E2JZTCwPTQx7gx8ajCEoRwc7CuQ="),
        ] {
            let header = header(url, consumer, method, with_version, (1_785_542_400, "f00dcafe"));
            assert_eq!(signature_of(&header), expected, "{url}");
        }
        assert_eq!(
            header(PATH, odd, HmacSha256, true, (1_785_542_400, "f00dcafe")),
            "OAuth oauth_consumer_key=\"key%20with%20space%26%3D\", oauth_nonce=\"f00dcafe\", \
             oauth_signature=\"2MAOGm51TuHuO6kYi%2FkaWi3AkpXYWF4s6EG%2BL90AVsI%3D\", \
             oauth_signature_method=\"HMAC-SHA256\", oauth_timestamp=\"1785542400\", oauth_version=\"1.0\""
        );
    }

    #[derive(serde::Deserialize)]
    struct Vector {
        name: String,
        method: String,
        url: String,
        consumer_key: String,
        consumer_secret: String,
        token: String,
        token_secret: String,
        timestamp: String,
        nonce: String,
        signature_method: String,
        signature: String,
        base_string: String,
        authorization_sorted: String,
        without_oauth_version: Option<WithoutVersion>,
    }

    #[derive(serde::Deserialize)]
    struct WithoutVersion {
        authorization: String,
    }

    /// Vectors that others made. They are not part of the project: `ROLLCALL_CORPUS` names the folder they lie in.
    #[test]
    fn the_vectors_of_others_are_reproduced() {
        let Some(corpus) = std::env::var_os("ROLLCALL_CORPUS").map(PathBuf::from) else {
            println!("SKIPPED: ROLLCALL_CORPUS does not name the folder of vectors");
            return;
        };
        let text = std::fs::read(corpus.join("classlink/oauth1-vectors.json")).unwrap();
        let vectors: Vec<Vector> = serde_json::from_slice(&text).unwrap();
        assert!(vectors.len() >= 11, "{} vectors", vectors.len());
        for vector in vectors {
            let name = &vector.name;
            let signature = match vector.signature_method.as_str() {
                "HMAC-SHA1" => SignatureMethod::HmacSha1,
                "HMAC-SHA256" => SignatureMethod::HmacSha256,
                other => panic!("{name}: {other}"),
            };
            let mut params = vec![
                ("oauth_consumer_key", vector.consumer_key.as_str()),
                ("oauth_nonce", &vector.nonce),
                ("oauth_signature_method", &vector.signature_method),
                ("oauth_timestamp", &vector.timestamp),
                ("oauth_version", "1.0"),
            ];
            if !vector.token.is_empty() {
                params.push(("oauth_token", &vector.token));
            }
            let base = base_string(&vector.method.parse().unwrap(), &vector.url.parse().unwrap(), &params);
            assert_eq!(base, vector.base_string, "{name}");
            let token_secret = vector.token_secret.as_str().into();
            let signed = sign(signature, &base, &vector.consumer_secret.as_str().into(), &token_secret);
            assert_eq!(signed, vector.signature, "{name}");
            if !vector.token.is_empty() {
                continue;
            }
            let consumer = (vector.consumer_key.as_str(), vector.consumer_secret.as_str());
            let at = (vector.timestamp.parse().unwrap(), vector.nonce.as_str());
            assert_eq!(header(&vector.url, consumer, signature, true, at), vector.authorization_sorted, "{name}");
            if let Some(without) = &vector.without_oauth_version {
                assert_eq!(header(&vector.url, consumer, signature, false, at), without.authorization, "{name}");
            }
        }
    }
}
