//! A mistake in the configuration file, shown where it stands.

use std::ops::Range;
use std::path::Path;

use crate::failure::Failure;

/// A mistake, and where it is.
#[derive(Debug)]
pub(super) struct Mistake {
    span: Option<Range<usize>>,
    message: String,
}

impl Mistake {
    /// A mistake at a place.
    pub(super) fn at(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { span: Some(span), message: message.into() }
    }

    /// A key that means nothing here.
    pub(super) fn unknown_key(span: Range<usize>, key: &str, known: &[&str]) -> Self {
        Self::at(span, format!("unknown key `{key}`; {}", nearest(key, known)))
    }

    /// Says where in which file the mistake is, and quotes the line unless it may hold a secret.
    pub(super) fn in_file(self, path: &Path, text: &str) -> Failure {
        let Some(span) = self.span else {
            return Failure::usage("config.invalid", format!("`{}`: {}", path.display(), self.message));
        };
        Failure::usage("config.invalid", format!("{}: {}", place(path, text, span.start), self.message))
    }
}

/// The words for a place in a file.
pub(super) fn place(path: &Path, text: &str, at: usize) -> String {
    let before = text.get(..at.min(text.len())).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("`{}` line {line}, column {column}", path.display())
}

impl From<toml::de::Error> for Mistake {
    fn from(error: toml::de::Error) -> Self {
        let message = error.message();
        // The only small numbers in the file are percentages.
        let message = message
            .replace("expected u8", "expected a percentage")
            .replace("expected a nonzero u32", "expected a number from 1")
            .replace("expected a nonzero usize", "expected a number from 1");
        Self { span: error.span(), message: with_nearest(&message).unwrap_or(message) }
    }
}

/// Rewrites serde's words for an unknown key or value so that they name the nearest known one.
fn with_nearest(message: &str) -> Option<String> {
    let (what, rest) = if let Some(rest) = message.strip_prefix("unknown field `") {
        ("key", rest)
    } else {
        ("value", message.strip_prefix("unknown variant `")?)
    };
    let (wrong, expected) = rest.split_once('`')?;
    let known: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
    Some(format!("unknown {what} `{wrong}`; {}", nearest(wrong, &known)))
}

/// The known word that is nearest to a wrong one, or all of them.
pub(super) fn nearest(wrong: &str, known: &[&str]) -> String {
    if let Some(word) = closest(wrong, known) {
        return format!("did you mean `{word}`?");
    }
    let listed: Vec<_> = known.iter().map(|word| format!("`{word}`")).collect();
    format!("known here: {}", listed.join(", "))
}

/// The known word that a wrong one was probably meant to be.
pub(super) fn closest<'w>(wrong: &str, known: &[&'w str]) -> Option<&'w str> {
    known
        .iter()
        .map(|word| (strsim::damerau_levenshtein(wrong, word), *word))
        .min()
        .filter(|(distance, word)| *distance * 3 <= word.chars().count().max(wrong.chars().count()))
        .map(|(_, word)| word)
}
