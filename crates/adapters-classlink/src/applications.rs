//! The applications of a partner: which tenants there are, and what opens each.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use rollcall_adapters_http::{Auth, HttpSession, RedactedUrl, Url};
use rollcall_domain::ports::Clock;
use secrecy::{ExposeSecret, SecretString};
use serde_json::value::RawValue;

use crate::config::{ClassLinkConfig, Mode};
use crate::error::ClassLinkError;
use crate::wire::{Entry, Page, Server, ServerAnswer, Word};

/// How many applications are asked for at a time. More are taken too, but where nothing says how many there are, a page
/// that was cut could not be told from a whole one.
const LIMIT: usize = 1_000;

/// More applications than there are school districts. A list without an end must not hold us.
const MAX_PAGES: usize = 100;

/// The list of a partner's applications, one for each tenant that has added it.
#[derive(Debug, Clone)]
pub(crate) struct Applications {
    session: HttpSession,
}

/// What the list says of one tenant.
#[derive(Debug, Clone)]
pub(crate) struct Application {
    pub(crate) tenant: String,
    /// The district's name.
    pub(crate) tenant_name: String,
    /// The application's own name.
    pub(crate) name: String,
    pub(crate) enabled: bool,
    pub(crate) status: String,
    /// The part of the path that means it. Blank if the list does not say.
    pub(crate) id: String,
    pub(crate) bearer: Option<SecretString>,
    /// The position of an entry that does not say whose it is. Its `tenant` is none then.
    pub(crate) unreadable: Option<usize>,
}

/// A district's own server, and the key to it.
pub(crate) struct ServerKey {
    pub(crate) address: String,
    pub(crate) consumer_key: String,
    pub(crate) consumer_secret: SecretString,
}

impl From<Entry> for Application {
    fn from(entry: Entry) -> Self {
        let text = |text: Option<Word>| text.unwrap_or_default().0;
        Self {
            unreadable: None,
            tenant: entry.tenant_id.0,
            tenant_name: text(entry.tenant_name),
            name: text(entry.name),
            // A text, so that "false" is not nothing.
            enabled: entry.enabled.is_some_and(|Word(word)| word.eq_ignore_ascii_case("true")),
            status: text(entry.tenant_status),
            id: entry.oneroster_application_id.unwrap_or_default().0,
            bearer: entry.bearer.filter(|bearer| !bearer.expose_secret().trim().is_empty()),
        }
    }
}

impl Application {
    /// What the list says at a position. It is one tenant's, whatever is wrong with it, and spoils no other's.
    fn at(position: usize, entry: &str) -> Self {
        // What the reader says of an entry can quote it.
        let entry = serde_json::from_str::<Entry>(entry).ok();
        let is_id = |id: &str| !id.is_empty() && !id.contains(char::is_control);
        entry.filter(|entry| is_id(&entry.tenant_id.0)).map_or_else(
            || Self {
                tenant: format!("?{position}"),
                tenant_name: String::new(),
                name: String::new(),
                enabled: false,
                status: String::new(),
                id: String::new(),
                bearer: None,
                unreadable: Some(position),
            },
            Into::into,
        )
    }

    /// Refuses a tenant that cannot be read this way.
    pub(crate) fn usable(&self, mode: Mode) -> Result<(), ClassLinkError> {
        let tenant = || self.tenant.clone();
        if let Some(position) = self.unreadable {
            return Err(ClassLinkError::Entry { position });
        }
        if !self.enabled || !self.status.eq_ignore_ascii_case("active") {
            let status = if self.status.is_empty() { "not said".to_owned() } else { self.status.clone() };
            return Err(ClassLinkError::Disabled { tenant: tenant(), enabled: self.enabled, status });
        }
        if self.id.is_empty() {
            return Err(ClassLinkError::NotShared { tenant: tenant(), missing: "the id of the application" });
        }
        if mode == Mode::Proxy && self.bearer.is_none() {
            return Err(ClassLinkError::NotShared { tenant: tenant(), missing: "a bearer" });
        }
        check_id(&self.id)
    }
}

