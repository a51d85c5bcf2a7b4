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
