//! What the tests of the use case stand on: a store in memory, a source that plays a script, and short records.

#![allow(
    dead_code,
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::pedantic,
    missing_docs,
    unreachable_pub,
    reason = "each test binary uses a part of it"
)]

use std::sync::Arc;
use std::sync::Mutex;

use async_trait::async_trait;
use jiff::Timestamp;
use jiff::civil::date;
use rollcall_domain::entities::{AcademicSession, Class, Course, Demographics, Enrollment, Org, Race, Role, User};
use rollcall_domain::ports::{
    BatchSink, Capabilities, CheckReport, Clock, Coverage, Deletion, EmptySnapshot, Item, PullRequest, PullSummary,
    Repeats, RosterSource, ScopeDigest, SourceDescription, SourceError, Upsert,
};
use rollcall_domain::report::RunReport;
use rollcall_domain::sync::{NoProgress, Sync, SyncOptions};
use rollcall_domain::vocabulary::{ClassType, OrgType, RoleType, SessionType};
use rollcall_domain::{Encoder, Kind, Location, PerKind, Record, RunId, SourcedId};
use rollcall_testkit::memory::MemoryStore;
use uuid::Uuid;

/// A source that pushes what it is given.
pub struct Script {
    pub items: Mutex<Vec<Item>>,
    pub summary: PullSummary,
    pub capabilities: Capabilities,
    pub scope: String,
    pub failure: Option<String>,
    pub requests: Mutex<Vec<PullRequest>>,
}

impl Script {
    pub fn new(coverage: Coverage, items: Vec<Item>) -> Self {
        Self {
            items: Mutex::new(items),
            summary: PullSummary { coverage: PerKind::from_fn(|_| coverage), ..PullSummary::default() },
            capabilities: Capabilities {
                incremental: true,
                repeats: Repeats::Conflict,
                empty_snapshot: EmptySnapshot::Hold,
            },
            scope: "all".to_owned(),
            failure: None,
            requests: Mutex::default(),
        }
    }
}

#[async_trait]
impl RosterSource for Script {
    fn describe(&self) -> SourceDescription {
        SourceDescription { kind: "script", capabilities: self.capabilities, scope: ScopeDigest(self.scope.clone()) }
    }

    async fn check(&self) -> Result<CheckReport, SourceError> {
        Ok(CheckReport::default())
    }

    async fn pull(&self, request: &PullRequest, mut sink: Box<dyn BatchSink>) -> Result<PullSummary, SourceError> {
        self.requests.lock().unwrap().push(request.clone());
        let items = self.items.lock().unwrap().clone();
        for chunk in items.chunks(3) {
            sink.push(chunk.to_vec()).await?;
        }
        match &self.failure {
            Some(message) => Err(SourceError::permanent("test.failure", message.clone())),
            None => Ok(self.summary.clone()),
        }
    }
}

struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        "2026-11-22T12:00:00Z".parse().unwrap()
    }
}

pub async fn sync_with(store: &MemoryStore, script: &Script, options: &SyncOptions) -> RunReport {
    let sync = Sync { store, clock: &Noon, progress: &NoProgress };
    let run = RunId(Uuid::from_u128(store.next_run()));
    sync.run(run, "s", script, options).await.unwrap().report
}

pub fn mass() -> SyncOptions {
    SyncOptions { allow_mass_change: true, demographics: true, ..SyncOptions::default() }
}

/// A complete roster of these records, whatever it deletes.
pub async fn snapshot(store: &MemoryStore, records: Vec<Record>) -> RunReport {
    sync_with(store, &Script::new(Coverage::Snapshot, upserts(records)), &mass()).await
}

/// Changes, whatever they delete.
pub async fn delta(store: &MemoryStore, items: Vec<Item>) -> RunReport {
    sync_with(store, &Script::new(Coverage::Delta, items), &mass()).await
}

pub fn location(line: u64) -> Location {
    Location::line(&Arc::from("rows.csv"), line)
}

pub fn upserts(records: Vec<Record>) -> Vec<Item> {
    records.into_iter().zip(2..).map(|(record, line)| upsert_at(record, None, line)).collect()
}

pub fn upsert(record: impl Into<Record>) -> Item {
    upsert_at(record, None, 2)
}

pub fn upsert_at(record: impl Into<Record>, modified_ms: Option<i64>, line: u64) -> Item {
    Item::Upsert(Upsert::new(record.into(), modified_ms, location(line), &mut Encoder::default()))
}

