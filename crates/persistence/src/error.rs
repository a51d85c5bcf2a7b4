//! What went wrong, in the words of the port: the only place that reads the engines' errors.
//!
//! Diesel passes on neither SQLSTATE nor SQLite's codes, so the message decides. Both engines' messages are matched in
//! English; a server that speaks another language still gives the right kind of error, with a less exact sentence.

use diesel::ConnectionError;
use diesel::result::{DatabaseErrorKind, Error};
use rollcall_domain::ports::StoreError;

use crate::connection::Engine;

/// The database that an error is about, without secrets.
#[derive(Debug)]
pub(crate) struct Origin {
    pub(crate) engine: Engine,
    /// The file, or `user@host/database`.
    pub(crate) shown: String,
}

impl Origin {
    /// Translates the failure of a statement.
    pub(crate) fn translate(&self, action: &str, error: Error) -> StoreError {
        let Error::DatabaseError(kind, information) = &error else {
            return failed(action, error);
        };
        let message = match kind {
            DatabaseErrorKind::ReadOnlyTransaction => "read-only".to_owned(),
            DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::UnableToSendCommand => CLOSED.to_owned(),
            _ => information.message().to_owned(),
        };
        self.explain(action, &message, Box::new(error))
    }

    /// Finds the sentence for what an engine said.
    pub(crate) fn explain(
        &self,
        action: &str,
        message: &str,
        error: Box<dyn std::error::Error + Send + Sync>,
    ) -> StoreError {
        let shown = &self.shown;
        if says(message, &["readonly", "read-only"]) {
            return StoreError::NotWritable {
                message: format!(
                    "cannot {action}: the database {shown} is read-only; make the file and its folder (or the role) writable, or use a command that only reads"
                ),
                cause: Some(error),
            };
        }
        if says(message, &["disk is full", "no space left", "disk full", "could not extend file"]) {
            return StoreError::NotWritable {
                message: format!(
                    "cannot {action}: the disk of the database {shown}, or of temporary files, is full; free some space and try again"
                ),
                cause: Some(error),
            };
        }
        if says(message, &["permission denied"]) {
            return StoreError::Denied {
                message: format!(
                    "cannot {action}: the role may not do that in the database {shown}; grant it the right, or use another role"
                ),
            };
        }
        if self.engine == Engine::Sqlite {
            if says(message, &["not a database"]) {
                return StoreError::Unavailable {
                    message: format!("{shown} is not an SQLite database; name another file, or move this one away"),
                    cause: Some(error),
                };
            }
            if says(message, &["malformed"]) {
                return StoreError::Unavailable {
                    message: format!("cannot {action}: the database {shown} is damaged; restore it from a backup"),
                    cause: Some(error),
                };
            }
            if says(message, &["unable to open", "disk i/o error"]) {
                return StoreError::Unavailable {
                    message: format!(
                        "cannot {action}: the database {shown} cannot be opened; see that it and its folder exist and can be read, and that \
                         temporary files can be made (`SQLITE_TMPDIR` names a folder for them)"
                    ),
                    cause: Some(error),
                };
            }
            if says(message, &["is locked", "busy"]) {
                return StoreError::Unavailable {
                    message: format!(
                        "cannot {action}: another process has kept the database {shown} locked for too long; try again when it is done"
                    ),
                    cause: Some(error),
                };
            }
        }
        if says(message, &[CLOSED, "server closed the connection", "terminating connection"]) {
            return StoreError::Unavailable {
                message: format!(
                    "cannot {action}: the connection to {shown} was lost; see that the server runs, and try again"
                ),
                cause: Some(error),
            };
        }
        failed(action, error)
    }

    /// Translates the failure to connect.
    pub(crate) fn unreachable(&self, error: ConnectionError) -> StoreError {
        let shown = &self.shown;
        let message = error.to_string();
        if let ConnectionError::CouldntSetupConfiguration(error) = error {
            return self.translate("open it", error);
        }
        if says(
            &message,
            &[
                "password authentication failed",
                "no password supplied",
                "authentication failed",
                "no pg_hba.conf entry",
            ],
        ) {
            return StoreError::Denied {
                message: format!("the server refuses the user or the password of {shown}; correct the database URL"),
            };
        }
        if says(&message, &["role ", "user "])
            && says(&message, &["does not exist"])
            && !says(&message, &["database \""])
        {
            return StoreError::Denied {
                message: format!(
                    "the server does not know the user of {shown}; correct the database URL, or create the role"
                ),
            };
        }
        let text = match self.engine {
            Engine::Postgres if says(&message, &["database \""]) && says(&message, &["does not exist"]) => {
                format!(
                    "the server has no database of the name in {shown}; create it with `createdb`, or correct the database URL"
                )
            }
            Engine::Postgres => {
                format!(
                    "cannot reach the PostgreSQL server of {shown}; see that it runs and that host and port are right"
                )
            }
            Engine::Sqlite => {
                format!("cannot open the database {shown}; see that its folder exists and that the file can be read")
            }
        };
        // libpq's own words name host and user, and never the password.
        StoreError::Unavailable { message: text, cause: Some(Box::new(error)) }
    }
}

/// What a lost connection is called here.
const CLOSED: &str = "the connection is closed";

fn says(message: &str, words: &[&str]) -> bool {
    let message = message.to_ascii_lowercase();
    words.iter().any(|word| message.contains(word))
}

/// Any other failure.
pub(crate) fn failed(action: &str, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::Failed { action: action.to_owned(), cause: cause.into() }
}

/// A failure to work with a file beside the database.
pub(crate) fn file_failed(action: &str, path: &std::path::Path, error: std::io::Error) -> StoreError {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::PermissionDenied
        | ErrorKind::ReadOnlyFilesystem
        | ErrorKind::StorageFull
        | ErrorKind::NotADirectory => StoreError::NotWritable {
            message: format!(
                "cannot {action}: {} cannot be written ({error}); make the database's folder writable, or free some space",
                path.display()
            ),
            cause: Some(Box::new(error)),
        },
        _ => failed(action, error),
    }
}
