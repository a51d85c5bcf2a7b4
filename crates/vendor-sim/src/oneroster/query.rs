//! The query of a request for a collection.

use std::collections::HashMap;

use percent_encoding::percent_decode_str;
use rollcall_domain::Kind;

use super::filter::{Filter, Path};
use super::{Problem, Quirk, Version};

/// How many records a page has unless the request says so.
const DEFAULT_LIMIT: usize = 100;

/// What a request asks of a collection.
#[derive(Debug, Clone)]
pub(super) struct Query {
    pub(super) limit: usize,
    pub(super) offset: usize,
    pub(super) filter: Option<Filter>,
    /// The member to sort by, and whether downwards.
    pub(super) sort: Option<(Path, bool)>,
    /// The members to serve; all without it.
    pub(super) fields: Option<Vec<String>>,
    /// Filter and order as they were written, by which results are kept.
    pub(super) key: String,
    /// What 1.1 answers with a warning.
    pub(super) warnings: Vec<Problem>,
    /// The parameters beside limit and offset, as they were written, for links.
    pub(super) rest: String,
}

impl Query {
    /// Reads the query of a request.
    pub(super) fn parse(
        raw: &str,
        version: Version,
        kind: Kind,
        max_limit: usize,
        quirks: &[Quirk],
    ) -> Result<Self, Problem> {
        let mut parameters = HashMap::new();
        let mut rest = Vec::new();
        for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            // RFC 3986: a plus is a plus, and a space is %20.
            let decoded = |text: &str| percent_decode_str(text).decode_utf8().map(std::borrow::Cow::into_owned);
            let (Ok(name), Ok(value)) = (decoded(name), decoded(value)) else {
                return Err(Problem::InvalidData("the query is not UTF-8".to_owned()));
            };
            if !matches!(name.as_str(), "limit" | "offset") {
                rest.push(pair);
            }
            if parameters.contains_key(&name) {
                let message = format!("`{name}` stands in the query twice");
                return Err(if name == "fields" { Problem::Selection(message) } else { Problem::InvalidData(message) });
            }
            parameters.insert(name, value);
        }
        let number = |name: &str, least: usize| match parameters.get(name) {
            None => Ok(None),
            Some(text) => match text.parse::<usize>() {
                Ok(number) if number >= least => Ok(Some(number)),
                _ => Err(Problem::InvalidData(format!("`{name}` is a whole number of at least {least}"))),
            },
        };
        let mut query = Self {
            limit: number("limit", 1)?.unwrap_or(DEFAULT_LIMIT).min(max_limit),
            offset: number("offset", 0)?.unwrap_or(0),
            filter: None,
            sort: None,
            fields: None,
            key: String::new(),
            warnings: Vec::new(),
            rest: rest.join("&"),
        };
        query.read_filter(&parameters, version, kind, quirks)?;
        query.read_sort(&parameters, version, kind, quirks)?;
        query.read_fields(&parameters, version, kind)?;
        Ok(query)
    }

    fn read_filter(
        &mut self,
        parameters: &HashMap<String, String>,
        version: Version,
        kind: Kind,
        quirks: &[Quirk],
    ) -> Result<(), Problem> {
        let Some(text) = parameters.get("filter") else { return Ok(()) };
        if quirks.contains(&Quirk::RefusesFilter) {
            return Err(Problem::Filter("filters are not supported".to_owned()));
        }
        if !quirks.contains(&Quirk::IgnoresFilter) {
            self.filter = Some(Filter::parse(text, version, kind).map_err(Problem::Filter)?);
            self.key = format!("filter {text}\n");
        }
        Ok(())
    }

    fn read_sort(
        &mut self,
        parameters: &HashMap<String, String>,
        version: Version,
        kind: Kind,
        quirks: &[Quirk],
    ) -> Result<(), Problem> {
        let downwards = match parameters.get("orderBy").map(String::as_str) {
            None | Some("asc") => false,
            Some("desc") => true,
            Some(_) => return Err(Problem::InvalidData("`orderBy` is asc or desc".to_owned())),
        };
        let Some(field) = parameters.get("sort") else { return Ok(()) };
        if quirks.contains(&Quirk::IgnoresSort) {
            return Ok(());
        }
        match Path::parse(field, version, kind) {
            Ok(path) => {
                // Records lie in the order of their ids.
                if field != "sourcedId" || downwards {
                    self.sort = Some((path, downwards));
                    self.key = format!("{}sort {field} {downwards}\n", self.key);
                }
                Ok(())
            }
            Err(message) if version == Version::V1_1 => {
                self.warnings.push(Problem::Sort(message));
                Ok(())
            }
            Err(message) => Err(Problem::Selection(message)),
        }
    }

    fn read_fields(
        &mut self,
        parameters: &HashMap<String, String>,
        version: Version,
        kind: Kind,
    ) -> Result<(), Problem> {
        let Some(text) = parameters.get("fields") else { return Ok(()) };
        let names: Vec<_> = text.split(',').map(|name| name.trim().to_owned()).collect();
        if names.iter().any(String::is_empty) {
            return Err(Problem::Selection("`fields` names no field, or has a comma too many".to_owned()));
        }
        match names.iter().find(|name| !version.has_field(kind, name)) {
            None => self.fields = Some(names),
            Some(unknown) => {
                let problem = Problem::Selection(format!("`{unknown}` is not a field of {kind}"));
                if version == Version::V1_2 {
                    return Err(problem);
                }
                // The whole record, and a warning.
                self.warnings.push(problem);
            }
        }
        Ok(())
    }
}
