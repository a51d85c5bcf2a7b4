//! Lengths of time: `"90s"`, `"12h"`, `"7d"`.

use std::fmt;
use std::time::Duration;

use jiff::{Span, SpanRelativeTo};
use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// A length of time. A day has 24 hours; months and years, which have no length, are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Length(pub(crate) Duration);

impl<'de> Deserialize<'de> for Length {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(LengthVisitor)
    }
}

struct LengthVisitor;

impl Visitor<'_> for LengthVisitor {
    type Value = Length;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a length of time such as \"90s\", \"12h\" or \"7d\"")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Length, E> {
        let length = text
            .parse::<Span>()
            .ok()
            .and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok())
            .and_then(|length| Duration::try_from(length).ok());
        match length {
            Some(length) if !length.is_zero() => Ok(Length(length)),
            _ => Err(E::custom(format!(
                "`{text}` is no length of time; write a number and its unit, such as `90s`, `12h` or `7d`"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Holder {
        length: Length,
    }

    fn read(text: &str) -> Option<Duration> {
        toml::from_str(&format!("length = {text}")).ok().map(|holder: Holder| holder.length.0)
    }

    #[test]
    fn a_length_is_a_number_and_its_unit() {
        assert_eq!(read("\"7d\""), Some(Duration::from_hours(168)));
        assert_eq!(read("\"1h 30m\""), Some(Duration::from_mins(90)));
        assert_eq!(read("\"90 seconds\""), Some(Duration::from_secs(90)));
        assert_eq!(read("\"2 weeks\""), Some(Duration::from_hours(336)));
        for nonsense in ["\"1 month\"", "\"0s\"", "\"-1h\"", "\"soon\"", "\"7\"", "7", "\"\""] {
            assert_eq!(read(nonsense), None, "{nonsense}");
        }
    }
}
