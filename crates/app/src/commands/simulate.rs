//! `rollcall simulate`

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use jiff::{SignedDuration, Timestamp};
use rollcall_domain::ports::Clock;
use rollcall_vendor_sim::auth::{Authentication, OAuth1, OAuth2};
use rollcall_vendor_sim::classlink::{ClassLink, ClassLinkOptions};
use rollcall_vendor_sim::clever::{ApiVersion, Clever, CleverCredentials, CleverOptions};
use rollcall_vendor_sim::oneroster::{History, OneRoster, OneRosterOptions, Package, Version};
use rollcall_vendor_sim::server::{Announcement, Server, Vendor};
use rollcall_vendor_sim::{Churn, District, DistrictError};
use secrecy::{ExposeSecret as _, SecretString};
use tempfile::TempPath;
use uuid::Uuid;

use super::Context;
use crate::cli::{
    Simulate, SimulateClassLink, SimulateClever, SimulateOneRoster, SimulatedApiVersion, SimulatedAuth,
    SimulatedCleverAuth, SimulatedDistrict,
};
use crate::clock::SystemClock;
use crate::failure::{Exit, Failure};
use crate::output::{self, Output};
use crate::progress::Meter;

pub(super) async fn run(context: &mut Context, arguments: &Simulate) -> Result<Exit> {
    match arguments {
        Simulate::Oneroster(arguments) => oneroster(&mut context.output, arguments).await,
        Simulate::Clever(arguments) => clever(&mut context.output, arguments).await,
        Simulate::Classlink(arguments) => classlink(&mut context.output, arguments).await,
    }
}

async fn oneroster(output: &mut Output, arguments: &SimulateOneRoster) -> Result<Exit> {
    let package = arguments.data.as_deref().map(open).transpose()?;
    let version = version(package.as_ref(), arguments)?;
    let history = arguments.students.map(|students| history(students, arguments)).transpose()?;
    let secret = Secret::of(arguments.secret_file.as_deref())?;
    let options = OneRosterOptions {
        max_limit: arguments.max_limit as usize,
        quirks: arguments.quirk.iter().map(|&quirk| quirk.into()).collect(),
        compress: !arguments.no_gzip,
        ..OneRosterOptions::new(authentication(version, &secret.value, arguments))
    };

    let server = bind(arguments.listen).await?;
    let origin = server.origin();
    // A large district takes a while and never waits: it gets a thread on which that does no harm.
    let making = tokio::task::spawn_blocking(move || -> Result<OneRoster> {
        let meter = Meter::start("simulated district");
        let progress = |kind, total| meter.say(format!("{total} {kind} made"));
        let clock = Arc::new(SystemClock);
        if let Some(history) = history {
            return Ok(OneRoster::over_district(&origin, version, history, options, clock, &progress));
        }
        let package = package.context("there is neither a district nor a package")?;
        let (vendor, notes) = OneRoster::over_package(&origin, &package, options, clock)?;
        drop(meter);
        for note in notes {
            output::note(&note);
        }
        Ok(vendor)
    });
    let vendor = tokio::select! {
        made = making => made??,
        () = stopped() => return Ok(Exit::Done),
    };
    let announcement = vendor.announcement(&arguments.client_id, &secret.path);
    serve(output, server, Arc::new(vendor), &announcement).await?;
    Ok(Exit::Done)
}

