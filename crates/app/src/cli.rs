//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use rollcall_adapters_oneroster::export::ExportVersion;
use rollcall_adapters_oneroster::{PackageMode, SlashDates, TextEncoding};
use rollcall_vendor_sim::auth::ClientAuth;
use rollcall_vendor_sim::classlink::{ClassLinkMode, ClassLinkQuirk};
use rollcall_vendor_sim::clever::CleverQuirk;
use rollcall_vendor_sim::oneroster::Quirk;
use secrecy::SecretString;

/// Keeps a class management system's rosters true
///
/// Rollcall reads schools, terms, courses, classes, people and enrollments from a student information system, works
/// out what changed since the last run, and applies exactly that to its store.
#[derive(Debug, Parser)]
#[command(
    name = "rollcall",
    version,
    max_term_width = 100,
    after_help = "\
Examples:
  rollcall generate demo --students 500 --seed 1      write a synthetic district to try things on
  rollcall validate demo                              look at a package without a database
  rollcall import demo --source springfield           bring it into the store
  rollcall sync --all                                 do so for every source in the configuration
  rollcall runs show latest                           see what that did
  rollcall export out --source springfield            write the live roster as OneRoster CSV"
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// The configuration file [default: `rollcall.toml`, if there is one]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// The database: `sqlite://FILE` or `postgres://…` [default: `sqlite://rollcall.db`]
    #[arg(long, global = true, value_name = "URL", env = "DATABASE_URL", hide_env_values = true)]
    pub(crate) database_url: Option<SecretString>,

    /// How to print results
    #[arg(long, global = true, value_name = "FORMAT", value_enum, default_value_t)]
    pub(crate) output: OutputFormat,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum OutputFormat {
    /// For people
    #[default]
    Human,
    /// One JSON document
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Bring a OneRoster CSV package into the store
    Import(Import),
    /// Look a OneRoster CSV package through, without a database
    Validate(Validate),
    /// Bring the rosters of configured sources up to date
    Sync(SyncSources),
    /// Look at what runs did
    #[command(subcommand)]
    Runs(Runs),
    /// Write the live roster of a source as OneRoster 1.2 CSV
    Export(Export),
    /// Look at the sources
    #[command(subcommand)]
    Sources(Sources),
    /// Look after the database
    #[command(subcommand)]
    Db(Db),
    /// Write a synthetic district as OneRoster CSV
    Generate(Generate),
    /// Run a simulated vendor over a synthetic district
    #[command(subcommand)]
    Simulate(Simulate),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes:
  0  applied, or planned by a dry run
  1  failed; nothing is applied
  3  held by a guard; nothing is applied
  4  applied, but records were refused under `--strict`

Examples:
  rollcall import export.zip --source springfield
  rollcall import export.zip --source springfield --dry-run
  rollcall import drops/springfield --source springfield --allow-mass-change")]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub(crate) struct Import {
    /// A folder of CSV files, a `.zip`, or a folder into which zips are dropped [default: the source's `path` in the
    /// configuration]
    pub(crate) path: Option<PathBuf>,

    /// The source that the roster belongs to; it is made if it is new
    #[arg(long, value_name = "NAME", value_parser = source_name)]
    pub(crate) source: String,

    /// Show what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Apply a run that a guard would hold
    #[arg(long)]
    pub(crate) allow_mass_change: bool,

    /// Exit with 4 if a record is refused; everything else is applied all the same
    ///
    /// Warnings change nothing. To hold a package to the letter of the standard before it is imported, use
    /// `rollcall validate --strict`, which counts each warning as an error.
    #[arg(long)]
    pub(crate) strict: bool,

    /// Store demographics; without it (or `demographics = true` of the source) those stored are erased
    #[arg(long)]
    pub(crate) with_demographics: bool,

    #[command(flatten)]
    pub(crate) reading: Reading,
}

