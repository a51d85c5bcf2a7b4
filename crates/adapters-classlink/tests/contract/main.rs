//! The contract suite of sources, on a simulated ClassLink: through the proxy, and from the district's own server.

#![expect(clippy::unwrap_used, reason = "what a test cannot do ends it; clippy knows tests only by their attribute")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use rollcall_adapters_classlink::{ClassLinkAccess, ClassLinkConfig, ClassLinkSource, Mode};
use rollcall_adapters_http::RetryPolicy;
use rollcall_domain::ports::{Clock, RosterSource};
use rollcall_testkit::source::{Fault, Nonsense, Times, Upstream};
use rollcall_vendor_sim::auth::{Authentication, OAuth1};
use rollcall_vendor_sim::classlink::{ClassLink, ClassLinkOptions};
use rollcall_vendor_sim::oneroster::{History, OneRoster, OneRosterOptions, Package};
use rollcall_vendor_sim::server::{Server, Vendor};
use tempfile::TempDir;

/// What OneRoster's own source is held against.
#[path = "../../../adapters-oneroster/tests/contract/district.rs"]
#[expect(dead_code, reason = "packages are OneRoster's own matter")]
mod district;
#[path = "../../../adapters-oneroster/tests/contract/faults.rs"]
mod faults;

use district::{RealTime, churn, first_day, write_nonsense};

const KEY: &str = "rollcall-consumer";
const SECRET: &str = "hunter2-is-the-secret";

mod proxy {
    rollcall_testkit::roster_source_contract!(tenant);

    async fn tenant() -> std::sync::Arc<dyn rollcall_testkit::source::Upstream> {
        super::tenant(super::Mode::Proxy).await
    }
}

mod direct {
    rollcall_testkit::roster_source_contract!(tenant);

    async fn tenant() -> std::sync::Arc<dyn rollcall_testkit::source::Upstream> {
        super::tenant(super::Mode::Direct).await
    }
}

/// A simulated ClassLink with two tenants, and the first of them.
struct Simulated {
    vendor: Arc<ClassLink>,
    origin: String,
    mode: Mode,
    /// Pages are asked for one after the other, so that the same one fails and is named every time.
    in_order: AtomicBool,
}

async fn tenant(mode: Mode) -> Arc<dyn Upstream> {
    let server = Server::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let origin = server.origin();
    let history = || History { district: first_day(), generations: 0, churn: churn() };
    let clock: Arc<dyn Clock> = Arc::new(RealTime);
    let options = ClassLinkOptions::new(KEY, SECRET.into());
    let vendor = Arc::new(ClassLink::over_districts(&origin, vec![history(), history()], options, &clock, &|_, _| {}));
    // It ends with the runtime of the test.
    tokio::spawn(server.serve(Arc::clone(&vendor) as Arc<dyn Vendor>, std::future::pending()));
    Arc::new(Simulated { vendor, origin, mode, in_order: AtomicBool::new(false) })
}

fn consumer(origin: &str) -> ClassLinkAccess {
    ClassLinkAccess::Consumer {
        base_url: origin.parse().unwrap(),
        consumer_key: KEY.to_owned(),
        consumer_secret: SECRET.into(),
    }
}

/// A source that is impatient, and asks for little at a time.
fn source(origin: &str, access: ClassLinkAccess, credential: &str, in_order: bool) -> Arc<dyn RosterSource> {
    let mut config = ClassLinkConfig::new(access, credential);
    config.proxy_url = origin.parse().unwrap();
    config.tenant = Some("2222".to_owned());
    config.http.retry = RetryPolicy {
        max_tries: 3,
        min_delay: Duration::from_millis(1),
        max_delay: Duration::from_millis(2),
        ..RetryPolicy::default()
    };
    if in_order {
        config.http.max_in_flight = 1;
    }
    config.roster.page_size = 20;
    // What a cursor misses must not be found by looking back further than that.
    config.roster.overlap = Duration::ZERO;
    Arc::new(ClassLinkSource::new(config, Arc::new(RealTime)).unwrap())
}

impl Simulated {
    fn source_as(&self, credential: &str) -> Arc<dyn RosterSource> {
        let access = match self.mode {
            Mode::Proxy => ClassLinkAccess::Partner { partner_key: SECRET.into(), mode: Mode::Proxy },
            Mode::Direct => consumer(&self.origin),
        };
        source(&self.origin, access, credential, self.in_order.load(Ordering::Relaxed))
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
        // A district's own server, which is what ClassLink has before every district.
        let server = Server::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let origin = server.origin();
        let options = OneRosterOptions::new(Authentication::OAuth1(OAuth1::new(KEY, SECRET.into())));
        let (vendor, _) = OneRoster::over_package(&origin, &package, options, Arc::new(RealTime)).unwrap();
        tokio::spawn(server.serve(Arc::new(vendor) as Arc<dyn Vendor>, std::future::pending()));
        let source = source(&origin, consumer(&origin), "rollcall", false);
        Nonsense { source, refused, keep: Box::new(folder) }
    }

    fn faults(&self) -> &'static [Fault] {
        Fault::HTTP
    }

    fn arm(&self, fault: Fault, times: Times) {
        // A refused signature is the end, even if it is refused once.
        let is_final = self.mode == Mode::Direct && fault == Fault::ExpiredToken;
        self.in_order.store(times == Times::Always || is_final, Ordering::Relaxed);
        faults::arm(self.vendor.faults(), fault, times);
    }

    fn disarm(&self) -> usize {
        faults::disarm(self.vendor.faults())
    }

    fn secrets(&self) -> Vec<String> {
        vec![SECRET.to_owned(), "hunter2".to_owned(), "a password".to_owned()]
    }

    fn plain(&self, message: &str) -> String {
        message.replace(&self.origin, "https://classlink")
    }
}
