//! Reads single values as OneRoster's exporters write them. Pure functions that every binding can share: they take a
//! text and say what it means and whether it was written as the standard asks.

use jiff::Timestamp;
use jiff::civil::Date;
use rollcall_domain::Text;
use rollcall_domain::entities::ExternalId;

use crate::config::SlashDates;

/// A value, and whether it was written as the standard asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written<T> {
    /// Just so.
    Exactly(T),
    /// Otherwise, but there is only one way to understand it.
    Leniently(T),
}

/// Why a date could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadDate {
    /// It has slashes, and nobody said which of day and month comes first.
    Ambiguous,
    /// It has slashes, and is a date only in the order that the source does not use.
    OtherOrder,
    /// It is no date.
    Unreadable,
}

/// Reads a day: `2026-08-15`, also with a time behind it, and with slashes if their order is known.
pub(crate) fn date(text: &str, slashes: Option<SlashDates>) -> Result<Written<Date>, BadDate> {
    let bytes = text.as_bytes();
    if let Some(date) = iso_date(bytes) {
        return match bytes.get(10) {
            None => Ok(Written::Exactly(date)),
            Some(b'T' | b't' | b' ') if bytes.get(11).is_some_and(u8::is_ascii_digit) => Ok(Written::Leniently(date)),
            Some(_) => Err(BadDate::Unreadable),
        };
    }
    let (first, second, year) = slash_date(text).ok_or(BadDate::Unreadable)?;
    let (month, day) = match slashes {
        None => return Err(BadDate::Ambiguous),
        Some(SlashDates::Mdy) => (first, second),
        Some(SlashDates::Dmy) => (second, first),
    };
    match Date::new(year, month, day) {
        Ok(date) => Ok(Written::Leniently(date)),
        Err(_) if Date::new(year, day, month).is_ok() => Err(BadDate::OtherOrder),
        Err(_) => Err(BadDate::Unreadable),
    }
}

fn iso_date(bytes: &[u8]) -> Option<Date> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, ..] = *bytes else { return None };
    let digit = |byte: u8| byte.is_ascii_digit().then(|| i16::from(byte - b'0'));
    let year = digit(y1)? * 1000 + digit(y2)? * 100 + digit(y3)? * 10 + digit(y4)?;
    let month = digit(m1)? * 10 + digit(m2)?;
    let day = digit(d1)? * 10 + digit(d2)?;
    Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

/// The three numbers of a date with slashes, the year last, whatever the order of the other two.
fn slash_date(text: &str) -> Option<(i8, i8, i16)> {
    let day_part = text.split(' ').next().unwrap_or(text);
    let mut parts = day_part.split('/');
    let (first, second, year) = (parts.next()?, parts.next()?, parts.next()?);
    let short = |part: &str| (1..=2).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    if parts.next().is_some() || !short(first) || !short(second) || year.len() != 4 {
        return None;
    }
    Some((first.parse().ok()?, second.parse().ok()?, year.parse().ok()?))
}

/// What a date with slashes proves about the order of day and month in its file; `None` if it has no slashes.
pub(crate) fn slash_proof(text: &str) -> Option<SlashProof> {
    let (first, second, _) = slash_date(text)?;
    Some(match (first > 12, second > 12) {
        (false, true) => SlashProof::MonthFirst,
        (true, false) => SlashProof::DayFirst,
        _ => SlashProof::Nothing,
    })
}

/// What a date with slashes proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SlashProof {
    MonthFirst,
    DayFirst,
    Nothing,
}

/// Reads a point in time as milliseconds since 1970 UTC: `2012-04-23T18:25:43.511Z`, also with another zone, other
/// decimals, without a zone (then UTC), or a day alone.
pub(crate) fn instant_ms(text: &str) -> Option<Written<i64>> {
    let bytes = text.as_bytes();
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        let milliseconds = timestamp.as_millisecond();
        let exact = bytes.len() == 24 && bytes[10] == b'T' && bytes[19] == b'.' && bytes[23] == b'Z';
        return Some(if exact { Written::Exactly(milliseconds) } else { Written::Leniently(milliseconds) });
    }
    let civil = text.parse::<jiff::civil::DateTime>().ok()?;
    let zoned = civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(Written::Leniently(zoned.timestamp().as_millisecond()))
}

