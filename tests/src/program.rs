use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

/// The program, built once with the profile and the target directory of the tests.
///
/// # Panics
///
/// If it cannot be built.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        // target/debug/deps/e2e-0123456789abcdef
        let this = std::env::current_exe().expect("a test knows its own path");
        let profile_folder = this.ancestors().nth(2).expect("a test lies two folders deep in the target directory");
        let target = profile_folder.parent().expect("a profile lies in the target directory");
        let profile = match profile_folder.file_name().and_then(OsStr::to_str) {
            Some("debug") | None => "dev",
            Some(profile) => profile,
        };
        let status = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--package", "rollcall-app", "--bin", "rollcall", "--profile", profile])
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
            .env("CARGO_TARGET_DIR", target)
            .status()
            .expect("cargo must run");
        assert!(status.success(), "the program cannot be built");
        profile_folder.join(format!("rollcall{}", std::env::consts::EXE_SUFFIX))
    })
}

/// One call of the program.
#[derive(Debug)]
pub struct Rollcall {
    command: Command,
}

impl Rollcall {
    /// A call in a folder, with nothing from the environment of the tests.
    pub fn call(folder: &Path) -> Self {
        let mut command = Command::new(binary());
        command.current_dir(folder).env_remove("DATABASE_URL").env_remove("RUST_LOG").env("TZ", "UTC");
        Self { command }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Adds arguments from a line; none of them has a blank in it.
    #[must_use]
    pub fn args(mut self, line: &str) -> Self {
        self.command.args(line.split_whitespace());
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs it to its end.
    ///
    /// # Panics
    ///
    /// If it cannot be started or dies by a signal.
    pub fn answer(mut self) -> Answer {
        let line = format!("{:?}", self.command);
        let output = self.command.stdin(Stdio::null()).output().expect("the program must start");
        Answer::new(line, &output)
    }

    /// Starts it and looks at nothing it says.
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    pub fn start(mut self) -> Child {
        self.command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program must start")
    }

    /// The command itself, for what this type has no words for.
    pub fn into_command(self) -> Command {
        self.command
    }
}

/// What a call came to.
#[derive(Debug)]
pub struct Answer {
    line: String,
    /// The exit code.
    pub code: i32,
    /// The results.
    pub stdout: String,
    /// Everything else.
    pub stderr: String,
}

impl Answer {
    /// Takes the answer out of a finished process.
    ///
    /// # Panics
    ///
    /// If it died by a signal or spoke no UTF-8.
    pub fn new(line: String, output: &Output) -> Self {
        let code = output.status.code().unwrap_or_else(|| panic!("{line} died: {}", output.status));
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("the program speaks UTF-8");
        let answer = Self { line, code, stdout: text(&output.stdout), stderr: text(&output.stderr) };
        assert!(!answer.stderr.contains("panicked at"), "{answer}");
        answer
    }

    /// Insists on an exit code.
    ///
    /// # Panics
    ///
    /// If it is another one.
    #[track_caller]
    #[must_use]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self}");
        self
    }

    /// Reads stdout as exactly one JSON document.
    ///
    /// # Panics
    ///
    /// If it is none, or more.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self}"))
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { line, code, stdout, stderr } = self;
        write!(f, "{line}\nexit {code}\n--- stdout\n{stdout}\n--- stderr\n{stderr}")
    }
}
