//! What both sources read: a simulated district, and a package that nobody can accept as it is.

use std::fs;
use std::path::Path;

use jiff::Timestamp;
use rollcall_adapters_oneroster::export::{ExportOptions, ExportVersion, PackageWriter};
use rollcall_domain::ports::Clock;
use rollcall_domain::{Kind, PerKind};
use rollcall_vendor_sim::{Churn, District};

/// The real time.
#[derive(Debug)]
pub(crate) struct RealTime;

impl Clock for RealTime {
    #[expect(clippy::disallowed_methods, reason = "a simulated server and its reader have to agree with each other")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

pub(crate) fn first_day() -> District {
    District::new(60, 7).unwrap()
}

pub(crate) fn churn() -> Churn {
    Churn::new(0.03).unwrap()
}

/// Writes a district as a package, in place of what is there.
pub(crate) fn write(district: &District, folder: &Path) {
    let metadata = PerKind::from_fn(District::metadata_keys);
    let options = ExportOptions { metadata, ..ExportOptions::new(ExportVersion::V1_2) };
    let mut writer = PackageWriter::create(folder, options).unwrap();
    for record in district.all_records() {
        writer.write(&record).unwrap();
    }
    writer.finish().unwrap();
}

/// Writes a package with records that have to be refused, and says which ones.
pub(crate) fn write_nonsense(folder: &Path) -> Vec<(Kind, &'static str)> {
    let good = Path::new(env!("CARGO_MANIFEST_DIR")).join("../adapters-oneroster/fixtures/v1p1");
    for file in good.read_dir().unwrap() {
        let path = file.unwrap().path();
        fs::copy(&path, folder.join(path.file_name().unwrap())).unwrap();
    }
    let add = |file: &str, row: &str| {
        let path = folder.join(file);
        let mut text = fs::read_to_string(&path).unwrap();
        text.push_str(row);
        text.push_str("\r\n");
        fs::write(path, text).unwrap();
    };
    add("users.csv", "u-nameless,,,true,s1,student,nameless,,,,,,,,,,09,a password");
    add("users.csv", "u-roleless,,,true,s1,wizard,roleless,,Ro,Leless,,,,,,,09,a password");
    add("enrollments.csv", "e-roleless,,,k-alg-1,s1,u-ann,wizard,false,,");
    add("academicSessions.csv", "t-backwards,,,Backwards,term,2027-05-01,2027-01-01,y27,2027");
    vec![
        (Kind::Users, "u-nameless"),
        (Kind::Users, "u-roleless"),
        (Kind::Enrollments, "e-roleless"),
        (Kind::AcademicSessions, "t-backwards"),
    ]
}
