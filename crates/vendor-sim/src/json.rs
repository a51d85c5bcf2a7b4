//! Compact JSON, written by hand and looked into without being parsed: a page of ten thousand records is put together
//! from pieces that were written once.

use jiff::civil::Date;
use serde_json::Value;

/// Writes the members of one object, each with a comma before it.
///
/// The members of a record follow its id and its life cycle, which are written when the record is served; see
/// [`Collection`](crate::collection::Collection).
#[derive(Debug, Default)]
pub(crate) struct Members {
    out: Vec<u8>,
}

impl Members {
    /// Begins anew, in the same memory.
    pub(crate) fn clear(&mut self) {
        self.out.clear();
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.out
    }

    /// A text.
    pub(crate) fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        string(&mut self.out, value);
    }

    /// A text, if there is one.
    pub(crate) fn optional<T: AsRef<str>>(&mut self, key: &str, value: Option<&T>) {
        if let Some(value) = value {
            self.text(key, value.as_ref());
        }
    }

    /// A flag as OneRoster writes it: a text.
    pub(crate) fn flag(&mut self, key: &str, value: Option<bool>) {
        if let Some(value) = value {
            self.text(key, if value { "true" } else { "false" });
        }
    }

    /// A day.
    pub(crate) fn date(&mut self, key: &str, value: Option<Date>) {
        let Some(date) = value else { return };
        self.key(key);
        self.out.push(b'"');
        let year = date.year().unsigned_abs();
        let (month, day) = (date.month().unsigned_abs(), date.day().unsigned_abs());
        for (number, digits) in [(year, 4), (u16::from(month), 2), (u16::from(day), 2)] {
            if digits == 2 {
                self.out.push(b'-');
            }
            for place in (0..digits).rev() {
                let digit = number / 10_u16.pow(place) % 10;
                self.out.push(b'0' + u8::try_from(digit).unwrap_or_default());
            }
        }
        self.out.push(b'"');
    }

    /// A list of texts.
    pub(crate) fn list<T: AsRef<str>>(&mut self, key: &str, items: impl IntoIterator<Item = T>) {
        self.array(key, items, |out, item| string(out, item.as_ref()));
    }

    /// An object, from its own members.
    pub(crate) fn object(&mut self, key: &str, write: impl FnOnce(&mut Self)) {
        self.key(key);
        self.braced(write);
    }

    /// A list of objects.
    pub(crate) fn objects<T>(
        &mut self,
        key: &str,
        items: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T),
    ) {
        self.key(key);
        self.out.push(b'[');
        for (place, item) in items.into_iter().enumerate() {
            if place > 0 {
                self.out.push(b',');
            }
            self.braced(|members| write(members, item));
        }
        self.out.push(b']');
    }

    fn array<T>(&mut self, key: &str, items: impl IntoIterator<Item = T>, mut write: impl FnMut(&mut Vec<u8>, T)) {
        self.key(key);
        self.out.push(b'[');
        for (place, item) in items.into_iter().enumerate() {
            if place > 0 {
                self.out.push(b',');
            }
            write(&mut self.out, item);
        }
        self.out.push(b']');
    }

    fn braced(&mut self, write: impl FnOnce(&mut Self)) {
        let start = self.out.len();
        write(self);
        // The comma of the first member gives way to the brace.
        if self.out.len() > start {
            self.out[start] = b'{';
        } else {
            self.out.push(b'{');
        }
        self.out.push(b'}');
    }

    fn key(&mut self, key: &str) {
        self.out.push(b',');
        string(&mut self.out, key);
        self.out.push(b':');
    }
}

/// Writes a text in quotes.
pub(crate) fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    escaped(out, text);
    out.push(b'"');
}

/// Writes what stands between the quotes of a text.
pub(crate) fn escaped(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    if !bytes.iter().any(|&byte| byte < 0x20 || byte == b'"' || byte == b'\\') {
        out.extend_from_slice(bytes);
        return;
    }
    let quoted = Value::from(text).to_string();
    out.extend_from_slice(&quoted.as_bytes()[1..quoted.len() - 1]);
}

/// The members of an object that [`Members`] wrote: each key, and the bytes of its value.
pub(crate) fn members(mut written: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    std::iter::from_fn(move || {
        // `,"key":value`: keys have no escapes.
        let rest = written.strip_prefix(b",\"")?;
        let key_end = rest.iter().position(|&byte| byte == b'"')?;
        let value = rest.get(key_end + 2..)?;
        let (value, after) = value.split_at(end_of_value(value));
        written = after;
        Some((&rest[..key_end], value))
    })
}

/// The value of one member.
pub(crate) fn member<'a>(written: &'a [u8], key: &str) -> Option<&'a [u8]> {
    members(written).find(|(name, _)| *name == key.as_bytes()).map(|(_, value)| value)
}

/// Where a value ends that is followed by a comma or by nothing.
fn end_of_value(bytes: &[u8]) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                at += 1;
                while at < bytes.len() && bytes[at] != b'"' {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => return at,
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use serde_json::json;

    use super::*;

    #[test]
    fn members_are_json_and_are_found_again() {
        let mut written = Members::default();
        written.text("plain", "Zoë");
        written.text("nasty", "a\"b\\c\n{[,");
        written.date("on", Some(date(2026, 8, 7)));
        written.flag("flag", Some(false));
        written.flag("open", None);
        written.list("list", ["a", "b,\""]);
        written.object("nothing", |_| {});
        written.objects("things", ["x", "y"], |thing, id| {
            thing.text("id", id);
            thing.object("in", |inner| inner.text("k", "]}"));
        });
        let mut text = b"{\"first\":1".to_vec();
        text.extend_from_slice(written.as_bytes());
        text.push(b'}');
        let read: Value = serde_json::from_slice(&text).unwrap();
        let expected = json!({
            "first": 1, "plain": "Zoë", "nasty": "a\"b\\c\n{[,", "on": "2026-08-07", "flag": "false",
            "list": ["a", "b,\""], "nothing": {},
            "things": [{"id": "x", "in": {"k": "]}"}}, {"id": "y", "in": {"k": "]}"}}],
        });
        assert_eq!(read, expected);
        for (key, value) in members(written.as_bytes()) {
            let key = std::str::from_utf8(key).unwrap();
            assert_eq!(serde_json::from_slice::<Value>(value).unwrap(), expected[key], "{key}");
        }
        assert_eq!(members(written.as_bytes()).count(), expected.as_object().unwrap().len() - 1);
        assert_eq!(member(written.as_bytes(), "on"), Some(&b"\"2026-08-07\""[..]));
    }
}
