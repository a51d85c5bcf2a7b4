//! A PostgreSQL that lives as long as the test process.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The variable that names a server to use instead.
const OVERRIDE: &str = "ROLLCALL_TEST_POSTGRES_URL";

/// A fresh database of a throwaway cluster.
///
/// The first of a process starts the cluster, from the server that is installed (`initdb` on the `PATH` or under
/// `/usr/lib/postgresql`): in a temporary folder, on a Unix socket only, as an unprivileged user when the tests run as
/// root. It ends with the process, however that ends: a small shell waits for the process's end of a pipe to close.
///
/// `ROLLCALL_TEST_POSTGRES_URL` names a server to use instead; databases are made there and dropped again.
#[derive(Debug)]
pub struct ThrowawayPostgres {
    url: String,
    name: String,
}

impl ThrowawayPostgres {
    /// Makes a database.
    ///
    /// # Panics
    ///
    /// If there is no PostgreSQL: tests on it are never skipped in silence.
    pub fn database() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("rollcall_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let server = server();
        server.sql(&format!("CREATE DATABASE {name}"));
        Self { url: server.url(&name), name }
    }

    /// The URL of the database.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Runs SQL on the database, by `psql`, and answers what it prints, unaligned.
    pub fn sql(&self, sql: &str) -> String {
        server().sql_in(&self.url, sql)
    }
}

impl Drop for ThrowawayPostgres {
    fn drop(&mut self) {
        // A cluster of our own goes as a whole.
        if let Server::Given(_) = server() {
            server().sql(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
        }
    }
}

enum Server {
    Given(String),
    Own(Cluster),
}

struct Cluster {
    folder: PathBuf,
    bin: PathBuf,
    /// Its end of the pipe closes with the process.
    _watcher: Child,
}

fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| match std::env::var(OVERRIDE) {
        Ok(url) if !url.is_empty() => Server::Given(url),
        _ => Server::Own(Cluster::start()),
    })
}

impl Server {
    fn url(&self, database: &str) -> String {
        match self {
            Self::Own(cluster) => {
                format!("postgres:///{database}?host={}&user=postgres", cluster.folder.display())
            }
            Self::Given(url) => {
                let (base, parameters) = url.split_once('?').map_or((url.as_str(), None), |(a, b)| (a, Some(b)));
                let authority = base.find("://").map_or(0, |at| at + 3);
                let end = base[authority..].find('/').map_or(base.len(), |at| authority + at);
                let parameters = parameters.map_or_else(String::new, |parameters| format!("?{parameters}"));
                format!("{}/{database}{parameters}", &base[..end])
            }
        }
    }

    fn sql(&self, sql: &str) -> String {
        match self {
            Self::Own(_) => self.sql_in(&self.url("postgres"), sql),
            Self::Given(url) => self.sql_in(url, sql),
        }
    }

    fn sql_in(&self, url: &str, sql: &str) -> String {
        let psql = match self {
            Self::Own(cluster) if cluster.bin.join("psql").is_file() => cluster.bin.join("psql"),
            Self::Own(_) | Self::Given(_) => PathBuf::from("psql"),
        };
        let output = Command::new(psql)
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql, url])
            .output()
            .expect("psql should start");
        assert!(output.status.success(), "psql failed: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }
}

impl Cluster {
    fn start() -> Self {
        let bin = find_server().unwrap_or_else(|| {
            panic!(
                "no PostgreSQL server was found. These tests run one of their own and are never skipped: install it \
                 (Debian and Ubuntu: `apt-get install postgresql`; Fedora: `dnf install postgresql-server`; macOS: \
                 `brew install postgresql`), or name a server in {OVERRIDE}"
            )
        });
        // The path of a socket may have about a hundred bytes: the system's folder for such things is short.
        let folder =
            tempfile::Builder::new().prefix("rollcall-pg-").tempdir_in("/tmp").expect("a temporary folder").keep();
        let user = unprivileged_user();
        if let Some(user) = &user {
            run(Command::new("chown").arg(user).arg(&folder));
        }
        let data = folder.join("data");
        let initdb = as_user(user.as_deref(), &bin.join("initdb"))
            .args(["-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "-D"])
            .arg(&data)
            .current_dir("/")
            .output()
            .expect("initdb should start");
        assert!(initdb.status.success(), "initdb failed: {}", String::from_utf8_lossy(&initdb.stderr));
        // Made to be fast and thrown away, never to be relied upon.
        let settings = format!(
            "listen_addresses = ''\nunix_socket_directories = '{}'\nfsync = off\nsynchronous_commit = off\n\
             full_page_writes = off\nmax_connections = 200\nshared_buffers = '64MB'\nautovacuum = off\n",
            folder.display()
        );
        std::fs::OpenOptions::new()
            .append(true)
            .open(data.join("postgresql.conf"))
            .and_then(|mut file| file.write_all(settings.as_bytes()))
            .expect("the cluster's configuration");
        // The shell starts the server, waits until the pipe to it closes, and cleans up.
        let script = r#"
            data=$1; folder=$2; shift 2
            "$@" -D "$data" >"$folder/log" 2>&1 </dev/null &
            server=$!
            cat >/dev/null
            kill -QUIT $(head -n 1 "$data/postmaster.pid") 2>/dev/null || kill $server 2>/dev/null
            wait $server
            rm -rf "$folder"
        "#;
        let postgres = as_user(user.as_deref(), &bin.join("postgres"));
        let watcher = Command::new("sh")
            .args(["-c", script, "rollcall-postgres"])
            .arg(&data)
            .arg(&folder)
            .arg(postgres.get_program())
            .args(postgres.get_args())
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell should start");
        let cluster = Self { folder, bin, _watcher: watcher };
        cluster.wait();
        cluster
    }

    fn wait(&self) {
        let begin = Instant::now();
        loop {
            // The server's own word; it writes it when it takes connections.
            let ready = std::fs::read_to_string(self.folder.join("data/postmaster.pid"))
                .is_ok_and(|pid| pid.lines().any(|line| line.trim() == "ready"));
            if ready {
                return;
            }
            if begin.elapsed() > Duration::from_mins(1) {
                let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
                panic!("PostgreSQL did not start:\n{log}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn find_server() -> Option<PathBuf> {
    let on_path =
        std::env::var_os("PATH").into_iter().flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
    let mut installed: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .collect();
    installed.sort();
    on_path
        .chain(installed.into_iter().rev())
        .find(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file())
}

/// Whom to be where the tests run as root, which a server refuses to be.
fn unprivileged_user() -> Option<String> {
    let id = |arguments: &[&str]| {
        let output = Command::new("id").args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    if id(&["-u"]).as_deref() != Some("0") {
        return None;
    }
    let user = ["postgres", "nobody"].into_iter().find(|user| id(&["-u", user]).is_some());
    Some(user.expect("a user `postgres` or `nobody`, as which to run PostgreSQL").to_owned())
}

fn as_user(user: Option<&str>, program: &Path) -> Command {
    match user {
        None => Command::new(program),
        Some(user) => {
            let mut command = Command::new("setpriv");
            command.args(["--reuid", user, "--regid", user_group(user).as_str(), "--clear-groups", "--"]).arg(program);
            command
        }
    }
}

fn user_group(user: &str) -> String {
    let output = Command::new("id").args(["-g", user]).output().expect("id should start");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn run(command: &mut Command) {
    let status = command.status().expect("a command should start");
    assert!(status.success(), "{command:?} failed");
}