/// Reads a school year as the year in which it ends: `2027`, also `2026-2027` and `2026/27`.
pub(crate) fn school_year(text: &str) -> Option<Written<u16>> {
    let year = |part: &str| {
        (part.len() == 4 && part.bytes().all(|byte| byte.is_ascii_digit())).then(|| part.parse::<u16>().ok()).flatten()
    };
    if let Some(year) = year(text) {
        return Some(Written::Exactly(year));
    }
    let (first, second) = text.split_once(['-', '/', '–'])?;
    let start = year(first.trim())?;
    let second = second.trim();
    let end = match second.len() {
        2 if second.bytes().all(|byte| byte.is_ascii_digit()) => start / 100 * 100 + second.parse::<u16>().ok()?,
        _ => year(second)?,
    };
    // `1999-00` ends in 2000.
    let end = if end < start { end + 100 } else { end };
    (end == start + 1).then_some(Written::Leniently(end))
}

/// Reads a yes or no: `true` and `false`, also in another case, and as `1`, `yes`, `t` and the like.
pub(crate) fn boolean(text: &str) -> Option<Written<bool>> {
    match text {
        "true" => return Some(Written::Exactly(true)),
        "false" => return Some(Written::Exactly(false)),
        _ => {}
    }
    let any = |words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if any(&["true", "t", "yes", "y", "1"]) {
        Some(Written::Leniently(true))
    } else if any(&["false", "f", "no", "n", "0"]) {
        Some(Written::Leniently(false))
    } else {
        None
    }
}

/// What a record's life-cycle column says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Active,
    ToBeDeleted,
}

/// Reads a life-cycle status: `active` and `tobedeleted`, also in another case, and the `inactive` of 1.0.
pub(crate) fn status(text: &str) -> Option<Written<Status>> {
    match text {
        "active" => Some(Written::Exactly(Status::Active)),
        "tobedeleted" => Some(Written::Exactly(Status::ToBeDeleted)),
        _ if text.eq_ignore_ascii_case("active") => Some(Written::Leniently(Status::Active)),
        _ if ["tobedeleted", "to be deleted", "inactive", "deleted"]
            .iter()
            .any(|word| text.eq_ignore_ascii_case(word)) =>
        {
            Some(Written::Leniently(Status::ToBeDeleted))
        }
        _ => None,
    }
}

/// Calls `visit` for each item of a comma-separated list, without the spaces around it. Blank items are left out. Returns
/// whether the list was written as the standard asks.
pub(crate) fn each_item<'t>(text: &'t str, mut visit: impl FnMut(&'t str)) -> bool {
    if text.is_empty() {
        return true;
    }
    let mut exact = true;
    for part in text.split(',') {
        let item = part.trim();
        exact &= item.len() == part.len() && !item.is_empty();
        if !item.is_empty() {
            visit(item);
        }
    }
    exact
}

/// Reads `userIds`: `{type:id}` items, also bare ids, which get an empty scheme. Returns whether all were as the
/// standard asks.
pub(crate) fn user_ids(text: &str, ids: &mut Vec<ExternalId>) -> bool {
    let mut exact = true;
    let mut rest = text;
    while !rest.is_empty() {
        let (item, after) = if let Some(inside) = rest.strip_prefix('{') {
            // An id may hold a comma although it should not; the brace ends it, not the comma.
            inside.split_once('}').unwrap_or_else(|| {
                exact = false;
                (inside, "")
            })
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            exact = false;
            (&rest[..end], &rest[end..])
        };
        let (scheme, value) = match item.split_once(':') {
            Some((scheme, value)) => (scheme.trim(), value.trim()),
            None => ("", item.trim()),
        };
        exact &= !scheme.is_empty() && !value.is_empty() && !value.contains(':');
        if !value.is_empty() {
            ids.push(ExternalId { scheme: Text::new(scheme), value: Text::new(value) });
        }
        let next = after.trim_start();
        rest = if let Some(next) = next.strip_prefix(',') {
            let trimmed = next.trim_start();
            exact &= trimmed.len() == next.len() && !trimmed.is_empty();
            trimmed
        } else {
            exact &= next.is_empty();
            next
        };
    }
    exact
}