pub fn delete(kind: Kind, sourced_id: &str) -> Item {
    delete_at(kind, sourced_id, None)
}

pub fn delete_at(kind: Kind, sourced_id: &str, modified_ms: Option<i64>) -> Item {
    Item::Delete(Deletion { kind, sourced_id: id(sourced_id), modified_ms, location: location(9) })
}

pub fn id(text: &str) -> SourcedId {
    SourcedId::new(text).unwrap()
}

pub fn org(sourced_id: &str) -> Org {
    Org {
        sourced_id: id(sourced_id),
        name: format!("Org {sourced_id}").into(),
        org_type: OrgType::School,
        identifier: None,
        parent: None,
        external_ids: vec![],
        metadata: Default::default(),
    }
}

pub fn session(sourced_id: &str) -> AcademicSession {
    AcademicSession {
        sourced_id: id(sourced_id),
        title: "Year".into(),
        session_type: SessionType::SchoolYear,
        start_date: date(2026, 8, 1),
        end_date: date(2027, 7, 1),
        parent: None,
        school_year: Some(2027),
        external_ids: vec![],
        metadata: Default::default(),
    }
}

pub fn course(sourced_id: &str) -> Course {
    Course {
        sourced_id: id(sourced_id),
        school_year: None,
        title: "Algebra".into(),
        course_code: None,
        grades: vec![],
        org: None,
        subjects: vec![],
        subject_codes: vec![],
        external_ids: vec![],
        metadata: Default::default(),
    }
}

pub fn class(sourced_id: &str, school: &str) -> Class {
    Class {
        sourced_id: id(sourced_id),
        title: "Algebra 1".into(),
        grades: vec![],
        course: None,
        class_code: None,
        class_type: ClassType::Scheduled,
        location: None,
        school: id(school),
        terms: vec![],
        subjects: vec![],
        subject_codes: vec![],
        periods: vec![],
        external_ids: vec![],
        metadata: Default::default(),
    }
}

pub fn user(sourced_id: &str) -> User {
    User {
        sourced_id: id(sourced_id),
        enabled_user: true,
        username: Some(sourced_id.into()),
        external_ids: vec![],
        given_name: Some("Zoë".into()),
        family_name: Some("García".into()),
        middle_name: None,
        identifier: None,
        email: None,
        sms: None,
        phone: None,
        agents: vec![],
        grades: vec![],
        user_master_identifier: None,
        preferred_given_name: None,
        preferred_middle_name: None,
        preferred_family_name: None,
        primary_org: None,
        pronouns: None,
        roles: vec![],
        metadata: Default::default(),
    }
}

pub fn role(role: &str, org: Option<&str>, vendor_id: Option<&str>) -> Role {
    Role {
        role: role.into(),
        org: org.map(id),
        role_type: RoleType::Primary,
        begin_date: None,
        end_date: None,
        user_profile: None,
        sourced_id: vendor_id.map(id),
    }
}

pub fn enrollment(sourced_id: &str, class: &str, user: &str) -> Enrollment {
    Enrollment {
        sourced_id: id(sourced_id),
        class: id(class),
        school: Some(id("school")),
        user: id(user),
        role: "student".into(),
        primary: None,
        begin_date: None,
        end_date: None,
        external_ids: vec![],
        metadata: Default::default(),
    }
}

pub fn demographics(user: &str) -> Demographics {
    Demographics {
        sourced_id: id(user),
        birth_date: Some(date(2012, 2, 29)),
        sex: Some("female".into()),
        race: Race::default(),
        country_of_birth_code: None,
        state_of_birth_abbreviation: None,
        city_of_birth: None,
        public_school_residence_status: None,
        external_ids: vec![],
        metadata: Default::default(),
    }
}

/// A small whole roster: a school, a class, two students and their enrollments.
pub fn roster() -> Vec<Record> {
    vec![
        org("school").into(),
        session("year").into(),
        course("course").into(),
        class("class", "school").into(),
        user("ada").into(),
        user("ben").into(),
        enrollment("e-ada", "class", "ada").into(),
        enrollment("e-ben", "class", "ben").into(),
        demographics("ada").into(),
    ]
}

/// The roster without the records of these ids.
pub fn roster_without(ids: &[&str]) -> Vec<Record> {
    roster().into_iter().filter(|record| !ids.contains(&record.sourced_id().as_str())).collect()
}