/// How a package is to be read.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct Reading {
    /// How to read dates such as 3/4/2026; without it they are not guessed
    #[arg(long, value_name = "ORDER", value_enum)]
    pub(crate) slash_dates: Option<SlashOrder>,

    /// Whether the files hold the whole roster or only changes, whatever the manifest says
    #[arg(long, value_name = "MODE", value_enum)]
    pub(crate) mode: Option<Mode>,

    /// The encoding of the files
    #[arg(long, value_name = "ENCODING", value_enum)]
    pub(crate) encoding: Option<Encoding>,
}

/// The encoding of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Encoding {
    /// What OneRoster asks for
    #[value(name = "utf-8")]
    Utf8,
    /// What spreadsheets on Windows save
    #[value(name = "windows-1252")]
    Windows1252,
}

impl From<Encoding> for TextEncoding {
    fn from(encoding: Encoding) -> Self {
        match encoding {
            Encoding::Utf8 => Self::Utf8,
            Encoding::Windows1252 => Self::Windows1252,
        }
    }
}

/// The order of day and month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SlashOrder {
    /// Month, day, year
    Mdy,
    /// Day, month, year
    Dmy,
}

impl From<SlashOrder> for SlashDates {
    fn from(order: SlashOrder) -> Self {
        match order {
            SlashOrder::Mdy => Self::Mdy,
            SlashOrder::Dmy => Self::Dmy,
        }
    }
}

/// What the absence of a record means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// The whole roster: what is absent is gone
    Bulk,
    /// Only what changed
    Delta,
}

impl From<Mode> for PackageMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Bulk => Self::Bulk,
            Mode::Delta => Self::Delta,
        }
    }
}

#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes:
  0  valid
  1  not valid

Examples:
  rollcall validate export.zip
  rollcall validate export.zip --strict --output json
  rollcall validate export.zip --source springfield")]
pub(crate) struct Validate {
    /// A folder of CSV files, a `.zip`, or a folder into which zips are dropped [default: the source's `path` in the
    /// configuration]
    #[arg(required_unless_present = "source")]
    pub(crate) path: Option<PathBuf>,

    /// Read the package with the settings that the configuration has for this source
    #[arg(long, value_name = "NAME")]
    pub(crate) source: Option<String>,

    /// Hold the package to the letter of the standard: every warning is an error
    ///
    /// `rollcall import --strict` is something else: it imports as ever and tells by its exit code whether a record was
    /// refused.
    #[arg(long)]
    pub(crate) strict: bool,

    #[command(flatten)]
    pub(crate) reading: Reading,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Each source gets a run of its own; one that fails does not keep the others from theirs.

Exit codes, that of the worst run:
  0  applied, or planned by a dry run
  1  failed; nothing is applied
  3  held by a guard; nothing is applied

Examples:
  rollcall sync springfield
  rollcall sync springfield shelbyville --dry-run
  rollcall sync --all --output json")]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub(crate) struct SyncSources {
    /// Sources of the configuration, by name
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,

    /// Every source of the configuration
    #[arg(long, conflicts_with = "names")]
    pub(crate) all: bool,

    /// Read everything, even where only changes could be read
    #[arg(long)]
    pub(crate) full: bool,

    /// Show what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Apply runs that a guard would hold
    #[arg(long)]
    pub(crate) allow_mass_change: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Runs {
    /// List runs, newest first
    #[command(after_help = "Example: rollcall runs list --source springfield --limit 5")]
    List {
        /// Only those of this source
        #[arg(long, value_name = "NAME")]
        source: Option<String>,
        /// How many at most
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
    },
    /// Show what a run did
    #[command(after_help = "Examples:\n  rollcall runs show latest\n  rollcall runs show 0199f3c2-7d1e --output json")]
    Show {
        /// The run: its id, the beginning of its id, or `latest`
        id: String,
    },
    /// List the records that a run refused
    #[command(after_help = "\
Examples:
  rollcall runs rejects latest --summary
  rollcall runs rejects 0199f3c2-7d1e --format csv > rejects.csv")]
    Rejects {
        /// The run: its id, the beginning of its id, or `latest`
        id: String,
        /// The format of the list [default: lines to read, or JSON with `--output json`]
        #[arg(long, value_name = "FORMAT", value_enum)]
        format: Option<RejectFormat>,
        /// Only how many, by kind, code and field
        #[arg(long)]
        summary: bool,
    },
}

/// The format of a list of rejects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RejectFormat {
    /// A CSV file with a header
    Csv,
    /// One JSON document
    Json,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Equal rosters give equal files, byte by byte, and `rollcall import` reads them back.

Example: rollcall export out --source springfield")]
pub(crate) struct Export {
    /// The folder to write into; it is made if it is not there
    pub(crate) dir: PathBuf,

