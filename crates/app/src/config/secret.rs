//! Secrets: the configuration says where they are, never what they are.

use std::fmt;
use std::path::PathBuf;

use secrecy::SecretString;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::failure::Failure;

/// What to write, for whoever wrote something else.
const EXPECTED: &str =
    "write `{ env = \"NAME\" }` for a secret in an environment variable, or `{ file = \"path\" }` for one in a file";

/// Where a secret is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SecretPlace {
    /// In this environment variable.
    Env(String),
    /// In this file; a line end behind it does not belong to it.
    File(PathBuf),
}

impl SecretPlace {
    /// Fetches the secret. Errors name the place, never what is there.
    pub(crate) async fn fetch(&self) -> Result<SecretString, Failure> {
        let missing = |why: String| Failure::new("secret.missing", why);
        let secret = match self {
            Self::Env(name) => match std::env::var(name) {
                Ok(secret) => secret,
                Err(std::env::VarError::NotPresent) => {
                    return Err(missing(format!("the environment variable `{name}` is not set")).hint(format!(
                        "the configuration takes a secret from it; set `{name}` where `rollcall` is started"
                    )));
                }
                Err(std::env::VarError::NotUnicode(_)) => {
                    return Err(missing(format!("the environment variable `{name}` is not UTF-8 text")));
                }
            },
            Self::File(path) => {
                let text = tokio::fs::read_to_string(path).await.map_err(|error| {
                    missing(format!("the secret in `{}` cannot be read: {error}", path.display()))
                        .hint("the configuration takes a secret from this file; correct the path, or the rights to it")
                })?;
                text.trim_end_matches(['\r', '\n']).to_owned()
            }
        };
        if secret.trim().is_empty() {
            return Err(missing(format!("the secret in {self} is blank")));
        }
        Ok(SecretString::from(secret))
    }
}

impl fmt::Display for SecretPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "the environment variable `{name}`"),
            Self::File(path) => write!(f, "the file `{}`", path.display()),
        }
    }
}

impl<'de> Deserialize<'de> for SecretPlace {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PlaceVisitor)
    }
}

/// `{ env = … }` or `{ file = … }`
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct PlaceTable {
    env: Option<String>,
    file: Option<PathBuf>,
}

/// Reads the place of a secret. Whatever else stands there may be the secret itself and is never quoted, which serde's own
/// messages would do.
struct PlaceVisitor;

fn written_out<E: Error>() -> E {
    E::custom(format!("a secret is not written into the configuration; {EXPECTED}"))
}

impl<'de> Visitor<'de> for PlaceVisitor {
    type Value = SecretPlace;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the place of a secret")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SecretPlace, A::Error> {
        // An unknown key may be named; of a value of another type serde would show the value.
        let table = PlaceTable::deserialize(MapAccessDeserializer::new(map)).map_err(|error| {
            if error.to_string().starts_with("unknown field") { error } else { A::Error::custom(EXPECTED) }
        })?;
        match (table.env, table.file) {
            (Some(name), None) if is_variable(&name) => Ok(SecretPlace::Env(name)),
            (Some(_), None) => Err(A::Error::custom(
                "`env` is the name of an environment variable: letters, digits and `_`, as in `SIS_SECRET`",
            )),
            (None, Some(path)) if !path.as_os_str().is_empty() => Ok(SecretPlace::File(path)),
            _ => Err(A::Error::custom(format!("a secret has one place; {EXPECTED}"))),
        }
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<SecretPlace, E> {
        Err(written_out())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<SecretPlace, E> {
        Err(written_out())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<SecretPlace, E> {
        Err(written_out())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<SecretPlace, E> {
        Err(written_out())
    }

    fn visit_i128<E: Error>(self, _: i128) -> Result<SecretPlace, E> {
        Err(written_out())
    }

    fn visit_u128<E: Error>(self, _: u128) -> Result<SecretPlace, E> {
        Err(written_out())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<SecretPlace, E> {
        Err(written_out())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<SecretPlace, A::Error> {
        Err(written_out())
    }
}

/// A secret that somebody wrote where the name belongs mostly is no name.
fn is_variable(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[derive(Debug, serde::Deserialize)]
    struct Holder {
        secret: SecretPlace,
    }

    fn read(value: &str) -> Result<SecretPlace, String> {
        let holder: Result<Holder, _> = toml::from_str(&format!("secret = {value}"));
        holder.map(|holder| holder.secret).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn a_secret_is_elsewhere_and_never_quoted() {
        assert_eq!(read("{ env = \"SIS_SECRET\" }"), Ok(SecretPlace::Env("SIS_SECRET".to_owned())));
        assert_eq!(read("{ file = \"/run/secrets/sis\" }"), Ok(SecretPlace::File("/run/secrets/sis".into())));
        let wrong = [
            "\"hunter2!\"",
            "271828",
            "271828.5",
            "true",
            "[\"hunter2!\"]",
            "2026-11-22",
            "{ env = \"hunter2!\" }",
            "{ env = 271828 }",
            "{ value = \"hunter2!\" }",
            "{ file = \"\" }",
            "{ env = \"A\", file = \"b\" }",
            "{}",
        ];
        for wrong in wrong {
            let message = read(wrong).unwrap_err();
            let quotes = ["hunter2", "271828", "2026"].iter().any(|secret| message.contains(secret));
            assert!(!quotes, "{wrong}: {message}");
        }
    }

    #[tokio::test]
    async fn a_secret_in_a_file_has_no_line_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, " hunter2 \r\n").unwrap();
        let place = SecretPlace::File(path.clone());
        assert_eq!(place.fetch().await.unwrap().expose_secret(), " hunter2 ");
        std::fs::write(&path, "\n").unwrap();
        assert!(place.fetch().await.unwrap_err().to_string().ends_with("is blank"));
        let gone = SecretPlace::File(folder.path().join("gone")).fetch().await.unwrap_err();
        assert!(gone.to_string().contains("cannot be read"), "{gone}");
        let unset = SecretPlace::Env("ROLLCALL_TEST_THAT_NOBODY_SETS".to_owned()).fetch().await.unwrap_err();
        assert_eq!(unset.to_string(), "the environment variable `ROLLCALL_TEST_THAT_NOBODY_SETS` is not set");
    }
}
