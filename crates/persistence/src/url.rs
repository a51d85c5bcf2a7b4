//! Database URLs: which engine, and how to name the database without its secrets.

use std::path::PathBuf;

use rollcall_domain::ports::StoreError;
use secrecy::{ExposeSecret, SecretString};

use crate::connection::Engine;
use crate::error::Origin;

/// What a URL names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    Sqlite(PathBuf),
    /// The server and database, without the password.
    Postgres(String),
}

impl Target {
    pub(crate) fn parse(url: &SecretString) -> Result<Self, StoreError> {
        let url = url.expose_secret();
        if let Some(rest) = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://")) {
            return Ok(Self::Postgres(shown(rest)));
        }
        let path = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:"));
        // A bare path, but not another engine's URL.
        let bare = || (url.to_ascii_lowercase().ends_with(".db") && !url.contains("://")).then_some(url);
        let path = path.or_else(bare);
        match path {
            Some(":memory:" | "") => Err(StoreError::Address {
                message: "the database URL names no file; write `sqlite://rollcall.db` or `sqlite:///absolute/path.db`"
                    .to_owned(),
            }),
            Some(path) => Ok(Self::Sqlite(PathBuf::from(path))),
            // The text may hold a password: it is not repeated.
            None => Err(StoreError::Address {
                message: "the database URL is neither `sqlite://…` (or a path that ends in `.db`) nor `postgres://…`"
                    .to_owned(),
            }),
        }
    }

    pub(crate) fn origin(&self) -> Origin {
        match self {
            Self::Sqlite(path) => Origin { engine: Engine::Sqlite, shown: path.display().to_string() },
            Self::Postgres(shown) => Origin { engine: Engine::Postgres, shown: shown.clone() },
        }
    }
}

/// `user@host/database` out of what follows the scheme: no password, and no parameters, one of which may be a password.
fn shown(rest: &str) -> String {
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    match rest.rsplit_once('@') {
        None => format!("postgres://{rest}"),
        Some((credentials, host)) => {
            let user = credentials.split(':').next().unwrap_or_default();
            format!("postgres://{user}@{host}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Target, StoreError> {
        Target::parse(&SecretString::from(url))
    }

    #[test]
    fn the_scheme_decides_the_engine() {
        assert_eq!(parse("sqlite://rollcall.db").unwrap(), Target::Sqlite("rollcall.db".into()));
        assert_eq!(parse("sqlite:///var/lib/rollcall.db").unwrap(), Target::Sqlite("/var/lib/rollcall.db".into()));
        assert_eq!(parse("data/rollcall.db").unwrap(), Target::Sqlite("data/rollcall.db".into()));
        assert!(matches!(parse("postgresql://localhost/rollcall").unwrap(), Target::Postgres(_)));
        assert!(parse("mysql://root@localhost/x.db").is_err());
        assert!(parse("sqlite://").is_err());
    }

    #[test]
    fn a_password_is_never_shown() {
        let urls = [
            "postgres://anna:hunter2@db.example.org/rollcall?sslmode=require",
            "postgres://anna:hun@ter2@db.example.org/rollcall",
            "postgres://db.example.org/rollcall?user=anna&password=hunter2",
        ];
        for url in urls {
            let shown = parse(url).unwrap().origin().shown;
            assert!(!shown.contains("ter2") && shown.contains("db.example.org/rollcall"), "{shown}");
        }
        let error = parse("mysql://anna:hunter2@localhost").unwrap_err();
        assert!(!format!("{error:?} {error}").contains("hunter2"));
    }
}
