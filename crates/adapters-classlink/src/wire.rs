//! What ClassLink says of the applications of a partner, as it says it.

use std::fmt;

use secrecy::SecretString;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error, Visitor};
use serde_json::value::RawValue;

/// A page of the list of applications. An answer without the list says nothing about which tenants there are.
#[derive(Debug, Deserialize)]
pub(crate) struct Page {
    /// 1, as far as anybody has seen, and not documented.
    #[serde(default)]
    pub(crate) status: Option<Box<RawValue>>,
    #[serde(default)]
    pub(crate) applications: Option<Box<RawValue>>,
}

/// An application at one tenant.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Entry {
    pub(crate) tenant_id: Word,
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) tenant_name: Option<Word>,
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) tenant_status: Option<Word>,
    /// `"true"` or `"false"`: both are texts.
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) enabled: Option<Word>,
    /// The part of the path that means this application at this tenant, percent-encoded already.
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) oneroster_application_id: Option<Word>,
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) bearer: Option<SecretString>,
    /// The application's own name, the same everywhere.
    #[serde(default, deserialize_with = "lenient")]
    pub(crate) name: Option<Word>,
}

/// A field that is as good as absent if it cannot be read: it is one tenant's, and the list is everybody's.
fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Option<T>, D::Error> {
    let raw = Box::<RawValue>::deserialize(deserializer)?;
    Ok(serde_json::from_str(raw.get()).ok().flatten())
}

/// The answer about an application's server.
#[derive(Debug, Deserialize)]
pub(crate) struct ServerAnswer {
    pub(crate) server: Server,
}

/// A district's own server, and the key to it.
#[derive(Debug, Deserialize)]
pub(crate) struct Server {
    #[serde(default)]
    pub(crate) client_id: Option<String>,
    #[serde(default)]
    pub(crate) client_secret: Option<SecretString>,
    /// Its address, without a path as a rule.
    #[serde(default)]
    pub(crate) endpoint_url: Option<String>,
}

/// A text, or a number or boolean that stands where one could.
#[derive(Debug, Clone, Default)]
pub(crate) struct Word(pub(crate) String);

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WordVisitor)
    }
}

struct WordVisitor;

impl Visitor<'_> for WordVisitor {
    type Value = Word;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a whole number or a boolean")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Word, E> {
        Ok(Word(text.trim().to_owned()))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Word, E> {
        Ok(Word(value.to_string()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Word, E> {
        Ok(Word(value.to_string()))
    }

    /// Some write whole numbers so; the exponent's form is told by no id.
    fn visit_f64<E: Error>(self, value: f64) -> Result<Word, E> {
        if value.fract() == 0.0 && value.abs() < 1e15 {
            Ok(Word(format!("{value:.0}")))
        } else {
            Err(E::custom("no id"))
        }
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Word, E> {
        Ok(Word(value.to_string()))
    }
}
