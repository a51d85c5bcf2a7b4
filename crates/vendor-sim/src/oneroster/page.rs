//! Answers with records in them.

use std::io::Write as _;

use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, LINK, VARY};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;

use super::query::Query;
use super::roster::{List, Roster};
use super::routes::View;
use super::{Quirk, Version};
use crate::collection::Stored;
use crate::json;
use crate::server::{Fault, FaultKind};

pub(super) const TOTAL_COUNT: HeaderName = HeaderName::from_static("x-total-count");

/// Smaller bodies are not worth compressing.
const WORTH_COMPRESSING: usize = 1024;

/// What goes into an answer with many records.
pub(super) struct Page<'a> {
    pub(super) version: Version,
    pub(super) roster: &'a Roster,
    pub(super) view: &'a View,
    pub(super) query: &'a Query,
    pub(super) list: &'a List,
    pub(super) quirks: &'a [Quirk],
    /// The URL of the collection, without a query.
    pub(super) url: &'a str,
    pub(super) fault: Option<&'a Fault>,
}

/// The bytes of an answer, its headers, and how many records it has.
pub(super) struct Written {
    pub(super) body: Vec<u8>,
    pub(super) headers: HeaderMap,
    pub(super) records: usize,
}

impl Page<'_> {
    pub(super) fn write(&self) -> Written {
        let fault = self.fault.map(|fault| fault.kind);
        let total = match self.fault {
            Some(Fault { kind: FaultKind::EmptyCollection, .. }) => 0,
            Some(Fault { kind: FaultKind::ShrinkingTotal, turn, .. }) => self.list.len().saturating_sub(*turn as usize),
            _ => self.list.len(),
        };
        let Query { limit, offset, .. } = *self.query;
        let from = if fault == Some(FaultKind::RepeatedPage) { offset.saturating_sub(limit) } else { offset };
        let mut numbers = from.min(total)..from.saturating_add(limit).min(total);
        if fault == Some(FaultKind::ShortPage) {
            numbers.end = numbers.start + numbers.len() / 2;
        }
        let headers = self.headers(total);
        if fault == Some(FaultKind::MissingEnvelope) {
            return Written { body: b"{}".to_vec(), headers, records: 0 };
        }

        let collection = self.roster.collection(self.view.kind);
        let mut body = Vec::with_capacity(numbers.len() * 512 + 64);
        body.push(b'{');
        json::string(&mut body, self.view.envelope());
        body.extend_from_slice(b":[");
        for (count, number) in numbers.clone().enumerate() {
            if count > 0 {
                body.push(b',');
            }
            record(&mut body, collection.get(self.list.place(number)), self.query.fields.as_deref());
        }
        body.push(b']');
        if self.version == Version::V1_1 && !self.query.warnings.is_empty() {
            let warnings: Vec<_> = self.query.warnings.iter().map(super::Problem::warning).collect();
            body.extend_from_slice(b",\"statusInfoSet\":");
            body.extend_from_slice(serde_json::Value::from(warnings).to_string().as_bytes());
        }
        body.push(b'}');
        Written { body, headers, records: numbers.len() }
    }

    fn headers(&self, total: usize) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if !self.quirks.contains(&Quirk::NoTotals) {
            headers.insert(TOTAL_COUNT, HeaderValue::from(total));
        }
        if !self.quirks.contains(&Quirk::NoLinks) {
            let links = self.links(total);
            // What came as a request's target can stand in a header.
            if let Ok(links) = HeaderValue::try_from(links)
                && !links.is_empty()
            {
                headers.insert(LINK, links);
            }
        }
        headers
    }

    /// RFC 8288.
    fn links(&self, total: usize) -> String {
        let Query { limit, offset, ref rest, .. } = *self.query;
        let last = total.saturating_sub(1) / limit * limit;
        let next = offset.saturating_add(limit);
        let relations = [
            ("first", Some(0)),
            ("prev", (offset > 0).then(|| offset.saturating_sub(limit))),
            ("next", (next < total).then_some(next)),
            ("last", Some(last)),
        ];
        let and = if rest.is_empty() { "" } else { "&" };
        let links = relations.into_iter().filter_map(|(relation, offset)| {
            let offset = offset?;
            Some(format!("<{}?{rest}{and}limit={limit}&offset={offset}>; rel=\"{relation}\"", self.url))
        });
        links.collect::<Vec<_>>().join(", ")
    }
}

/// An answer with one record.
pub(super) fn single(view: &View, stored: Stored<'_>, query: &Query) -> Written {
    let mut body = b"{".to_vec();
    json::string(&mut body, view.single_envelope());
    body.push(b':');
    record(&mut body, stored, query.fields.as_deref());
    body.push(b'}');
    Written { body, headers: HeaderMap::new(), records: 1 }
}

/// Writes a record, or those of its members that are wanted.
fn record(out: &mut Vec<u8>, stored: Stored<'_>, fields: Option<&[String]>) {
    let wants = |name: &str| fields.is_none_or(|fields| fields.iter().any(|field| field == name));
    let start = out.len();
    for (name, value) in [
        ("sourcedId", stored.id),
        ("status", stored.stamp.status.as_bytes()),
        ("dateLastModified", stored.stamp.modified.as_bytes()),
    ] {
        if wants(name) {
            out.extend_from_slice(b",\"");
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"\":\"");
            out.extend_from_slice(value);
            out.push(b'"');
        }
    }
    match fields {
        None => out.extend_from_slice(stored.members),
        Some(fields) => {
            for (name, value) in json::members(stored.members) {
                if fields.iter().any(|field| field.as_bytes() == name) {
                    out.extend_from_slice(b",\"");
                    out.extend_from_slice(name);
                    out.extend_from_slice(b"\":");
                    out.extend_from_slice(value);
                }
            }
        }
    }
    // The comma of the first member gives way to the brace.
    if out.len() > start {
        out[start] = b'{';
    } else {
        out.push(b'{');
    }
    out.push(b'}');
}

impl Written {
    /// The answer, compressed if that is wanted and worth it.
    pub(super) fn answer(self, request: &HeaderMap, may_compress: bool) -> Response {
        let Self { mut body, mut headers, .. } = self;
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if may_compress {
            headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
            if body.len() >= WORTH_COMPRESSING && accepts_gzip(request) {
                let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 8), Compression::fast());
                // Memory takes every write; if it did not, the body would go as it is.
                if let Ok(compressed) = encoder.write_all(&body).and_then(|()| encoder.finish()) {
                    body = compressed;
                    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                }
            }
        }
        (headers, body).into_response()
    }
}

/// Whether a client takes gzip: it says so, and not with a weight of nothing.
fn accepts_gzip(request: &HeaderMap) -> bool {
    let accepted = request.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"))
            && !parts.any(|weight| matches!(weight, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    })
}
