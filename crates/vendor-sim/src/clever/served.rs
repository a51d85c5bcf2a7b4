//! One district: what it says, what happens in it, and how it stands with the application.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use rollcall_domain::vocabulary::OrgType;
use rollcall_domain::{Kind, PerKind, Record};
use serde_json::{Value, json};

use super::ApiVersion;
use super::feed::{Feed, Happening};
use super::object_id::{Ids, ObjectId, seconds};
use super::page::Listing;
use super::roster::{Resource, Roster};
use crate::Changes;
use crate::collection::date_time;
use crate::district::{Churn, District, first_morning};
use crate::oneroster::{History, Progress};

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// One district.
pub(super) struct Served {
    pub(super) id: ObjectId,
    name: String,
    nces_id: Option<String>,
    pub(super) district: District,
    /// That of a day which says nothing of it.
    pub(super) churn: Churn,
    ids: Ids,
    pub(super) roster: Arc<Roster>,
    pub(super) feed: Feed,
    pub(super) standing: Standing,
    pub(super) last_sync: Timestamp,
}

/// How a district stands with the application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Standing {
    /// `running`, `pending`, `error`, `paused` or `success`.
    pub(super) state: String,
    pub(super) error: String,
    pub(super) events: bool,
    pub(super) shared: bool,
    pub(super) secure_sync: bool,
}

impl Standing {
    /// Whether what happens in the district's own system reaches Clever.
    pub(super) fn syncs(&self) -> bool {
        matches!(self.state.as_str(), "running" | "success")
    }
}

impl Served {
    pub(super) fn new(
        history: History,
        version: ApiVersion,
        now: Timestamp,
        progress: Progress<'_>,
        standing: Standing,
    ) -> Self {
        let History { district, generations, churn } = history;
        let mut ids = Ids::new(seconds(first_morning()));
        let (mut id, mut name, mut nces_id) = (ObjectId::default(), String::new(), None);
        for record in district.records(Kind::Orgs) {
            if let Record::Orgs(org) = record
                && org.org_type == OrgType::District
            {
                id = ids.of(&org.sourced_id);
                name = org.name.to_string();
                nces_id = org.identifier.map(Into::into);
            }
        }
        let time = first_morning().min(now);
        let roster = Arc::new(Roster::of(&district, &mut ids, version, time, progress));
        let feed = Feed::new(id);
        let mut served = Self { id, name, nces_id, district, churn, ids, roster, feed, standing, last_sync: time };
        for _ in 0..generations {
            let time = served.last_sync.saturating_add(DAY).unwrap_or(now).min(now);
            let day = Day::of(&served, churn, version, time, progress);
            served.pass(day);
        }
        // The district was synced a moment ago, and nothing had changed.
        let before = served.object(version);
        served.last_sync = now;
        served.tell_of_district(version, before, now);
        served
    }

    /// The district as the API has it.
    pub(super) fn object(&self, version: ApiVersion) -> Value {
        let contact = ObjectId { rest: crate::random::mix(self.id.rest), ..self.id };
        let mut object = json!({
            "id": self.id.to_string(),
            "name": self.name,
            "sis_type": "sftp",
            "state": self.standing.state,
            "error": self.standing.error,
            "last_sync": date_time(self.last_sync),
            "launch_date": "2026-08-03",
            "portal_url": format!("https://clever.com/in/simulated-{}", self.id),
            "login_methods": ["Clever Badges", "Clever Passwords"],
            "district_contact": {
                "id": contact.to_string(),
                "district": self.id.to_string(),
                "title": "",
                "email": "rosters@district.example",
                "name": {"first": "Robin", "last": "Reyes"},
            },
        });
        if let Some(nces_id) = &self.nces_id {
            object["nces_id"] = json!(nces_id);
        }
        if self.standing.state == "paused" {
            object["pause_start"] = json!("2027-06-01");
            object["pause_end"] = json!("2027-08-01");
        }
        if version == ApiVersion::V3_1 {
            object["lms_type"] = json!("");
            object["lms_state"] = json!("");
        }
        object
    }

    /// Writes an event of the district itself.
    pub(super) fn tell_of_district(&mut self, version: ApiVersion, before: Value, at: Timestamp) {
        if self.standing.events {
            self.feed.push(at, "districts", Happening::Updated(self.object(version), before));
        }
    }

    /// Takes a day on.
    pub(super) fn pass(&mut self, day: Day) -> PerKind<Changes> {
        let Day { district, ids, roster, version, at, happenings, changes } = day;
        let before = self.object(version);
        self.last_sync = at;
        self.tell_of_district(version, before, at);
        if self.standing.events && self.standing.shared {
            for (resource, happening) in happenings {
                self.feed.push(at, resource.name(), happening);
            }
        }
        self.district = district;
        self.ids = ids;
        self.roster = Arc::new(roster);
        changes
    }

    /// How it stands, for whoever tests.
    pub(super) fn standing(&self, connected: bool) -> Value {
        json!({
            "district": self.id.to_string(),
            "name": self.name,
            "state": self.standing.state,
            "error": self.standing.error,
            "events": self.standing.events,
            "shared": self.standing.shared,
            "secure_sync": self.standing.secure_sync,
            "connected": connected,
            "last_sync": date_time(self.last_sync),
            "events_kept": self.feed.events().len(),
        })
    }
}

/// What one day makes of a district.
pub(super) struct Day {
    district: District,
    ids: Ids,
    roster: Roster,
    version: ApiVersion,
    at: Timestamp,
    happenings: Vec<(Resource, Happening)>,
    changes: PerKind<Changes>,
}

impl Day {
    pub(super) fn of(
        served: &Served,
        churn: Churn,
        version: ApiVersion,
        at: Timestamp,
        progress: Progress<'_>,
    ) -> Self {
        let district = served.district.clone().next_day(churn);
        let mut ids = served.ids.clone();
        let next = Roster::of(&district, &mut ids, version, at, progress);
        let modified = date_time(at);
        let mut happenings = Vec::new();
        let object = |resource: Resource, id: &[u8], members: &[u8], modified: &str| -> Value {
            let mut out = Vec::new();
            resource.write(&mut out, id, members, modified);
            serde_json::from_slice(&out).unwrap_or_default()
        };
        let (roster, changed) = served.roster.succeed(next, at, &mut |resource, step| {
            let before = step.before.map(|old| object(resource, step.id, old.members, &old.stamp.modified));
            let after = step.after.map(|members| object(resource, step.id, members, &modified));
            let happening = match (before, after) {
                (None, Some(after)) => Happening::Created(after),
                (Some(before), Some(after)) => Happening::Updated(after, before),
                (Some(before), None) => Happening::Deleted(before),
                (None, None) => return,
            };
            happenings.push((resource, happening));
        });
        let mut changes = PerKind::default();
        for resource in Resource::ALL {
            changes[resource.kind()] = changed[resource as usize];
        }
        Self { district, ids, roster, version, at, happenings, changes }
    }
}

/// The list of one district.
pub(super) struct Alone<'a> {
    pub(super) served: &'a Served,
    pub(super) version: ApiVersion,
}

impl Listing for Alone<'_> {
    fn name(&self) -> &'static str {
        "districts"
    }

    fn len(&self) -> usize {
        1
    }

    fn id(&self, _: usize) -> ObjectId {
        self.served.id
    }

    fn is_meant(&self, _: usize) -> bool {
        true
    }

    fn write(&self, _: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(self.served.object(self.version).to_string().as_bytes());
    }
}