    /// The source
    #[arg(long, value_name = "NAME")]
    pub(crate) source: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Sources {
    /// List the sources with what is stored of them
    List,
    /// Try a source of the configuration: whether it can be read, and what it has
    #[command(after_help = "\
Nothing is changed anywhere.

Exit codes:
  0  nothing stands in the way of a sync
  1  there are problems

Example: rollcall sources check springfield")]
    Check {
        /// The source
        name: String,
    },
    /// List the districts or tenants that the credentials of a source open, with the configuration for each
    #[command(after_help = "\
For vendors that connect an application to many districts: Clever, and ClassLink with a partner's key. The source of the
configuration that is named needs its credentials and no district or tenant. Below the list stands a `[[source]]` for each
of them, to be copied into `rollcall.toml`. Nothing is changed anywhere.

Exit codes:
  0  listed
  1  the vendor cannot be asked, or says no
  2  sources of this kind, or with such credentials, have no list

Examples:
  rollcall sources discover capital
  rollcall sources discover capital --output json")]
    Discover {
        /// The source
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Db {
    /// Bring the database's tables up to date; other commands do so by themselves
    Migrate,
    /// Show which migrations have been run
    Status,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Equal numbers give an equal district. Each generation is the one before it after some renames, drops, adds and deletes.

Examples:
  rollcall generate autumn --students 2000 --seed 7
  rollcall generate winter --students 2000 --seed 7 --generation 1 --churn 0.02")]
pub(crate) struct Generate {
    /// The folder to write into; it is made if it is not there
    pub(crate) dir: PathBuf,

    /// How many students
    #[arg(long, value_name = "N")]
    pub(crate) students: u32,

    /// The number that decides all names and timetables
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub(crate) seed: u64,

    /// How many times the district has changed since it began
    #[arg(long, value_name = "G", default_value_t = 0)]
    pub(crate) generation: u32,

    /// How much of the district changes from one generation to the next
    #[arg(long, value_name = "P", default_value_t = 0.01, value_parser = share)]
    pub(crate) churn: f64,

    /// The version of OneRoster
    #[arg(long, value_name = "VERSION", value_enum, default_value_t = Version::V1p2)]
    pub(crate) version: Version,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Simulate {
    /// A student information system that serves OneRoster over REST
    Oneroster(SimulateOneRoster),
    /// Clever: districts with the Data API and the Events API
    Clever(SimulateClever),
    /// ClassLink: tenants behind a proxy, each with a OneRoster 1.1 server
    Classlink(SimulateClassLink),
}

/// The district that a simulated vendor serves.
#[derive(Debug, Args)]
pub(crate) struct SimulatedDistrict {
    /// How many students; the district is the one that `generate` writes with the same numbers
    #[arg(long, value_name = "N")]
    pub(crate) students: u32,

    /// The number that decides all names and timetables; further districts have the numbers after it
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub(crate) seed: u64,

    /// How many times the district has changed since it began
    #[arg(long, value_name = "G", default_value_t = 0)]
    pub(crate) generation: u32,

    /// How much of the district changes from one generation to the next
    #[arg(long, value_name = "P", default_value_t = 0.01, value_parser = share)]
    pub(crate) churn: f64,
}

#[derive(Debug, Args)]
#[command(after_help = "\
When it listens it prints one line of JSON: {\"base_url\": …, \"config\": …}; `config` is a `[[source]]` for `rollcall.toml`.
Ctrl-C stops it. While it runs:

  curl -X POST http://127.0.0.1:8091/_sim/advance -d '{\"churn\": 0.01}'
  curl -X POST http://127.0.0.1:8091/_sim/district -d '{\"state\": \"paused\"}'
  curl -X POST http://127.0.0.1:8091/_sim/fault -d '{\"kind\": \"rate_limited\", \"times\": 2}'
  curl http://127.0.0.1:8091/_sim/status

Examples:
  rollcall simulate clever --students 2000 --seed 7
  rollcall simulate clever --students 2000 --districts 3 --api-version 3.0
  rollcall simulate clever --students 2000 --auth district-token --quirk no-events")]
pub(crate) struct SimulateClever {
    /// Where to listen; port 0 takes any free port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8091")]
    pub(crate) listen: SocketAddr,

    #[command(flatten)]
    pub(crate) district: SimulatedDistrict,

    /// How many districts are connected, each of so many students
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) districts: u32,

    /// The version of the API
    #[arg(long, value_name = "VERSION", value_enum, default_value_t)]
    pub(crate) api_version: SimulatedApiVersion,

    /// How clients show who they are
    #[arg(long, value_name = "METHOD", value_enum, default_value_t)]
    pub(crate) auth: SimulatedCleverAuth,

    /// The client id
    #[arg(long, value_name = "ID", default_value = "rollcall")]
    pub(crate) client_id: String,

    /// A file with the client secret or token [default: a new one, in a file that the source names]
    #[arg(long, value_name = "FILE")]
    pub(crate) secret_file: Option<PathBuf>,

    /// How many requests a token may make in a minute
    #[arg(long, value_name = "N", default_value_t = 1200, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rate_limit: u32,

    /// How many days events are kept
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    pub(crate) event_retention: u16,

    /// How many days ago it is where the server is: what happens there has that time
    #[arg(long, value_name = "DAYS", default_value_t = 0)]
    pub(crate) days_ago: u16,

    /// What was not agreed upon with Clever, or what the server does not do
    #[arg(long, value_name = "QUIRK", value_enum, value_delimiter = ',')]
    pub(crate) quirk: Vec<SimulatedCleverQuirk>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
When it listens it prints one line of JSON: {\"base_url\": …, \"config\": …}; `config` is a `[[source]]` for `rollcall.toml`.
Ctrl-C stops it. While it runs:

  curl -X POST http://127.0.0.1:8092/_sim/advance -d '{\"churn\": 0.01}'
  curl -X POST http://127.0.0.1:8092/_sim/tenant -d '{\"tenant\": \"2223\", \"enabled\": false}'
  curl -X POST http://127.0.0.1:8092/_sim/fault -d '{\"kind\": \"moved_revision\", \"times\": 1, \"after\": 3}'
  curl http://127.0.0.1:8092/_sim/status

Examples:
  rollcall simulate classlink --students 2000 --seed 7
  rollcall simulate classlink --students 2000 --tenants 3
  rollcall simulate classlink --students 2000 --mode direct")]
pub(crate) struct SimulateClassLink {
    /// Where to listen; port 0 takes any free port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8092")]
    pub(crate) listen: SocketAddr,

    #[command(flatten)]
    pub(crate) district: SimulatedDistrict,

    /// How many tenants there are, each with a district of so many students
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) tenants: u32,

    /// Which way the source goes that is printed; both are open
    #[arg(long, value_name = "MODE", value_enum, default_value_t)]
    pub(crate) mode: SimulatedMode,

    /// The consumer key of the first tenant
    #[arg(long, value_name = "ID", default_value = "rollcall")]
    pub(crate) consumer_key: String,

    /// A file with the partner's key, which is the first tenant's consumer secret too [default: a new one, in a file that
    /// the source names]
    #[arg(long, value_name = "FILE")]
    pub(crate) secret_file: Option<PathBuf>,

    /// What the servers leave out
    #[arg(long, value_name = "QUIRK", value_enum, value_delimiter = ',')]
    pub(crate) quirk: Vec<SimulatedClassLinkQuirk>,
}

/// Which way a source of ClassLink goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum SimulatedMode {
    /// Through the proxy, with the partner's key
    #[default]
    Proxy,
    /// To the first tenant's own server, with its consumer key
    Direct,
}

impl From<SimulatedMode> for ClassLinkMode {
    fn from(mode: SimulatedMode) -> Self {
        match mode {
            SimulatedMode::Proxy => Self::Proxy,
            SimulatedMode::Direct => Self::Direct,
        }
    }
}

/// What simulated ClassLink servers leave out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SimulatedClassLinkQuirk {
    /// No `x-perm-rev`
    NoRevision,
    /// Neither `x-total-count` nor `x-count`
    NoCounts,
}

impl From<SimulatedClassLinkQuirk> for ClassLinkQuirk {
    fn from(quirk: SimulatedClassLinkQuirk) -> Self {
        match quirk {
            SimulatedClassLinkQuirk::NoRevision => Self::NoRevision,
            SimulatedClassLinkQuirk::NoCounts => Self::NoCounts,
        }
    }
}

/// A version of Clever's API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum SimulatedApiVersion {
    /// v3.0
    #[value(name = "3.0")]
    V3p0,
    /// v3.1, which says more of students
    #[default]
    #[value(name = "3.1")]
    V3p1,
}

/// How clients of a simulated Clever show who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum SimulatedCleverAuth {
    /// With the application's id and secret, for which there are tokens of all districts
    #[default]
    Application,
    /// With the token of the first district
    DistrictToken,
}

/// What a simulated Clever does not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SimulatedCleverQuirk {
    /// Events are switched off
    NoEvents,
    /// Tokens are for logins only
    SsoOnly,
    /// `ending_before=last` is answered with 400
    NoLast,
}

impl From<SimulatedCleverQuirk> for CleverQuirk {
    fn from(quirk: SimulatedCleverQuirk) -> Self {
        match quirk {
            SimulatedCleverQuirk::NoEvents => Self::NoEvents,
            SimulatedCleverQuirk::SsoOnly => Self::SsoOnly,
            SimulatedCleverQuirk::NoLast => Self::NoLast,
        }
    }
}

#[derive(Debug, Args)]
#[command(after_help = "\
When it listens it prints one line of JSON: {\"base_url\": …, \"config\": …}; `config` is a `[[source]]` for `rollcall.toml`.
Ctrl-C stops it. While it runs:

  curl -X POST http://127.0.0.1:8090/_sim/advance -d '{\"churn\": 0.01}'
  curl -X POST http://127.0.0.1:8090/_sim/fault -d '{\"kind\": \"rate_limited\", \"times\": 2, \"retry_after\": 1}'
  curl http://127.0.0.1:8090/_sim/status

Examples:
  rollcall simulate oneroster --students 2000 --seed 7
  rollcall simulate oneroster --students 2000 --version 1.1 --auth oauth1
  rollcall simulate oneroster --data export --quirk no-totals,no-links")]
pub(crate) struct SimulateOneRoster {
    /// Where to listen; port 0 takes any free port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8090")]
    pub(crate) listen: SocketAddr,

    /// How many students; the district is the one that `generate` writes with the same numbers
    #[arg(long, value_name = "N", required_unless_present = "data")]
    pub(crate) students: Option<u32>,

    /// The number that decides all names and timetables
    #[arg(long, value_name = "S", default_value_t = 1, conflicts_with = "data")]
    pub(crate) seed: u64,

    /// How many times the district has changed since it began
    #[arg(long, value_name = "G", default_value_t = 0, conflicts_with = "data")]
    pub(crate) generation: u32,

    /// How much of the district changes from one generation to the next
    #[arg(long, value_name = "P", default_value_t = 0.01, value_parser = share, conflicts_with = "data")]
    pub(crate) churn: f64,

    /// The version of OneRoster [default: 1.2, or the package's]
    #[arg(long, value_name = "VERSION", value_enum)]
    pub(crate) version: Option<Version>,

    /// Serve this folder of OneRoster CSV files instead of a district
    #[arg(long, value_name = "DIR", conflicts_with = "students")]
    pub(crate) data: Option<PathBuf>,

    /// How clients show who they are
    #[arg(long, value_name = "METHOD", value_enum, default_value_t)]
    pub(crate) auth: SimulatedAuth,

    /// The client id, or consumer key
    #[arg(long, value_name = "ID", default_value = "rollcall")]
    pub(crate) client_id: String,

    /// A file with the client secret, consumer secret or token [default: a new one, in a file that the source names]
    #[arg(long, value_name = "FILE")]
    pub(crate) secret_file: Option<PathBuf>,

    /// Where clients state their secret when they ask for a token
    #[arg(long, value_name = "PLACE", value_enum, default_value_t)]
    pub(crate) client_auth: SimulatedClientAuth,

    /// How many seconds a token lives
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    pub(crate) token_ttl: u32,

    /// The largest page; a larger limit is silently cut
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_limit: u32,

    /// What the server leaves out or does not understand
    #[arg(long, value_name = "QUIRK", value_enum, value_delimiter = ',')]
    pub(crate) quirk: Vec<SimulatedQuirk>,

    /// Never compress
    #[arg(long)]
    pub(crate) no_gzip: bool,
}

/// How clients of a simulated vendor show who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum SimulatedAuth {
    /// OAuth 2 client credentials
    #[default]
    Oauth2,
    /// OAuth 1.0a, signed with HMAC-SHA1 or HMAC-SHA256; OneRoster 1.1 only
    Oauth1,
    /// One bearer token for ever
    Bearer,
}

/// Where clients state their secret when they ask for a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum SimulatedClientAuth {
    /// In the header or in the form
    #[default]
    Either,
    /// With HTTP Basic only
    Basic,
    /// In the form only
    Body,
}

impl From<SimulatedClientAuth> for ClientAuth {
    fn from(place: SimulatedClientAuth) -> Self {
        match place {
            SimulatedClientAuth::Either => Self::Either,
            SimulatedClientAuth::Basic => Self::Basic,
            SimulatedClientAuth::Body => Self::Body,
        }
    }
}

/// What a simulated server leaves out or does not understand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SimulatedQuirk {
    /// No `X-Total-Count`
    NoTotals,
    /// No `Link`
    NoLinks,
    /// `filter` changes nothing
    IgnoresFilter,
    /// `filter` is answered with 400
    RefusesFilter,
    /// `sort` changes nothing
    IgnoresSort,
    /// What is deleted vanishes without a tombstone
    NoTombstones,
}

