//! The contract suite of sources, against a simulated Clever.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use rollcall_adapters_clever::{ApiVersion, CleverConfig, CleverCredentials, CleverSource};
use rollcall_adapters_http::RetryPolicy;
use rollcall_domain::ports::{Clock, RosterSource};
use rollcall_domain::{Kind, Record};
use rollcall_testkit::source::{Fault, Nonsense, Times, Upstream};
use rollcall_vendor_sim::clever::{
    ApiVersion as Served, Clever as Simulator, CleverCredentials as Known, CleverOptions,
};
use rollcall_vendor_sim::oneroster::History;
use rollcall_vendor_sim::server::{Server, Vendor};
use rollcall_vendor_sim::{Churn, District};
use serde_json::json;

use crate::harness::{Clever, SECRET};

#[path = "../../../adapters-oneroster/tests/contract/faults.rs"]
#[expect(dead_code, reason = "where users stand among the pages is OneRoster's own matter")]
mod faults;

/// How many objects a page has: some pages of contacts, of users and of sections.
const PAGE: usize = 40;
const PAGE_OF_SECTIONS: usize = 10;

/// What goes wrong befalls the users.
mod v3_1 {
    rollcall_testkit::roster_source_contract!(server);

    async fn server() -> std::sync::Arc<dyn rollcall_testkit::source::Upstream> {
        super::server(super::ApiVersion::V3_1, super::Struck::Users).await
    }
}

/// What goes wrong befalls the list of the contacts, which is read before the users are.
mod v3_0 {
    rollcall_testkit::roster_source_contract!(server);

    async fn server() -> std::sync::Arc<dyn rollcall_testkit::source::Upstream> {
        super::server(super::ApiVersion::V3_0, super::Struck::Contacts).await
    }
}

/// A source that is told to read everything every time. What goes wrong befalls the sections.
mod without_events {
    rollcall_testkit::roster_source_contract!(server);

    async fn server() -> std::sync::Arc<dyn rollcall_testkit::source::Upstream> {
        super::server(super::ApiVersion::V3_1, super::Struck::Sections).await
    }
}

/// Which list something goes wrong with. The contacts are a part of `/users` that is read before the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Struck {
    Contacts,
    Users,
    /// And events are not asked for.
    Sections,
}

/// The real time.
#[derive(Debug)]
struct RealTime;

impl Clock for RealTime {
    #[expect(clippy::disallowed_methods, reason = "a simulated server and its reader have to agree with each other")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// A simulated Clever, and how it is reached.
struct Simulated {
    vendor: Arc<Simulator>,
    origin: String,
    version: ApiVersion,
    struck: Struck,
    district: String,
    /// How many pages of contacts there are, on all days of a test.
    contact_pages: u32,
}

async fn server(version: ApiVersion, struck: Struck) -> Arc<dyn Upstream> {
    let server = Server::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let origin = server.origin();
    let district = District::new(200, 7).unwrap();
    let contacts = district.records(Kind::Users).filter(is_contact).count();
    let history = History { district, generations: 0, churn: Churn::new(0.004).unwrap() };
    let served = match version {
        ApiVersion::V3_0 => Served::V3_0,
        ApiVersion::V3_1 => Served::V3_1,
    };
    let known = Known::Application { client_id: "app".to_owned(), client_secret: SECRET.into() };
    let options = CleverOptions::new(known);
    let vendor = Simulator::over_districts(&origin, served, vec![history], options, Arc::new(RealTime), &|_, _| {});
    let vendor = Arc::new(vendor);
    // It ends with the runtime of the test.
    tokio::spawn(server.serve(Arc::clone(&vendor) as Arc<dyn Vendor>, std::future::pending()));
    let district = vendor.status()["districts"][0]["district"].as_str().unwrap().to_owned();
    let contact_pages = u32::try_from(contacts.div_ceil(PAGE)).unwrap();
    assert!(contact_pages > 1);
    Arc::new(Simulated { vendor, origin, version, struck, district, contact_pages })
}

fn is_contact(record: &Record) -> bool {
    use rollcall_domain::vocabulary::UserRole::{Guardian, Parent, Relative};
    let Record::Users(user) = record else { return false };
    user.roles.iter().any(|role| matches!(role.role, Guardian | Parent | Relative))
}

impl Simulated {
    fn source_at(&self, api: &str) -> Arc<dyn RosterSource> {
        let credentials = CleverCredentials::Application { client_id: "app".to_owned(), client_secret: SECRET.into() };
        let mut config = CleverConfig::new(credentials, Some(self.district.clone()));
        config.api_url = api.parse().unwrap();
        config.oauth_url = self.origin.parse().unwrap();
        config.api_version = self.version;
        config.page_size = u32::try_from(PAGE).unwrap();
        if self.struck == Struck::Sections {
            config.page_size = u32::try_from(PAGE_OF_SECTIONS).unwrap();
            config.full_every = Duration::ZERO;
        }
        config.retry = RetryPolicy {
            max_tries: 3,
            min_delay: Duration::from_millis(1),
            max_delay: Duration::from_millis(2),
            ..RetryPolicy::default()
        };
        Arc::new(CleverSource::new(config, Arc::new(RealTime)).unwrap())
    }
}

#[async_trait]
impl Upstream for Simulated {
    fn source(&self) -> Arc<dyn RosterSource> {
        self.source_at(&self.origin)
    }

