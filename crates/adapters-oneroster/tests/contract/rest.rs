//! A simulated server of either version.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use rollcall_adapters_http::{Auth, ClientCredentials, HttpConfig, HttpSession, RetryPolicy};
use rollcall_adapters_oneroster::{RestConfig, RestSource, RestVersion, ServiceRoot};
use rollcall_domain::ports::RosterSource;
use rollcall_testkit::source::{Fault, Nonsense, Times, Upstream};
use rollcall_vendor_sim::auth::{Authentication, OAuth2};
use rollcall_vendor_sim::oneroster::{History, OneRoster, OneRosterOptions, Package, Version};
use rollcall_vendor_sim::server::{Server, Vendor};
use tempfile::TempDir;

use crate::district::{RealTime, churn, first_day, write_nonsense};
use crate::faults;

const SECRET: &str = "hunter2-is-the-secret";

mod v1_1 {
    rollcall_testkit::roster_source_contract!(server);

    async fn server() -> std::sync::Arc<dyn rollcall_testkit::source::Upstream> {
        super::server(super::Version::V1_1).await
    }
}

mod v1_2 {
    rollcall_testkit::roster_source_contract!(server);

    async fn server() -> std::sync::Arc<dyn rollcall_testkit::source::Upstream> {
        super::server(super::Version::V1_2).await
    }
}

/// A simulated server, and how it is reached.
struct Simulated {
    vendor: Arc<OneRoster>,
    origin: String,
    version: RestVersion,
    /// Pages are asked for one after the other, so that the same one fails and is named every time.
    in_order: AtomicBool,
}

async fn server(version: Version) -> Arc<dyn Upstream> {
    let history = History { district: first_day(), generations: 0, churn: churn() };
    let simulated = simulated(version, |origin, options| {
        OneRoster::over_district(origin, version, history, options, Arc::new(RealTime), &|_, _| {})
    });
    Arc::new(simulated.await)
}

async fn simulated(version: Version, make: impl FnOnce(&str, OneRosterOptions) -> OneRoster) -> Simulated {
    let server = Server::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let origin = server.origin();
    let tokens = OAuth2::new("rollcall", SECRET.into(), version.scopes(), Duration::from_hours(1));
    let vendor = Arc::new(make(&origin, OneRosterOptions::new(Authentication::OAuth2(tokens))));
    // It ends with the runtime of the test.
    tokio::spawn(server.serve(Arc::clone(&vendor) as Arc<dyn Vendor>, std::future::pending()));
    let version = match version {
        Version::V1_1 => RestVersion::V1_1,
        Version::V1_2 => RestVersion::V1_2,
    };
    Simulated { vendor, origin, version, in_order: AtomicBool::new(false) }
}

impl Simulated {
    fn source_as(&self, credential: &str) -> Arc<dyn RosterSource> {
        let root = ServiceRoot::find(&self.origin, Some(self.version)).unwrap();
        let auth = Auth::OAuth2(ClientCredentials {
            token_url: format!("{}/oauth/token", self.origin).parse().unwrap(),
            client_id: "rollcall".to_owned(),
            client_secret: SECRET.into(),
            scopes: self.version.scopes(true),
            client_auth: rollcall_adapters_http::ClientAuth::Basic,
        });
        let mut http = HttpConfig::new(root.base_url).with_auth(auth);
        http.retry = RetryPolicy {
            max_tries: 3,
            min_delay: Duration::from_millis(1),
            max_delay: Duration::from_millis(2),
            ..RetryPolicy::default()
        };
        if self.in_order.load(Ordering::Relaxed) {
            http.max_in_flight = 1;
        }
        let session = HttpSession::new(http, Arc::new(RealTime)).unwrap();
        let mut config = RestConfig::new(self.version, credential);
        config.page_size = 20;
        // What a cursor misses must not be found by looking back further than that.
        config.overlap = Duration::ZERO;
        Arc::new(RestSource::new(config, session, Arc::new(RealTime)))
    }
}

#[async_trait]
impl Upstream for Simulated {
    fn source(&self) -> Arc<dyn RosterSource> {
        self.source_as("rollcall")
    }

    fn rescoped(&self) -> Option<Arc<dyn RosterSource>> {
        Some(self.source_as("somebody else"))
    }

    async fn advance(&self) {
        tokio::task::block_in_place(|| self.vendor.advance(None)).unwrap();
    }

    async fn nonsense(&self) -> Nonsense {
        let folder = TempDir::new().unwrap();
        let refused = write_nonsense(folder.path());
        let package = Package::open(folder.path()).unwrap();
        let served = simulated(package.version(), |origin, options| {
            OneRoster::over_package(origin, &package, options, Arc::new(RealTime)).unwrap().0
        });
        Nonsense { source: served.await.source(), refused, keep: Box::new(folder) }
    }

    fn faults(&self) -> &'static [Fault] {
        Fault::HTTP
    }

    fn arm(&self, fault: Fault, times: Times) {
        self.in_order.store(times == Times::Always, Ordering::Relaxed);
        faults::arm(self.vendor.faults(), fault, times);
    }

    fn disarm(&self) -> usize {
        faults::disarm(self.vendor.faults())
    }

    fn secrets(&self) -> Vec<String> {
        vec![SECRET.to_owned(), "hunter2".to_owned(), "a password".to_owned()]
    }

    fn plain(&self, message: &str) -> String {
        message.replace(&self.origin, "https://sis")
    }
}