impl From<SimulatedQuirk> for Quirk {
    fn from(quirk: SimulatedQuirk) -> Self {
        match quirk {
            SimulatedQuirk::NoTotals => Self::NoTotals,
            SimulatedQuirk::NoLinks => Self::NoLinks,
            SimulatedQuirk::IgnoresFilter => Self::IgnoresFilter,
            SimulatedQuirk::RefusesFilter => Self::RefusesFilter,
            SimulatedQuirk::IgnoresSort => Self::IgnoresSort,
            SimulatedQuirk::NoTombstones => Self::NoTombstones,
        }
    }
}

/// A version of OneRoster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Version {
    /// OneRoster 1.1
    #[value(name = "1.1")]
    V1p1,
    /// OneRoster 1.2
    #[value(name = "1.2")]
    V1p2,
}

impl From<Version> for ExportVersion {
    fn from(version: Version) -> Self {
        match version {
            Version::V1p1 => Self::V1_1,
            Version::V1p2 => Self::V1_2,
        }
    }
}

impl From<Version> for rollcall_vendor_sim::oneroster::Version {
    fn from(version: Version) -> Self {
        match version {
            Version::V1p1 => Self::V1_1,
            Version::V1p2 => Self::V1_2,
        }
    }
}

impl Command {
    /// Whether the command hears Ctrl-C itself, and ends as it should.
    pub(crate) const fn hears_ctrl_c(&self) -> bool {
        matches!(self, Self::Simulate(_))
    }
}

/// Checks a source's name as the configuration does.
fn source_name(name: &str) -> Result<String, String> {
    crate::config::check_source_name(name)?;
    Ok(name.to_owned())
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("give a share between 0 and 1, such as 0.02".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_database_url_is_not_shown() {
        let cli =
            Cli::try_parse_from(["rollcall", "--database-url", "postgres://u:hunter2@h/d", "db", "status"]).unwrap();
        assert!(!format!("{cli:?}").contains("hunter2"));
    }
}