    fn rescoped(&self) -> Option<Arc<dyn RosterSource>> {
        // The same server by another address.
        Some(self.source_at(&self.origin.replace("127.0.0.1", "localhost")))
    }

    async fn advance(&self) {
        tokio::task::block_in_place(|| self.vendor.advance(None)).unwrap();
    }

    async fn nonsense(&self) -> Nonsense {
        let school = "58da8c58155b940248000001";
        let list = |objects: serde_json::Value| objects.as_array().unwrap().clone();
        let data = BTreeMap::from([
            ("districts".to_owned(), list(json!([{"id": "58da8a43cc70ab00017a0001", "name": "Nonsense"}]))),
            ("schools".to_owned(), list(json!([{"id": school, "name": "School"}, {"id": "s-nameless", "name": " "}]))),
            ("terms".to_owned(), Vec::new()),
            ("courses".to_owned(), Vec::new()),
            (
                "sections".to_owned(),
                list(json!([
                    {"id": "c-nowhere", "name": "Algebra", "students": ["u-1"]},
                    {"id": "c-schoolless", "name": "Algebra", "school": "s-unknown", "students": ["u-1"]},
                ])),
            ),
            (
                "users".to_owned(),
                list(json!([
                    {"id": "u-1", "name": {"first": "Ann", "last": "One"}, "roles": {"student": {
                        "school": school, "grade": "14", "dob": "someday", "ext": {"a password": 1}}}},
                    {"id": "u-nameless", "name": {"first": ""}, "roles": {"student": {"school": school}}},
                    {"id": "u-odd", "name": "Ann Odd", "roles": {}},
                ])),
            ),
        ]);
        let clever = Clever::with(data).await;
        Nonsense {
            source: Arc::new(clever.source()),
            refused: vec![
                (Kind::Orgs, "s-nameless"),
                (Kind::Classes, "c-nowhere"),
                (Kind::Classes, "c-schoolless"),
                (Kind::Users, "u-nameless"),
                (Kind::Users, "u-odd"),
            ],
            keep: Box::new(clever),
        }
    }

    fn faults(&self) -> &'static [Fault] {
        Fault::HTTP
    }

    fn arm(&self, fault: Fault, times: Times) {
        let collection = if self.struck == Struck::Sections { "sections" } else { "users" };
        // One page comes as it should; but a collection is empty from its beginning or not at all.
        let mut after = u32::from(fault != Fault::EmptyCollection);
        if self.struck == Struck::Users {
            // The first page of a list repeats nothing, and is not counted.
            after += self.contact_pages - u32::from(fault == Fault::RepeatedPage);
        }
        faults::arm_in(self.vendor.faults(), fault, times, collection, after);
    }

    fn disarm(&self) -> usize {
        faults::disarm(self.vendor.faults())
    }

    fn secrets(&self) -> Vec<String> {
        vec![SECRET.to_owned(), "a password".to_owned()]
    }

    fn plain(&self, message: &str) -> String {
        message.replace(&self.origin, "https://clever").replace(&self.district, "DISTRICT")
    }
}
