//! The only module that writes to stdout and stderr: results to the one, everything else to the other.
//!
//! A reader that goes away (`| head`) is not an error: what remains is dropped without a word.

use std::io::{self, BufWriter, Write};

use serde::Serialize;

use crate::cli::{Cli, OutputFormat};
use crate::documents;
use crate::failure::{self, Exit, Explained};

/// The program's results.
#[derive(Debug)]
pub(crate) struct Output {
    format: OutputFormat,
    stdout: BufWriter<io::Stdout>,
    begun: bool,
    closed: bool,
}

impl Output {
    /// Results in the given format.
    pub(crate) fn new(format: OutputFormat) -> Self {
        Self { format, stdout: BufWriter::with_capacity(64 * 1024, io::stdout()), begun: false, closed: false }
    }

    /// Whether one JSON document is wanted.
    pub(crate) fn is_json(&self) -> bool {
        self.format == OutputFormat::Json
    }

    /// Whether nobody reads any more, so that a long answer may end.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Writes text as it is.
    pub(crate) fn text(&mut self, text: &str) -> io::Result<()> {
        self.write_all(text.as_bytes())
    }

    /// Writes one JSON document and a line end.
    pub(crate) fn json(&mut self, document: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut *self, document)?;
        self.text("\n")
    }

    /// Hands everything over to the reader.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        self.flush()
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.closed {
            return Ok(bytes.len());
        }
        self.begun = true;
        match self.stdout.write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(bytes.len())
            }
            result => result,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.closed {
            return Ok(());
        }
        match self.stdout.flush() {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(())
            }
            result => result,
        }
    }
}

/// Writes a line for the reader to stderr. If even that fails there is nobody to tell.
pub(crate) fn note(line: &str) {
    let mut stderr = io::stderr().lock();
    let _ = writeln!(stderr, "{line}");
}

/// Shows a failure that ended a command, and returns the exit code for it.
pub(crate) fn failed(output: &mut Output, source: Option<&str>, validates: bool, error: &anyhow::Error) -> Exit {
    let Explained { error, hint, exit } = failure::explain(error);
    // A document that breaks off is not mended by a second one.
    if output.is_json() && !output.begun {
        // Stdout may be what failed; stderr below says so then.
        let written = if validates {
            output.json(&documents::Validation::refused(&error, hint.as_deref()))
        } else {
            output.json(&documents::FailedEarly::new(source, &error, hint.as_deref()))
        };
        if written.and_then(|()| output.finish()).is_ok() {
            return exit;
        }
    }
    let _ = output.flush();
    note(crate::screens::run::failure(&error, hint.as_deref()).trim_end());
    exit
}

/// Shows a failure from before any command could begin.
pub(crate) fn fatal(cli: &Cli, error: &anyhow::Error) -> Exit {
    failed(&mut Output::new(cli.global.output), None, false, error)
}

/// Shows what clap has to say: help and version to stdout, mistakes to stderr, and where JSON was asked for also as a
/// document.
pub(crate) fn usage(answer: &clap::Error) -> Exit {
    if !answer.use_stderr() {
        // The reader of a help text may leave early, too.
        let _ = answer.print();
        return Exit::Done;
    }
    let _ = answer.print();
    if asks_for_json(std::env::args().skip(1)) {
        let message = usage_message(&answer.render().to_string());
        let error = rollcall_domain::report::RunError { code: "usage".to_owned(), message, problems: Vec::new() };
        let mut output = Output::new(OutputFormat::Json);
        let _ = output
            .json(&documents::FailedEarly::new(None, &error, Some("`--help` shows what can be given")))
            .and_then(|()| output.finish());
    }
    Exit::Usage
}

/// What clap says of a mistake, in one line: all of it but the usage and the way to the help text.
fn usage_message(text: &str) -> String {
    let said =
        text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"));
    let said: Vec<_> = said.filter(|line| !line.is_empty()).collect();
    said.join(" ").trim_start_matches("error: ").to_owned()
}

fn asks_for_json(arguments: impl Iterator<Item = String>) -> bool {
    let mut after_output = false;
    for argument in arguments {
        if argument == "--output=json" || (after_output && argument == "json") {
            return true;
        }
        after_output = argument == "--output";
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_usage_error_is_told_to_its_end() {
        let text = "error: the following required arguments were not provided:\n  --source <NAME>\n  <PATH>\n\n\
                    Usage: rollcall import --source <NAME>\n\nFor more information, try '--help'.\n";
        assert_eq!(usage_message(text), "the following required arguments were not provided: --source <NAME> <PATH>");
    }

    #[test]
    fn json_is_recognised_on_a_command_line_that_cannot_be_parsed() {
        let asks = |line: &str| asks_for_json(line.split(' ').map(str::to_owned));
        assert!(asks("import --output json"));
        assert!(asks("--output=json import"));
        assert!(!asks("import json --output human"));
    }
}