/// Refuses an application's id that cannot be one part of a path just as it is written.
pub(crate) fn check_id(id: &str) -> Result<(), ClassLinkError> {
    let settings = |message: String| Err(ClassLinkError::Settings { message });
    if id.to_ascii_lowercase().contains("%25") {
        return settings(format!(
            "the application id `{id}` is percent-encoded twice; it has to stand as ClassLink lists it"
        ));
    }
    let escapes = id.match_indices('%').all(|(at, _)| {
        id.as_bytes().get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._~+=%".contains(c);
    // Dots alone lead elsewhere, however they are written.
    let is_dots = id.to_ascii_lowercase().replace("%2e", ".").chars().all(|c| c == '.');
    if is_dots || !escapes || !id.chars().all(is_plain) {
        return settings(format!(
            "the application id `{id}` cannot be part of an address; it has to stand as ClassLink lists it, percent-encoded \
             (`%2F` for a slash)"
        ));
    }
    Ok(())
}

/// The one application of a tenant that can be read, or why there is none.
pub(crate) fn choose(of_tenant: Vec<Application>, tenant: &str, mode: Mode) -> Result<Application, ClassLinkError> {
    let mut first_refusal = None;
    let mut usable = Vec::new();
    for application in of_tenant {
        match application.usable(mode) {
            Ok(()) => usable.push(application),
            Err(error) => {
                first_refusal.get_or_insert(error);
            }
        }
    }
    match (usable.pop(), usable.len()) {
        (Some(only), 0) => Ok(only),
        (Some(_), others) => Err(ClassLinkError::Ambiguous { tenant: tenant.to_owned(), found: others + 1 }),
        (None, _) => Err(first_refusal.unwrap_or_else(|| ClassLinkError::Missing { tenant: tenant.to_owned() })),
    }
}

impl Applications {
    pub(crate) fn new(
        config: &ClassLinkConfig,
        partner_key: &SecretString,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ClassLinkError> {
        let settings = config.session(config.proxy_url.clone()).with_auth(Auth::Bearer(partner_key.clone()));
        Ok(Self { session: HttpSession::new(settings, clock)? })
    }

    /// Every application, by tenant.
    pub(crate) async fn by_tenant(&self) -> Result<BTreeMap<String, Vec<Application>>, ClassLinkError> {
        let mut tenants: BTreeMap<String, Vec<Application>> = BTreeMap::new();
        for application in self.list().await? {
            tenants.entry(application.tenant.clone()).or_default().push(application);
        }
        Ok(tenants)
    }

    /// The application of one tenant, if its roster can be read this way.
    pub(crate) async fn find(&self, tenant: &str, mode: Mode) -> Result<Application, ClassLinkError> {
        let mut applications = self.list().await?;
        let unreadable = applications.iter().find_map(|application| application.unreadable);
        applications.retain(|application| application.tenant == tenant);
        if let (true, Some(position)) = (applications.is_empty(), unreadable) {
            // It may be this tenant's.
            return Err(ClassLinkError::Entry { position });
        }
        choose(applications, tenant, mode)
    }

    /// The server of an application.
    pub(crate) async fn server(&self, application: &Application) -> Result<ServerKey, ClassLinkError> {
        let url = self.session.url(&format!("applications/{}/server", application.id), &[]);
        let Server { client_id, client_secret, endpoint_url } =
            self.session.get_json::<ServerAnswer>(url).await?.value.server;
        let not_shared = |missing| ClassLinkError::NotShared { tenant: application.tenant.clone(), missing };
        let text = |text: Option<String>| text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let secret = client_secret.filter(|secret| !secret.expose_secret().trim().is_empty());
        let (Some(consumer_key), Some(consumer_secret)) = (text(client_id), secret) else {
            return Err(not_shared(ClassLinkError::SECRET));
        };
        let address = text(endpoint_url).ok_or_else(|| not_shared("the address of its server"))?;
        Ok(ServerKey { address, consumer_key, consumer_secret })
    }

    /// Reads the list to its end. Nothing says how long it is, and a tenant that is not in it is one whose district has
    /// not added the application: so it ends at an empty page and nowhere else.
    async fn list(&self) -> Result<Vec<Application>, ClassLinkError> {
        let mut applications = Vec::new();
        let mut seen = HashSet::new();
        let mut offset = 0;
        loop {
            let (limit, at) = (LIMIT.to_string(), offset.to_string());
            let url = self.session.url("applications", &[("limit", &limit), ("offset", &at)]);
            let mut page = self.page(&url, offset).await?;
            if page.is_empty() {
                // It is all that tells the end, and also what a server in trouble says.
                page = self.page(&url, offset).await?;
            }
            if page.is_empty() {
                return Ok(applications);
            }
            offset += page.len();
            let known = applications.len();
            // The list can move while it is read, so that an entry comes twice.
            applications.extend(
                page.into_iter()
                    .filter(|application| seen.insert((application.tenant.clone(), application.id.clone()))),
            );
            if applications.len() == known || offset > MAX_PAGES * LIMIT {
                return Err(ClassLinkError::Repeated { url: RedactedUrl::new(&url) });
            }
        }
    }

    /// A page of the list. An answer without the list is asked for once more.
    async fn page(&self, url: &Url, offset: usize) -> Result<Vec<Application>, ClassLinkError> {
        for _ in 0..2 {
            let Page { status, applications } = self.session.get_json::<Page>(url.clone()).await?.value;
            if status.is_some_and(|status| status.get() != "1") {
                // Not documented: what counts is whether the list is there.
                tracing::warn!("ClassLink gives its list of applications another status than 1");
            }
            let Some(list) = applications.filter(|list| list.get().starts_with('[')) else { continue };
            let entries: Vec<Box<RawValue>> =
                serde_json::from_str(list.get()).map_err(|_| ClassLinkError::Entry { position: offset })?;
            let entries = (offset..).zip(entries);
            return Ok(entries.map(|(position, entry)| Application::at(position, entry.get())).collect());
        }
        Err(ClassLinkError::NoList { url: RedactedUrl::new(url) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn application(json: &str) -> Application {
        serde_json::from_str::<Entry>(json).unwrap().into()
    }

    #[test]
    fn an_application_is_usable_if_it_is_enabled_active_and_open() {
        let cases = [
            r#"{"tenant_id": 1, "enabled": "true", "tenant_status": "Active", "oneroster_application_id": "%2Fa%3D", "bearer": "b"}"#,
            r#"{"tenant_id": "1", "enabled": true, "tenant_status": "active", "oneroster_application_id": "a", "bearer": "b"}"#,
            r#"{"tenant_id": 1, "enabled": "false", "tenant_status": "Active", "oneroster_application_id": "a", "bearer": "b"}"#,
            r#"{"tenant_id": 1, "enabled": "true", "tenant_status": "Inactive", "oneroster_application_id": "a", "bearer": "b"}"#,
            r#"{"tenant_id": 1, "oneroster_application_id": "a", "bearer": "b"}"#,
            r#"{"tenant_id": 1, "enabled": "true", "tenant_status": "Active", "oneroster_application_id": "a", "bearer": null}"#,
            r#"{"tenant_id": 1, "enabled": "true", "tenant_status": "Active", "oneroster_application_id": "a", "bearer": " "}"#,
            r#"{"tenant_id": 1, "enabled": "true", "tenant_status": "Active", "bearer": "b"}"#,
            r#"{"tenant_id": 1, "enabled": "true", "tenant_status": "Active", "oneroster_application_id": "a/b", "bearer": "b"}"#,
        ];
        let told = cases.map(|json| match application(json).usable(Mode::Proxy) {
            Ok(()) => "usable".to_owned(),
            Err(error) => format!("{}: {error}", error.code()),
        });
        insta::assert_snapshot!(told.join("\n"));
        // Whoever goes to the server itself needs no bearer.
        assert!(application(cases[5]).usable(Mode::Direct).is_ok());
    }

    #[test]
    fn an_id_is_one_part_of_a_path_just_as_it_is_written() {
        for good in ["MoYPlyQWmG0%3D", "%2FgVa0ed75Gs%43", "%2fabc", "a-b_c~d+e.f=", "12345"] {
            assert!(check_id(good).is_ok(), "{good}");
        }
        for bad in ["", "a/b", "..", "%2E.", ".", "a?b", "a#b", "a b", "%", "%2", "%zz", "%252Fabc", "é"] {
            assert!(check_id(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn of_several_applications_of_a_tenant_the_one_that_is_on_is_meant() {
        let with = |id: &str, enabled: &str| {
            application(&format!(
                r#"{{"tenant_id": 1, "enabled": "{enabled}", "tenant_status": "Active", "oneroster_application_id": "{id}", "bearer": "b"}}"#
            ))
        };
        let chosen = choose(vec![with("a", "false"), with("b", "true")], "1", Mode::Proxy).unwrap();
        assert_eq!(chosen.id, "b");
        let error = choose(vec![with("a", "true"), with("b", "true")], "1", Mode::Proxy).unwrap_err();
        assert_eq!(error.code(), "tenant.ambiguous");
        let error = choose(vec![with("a", "false")], "1", Mode::Proxy).unwrap_err();
        assert_eq!(error.code(), "tenant.disabled");
        assert_eq!(choose(Vec::new(), "1", Mode::Proxy).unwrap_err().code(), "tenant.missing");
    }
}