async fn clever(output: &mut Output, arguments: &SimulateClever) -> Result<Exit> {
    let histories = histories(&arguments.district, arguments.districts)?;
    let secret = Secret::of(arguments.secret_file.as_deref())?;
    let credentials = match arguments.auth {
        SimulatedCleverAuth::Application => CleverCredentials::Application {
            client_id: arguments.client_id.clone(),
            client_secret: secret.value.clone(),
        },
        SimulatedCleverAuth::DistrictToken => CleverCredentials::DistrictToken(secret.value.clone()),
    };
    let options = CleverOptions {
        rate_limit: arguments.rate_limit,
        retention: SignedDuration::from_hours(24 * i64::from(arguments.event_retention)),
        quirks: arguments.quirk.iter().map(|&quirk| quirk.into()).collect(),
        ..CleverOptions::new(credentials)
    };
    let version = match arguments.api_version {
        SimulatedApiVersion::V3p0 => ApiVersion::V3_0,
        SimulatedApiVersion::V3p1 => ApiVersion::V3_1,
    };
    let clock = Arc::new(Yesterday(SignedDuration::from_hours(24 * i64::from(arguments.days_ago))));

    let server = bind(arguments.listen).await?;
    let origin = server.origin();
    let making = tokio::task::spawn_blocking(move || {
        let meter = Meter::start("simulated districts");
        let progress = |kind, total| meter.say(format!("{total} {kind} made"));
        Clever::over_districts(&origin, version, histories, options, clock, &progress)
    });
    let vendor = tokio::select! {
        made = making => made?,
        () = stopped() => return Ok(Exit::Done),
    };
    let announcement = vendor.announcement(&secret.path);
    serve(output, server, Arc::new(vendor), &announcement).await?;
    Ok(Exit::Done)
}

async fn classlink(output: &mut Output, arguments: &SimulateClassLink) -> Result<Exit> {
    let histories = histories(&arguments.district, arguments.tenants)?;
    let secret = Secret::of(arguments.secret_file.as_deref())?;
    let options = ClassLinkOptions {
        mode: arguments.mode.into(),
        quirks: arguments.quirk.iter().map(|&quirk| quirk.into()).collect(),
        ..ClassLinkOptions::new(arguments.consumer_key.clone(), secret.value.clone())
    };

    let server = bind(arguments.listen).await?;
    let origin = server.origin();
    let making = tokio::task::spawn_blocking(move || {
        let meter = Meter::start("simulated districts");
        let progress = |kind, total| meter.say(format!("{total} {kind} made"));
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        ClassLink::over_districts(&origin, histories, options, &clock, &progress)
    });
    let vendor = tokio::select! {
        made = making => made?,
        () = stopped() => return Ok(Exit::Done),
    };
    let announcement = vendor.announcement(&secret.path);
    serve(output, server, Arc::new(vendor), &announcement).await?;
    Ok(Exit::Done)
}

/// The system's clock, some days behind.
#[derive(Debug)]
struct Yesterday(SignedDuration);

impl Clock for Yesterday {
    fn now(&self) -> Timestamp {
        let now = SystemClock.now();
        now.saturating_sub(self.0).unwrap_or(now)
    }
}

async fn bind(address: std::net::SocketAddr) -> Result<Server> {
    Ok(Server::bind(address).await.map_err(|error| {
        Failure::new("listen.failed", format!("cannot listen on {address}: {error}"))
            .hint("give another address with `--listen`; port 0 takes any free port")
    })?)
}

/// Says where a vendor is reached, and answers until somebody stops it.
async fn serve(
    output: &mut Output,
    server: Server,
    vendor: Arc<dyn Vendor>,
    announcement: &Announcement,
) -> Result<()> {
    // One line, whatever `--output` says: it is for programs and for people alike.
    let line = serde_json::to_string(announcement).context("the address cannot be written")?;
    output.text(&line)?;
    output.text("\n")?;
    output.finish()?;
    server.serve(vendor, stopped()).await.context("the server has failed")
}

