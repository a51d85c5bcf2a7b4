//! The configuration file, `rollcall.toml`.
//!
//! Keys of this version:
//!
//! - `[database] url`: the store, `sqlite://rollcall.db` unless `DATABASE_URL` or `--database-url` say otherwise;
//! - any number of `[[source]]`, see [`SourceConfig`].
//!
//! A key that is not known is an error that names the nearest known one; every error points at its line and column.

mod auth;
mod classlink;
mod clever;
mod csv;
mod duration;
mod http;
mod keys;
mod mistake;
mod rest;
mod secret;
mod source;
mod tenants;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Result;
use secrecy::SecretString;
use serde::Deserialize;
use serde::de::IntoDeserializer as _;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

pub(crate) use self::classlink::{ClassLinkPlace, ClassLinkSettings};
pub(crate) use self::clever::{CleverPlace, CleverSettings};
pub(crate) use self::csv::CsvSettings;
use self::mistake::Mistake;
pub(crate) use self::rest::{Asking, RestSettings};
pub(crate) use self::source::{Common, Settings, SourceConfig, check_source_name};
pub(crate) use self::tenants::Tenants;
use crate::failure::Failure;

/// The file that is read if it is there and no other is named.
const DEFAULT_FILE: &str = "rollcall.toml";

/// The store that is used if nothing names one.
const DEFAULT_DATABASE: &str = "sqlite://rollcall.db";

/// Everything that is configured.
#[derive(Debug, Default)]
pub(crate) struct Config {
    /// The file that it was read from, if there is one.
    file: Option<PathBuf>,
    database: Option<SecretString>,
    sources: Vec<SourceConfig>,
}

/// `[database]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DatabaseSection {
    url: SecretString,
}

impl Config {
    /// Reads `file`, or the default file if it is there.
    pub(crate) fn load(file: Option<&Path>) -> Result<Self> {
        let path = file.map_or_else(|| PathBuf::from(DEFAULT_FILE), Path::to_path_buf);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Self::parse(&path, &text)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound && file.is_none() => Ok(Self::default()),
            Err(error) => {
                let failure = Failure::usage("config.unreadable", format!("cannot read `{}`: {error}", path.display()));
                Err(failure.hint("`--config` names the configuration file").into())
            }
        }
    }

    /// Reads the text of a configuration file.
    fn parse(path: &Path, text: &str) -> Result<Self, Failure> {
        let read = || -> Result<Self, Mistake> {
            let root = DeTable::parse(text)?.into_inner();
            let mut config = Self { file: Some(path.to_owned()), ..Self::default() };
            for (key, value) in root {
                match key.get_ref().as_ref() {
                    "database" => {
                        let section = DatabaseSection::deserialize(value.into_deserializer())?;
                        config.database = Some(section.url);
                    }
                    "source" => config.sources = sources(value, |at| mistake::place(path, text, at))?,
                    "server" => {
                        return Err(Mistake::at(
                            key.span(),
                            "`server` belongs to `rollcall serve`, which this version does not have; remove the section",
                        ));
                    }
                    unknown => return Err(Mistake::unknown_key(key.span(), unknown, &["database", "source"])),
                }
            }
            Ok(config)
        };
        read().map_err(|mistake| mistake.in_file(path, text))
    }

    /// The address of the store: the command line and the environment before the file before the default.
    pub(crate) fn database_url(&self, given: Option<&SecretString>) -> SecretString {
        use secrecy::ExposeSecret as _;
        given
            .filter(|url| !url.expose_secret().is_empty())
            .or(self.database.as_ref())
            .cloned()
            .unwrap_or_else(|| SecretString::from(DEFAULT_DATABASE))
    }

    /// The configured source of that name, or that of a tenant (`NAME/TENANT`) where the source `NAME` stands for all.
    pub(crate) fn source(&self, name: &str) -> Option<Cow<'_, SourceConfig>> {
        let exactly = self.sources.iter().find(|source| source.name() == name).map(Cow::Borrowed);
        exactly.or_else(|| self.tenant_of_all(name).and_then(|(all, tenant)| all.of_tenant(tenant)).map(Cow::Owned))
    }

    /// The source that stands for all tenants and the tenant of it that a name means, if no source has that very name.
    pub(crate) fn tenant_of_all<'n>(&self, name: &'n str) -> Option<(&SourceConfig, &'n str)> {
        let of_tenant = |source| Some((source, SourceConfig::tenant_in(source, name)?));
        if self.names(name) { None } else { self.sources.iter().find_map(of_tenant) }
    }

    /// Whether a source of exactly that name is configured.
    pub(crate) fn names(&self, name: &str) -> bool {
        self.sources.iter().any(|source| source.name() == name)
    }

    /// The configured source of that name, or an error that names the nearest.
    pub(crate) fn known_source(&self, name: &str) -> Result<Cow<'_, SourceConfig>, Failure> {
        self.source(name).ok_or_else(|| {
            let failure = Failure::usage("source.unconfigured", format!("the configuration has no source `{name}`"));
            if self.sources.is_empty() {
                failure.hint(format!("add a `[[source]]` to `{}`, or name another file with `--config`", self.file()))
            } else {
                failure.hint(self.nearest_source(name))
            }
        })
    }

    /// Which configured source may have been meant: the nearest one, or all.
    pub(crate) fn nearest_source(&self, name: &str) -> String {
        let names: Vec<&str> = self.sources.iter().map(SourceConfig::name).collect();
        mistake::nearest(name, &names)
    }

    /// The file to write into.
    pub(crate) fn file(&self) -> std::path::Display<'_> {
        self.file.as_deref().unwrap_or(Path::new(DEFAULT_FILE)).display()
    }

    /// All configured sources.
    pub(crate) fn sources(&self) -> &[SourceConfig] {
        &self.sources
    }
}

