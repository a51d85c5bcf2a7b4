//! How a command can fail, and what the program's exit code says of it.

use std::fmt;
use std::process::ExitCode;

use rollcall_domain::ports::{RunStatus, SourceError, StoreError};
use rollcall_domain::report::{RunError, RunReport};

/// What the exit code says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Applied or planned, or simply done.
    Done,
    /// Failed with nothing applied.
    Failed,
    /// The command line is wrong.
    Usage,
    /// A guard tripped.
    Held,
    /// Applied, but with rejects where none were wanted.
    Rejected,
    /// Ctrl-C.
    Interrupted,
}

impl Exit {
    /// What the outcome of a run means. A dry run answers as the run would.
    pub(crate) fn of_run(report: &RunReport, strict: bool) -> Self {
        match report.status {
            RunStatus::Failed => Self::Failed,
            RunStatus::Held => Self::Held,
            RunStatus::Planned if !report.held_by.is_empty() => Self::Held,
            _ if strict && report.rejected() > 0 => Self::Rejected,
            _ => Self::Done,
        }
    }

    /// The worse of two runs: failed, then held, then rejects.
    pub(crate) fn worst(self, other: Self) -> Self {
        let badness = |exit| match exit {
            Self::Done => 0,
            Self::Rejected => 1,
            Self::Held => 2,
            Self::Failed => 3,
            Self::Usage => 4,
            Self::Interrupted => 5,
        };
        if badness(other) > badness(self) { other } else { self }
    }

    const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Held => 3,
            Self::Rejected => 4,
            Self::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// A failure that this crate found itself.
#[derive(Debug)]
pub(crate) struct Failure {
    code: &'static str,
    message: String,
    hint: Option<String>,
    exit: Exit,
}

impl Failure {
    /// A failure with a stable code, and what is wrong.
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None, exit: Exit::Failed }
    }

    /// A mistake in the command line or in the configuration, with a stable code.
    pub(crate) fn usage(code: &'static str, message: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, ..Self::new(code, message) }
    }

    /// Adds what to do about it.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// A failure as it is shown.
#[derive(Debug)]
pub(crate) struct Explained {
    /// Code, message and problems.
    pub(crate) error: RunError,
    /// What to do.
    pub(crate) hint: Option<String>,
    /// What the program's exit code says.
    pub(crate) exit: Exit,
}

/// Turns an error into what is shown of it: the one place where the chain of causes is written out.
pub(crate) fn explain(error: &anyhow::Error) -> Explained {
    let message = chain(error);
    let explained = |code: &str, problems, hint: Option<String>, exit| {
        let hint = hint.or_else(|| hint_for(code).map(str::to_owned));
        Explained { error: RunError { code: code.to_owned(), message: message.clone(), problems }, hint, exit }
    };
    for cause in error.chain() {
        if let Some(failure) = cause.downcast_ref::<Failure>() {
            return explained(failure.code, Vec::new(), failure.hint.clone(), failure.exit);
        }
        if let Some(store) = cause.downcast_ref::<StoreError>() {
            let is_usage = matches!(store, StoreError::Address { .. });
            return explained(store.code(), Vec::new(), None, if is_usage { Exit::Usage } else { Exit::Failed });
        }
        if let Some(source) = cause.downcast_ref::<SourceError>() {
            return explained(&source.code, source.problems.clone(), None, Exit::Failed);
        }
    }
    explained("failed", Vec::new(), None, Exit::Failed)
}

/// What to do about an error whose message cannot know the command line.
pub(crate) fn hint_for(code: &str) -> Option<&'static str> {
    match code {
        "store.address" | "store.unavailable" => Some("`--database-url` or `DATABASE_URL` names the database"),
        "store.denied" => Some("check the user and the password in `--database-url` or `DATABASE_URL`"),
        _ => None,
    }
}

/// The messages of an error and its causes. A cause that says what was already said is left out.
fn chain(error: &anyhow::Error) -> String {
    let mut said = String::new();
    for cause in error.chain() {
        let message = cause.to_string();
        let message = message.trim();
        if message.is_empty() || said.contains(message) {
            continue;
        }
        if !said.is_empty() {
            said.push_str(": ");
        }
        said.push_str(message);
    }
    said
}

#[cfg(test)]
mod tests {
    use rollcall_domain::RunId;
    use rollcall_domain::ports::Hold;

    use super::*;

    fn report(status: RunStatus) -> RunReport {
        RunReport { status, ..RunReport::begun(RunId(uuid::Uuid::nil()), "a") }
    }

    #[test]
    fn an_exit_code_says_what_became_of_the_run() {
        let mut rejecting = report(RunStatus::Succeeded);
        rejecting.counts[rollcall_domain::Kind::Users].rejected = 1;
        let mut tripped = report(RunStatus::Planned);
        tripped.held_by = vec![Hold { code: rollcall_domain::Code::GuardDelete, message: "…".to_owned() }];

        assert_eq!(Exit::of_run(&report(RunStatus::Succeeded), true).code(), 0);
        assert_eq!(Exit::of_run(&report(RunStatus::Planned), true).code(), 0);
        assert_eq!(Exit::of_run(&rejecting, false).code(), 0);
        assert_eq!(Exit::of_run(&rejecting, true).code(), 4);
        assert_eq!(Exit::of_run(&tripped, false).code(), 3);
        assert_eq!(Exit::of_run(&report(RunStatus::Held), false).code(), 3);
        assert_eq!(Exit::of_run(&report(RunStatus::Failed), false).code(), 1);
    }

    #[test]
    fn of_several_runs_the_worst_counts() {
        assert_eq!(Exit::Done.worst(Exit::Rejected), Exit::Rejected);
        assert_eq!(Exit::Held.worst(Exit::Rejected), Exit::Held);
        assert_eq!(Exit::Held.worst(Exit::Failed), Exit::Failed);
    }

    #[test]
    fn a_chain_is_written_out_once() {
        let error = anyhow::anyhow!("disk is full").context("cannot write `orgs.csv`").context("cannot export");
        assert_eq!(explain(&error).error.message, "cannot export: cannot write `orgs.csv`: disk is full");
        assert_eq!(explain(&error).error.code, "failed");
    }

    #[test]
    fn a_failure_keeps_its_code_under_context() {
        let error = anyhow::Error::new(Failure::new("source.unknown", "no such source").hint("look")).context("export");
        let explained = explain(&error);
        assert_eq!(explained.error.code, "source.unknown");
        assert_eq!(explained.hint.as_deref(), Some("look"));
    }
}