/// Ends when somebody wants the simulator to stop.
async fn stopped() {
    let interrupted = async {
        if tokio::signal::ctrl_c().await.is_err() {
            output::note("warning: Ctrl-C cannot be caught here");
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let signals = (signal(SignalKind::terminate()), signal(SignalKind::hangup()));
        let (Ok(mut terminated), Ok(mut hung_up)) = signals else { return interrupted.await };
        tokio::select! {
            () = interrupted => {}
            _ = terminated.recv() => {}
            _ = hung_up.recv() => {}
        }
    }
    #[cfg(not(unix))]
    interrupted.await;
}

fn open(folder: &Path) -> Result<Package> {
    Ok(Package::open(folder).map_err(|error| Failure::new("package.unreadable", error.to_string()))?)
}

fn version(package: Option<&Package>, arguments: &SimulateOneRoster) -> Result<Version> {
    let wanted = arguments.version.map(Version::from);
    let version = package.map(Package::version).or(wanted).unwrap_or(Version::V1_2);
    if let Some(wanted) = wanted.filter(|&wanted| wanted != version) {
        let message = format!("the package is OneRoster {}, not {}", version.as_str(), wanted.as_str());
        return Err(Failure::usage("usage", message).hint("a package is served in its own version").into());
    }
    if version == Version::V1_2 && arguments.auth == SimulatedAuth::Oauth1 {
        return Err(Failure::usage("usage", "OneRoster 1.2 has no OAuth 1.0a")
            .hint("use `--version 1.1`, or another `--auth`")
            .into());
    }
    Ok(version)
}

fn history(students: u32, arguments: &SimulateOneRoster) -> Result<History> {
    let invalid = |error: DistrictError| Failure::usage("usage", error.to_string());
    Ok(History {
        district: District::new(students as usize, arguments.seed).map_err(invalid)?,
        generations: arguments.generation as usize,
        churn: Churn::new(arguments.churn).map_err(invalid)?,
    })
}

/// So many districts of one size, with seeds that follow on each other.
fn histories(wanted: &SimulatedDistrict, districts: u32) -> Result<Vec<History>> {
    let invalid = |error: DistrictError| Failure::new("district.invalid", error.to_string());
    let churn = Churn::new(wanted.churn).map_err(invalid)?;
    let mut histories = Vec::new();
    for number in 0..districts {
        let seed = wanted.seed.wrapping_add(number.into());
        let district = District::new(wanted.students as usize, seed).map_err(invalid)?;
        histories.push(History { district, generations: wanted.generation as usize, churn });
    }
    Ok(histories)
}

fn authentication(version: Version, secret: &SecretString, arguments: &SimulateOneRoster) -> Authentication {
    let (id, secret) = (arguments.client_id.clone(), secret.clone());
    match arguments.auth {
        SimulatedAuth::Bearer => Authentication::Bearer(secret),
        SimulatedAuth::Oauth1 => Authentication::OAuth1(OAuth1::new(id, secret)),
        SimulatedAuth::Oauth2 => {
            let lifetime = Duration::from_secs(arguments.token_ttl.into());
            let tokens = OAuth2::new(id, secret, version.scopes(), lifetime);
            Authentication::OAuth2(tokens.client_auth(arguments.client_auth.into()))
        }
    }
}

/// A secret, and the file in which it lies.
struct Secret {
    value: SecretString,
    path: PathBuf,
    /// Removes the file when the simulator ends, if it is the simulator's.
    _made: Option<TempPath>,
}

impl Secret {
    fn of(file: Option<&Path>) -> Result<Self> {
        if let Some(path) = file {
            let failure = |message: String| Failure::new("secret.unreadable", message);
            let text = std::fs::read_to_string(path)
                .map_err(|error| failure(format!("cannot read the secret in {}: {error}", path.display())))?;
            if text.trim().is_empty() {
                return Err(failure(format!("{} holds no secret", path.display())).into());
            }
            // A source may be read from anywhere.
            let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
            return Ok(Self { value: text.trim().into(), path, _made: None });
        }
        let value = SecretString::from(Uuid::new_v4().simple().to_string());
        let made = tempfile::Builder::new()
            .prefix("rollcall-simulated-secret-")
            .tempfile()
            .and_then(|mut file| {
                std::io::Write::write_all(&mut file, value.expose_secret().as_bytes())?;
                Ok(file.into_temp_path())
            })
            .context("cannot write the simulated secret into a temporary file")?;
        Ok(Self { value, path: made.to_path_buf(), _made: Some(made) })
    }
}
