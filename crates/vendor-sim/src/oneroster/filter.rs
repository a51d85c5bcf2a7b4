//! `filter=`: the grammar of OneRoster, to the letter.
//!
//! A clause is a path, an operator and a value in single quotes, without spaces between them; one `AND` or `OR` may join
//! two clauses. A quote inside a value is doubled. A list has (`=`) all or (`~`) any of the values that commas part.

use std::borrow::Cow;
use std::cmp::Ordering;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use rollcall_domain::Kind;
use serde_json::Value;

use super::Version;
use crate::collection::Stored;
use crate::json;

/// What a record must be to be listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Filter {
    first: Clause,
    second: Option<(Join, Clause)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Join {
    And,
    Or,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Clause {
    path: Path,
    operator: Operator,
    value: String,
    /// The value as a time, for `dateLastModified`.
    time: Option<Timestamp>,
}

/// A member of a record, or a member of that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path {
    head: String,
    tail: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    Contains,
}

/// Longer ones first: `>=` begins with `>`.
const OPERATORS: [(&str, Operator); 7] = [
    ("!=", Operator::NotEqual),
    (">=", Operator::GreaterOrEqual),
    ("<=", Operator::LessOrEqual),
    ("=", Operator::Equal),
    (">", Operator::Greater),
    ("<", Operator::Less),
    ("~", Operator::Contains),
];

impl Filter {
    /// Reads a filter, or says what is wrong with it.
    pub(super) fn parse(text: &str, version: Version, kind: Kind) -> Result<Self, String> {
        let (first, rest) = Clause::parse(text, version, kind)?;
        if rest.is_empty() {
            return Ok(Self { first, second: None });
        }
        let joined = rest.strip_prefix(" AND ").map(|rest| (Join::And, rest));
        let Some((join, rest)) = joined.or_else(|| rest.strip_prefix(" OR ").map(|rest| (Join::Or, rest))) else {
            return Err(format!("after a clause comes ` AND ` or ` OR `, not `{rest}`"));
        };
        let (second, rest) = Clause::parse(rest, version, kind)?;
        if !rest.is_empty() {
            return Err("a filter joins at most two clauses".to_owned());
        }
        Ok(Self { first, second: Some((join, second)) })
    }

    pub(super) fn matches(&self, record: Stored<'_>) -> bool {
        let first = self.first.matches(record);
        match &self.second {
            None => first,
            Some((Join::And, second)) => first && second.matches(record),
            Some((Join::Or, second)) => first || second.matches(record),
        }
    }
}

impl Clause {
    fn parse(text: &str, version: Version, kind: Kind) -> Result<(Self, &str), String> {
        let end = text
            .find(|letter: char| !(letter.is_ascii_alphanumeric() || "._-:".contains(letter)))
            .ok_or_else(|| format!("`{text}` has no operator"))?;
        let (path, rest) = text.split_at(end);
        let path = Path::parse(path, version, kind)?;
        let (sign, operator) = OPERATORS
            .into_iter()
            .find(|(sign, _)| rest.starts_with(sign))
            .ok_or_else(|| "after the field comes one of = != > >= < <= ~, without a space".to_owned())?;
        let quoted = rest[sign.len()..]
            .strip_prefix('\'')
            .ok_or_else(|| "a value stands in single quotes, right after the operator".to_owned())?;
        let mut value = String::new();
        let mut from = quoted;
        let rest = loop {
            let end = from.find('\'').ok_or_else(|| "the quote of a value is not closed".to_owned())?;
            value.push_str(&from[..end]);
            match from[end + 1..].strip_prefix('\'') {
                Some(more) => {
                    value.push('\'');
                    from = more;
                }
                None => break &from[end + 1..],
            }
        };
        let time = if path.head == "dateLastModified" && operator != Operator::Contains {
            Some(time(&value).ok_or_else(|| format!("`{value}` is no time such as 2026-01-01T00:00:00.000Z"))?)
        } else {
            None
        };
        Ok((Self { path, operator, value, time }, rest))
    }

    fn matches(&self, record: Stored<'_>) -> bool {
        if let Some(time) = self.time {
            // A record without a time never matches.
            return record.stamp.at.is_some_and(|at| self.operator.holds(at.cmp(&time)));
        }
        let mut matched = false;
        let mut seen = 0_usize;
        let mut texts = Vec::new();
        self.path.each_value(record, &mut |value, in_list| {
            seen += 1;
            if in_list {
                texts.push(value.to_owned());
            } else {
                matched |= match self.operator {
                    Operator::Contains => value.contains(&self.value),
                    operator => operator.holds(value.cmp(self.value.as_str())),
                };
            }
        });
        if !texts.is_empty() {
            let mut wanted = self.value.split(',');
            matched = match self.operator {
                Operator::Contains => wanted.any(|one| texts.iter().any(|text| text == one)),
                Operator::Equal => wanted.all(|one| texts.iter().any(|text| text == one)),
                Operator::NotEqual => !wanted.all(|one| texts.iter().any(|text| text == one)),
                operator => texts.iter().any(|text| operator.holds(text.as_str().cmp(&self.value))),
            };
        }
        matched || (seen == 0 && self.operator == Operator::NotEqual)
    }
}

impl Operator {
    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::NotEqual => ordering.is_ne(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Contains => false,
        }
    }
}

