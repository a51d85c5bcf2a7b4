//! Packages and databases that cannot be used: one clear message, exit 1, nothing changed.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use rollcall_tests::{Answer, Engine, Package, Place, write_zip};

use crate::support::{applied, generate, import};

/// A store with the small package in it.
fn filled() -> Place {
    let place = Place::new(Engine::Sqlite);
    Package::small().write(&place.path("package"));
    applied(&place, "package", "");
    place
}

/// The import fails, says why in words and in the document, and leaves the roster alone.
#[track_caller]
fn assert_refused(place: &Place, package: &str, code: &str, says: &str) {
    let before = place.export("s");
    let answer = import(place, package, "").exits(1);
    let document = answer.json();
    assert_eq!(document["status"], "failed", "{answer}");
    assert_eq!(document["error"]["code"], code, "{answer}");
    assert!(document["error"].to_string().contains(says), "`{says}` in {answer}");
    let human = place.call("import").arg(place.path(package)).args("--source s").answer().exits(1);
    assert!(human.stderr.contains("error: "), "{human}");
    assert!(human.stdout.is_empty(), "{human}");
    assert_eq!(place.export("s"), before);
    // What `import` refuses `validate` refuses too.
    let validated = place.call("validate").arg(place.path(package)).args("--output json").answer().exits(1).json();
    assert_eq!(validated["valid"], false);
    assert!(!validated["findings"].as_array().unwrap().is_empty());
}

fn small_zip(path: &Path, prefix: &str) {
    let package = Package::small();
    let named: Vec<_> = package.files().iter().map(|(name, bytes)| (format!("{prefix}{name}"), bytes)).collect();
    write_zip(path, named.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())));
}

#[test]
fn a_zip_is_as_good_as_a_folder() {
    let place = filled();
    small_zip(&place.path("plain.zip"), "");
    small_zip(&place.path("inside.zip"), "export/");
    for zip in ["plain.zip", "inside.zip"] {
        let report = applied(&place, zip, "");
        assert_eq!(crate::support::total(&report, "unchanged"), crate::support::total(&report, "received"), "{zip}");
    }
}

#[test]
fn a_zip_bomb() {
    let place = filled();
    let zeros = vec![b'0'; 64 * 1024 * 1024];
    let package = Package::small();
    let mut files: Vec<(&str, &[u8])> =
        package.files().iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    files.retain(|(name, _)| *name != "users.csv");
    files.push(("users.csv", &zeros));
    write_zip(&place.path("bomb.zip"), files);
    assert_refused(&place, "bomb.zip", "package.invalid", "users.csv");
}

#[test]
fn a_zip_that_climbs_out_of_its_folder() {
    let place = filled();
    small_zip(&place.path("climbing.zip"), "../");
    assert_refused(&place, "climbing.zip", "package.invalid", "..");
    assert!(!place.folder().parent().unwrap().join("users.csv").exists());
}

#[test]
fn an_empty_zip() {
    let place = filled();
    write_zip(&place.path("empty.zip"), []);
    assert_refused(&place, "empty.zip", "package.invalid", "");
}

#[test]
fn a_zip_that_was_cut_off() {
    let place = filled();
    small_zip(&place.path("cut.zip"), "");
    let bytes = fs::read(place.path("cut.zip")).unwrap();
    fs::write(place.path("cut.zip"), &bytes[..bytes.len() / 2]).unwrap();
    assert_refused(&place, "cut.zip", "package.invalid", "zip");
}

#[test]
fn a_folder_without_csv_files() {
    let place = filled();
    fs::create_dir(place.path("nothing")).unwrap();
    fs::write(place.path("nothing").join("README.txt"), "hello").unwrap();
    assert_refused(&place, "nothing", "package.invalid", "");
}

#[test]
fn a_path_that_is_not_there() {
    let place = filled();
    assert_refused(&place, "nowhere", "package.unreadable", "nowhere");
    // A mistyped path makes no source.
    let fresh = Place::new(Engine::Sqlite);
    let _ = import(&fresh, "nowhere", "").exits(1);
    assert!(!fresh.path("rollcall.db").exists());
}

