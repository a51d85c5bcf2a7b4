//! How far a run has come, on stderr: a bar on a terminal, a line every few seconds elsewhere.

use std::io::IsTerminal as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use rollcall_domain::sync::{Progress, ProgressEvent};

use crate::output;

/// Long work says that it lives this often.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Shows how far a run has come.
#[derive(Debug)]
pub(crate) struct Meter {
    shown: Shown,
}

#[derive(Debug)]
enum Shown {
    Bar(ProgressBar),
    Lines { name: String, last: Mutex<Instant> },
}

impl Meter {
    /// Shows the progress of a run of `name`.
    pub(crate) fn start(name: &str) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self { shown: Shown::Lines { name: name.to_owned(), last: Mutex::new(Instant::now()) } };
        }
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix}: {msg} ({elapsed})") {
            bar.set_style(style);
        }
        bar.set_prefix(name.to_owned());
        bar.set_message("opening");
        bar.enable_steady_tick(Duration::from_millis(120));
        Self { shown: Shown::Bar(bar) }
    }

    /// Shows a message in place of the last one.
    pub(crate) fn say(&self, message: String) {
        match &self.shown {
            Shown::Bar(bar) => bar.set_message(message),
            Shown::Lines { name, last } => {
                let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
                if last.elapsed() >= LINE_EVERY {
                    *last = Instant::now();
                    output::note(&format!("{name}: {message}"));
                }
            }
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if let Shown::Bar(bar) = &self.shown {
            bar.finish_and_clear();
        }
    }
}

impl Progress for Meter {
    fn report(&self, event: ProgressEvent) {
        let message = match event {
            ProgressEvent::Received { kind, total } => format!("{total} records read, {kind} now"),
            ProgressEvent::Checking => "checking references".to_owned(),
            ProgressEvent::Applying { changes } => format!("applying {changes} changes"),
        };
        self.say(message);
    }
}