impl Path {
    /// Reads a path whose first name is a member of records of a kind.
    pub(super) fn parse(text: &str, version: Version, kind: Kind) -> Result<Self, String> {
        let mut names = text.split('.').map(str::to_owned);
        let head = names.next().unwrap_or_default();
        let tail: Vec<_> = names.collect();
        let object = matches!(
            head.as_str(),
            "parent"
                | "children"
                | "org"
                | "orgs"
                | "course"
                | "school"
                | "terms"
                | "resources"
                | "agents"
                | "user"
                | "class"
                | "roles"
                | "userProfiles"
                | "primaryOrg"
                | "userIds"
                | "metadata"
        ) || (head == "schoolYear" && kind == Kind::Courses);
        if !version.has_field(kind, &head) || tail.is_empty() == object || tail.iter().any(String::is_empty) {
            return Err(format!("`{text}` is not a field of {kind}"));
        }
        Ok(Self { head, tail })
    }

    /// Calls `visit` for each value, and says whether it is one of a list of texts.
    pub(super) fn each_value(&self, record: Stored<'_>, visit: &mut dyn FnMut(&str, bool)) {
        match self.head.as_str() {
            "sourcedId" => visit(&unescaped(record.id), false),
            "status" => visit(&record.stamp.status, false),
            "dateLastModified" => visit(&record.stamp.modified, false),
            head => {
                let Some(written) = json::member(record.members, head) else { return };
                // Most values are texts, and most texts stand as they are.
                if let [b'"', inner @ .., b'"'] = written
                    && self.tail.is_empty()
                {
                    return visit(&unescaped(inner), false);
                }
                if let Ok(value) = serde_json::from_slice(written) {
                    walk(&value, &self.tail, visit);
                }
            }
        }
    }
}

fn walk(value: &Value, path: &[String], visit: &mut dyn FnMut(&str, bool)) {
    match value {
        Value::Array(items) => {
            for item in items {
                match item {
                    Value::String(text) if path.is_empty() => visit(text, true),
                    item => walk(item, path, visit),
                }
            }
        }
        Value::Object(members) => {
            if let Some((name, rest)) = path.split_first()
                && let Some(member) = members.get(name)
            {
                walk(member, rest, visit);
            }
        }
        Value::String(text) if path.is_empty() => visit(text, false),
        _ => {}
    }
}

/// What stands between the quotes of a JSON text.
fn unescaped(inner: &[u8]) -> Cow<'_, str> {
    if !inner.contains(&b'\\') {
        return String::from_utf8_lossy(inner);
    }
    let mut quoted = Vec::with_capacity(inner.len() + 2);
    quoted.push(b'"');
    quoted.extend_from_slice(inner);
    quoted.push(b'"');
    Cow::Owned(serde_json::from_slice(&quoted).unwrap_or_default())
}

/// A time, or the beginning of a day.
fn time(text: &str) -> Option<Timestamp> {
    let day = || Some(text.parse::<Date>().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp());
    text.parse().ok().or_else(day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collection::{Builder, Stamp};
    use crate::json::Members;

    fn matches(filter: &str) -> bool {
        let mut out = Members::default();
        out.text("username", "o'neil");
        out.list("grades", ["09", "10"]);
        out.objects("roles", ["student", "aide"], |role, word| {
            role.text("role", word);
            role.object("org", |org| org.text("sourcedId", &format!("at-{word}")));
        });
        out.object("metadata", |metadata| metadata.text("house", "Blue"));
        let mut builder = Builder::default();
        let stamp = builder.stamp(Stamp::active("2026-11-02T05:00:00Z".parse().unwrap()));
        builder.push("u1", out.as_bytes(), stamp);
        let filter = Filter::parse(filter, Version::V1_2, Kind::Users).unwrap();
        filter.matches(builder.finish().get(0))
    }

    #[test]
    fn clauses_compare_texts_times_lists_and_what_is_nested() {
        for filter in [
            "username='o''neil'",
            "username~'nei'",
            "username>'a' AND username<'p'",
            "username='x' OR sourcedId='u1'",
            "status='active' AND dateLastModified>='2026-11-02T05:00:00.000Z'",
            "dateLastModified>'2026-11-01'",
            "dateLastModified<'2026-11-02T06:00:00.000+00:00'",
            "email!='x'",
            "grades='10,09'",
            "grades~'KG,09'",
            "grades!='KG'",
            "roles.role='aide'",
            "roles.org.sourcedId='at-student'",
            "metadata.house='Blue'",
        ] {
            assert!(matches(filter), "{filter}");
        }
        for filter in [
            "username='O''neil'",
            "email='x'",
            "grades='09,KG'",
            "roles.role='teacher'",
            "dateLastModified>'2026-11-02T05:00:00.000Z'",
            "username='o''neil' AND status='tobedeleted'",
        ] {
            assert!(!matches(filter), "{filter}");
        }
    }

    #[test]
    fn what_the_grammar_does_not_have_is_refused() {
        for filter in [
            "",
            "username",
            "username = 'x'",
            "username=x",
            "username='x",
            "username='x' and status='active'",
            "username='x' AND status='active' AND status='active'",
            "username='x'+AND+status='active'",
            "shoeSize='44'",
            "roles='x'",
            "username.first='x'",
            "dateLastModified>'yesterday'",
            "orgs.sourcedId='x'",
        ] {
            assert!(Filter::parse(filter, Version::V1_2, Kind::Users).is_err(), "{filter}");
        }
        assert!(Filter::parse("orgs.sourcedId='x'", Version::V1_1, Kind::Users).is_ok());
    }
}