#[test]
fn files_that_lack_what_must_be_there_are_all_named() {
    let place = filled();
    Package::small()
        .without_file("classes.csv")
        .replace("users.csv", "familyName", "nothing")
        .replace("enrollments.csv", "userSourcedId", "nothing")
        .write(&place.path("lacking"));
    let document = import(&place, "lacking", "").exits(1).json();
    let problems = document["error"]["problems"].to_string();
    for word in ["classes.csv", "enrollments.csv", "userSourcedId"] {
        assert!(problems.contains(word), "{word}: {document:#}");
    }
    assert_refused(&place, "lacking", "package.invalid", "classes.csv");
}

#[test]
fn a_file_of_another_format_is_named() {
    let place = filled();
    fs::create_dir(place.path("sds")).unwrap();
    fs::write(place.path("sds").join("School.csv"), "SIS ID,Name\r\n1,Springfield\r\n").unwrap();
    fs::write(place.path("sds").join("Student.csv"), "SIS ID,School SIS ID,Username\r\n1,1,bart\r\n").unwrap();
    assert_refused(&place, "sds", "package.invalid", "");
}

// -- databases ------------------------------------------------------------------------------------------------------------

/// The call fails with one message, and in JSON with one document.
#[track_caller]
fn assert_fails(place: &Place, url: &str, code: &str, says: &str) {
    let call = |output: &str| {
        let call = place.call("import").arg(place.path("package")).args("--source s --output").arg(output);
        call.env("DATABASE_URL", url).answer().exits(if code == "store.address" { 2 } else { 1 })
    };
    let answer: Answer = call("json");
    let document = answer.json();
    assert_eq!(document["error"]["code"], code, "{answer}");
    assert!(document["error"]["message"].as_str().unwrap().contains(says), "`{says}` in {answer}");
    let human = call("human");
    assert_eq!(human.stderr.matches("error: ").count(), 1, "{human}");
    for said in [&answer.stdout, &answer.stderr, &human.stdout, &human.stderr] {
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[test]
fn a_database_that_is_not_one() {
    let place = Place::new(Engine::Sqlite);
    Package::small().write(&place.path("package"));
    fs::write(place.path("rollcall.db"), "this is no database, and long enough to be looked at as one").unwrap();
    assert_fails(&place, place.url(), "store.unavailable", "rollcall.db");
    let text = fs::read_to_string(place.path("rollcall.db")).unwrap();
    assert!(text.starts_with("this is no database"));
}

#[test]
fn an_address_that_is_none() {
    let place = Place::new(Engine::Sqlite);
    Package::small().write(&place.path("package"));
    assert_fails(&place, "mysql://root:hunter2@localhost/x", "store.address", "postgres://");
}

#[test]
fn a_server_that_is_not_there() {
    let place = Place::new(Engine::Sqlite);
    Package::small().write(&place.path("package"));
    // A folder without a socket in it.
    let url = format!("postgres:///rollcall?host={}&user=u&password=hunter2", place.folder().display());
    assert_fails(&place, &url, "store.unavailable", "");
}

#[test]
fn a_wrong_password() {
    let place = Place::new(Engine::Postgres);
    Package::small().write(&place.path("package"));
    let postgres = place.postgres().expect("this place is on PostgreSQL");
    // One role of its own has to show a password; everybody else goes on without.
    let role = format!("guarded_{}", std::process::id());
    postgres.sql(&format!("CREATE ROLE {role} LOGIN PASSWORD 'right'"));
    let hba = postgres.sql("SHOW hba_file");
    let rules = fs::read_to_string(&hba).unwrap();
    fs::write(&hba, format!("local all {role} scram-sha-256\n{rules}")).unwrap();
    postgres.sql("SELECT pg_reload_conf()");
    let url = place.url().replace("user=postgres", &format!("user={role}&password=hunter2"));
    assert_ne!(url, place.url());
    assert_fails(&place, &url, "store.denied", "");
}

/// As a user who is not root, for whom a read-only file is one.
fn as_nobody(place: &Place, arguments: &str) -> Answer {
    let program = rollcall_tests::Rollcall::call(place.folder()).into_command().get_program().to_owned();
    // The target directory may lie where nobody else can look. Another process copies: what another test starts at that
    // moment would inherit the open file from this one, and a program that is open for writing cannot be run.
    let copy = place.path("rollcall");
    assert!(Command::new("cp").arg(program).arg(&copy).status().expect("cp must start").success());
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "--"]).arg(copy);
    command.args(arguments.split_whitespace()).current_dir(place.folder()).env("DATABASE_URL", place.url());
    Answer::new(format!("{command:?}"), &command.output().expect("setpriv must start"))
}