/// Takes white space off both ends, as [`str::trim`] does. Almost no value has any, which two bytes can tell.
pub(crate) fn trimmed(text: &str) -> &str {
    match text.as_bytes() {
        [first, .., last] if first.is_ascii_graphic() && last.is_ascii_graphic() => text,
        _ => text.trim(),
    }
}

/// Whether an id has only the characters of OneRoster's GUID, and not too many.
pub(crate) fn is_guid(id: &str) -> bool {
    // Without a branch for each character: almost all ids are right to their ends, and every record has one.
    id.len() <= 255 && id.bytes().fold(true, |all, byte| all & IN_GUIDS[usize::from(byte)])
}

/// Which bytes a GUID may have.
static IN_GUIDS: [bool; 256] = {
    let mut allowed = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        allowed[byte as usize] = byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'/' | b'@' | b'-');
        byte += 1;
    }
    allowed
};

#[cfg(test)]
mod tests {
    use jiff::civil::date as day;

    use super::*;

    #[test]
    fn dates_are_read_with_and_without_a_time_and_slashes_only_when_their_order_is_known() {
        assert_eq!(date("2026-08-15", None), Ok(Written::Exactly(day(2026, 8, 15))));
        assert_eq!(date("2026-08-15T00:00:00Z", None), Ok(Written::Leniently(day(2026, 8, 15))));
        assert_eq!(date("2026-08-15 07:30", None), Ok(Written::Leniently(day(2026, 8, 15))));
        assert_eq!(date("8/27/2018", None), Err(BadDate::Ambiguous));
        assert_eq!(date("8/27/2018", Some(SlashDates::Mdy)), Ok(Written::Leniently(day(2018, 8, 27))));
        assert_eq!(date("15/06/2023", Some(SlashDates::Dmy)), Ok(Written::Leniently(day(2023, 6, 15))));
        assert_eq!(date("15/06/2023", Some(SlashDates::Mdy)), Err(BadDate::OtherOrder));
        assert_eq!(date("15/16/2023", Some(SlashDates::Mdy)), Err(BadDate::Unreadable));
        for nonsense in ["2026-02-30", "2026-8-1", "soon", "2026-08-15x", "1/2/26", "//2026", "é026-08-15"] {
            assert_eq!(date(nonsense, None), Err(BadDate::Unreadable), "{nonsense}");
        }
    }

    #[test]
    fn a_slash_date_proves_an_order_when_a_number_is_too_large_for_a_month() {
        assert_eq!(slash_proof("8/27/2018"), Some(SlashProof::MonthFirst));
        assert_eq!(slash_proof("15/06/2023"), Some(SlashProof::DayFirst));
        assert_eq!(slash_proof("1/05/2023"), Some(SlashProof::Nothing));
        assert_eq!(slash_proof("2023-05-01"), None);
    }

    #[test]
    fn points_in_time_are_read_with_and_without_zone_and_decimals() {
        let exact = 1_335_205_543_511;
        assert_eq!(instant_ms("2012-04-23T18:25:43.511Z"), Some(Written::Exactly(exact)));
        assert_eq!(instant_ms("2012-04-23T18:25:43.511+00:00"), Some(Written::Leniently(exact)));
        assert_eq!(instant_ms("2012-04-23T20:25:43.511+02:00"), Some(Written::Leniently(exact)));
        assert_eq!(instant_ms("2012-04-23T18:25:43.511"), Some(Written::Leniently(exact)));
        assert_eq!(instant_ms("2012-04-23T18:25:43Z"), Some(Written::Leniently(exact - 511)));
        assert_eq!(instant_ms("2012-04-23"), Some(Written::Leniently(1_335_139_200_000)));
        assert_eq!(instant_ms("yesterday"), None);
    }

