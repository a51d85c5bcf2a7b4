//! A folder that is written anew every night.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use rollcall_adapters_oneroster::{CsvConfig, CsvSource};
use rollcall_domain::ports::RosterSource;
use rollcall_testkit::source::{Fault, Nonsense, Times, Upstream};
use rollcall_vendor_sim::District;
use tempfile::TempDir;

use crate::district::{RealTime, churn, first_day, write, write_nonsense};

rollcall_testkit::roster_source_contract!(folder);

async fn folder() -> Arc<dyn Upstream> {
    let folder = Folder { folder: TempDir::new().unwrap(), district: Mutex::new(first_day()) };
    write(&first_day(), &folder.package());
    Arc::new(folder)
}

struct Folder {
    folder: TempDir,
    district: Mutex<District>,
}

impl Folder {
    fn package(&self) -> PathBuf {
        self.folder.path().join("package")
    }
}

fn source(path: PathBuf) -> Arc<dyn RosterSource> {
    Arc::new(CsvSource::new(CsvConfig::new(path), Arc::new(RealTime)))
}

#[async_trait]
impl Upstream for Folder {
    fn source(&self) -> Arc<dyn RosterSource> {
        source(self.package())
    }

    fn rescoped(&self) -> Option<Arc<dyn RosterSource>> {
        None
    }

    async fn advance(&self) {
        let mut district = self.district.lock().unwrap();
        *district = district.clone().next_day(churn());
        write(&district, &self.package());
    }

    async fn nonsense(&self) -> Nonsense {
        let folder = TempDir::new().unwrap();
        let refused = write_nonsense(folder.path());
        Nonsense { source: source(folder.path().to_owned()), refused, keep: Box::new(folder) }
    }

    fn faults(&self) -> &'static [Fault] {
        &[Fault::Truncated, Fault::LoginPage, Fault::EmptyCollection, Fault::MissingEnvelope]
    }

    fn arm(&self, fault: Fault, _: Times) {
        let path = self.package().join("users.csv");
        let text = fs::read_to_string(&path).unwrap();
        let (header, rows) = text.split_once("\r\n").unwrap();
        let broken = match fault {
            Fault::Truncated => text[..text.len() / 2].to_owned(),
            Fault::LoginPage => "<!DOCTYPE html>\n<title>Sign in</title>\n<form></form>\n".to_owned(),
            Fault::EmptyCollection => format!("{header}\r\n"),
            Fault::MissingEnvelope => rows.to_owned(),
            other => panic!("no file does {other:?}"),
        };
        fs::write(path, broken).unwrap();
    }

    fn disarm(&self) -> usize {
        write(&self.district.lock().unwrap(), &self.package());
        1
    }

    fn secrets(&self) -> Vec<String> {
        vec!["a password".to_owned()]
    }

    fn plain(&self, message: &str) -> String {
        message.replace(self.folder.path().to_str().unwrap(), "drops")
    }
}