#[test]
fn a_read_only_database_can_be_read_and_refuses_to_be_written() {
    let place = filled();
    let export = place.export("s");
    // No journal beside it, and nothing that could be made there.
    let _ = fs::remove_file(place.path("rollcall.db-wal"));
    let _ = fs::remove_file(place.path("rollcall.db-shm"));
    let read_only = |path: &Path, mode: u32| {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    let program = as_nobody(&place, "--version");
    assert_eq!(program.code, 0, "{program}");
    read_only(&place.path("rollcall.db"), 0o444);
    read_only(place.folder(), 0o555);

    let refused = as_nobody(&place, "import package --source s --output json").exits(1);
    assert_eq!(refused.json()["error"]["code"], "store.not_writable", "{refused}");
    let listed = as_nobody(&place, "runs list --output json").exits(0);
    assert_eq!(listed.json()["runs"].as_array().unwrap().len(), 1, "{listed}");

    read_only(place.folder(), 0o755);
    read_only(&place.path("rollcall.db"), 0o644);
    assert_eq!(place.export("s"), export);
}

/// A file system of a few pages, which only root can make.
struct TinyDisk<'a>(&'a Path);

impl<'a> TinyDisk<'a> {
    fn mount(path: &'a Path) -> Self {
        fs::create_dir_all(path).unwrap();
        let status = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1500k", "tmpfs"]).arg(path).status();
        assert!(status.expect("mount must start").success(), "this test mounts a small disk and has to be root");
        Self(path)
    }
}

impl Drop for TinyDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).status();
    }
}

#[test]
fn a_full_disk() {
    let place = Place::new(Engine::Sqlite);
    let disk = place.path("disk");
    let _disk = TinyDisk::mount(&disk);
    Package::small().write(&place.path("package"));
    generate(&place, "large", "--students 2000 --seed 1");
    let url = format!("sqlite://{}", disk.join("rollcall.db").display());
    let call = |line: &str| place.call(line).env("DATABASE_URL", &url).answer();
    let _ = call("import package --source s --output json").exits(0);
    let _ = call("export before --source s").exits(0);

    let full = call("import large --source s --allow-mass-change --output json").exits(1);
    assert_eq!(full.json()["error"]["code"], "store.not_writable", "{full}");
    assert!(full.json()["error"]["message"].as_str().unwrap().contains("full"), "{full}");
    let _ = call("export after --source s").exits(0);
    let read = rollcall_tests::read_folder;
    assert_eq!(read(&place.path("before")), read(&place.path("after")));
}

#[test]
fn a_folder_that_is_no_package_is_not_overwritten() {
    let place = filled();
    fs::create_dir(place.path("mine")).unwrap();
    fs::File::create(place.path("mine").join("thesis.txt")).unwrap().write_all(b"years of work").unwrap();
    let refused = place.answer("export mine --source s --output json").exits(1).json();
    assert!(refused["error"]["message"].as_str().unwrap().contains("thesis.txt"), "{refused:#}");
    assert_eq!(fs::read(place.path("mine").join("thesis.txt")).unwrap(), b"years of work");
}