    #[test]
    fn a_school_year_is_the_year_in_which_it_ends() {
        assert_eq!(school_year("2027"), Some(Written::Exactly(2027)));
        for lenient in ["2026-2027", "2026/2027", "2026-27", "2026 - 2027"] {
            assert_eq!(school_year(lenient), Some(Written::Leniently(2027)), "{lenient}");
        }
        assert_eq!(school_year("1999-00"), Some(Written::Leniently(2000)));
        for nonsense in ["27", "2026-2030", "next", "20262027"] {
            assert_eq!(school_year(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn booleans_are_read_in_all_the_ways_in_which_they_are_seen() {
        assert_eq!(boolean("true"), Some(Written::Exactly(true)));
        for yes in ["TRUE", "True", "1", "yes", "t", "Y"] {
            assert_eq!(boolean(yes), Some(Written::Leniently(true)), "{yes}");
        }
        for no in ["FALSE", "0", "no", "f"] {
            assert_eq!(boolean(no), Some(Written::Leniently(false)), "{no}");
        }
        assert_eq!(boolean("maybe"), None);
    }

    #[test]
    fn a_status_is_read_in_any_case_and_inactive_means_deleted() {
        assert_eq!(status("active"), Some(Written::Exactly(Status::Active)));
        assert_eq!(status("Active"), Some(Written::Leniently(Status::Active)));
        assert_eq!(status("tobedeleted"), Some(Written::Exactly(Status::ToBeDeleted)));
        assert_eq!(status("toBeDeleted"), Some(Written::Leniently(Status::ToBeDeleted)));
        assert_eq!(status("inactive"), Some(Written::Leniently(Status::ToBeDeleted)));
        assert_eq!(status("enrolled"), None);
    }

    #[test]
    fn lists_lose_their_spaces_and_blank_items() {
        let read = |text| {
            let mut items = Vec::new();
            let exact = each_item(text, |item| items.push(item));
            (items, exact)
        };
        assert_eq!(read(""), (vec![], true));
        assert_eq!(read("a,b"), (vec!["a", "b"], true));
        assert_eq!(read("a, b"), (vec!["a", "b"], false));
        assert_eq!(read("a,,b,"), (vec!["a", "b"], false));
    }

    #[test]
    fn user_ids_are_pairs_and_bare_ones_have_an_empty_scheme() {
        let read = |text| {
            let mut ids = Vec::new();
            let exact = user_ids(text, &mut ids);
            let ids: Vec<_> = ids.iter().map(|id| format!("{}={}", id.scheme, id.value)).collect();
            (ids.join(" "), exact)
        };
        assert_eq!(read("{LDAP:x}"), ("LDAP=x".to_owned(), true));
        assert_eq!(read("{LDAP:x},{LTI:y}"), ("LDAP=x LTI=y".to_owned(), true));
        assert_eq!(read("{LDAP:x}, {LTI:y}"), ("LDAP=x LTI=y".to_owned(), false));
        assert_eq!(read("74727075"), ("=74727075".to_owned(), false));
        assert_eq!(read("{74727075}"), ("=74727075".to_owned(), false));
        assert_eq!(read("Local:863,12"), ("Local=863 =12".to_owned(), false));
        assert_eq!(read("{LDAP:cn=a,dc=b}"), ("LDAP=cn=a,dc=b".to_owned(), true));
        assert_eq!(read("{LDAP:"), (String::new(), false));
        assert_eq!(read("{}"), (String::new(), false));
        assert_eq!(read("{A:1}{B:2}"), ("A=1 B=2".to_owned(), false));
    }
}