fn sources(value: Spanned<DeValue<'_>>, place: impl Fn(usize) -> String) -> Result<Vec<SourceConfig>, Mistake> {
    let span = value.span();
    let DeValue::Array(tables) = value.into_inner() else {
        return Err(Mistake::at(span, "`source` is a list; write `[[source]]` with two brackets"));
    };
    let mut names = BTreeSet::new();
    let mut sources = Vec::new();
    for table in tables {
        let span = table.span();
        let source = source::read(table, place(span.start))?;
        if !names.insert(source.name().to_owned()) {
            return Err(Mistake::at(span, format!("there are two sources named `{}`", source.name())));
        }
        sources.push(source);
    }
    Ok(sources)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn read(text: &str) -> Result<Config, String> {
        Config::parse(Path::new("rollcall.toml"), text).map_err(|failure| failure.to_string())
    }

    #[test]
    fn a_source_is_read_with_its_settings() {
        let config = read(
            r#"
            [database]
            url = "postgres://rollcall:hunter2@db/rosters"

            [[source]]
            name = "springfield"
            kind = "oneroster-csv"
            path = "drops/springfield"
            demographics = true
            slash_dates = "mdy"
            end_dates = "inclusive"
            encoding = "windows-1252"
            mode = "bulk"
            totals = "ignore"
            guards = { delete_percent = 5, delete_max = 100 }
            "#,
        )
        .unwrap();
        insta::assert_debug_snapshot!(config);
    }

    #[test]
    fn a_source_over_rest_is_read_with_its_settings() {
        let config = read(
            r#"
            [[source]]
            name = "shelbyville"
            kind = "oneroster-rest"
            base_url = "https://sis.example.org/ims/oneroster/v1p1"
            auth = { method = "oauth2", token_url = "https://sis.example.org/token", client_id = "rollcall", client_secret = { env = "SIS_SECRET" }, client_auth = "body" }
            page_size = 1000
            full_every = "3d"
            filter = { users = "status='active'" }
            schools = ["s1"]
            max_in_flight = 2
            timeout = "90s"
            totals = "ignore"

            [[source]]
            name = "capital"
            kind = "oneroster-rest"
            base_url = "https://sis.example.org"
            version = "1.2"
            filter = "status='active'"
            [source.auth]
            method = "oauth1"
            consumer_key = "key"
            consumer_secret = { file = "/run/secrets/capital" }
            signature = "HMAC-SHA1"
            "#,
        )
        .unwrap();
        insta::assert_debug_snapshot!(config.sources());
    }

    #[test]
    fn mistakes_in_a_source_over_rest_are_shown_where_they_are_and_quote_no_secret() {
        let source = |keys: &str| {
            format!(
                "[[source]]\nname = \"a\"\nkind = \"oneroster-rest\"\nbase_url = \"https://sis.example.org/ims/oneroster/v1p1\"\n{keys}"
            )
        };
        let auth = |auth: &str| source(&format!("auth = {{ {auth} }}"));
        let bearer = "auth = { method = \"bearer\", token = { env = \"T\" } }";
        let broken = [
            source(""),
            source("auth = \"hunter2\""),
            auth("method = \"saml\""),
            auth("token = \"hunter2\""),
            auth("method = \"bearer\", token = \"hunter2\""),
            auth("method = \"bearer\", token = { env = \"hunter2!\" }"),
            auth("method = \"bearer\", secret = { env = \"T\" }"),
            auth(
                "method = \"oauth2\", token_url = \"sis.example.org/?key=hunter2\", client_id = \"a\", client_secret = { env = \"T\" }",
            ),
            auth(
                "method = \"oauth1\", consumer_key = \"a\", consumer_secret = { env = \"T\" }, signature = \"PLAINTEXT\"",
            ),
            source("[source.auth]\nmethod = \"bearer\"\ntoken = { env = \"T\" }\nscope = \"all\""),
            source(&format!("{bearer}\nfull_every = \"weekly\"")),
            source(&format!("{bearer}\nfull_every = 7")),
            source(&format!("{bearer}\nfilter = {{ user = \"status='active'\" }}")),
            source(&format!("{bearer}\nmax_inflight = 2")),
            source(&format!("{bearer}\npage_size = 0")),
            source(&format!("{bearer}\npath = \"drops\"")),
            source(&format!("{bearer}\nversion = \"1.2\"")),
            source(bearer).replace("/ims/oneroster/v1p1", "/roster"),
            source(bearer).replace("base_url", "baseurl"),
        ];
        let screens: Vec<_> = broken.iter().map(|text| read(text).unwrap_err()).collect();
        let screens = screens.join("\n\n");
        assert!(!screens.contains("hunter2"), "{screens}");
        insta::assert_snapshot!(screens);
    }

    #[test]
    fn a_source_over_clever_is_one_district_or_stands_for_all() {
        let config = read(
            r#"
            [[source]]
            name = "capital"
            kind = "clever"
            client_id = "rollcall"
            client_secret = { env = "CLEVER_SECRET" }
            districts = "all"
            api_version = "v3.0"
            full_every = "3d"
            requests_per_second = 10
            guards = { delete_percent = 5 }

            [[source]]
            name = "token"
            kind = "clever"
            district_token = { file = "/run/secrets/token" }
            api_url = "http://127.0.0.1:8091"
            "#,
        )
        .unwrap();
        insta::assert_debug_snapshot!(config.sources());
        let one = config.source("capital/58da").unwrap();
        assert_eq!((one.name(), one.is_for_all_tenants()), ("capital/58da", false));
        assert!(config.source("token/58da").is_none() && config.source("capital/").is_none());
        let block = config.source("capital").unwrap().block_of_tenant("58da").unwrap();
        insta::assert_snapshot!(block);
        let again = read(&block).unwrap();
        assert_eq!(format!("{:?}", again.sources()[0]), format!("{one:?}"));
    }

    #[test]
    fn mistakes_in_a_source_over_clever_are_shown_where_they_are_and_quote_no_secret() {
        let source = |keys: &str| format!("[[source]]\nname = \"a\"\nkind = \"clever\"\n{keys}");
        let application = "client_id = \"a\"\nclient_secret = { env = \"S\" }";
        let token = "district_token = { env = \"T\" }";
        let broken = [
            source(""),
            source("client_id = \"a\""),
            source("client_secret = { env = \"S\" }"),
            source("client_id = \" \"\nclient_secret = { env = \"S\" }"),
            source("client_id = \"a\"\nclient_secret = \"hunter2\""),
            source("district_token = \"hunter2\""),
            source(&format!("{application}\n{token}")),
            source(&format!("{application}\ndistrict = \"\"")),
            source(&format!("{application}\ndistricts = \"58da\"")),
            source(&format!("{application}\ndistrict = \"58da\"\ndistricts = \"all\"")),
            source(&format!("{token}\ndistricts = \"all\"")),
            source(&format!("{token}\ndistict = \"58da\"")),
            source(&format!("{token}\napi_version = \"v2.1\"")),
            source(&format!("{token}\napi_url = \"https://api.clever.com/?token=hunter2\"")),
            source(&format!("{token}\noauth_url = \"hunter2\"")),
            source(&format!("{token}\napi_url = \"https://u:hunter2@api.clever.com\"")),
            source("client_id = \"a\"\nclient_secrt = { env = \"S\" }"),
        ];
        let screens: Vec<_> = broken.iter().map(|text| read(text).unwrap_err()).collect();
        let screens = screens.join("\n\n");
        assert!(!screens.contains("hunter2"), "{screens}");
        insta::assert_snapshot!(screens);
    }

    #[test]
    fn a_source_over_classlink_goes_either_way_and_is_one_tenant_or_stands_for_all() {
        let config = read(
            r#"
            [[source]]
            name = "ogdenville"
            kind = "classlink"
            mode = "proxy"
            partner_key = { env = "CLASSLINK_KEY" }
            tenants = "all"
            full_every = "12h"
            filter = "status='active'"
            guards = { delete_percent = 5 }

            [[source]]
            name = "one"
            kind = "classlink"
            mode = "direct"
            partner_key = { env = "CLASSLINK_KEY" }
            proxy_url = "http://127.0.0.1:8092"
            tenant = 2222
            signature = "HMAC-SHA1"
            send_version = false

            [[source]]
            name = "handed-over"
            kind = "classlink"
            mode = "proxy"
            application_id = "%2FgVa0ed75Gs%3D"
            bearer = { file = "/run/secrets/bearer" }

            [[source]]
            name = "server"
            kind = "classlink"
            mode = "direct"
            base_url = "https://mapleton-nj-v2.rosterserver.example"
            consumer_key = "0123456789abcdef01234567"
            consumer_secret = { env = "MAPLETON_SECRET" }
            tenant = "2223"
            oauth2 = true
            token_url = "https://mapleton-nj-v2.rosterserver.example/token"
            "#,
        )
        .unwrap();
        insta::assert_debug_snapshot!(config.sources().iter().map(|source| &source.settings).collect::<Vec<_>>());
        let one = config.source("ogdenville/2222").unwrap();
        assert_eq!((one.name(), one.is_for_all_tenants()), ("ogdenville/2222", false));
        assert!(config.source("one/2222").is_none());
        let block = config.source("ogdenville").unwrap().block_of_tenant("2222").unwrap();
        insta::assert_snapshot!(block);
        let again = read(&block).unwrap();
        assert_eq!(format!("{:?}", again.sources()[0]), format!("{one:?}"));
    }

    #[test]
    fn mistakes_in_a_source_over_classlink_are_shown_where_they_are_and_quote_no_secret() {
        let source = |keys: &str| format!("[[source]]\nname = \"a\"\nkind = \"classlink\"\n{keys}");
        let proxy = |keys: &str| source(&format!("mode = \"proxy\"\n{keys}"));
        let direct = |keys: &str| source(&format!("mode = \"direct\"\n{keys}"));
        let key = "partner_key = { env = \"K\" }";
        let server = "base_url = \"https://sis.example.org\"\nconsumer_key = \"a\"\nconsumer_secret = { env = \"S\" }";
        let broken = [
            source(key),
            source("mode = \"client_credentials\""),
            proxy(""),
            proxy("bearer = { env = \"B\" }"),
            proxy("application_id = \"a\""),
            proxy(&format!("{key}\nbearer = {{ env = \"B\" }}")),
            proxy("partner_key = \"hunter2\""),
            proxy(server),
            proxy(&format!("{key}\ntenant = \" \"")),
            proxy(&format!("{key}\ntenant = [2222]")),
            proxy(&format!("{key}\ntenants = \"some\"")),
            proxy(&format!("{key}\ntenant = \"2222\"\ntenants = \"all\"")),
            proxy(&format!("{key}\ntennant = \"2222\"")),
            proxy("application_id = \"a\"\nbearer = { env = \"B\" }\ntenants = \"all\""),
            proxy(&format!("{key}\nproxy_url = \"https://proxy.example.org/?key=hunter2\"")),
            proxy(&format!("{key}\nsignature = \"HMAC-SHA1\"")),
            proxy("parter_key = { env = \"K\" }\ntenant = \"2222\""),
            direct(&format!("{key}\napplication_id = \"a\"")),
            direct(&server.replace("https://", "https://u:hunter2@")),
            direct(""),
            direct("base_url = \"https://sis.example.org\""),
            direct("base_url = \"https://sis.example.org\"\nconsumer_key = \"a\""),
            direct("consumer_key = \"a\"\nconsumer_secret = { env = \"S\" }"),
            direct(&format!("{key}\n{server}")),
            direct(&server.replace("https://", "")),
            direct(&format!("{}\nversion = \"1.2\"", server.replace(".org", ".org/ims/oneroster/v1p1"))),
            direct(&format!("{server}\ntenants = \"all\"")),
            direct(&format!("{server}\noauth2 = true\nsignature = \"HMAC-SHA1\"")),
            direct(&format!("{server}\ntoken_url = \"https://sis.example.org/token\"")),
        ];
        let screens: Vec<_> = broken.iter().map(|text| read(text).unwrap_err()).collect();
        let screens = screens.join("\n\n");
        assert!(!screens.contains("hunter2"), "{screens}");
        insta::assert_snapshot!(screens);
    }

    #[test]
    fn the_stronger_word_on_the_database_counts() {
        let config = read("[database]\nurl = \"sqlite://a.db\"").unwrap();
        let url = |config: &Config, given: Option<&str>| {
            config.database_url(given.map(SecretString::from).as_ref()).expose_secret().to_owned()
        };
        assert_eq!(url(&config, None), "sqlite://a.db");
        assert_eq!(url(&config, Some("")), "sqlite://a.db");
        assert_eq!(url(&config, Some("sqlite://b.db")), "sqlite://b.db");
        assert_eq!(url(&Config::default(), None), "sqlite://rollcall.db");
    }

    #[test]
    fn mistakes_are_shown_where_they_are() {
        let broken = [
            "[databse]\nurl = \"sqlite://a.db\"",
            "[database]\nurll = \"sqlite://a.db\"",
            "[[source]]\nname = \"a\"\nkind = \"oneroster-csv\"\nslash_date = \"mdy\"",
            "[[source]]\nname = \"a\"\nkind = \"oneroster-csv\"\nslash_dates = \"ymd\"",
            "[[source]]\nname = \"a\"\nkind = \"oneroster-csv\"\nguards = { delete_procent = 3 }",
            "[[source]]\nname = \"a\"\nkind = \"oneroster-csv\"\nguards = { delete_percent = 300 }",
            "[[source]]\nname = \"a\"\nkind = \"powerschool\"",
            "[[source]]\nname = \"a\"",
            "[[source]]\nkind = \"oneroster-csv\"",
            "[[source]]\nname = \" a\"\nkind = \"oneroster-csv\"",
            "[[source]]\nname = \"a\"\nkind = \"oneroster-csv\"\nschedule = \"0 2 * * *\"",
            "[[source]]\nname = \"a\"\nkind = \"oneroster-csv\"\n[[source]]\nname = \"a\"\nkind = \"oneroster-csv\"",
            "[source]\nname = \"a\"",
            "[server]\nlisten = \"127.0.0.1:8080\"",
            "[database\nurl = 3",
        ];
        let screens: Vec<_> = broken.iter().map(|text| read(text).unwrap_err()).collect();
        insta::assert_snapshot!(screens.join("\n\n"));
    }
}
