//! The `Link` header (RFC 8288 section 3).

use http::HeaderMap;
use http::header::LINK;

/// The target of the first link with a relation, as it is written.
pub(crate) fn target<'a>(headers: &'a HeaderMap, relation: &str) -> Option<&'a str> {
    headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok()).find_map(|value| {
        let mut rest = value;
        while let Some(link) = Link::parse(&mut rest) {
            let relations = link.relations.unwrap_or_default();
            if relations.split_ascii_whitespace().any(|one| one.eq_ignore_ascii_case(relation)) {
                return Some(link.target);
            }
        }
        None
    })
}

struct Link<'a> {
    target: &'a str,
    relations: Option<&'a str>,
}

impl<'a> Link<'a> {
    /// Takes one link from the front of a header's value. Commas and semicolons inside `<>` and quotes separate nothing.
    fn parse(rest: &mut &'a str) -> Option<Self> {
        let (_, from) = rest.split_once('<')?;
        let (target, mut tail) = from.split_once('>')?;
        let mut relations = None;
        loop {
            tail = tail.trim_start();
            let Some(param) = tail.strip_prefix(';') else { break };
            let end = param.find(['=', ';', ',']).unwrap_or(param.len());
            let (name, after) = param.split_at(end);
            let value;
            match after.strip_prefix('=').map(str::trim_start) {
                None => {
                    tail = after;
                    continue;
                }
                Some(quoted) if quoted.starts_with('"') => {
                    (value, tail) = quoted[1..].split_once('"')?;
                }
                Some(token) => {
                    let end = token.find([';', ',']).unwrap_or(token.len());
                    (value, tail) = token.split_at(end);
                }
            }
            if name.trim().eq_ignore_ascii_case("rel") && relations.is_none() {
                relations = Some(value.trim());
            }
        }
        *rest = tail;
        Some(Self { target: target.trim(), relations })
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn next(values: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(LINK, HeaderValue::from_str(value).unwrap());
        }
        target(&headers, "next").map(str::to_owned)
    }

    #[test]
    fn links_are_found_whatever_their_targets_hold() {
        let cases: &[(&[&str], Option<&str>)] = &[
            (
                &["<https://h/u?fields=a,b&offset=2>; rel=\"next\", <https://h/u>; rel=\"first\""],
                Some("https://h/u?fields=a,b&offset=2"),
            ),
            (&["<https://h/l>; rel=last", "</u?a=1;b=2>;title=\"a, <b>; rel=next\"; rel=NEXT"], Some("/u?a=1;b=2")),
            (&["<x>; rel=\"prev next\""], Some("x")),
            (&["<x>; crossorigin; rel=next"], Some("x")),
            (&["<a>; rel=nextish, <b>; title=next"], None),
            (&["<a>; rel=\"next"], None),
            (&["no link at all", "<unfinished"], None),
        ];
        for (values, expected) in cases {
            assert_eq!(next(values).as_deref(), *expected, "{values:?}");
        }
    }
}
