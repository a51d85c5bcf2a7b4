//! One district: its server, its keys, and what the list of applications says of it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use rollcall_domain::ports::Clock;
use rollcall_domain::vocabulary::OrgType;
use rollcall_domain::{Kind, Record};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::auth::{Authentication, DistrictKeys, OAuth1};
use crate::oneroster::{History, OneRoster, OneRosterOptions, Progress, Quirk, Version};
use crate::server::{Faults, Vendor as _};

/// The id of the first tenant; the others follow on it.
pub(super) const FIRST_TENANT: usize = 2222;

/// The application is the same everywhere.
const APPLICATION: u32 = 700;

pub(super) struct Tenant {
    id: usize,
    /// The id of the application at this tenant: base64, and percent-encoded where it stands in JSON and paths.
    application_id: String,
    name: String,
    pub(super) server: Arc<OneRoster>,
    consumer_key: String,
    consumer_secret: SecretString,
    keys: Arc<DistrictKeys>,
    revision: AtomicU64,
    standing: Mutex<Standing>,
    is_failing: AtomicBool,
}

/// How a tenant stands with the application.
#[derive(Debug, Clone)]
struct Standing {
    enabled: bool,
    status: String,
    is_listed: bool,
    shares_key: bool,
}

/// What whoever tests wants of a tenant, or of all of them. What is left out stays as it is.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TenantOrder {
    tenant: Option<String>,
    enabled: Option<bool>,
    status: Option<String>,
    listed: Option<bool>,
    /// `true` replaces the bearer, `false` takes it away.
    bearer: Option<bool>,
    /// Whether the list tells the consumer secret.
    shares_key: Option<bool>,
    /// Whether the server answers 502 to everything.
    failing: Option<bool>,
}

impl TenantOrder {
    pub(super) fn is_for(&self, tenant: &Tenant) -> bool {
        self.tenant.as_ref().is_none_or(|only| *only == tenant.id.to_string())
    }
}

impl Tenant {
    pub(super) fn new(
        place: usize,
        history: History,
        first: Option<(String, SecretString)>,
        quirks: Vec<Quirk>,
        faults: Arc<Faults>,
        clock: Arc<dyn Clock>,
        progress: Progress<'_>,
    ) -> Self {
        let id = FIRST_TENANT + place;
        let mut name = String::new();
        for record in history.district.records(Kind::Orgs) {
            if let Record::Orgs(org) = record
                && org.org_type == OrgType::District
            {
                name = org.name.to_string();
            }
        }
        let hexadecimal = || Uuid::new_v4().simple().to_string()[..24].to_owned();
        let (consumer_key, consumer_secret) = first.unwrap_or_else(|| (hexadecimal(), hexadecimal().into()));
        let keys = Arc::new(DistrictKeys::new(OAuth1::new(consumer_key.clone(), consumer_secret.clone())));
        let options =
            OneRosterOptions { quirks, faults, ..OneRosterOptions::new(Authentication::Keys(Arc::clone(&keys))) };
        // Records name the server, whichever way they were reached.
        let host = format!("http://tenant{id}-vn-v2.rosterserver.example");
        let server = OneRoster::over_district(&host, Version::V1_1, history, options, clock, progress);
        let time = server.status()["time"].as_str().and_then(|time| time.parse::<jiff::Timestamp>().ok());
        let revision = time.map_or(0, jiff::Timestamp::as_millisecond).unsigned_abs();
        // Eight bytes, the first of which makes a slash.
        let bytes = crate::random::mix(id as u64) | 0xfc00_0000_0000_0000;
        Self {
            id,
            application_id: STANDARD.encode(bytes.to_be_bytes()),
            name,
            server: Arc::new(server),
            consumer_key,
            consumer_secret,
            keys,
            revision: AtomicU64::new(revision),
            standing: Mutex::new(Standing {
                enabled: true,
                status: "Active".to_owned(),
                is_listed: true,
                shares_key: true,
            }),
            is_failing: AtomicBool::new(false),
        }
    }

    fn now(&self) -> Standing {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn is_listed(&self) -> bool {
        self.now().is_listed
    }

    /// Whether its server is open to the application.
    pub(super) fn is_active(&self) -> bool {
        let standing = self.now();
        standing.is_listed && standing.enabled && standing.status == "Active"
    }

    pub(super) fn is_failing(&self) -> bool {
        self.is_failing.load(Ordering::Relaxed)
    }

    /// Whether a part of a path, decoded once, is the id of the application here. Encoded twice it is not.
    pub(super) fn is_named(&self, part: &str) -> bool {
        percent_decode_str(part).decode_utf8().is_ok_and(|decoded| decoded == self.application_id)
    }

    pub(super) fn consumer_key(&self) -> &str {
        &self.consumer_key
    }

    pub(super) fn revision(&self) -> u64 {
        self.revision.load(Ordering::Relaxed)
    }

    pub(super) fn move_revision(&self) {
        self.revision.fetch_add(1, Ordering::Relaxed);
    }

    /// What the list of applications says.
    pub(super) fn application(&self) -> Value {
        let standing = self.now();
        json!({
            "id": 90_000 + self.id,
            "application_id": APPLICATION,
            "tenant_id": self.id,
            "bearer": self.keys.bearer(),
            "tenant_name": self.name,
            "enabled": if standing.enabled { "true" } else { "false" },
            "tenant_status": standing.status,
            "oneroster_application_id": utf8_percent_encode(&self.application_id, NON_ALPHANUMERIC).to_string(),
            "name": "Rollcall",
            "version": "",
        })
    }

    /// What the list says of the server itself. Its address has no path.
    pub(super) fn server_document(&self, origin: &str) -> Value {
        let secret = if self.now().shares_key { self.consumer_secret.expose_secret() } else { "" };
        json!({"client_id": self.consumer_key, "client_secret": secret, "endpoint_url": origin})
    }

    pub(super) fn order(&self, order: &TenantOrder) {
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        standing.enabled = order.enabled.unwrap_or(standing.enabled);
        standing.is_listed = order.listed.unwrap_or(standing.is_listed);
        standing.shares_key = order.shares_key.unwrap_or(standing.shares_key);
        if let Some(status) = &order.status {
            standing.status.clone_from(status);
        }
        if let Some(wanted) = order.bearer {
            self.keys.replace_bearer(wanted);
        }
        if let Some(failing) = order.failing {
            self.is_failing.store(failing, Ordering::Relaxed);
        }
    }

    /// How it stands, for whoever tests.
    pub(super) fn standing(&self) -> Value {
        let standing = self.now();
        json!({
            "tenant": self.id.to_string(),
            "name": self.name,
            "enabled": standing.enabled,
            "status": standing.status,
            "listed": standing.is_listed,
            "has_bearer": self.keys.bearer().is_some(),
            "shares_key": standing.shares_key,
            "failing": self.is_failing(),
            "revision": self.revision().to_string(),
            "generation": self.server.status()["generation"],
        })
    }
}
