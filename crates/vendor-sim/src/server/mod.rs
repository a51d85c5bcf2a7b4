//! What every simulated vendor shares: a server, faults on demand, and days that pass on demand.
//!
//! A vendor is a [`Vendor`]: the routes of its own API, and what `advance` does to it. The rest is here. Beside the
//! vendor's API a server answers, for whoever tests against it:
//!
//! - `POST /_sim/advance {"churn": 0.01}`: the next generation;
//! - `POST /_sim/fault {"kind": "…", "times": n}`: a [fault](FaultKind) for the next n roster requests;
//! - `GET /_sim/fault`: what is armed;
//! - `GET /_sim/status`: what is served, and what was asked for so far.

mod connection;
pub(crate) mod control;
mod fault;

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use jiff::Timestamp;
use rollcall_domain::PerKind;
use serde::Serialize;
use serde_json::Value;
use tokio::net::TcpListener;

pub(crate) use self::connection::Connection;
use self::connection::Connections;
pub use self::fault::{Fault, FaultKind, FaultOrder, Faults, RosterRequest};
use crate::collection::Changes;
use crate::district::Churn;

/// Requests in flight have so long to end when the server is told to stop.
const FAREWELL: Duration = Duration::from_secs(2);

/// A simulated vendor.
pub trait Vendor: Send + Sync + 'static {
    /// The routes of the vendor's API, by absolute paths.
    fn api(self: Arc<Self>) -> Router;

    /// What can be asked of this vendor only, by paths below `/_sim`.
    fn controls(self: Arc<Self>) -> Router {
        Router::new()
    }

    /// The path below which the API lies, without a slash at its end. `/_sim` is answered there as well as at the root,
    /// for callers who know the base URL only.
    fn base_path(&self) -> &str;

    /// Lets a day pass. `None` is the churn that the vendor was made with. May take seconds, and block.
    fn advance(&self, churn: Option<Churn>) -> Result<Advance, CannotAdvance>;

    /// The faults that are armed.
    fn faults(&self) -> &Faults;

    /// What is served, and what was asked for so far, as a JSON object.
    fn status(&self) -> Value;
}

/// What an advance did.
#[derive(Debug, Clone, Serialize)]
pub struct Advance {
    /// The days that have passed since the district began.
    pub generation: usize,
    /// When what changed was changed.
    pub time: Timestamp,
    /// What changed.
    #[serde(serialize_with = "by_kind")]
    pub changes: PerKind<Changes>,
}

fn by_kind<S: serde::Serializer>(changes: &PerKind<Changes>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(changes.iter().map(|(kind, changes)| (kind.as_str(), changes)))
}

/// The simulated vendor has no next day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a package that is served as it is has no next generation; serve a generated district")]
pub struct CannotAdvance;

/// What a simulated vendor prints when it listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Announcement {
    /// The base URL of the vendor's API.
    pub base_url: String,
    /// A `[[source]]` that reaches it.
    pub config: String,
}

/// A server that listens but does not answer yet, so that a vendor can be made that knows its own address.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    /// Listens on an address; port 0 takes any free port.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// Scheme, host and port by which the server is reached from this machine.
    pub fn origin(&self) -> String {
        let ip = match self.address.ip() {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => IpAddr::V6(Ipv6Addr::LOCALHOST),
            ip => ip,
        };
        format!("http://{}", SocketAddr::new(ip, self.address.port()))
    }

    /// Answers until `stop` comes true.
    pub async fn serve(
        self,
        vendor: Arc<dyn Vendor>,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let (stopping, stopped) = tokio::sync::oneshot::channel();
        let service = router(vendor).into_make_service_with_connect_info::<Connection>();
        let serve = axum::serve(Connections(self.listener), service).with_graceful_shutdown(async move {
            stop.await;
            // Nobody waits for it if the server has ended by itself.
            let _ = stopping.send(());
        });
        tokio::select! {
            ended = serve => ended,
            () = async {
                if stopped.await.is_err() {
                    std::future::pending::<()>().await;
                }
                tokio::time::sleep(FAREWELL).await;
            } => Ok(()),
        }
    }
}

/// The whole of what a simulated vendor answers.
pub fn router(vendor: Arc<dyn Vendor>) -> Router {
    let control = control::routes(Arc::clone(&vendor));
    let below = format!("{}/_sim", vendor.base_path());
    let router = vendor.api().nest("/_sim", control.clone());
    if below == "/_sim" { router } else { router.nest(&below, control) }
}
