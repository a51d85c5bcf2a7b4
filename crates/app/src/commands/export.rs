//! `rollcall export`

use std::collections::BTreeSet;

use anyhow::Result;
use futures::StreamExt as _;
use rollcall_adapters_oneroster::export::{ExportError, ExportOptions, ExportVersion, PackageWriter, WrittenPackage};
use rollcall_domain::entities::Metadata;
use rollcall_domain::ports::{RosterStore, StoreError};
use rollcall_domain::{Kind, PerKind, Record, SourceId, Text};

use super::Context;
use crate::cli::Export;
use crate::documents;
use crate::failure::{Exit, Failure};
use crate::screens::listing;

/// How often an export begins anew because a run was applied while it was read.
const TRIES: usize = 5;

pub(super) async fn run(context: &mut Context, arguments: &Export) -> Result<Exit> {
    let config = context.config()?;
    let store = context.reading(&config).await?;
    let mut source = super::sources::known(&*store, &arguments.source).await?;
    let mut columns = Columns::default();
    for _ in 0..TRIES {
        let writer = write(&*store, source.id, arguments, &mut columns).await?;
        // The kinds are read one after the other: they belong together only if nothing was applied meanwhile.
        let now = super::sources::known(&*store, &arguments.source).await?;
        if now.revision == source.revision {
            show(context, arguments, &writer.finish()?)?;
            return Ok(Exit::Done);
        }
        source = now;
        columns = Columns::default();
    }
    let message = format!("`{}` keeps changing while it is read; nothing was written", arguments.source);
    Err(Failure::new("export.unsettled", message).hint("try again when no run is under way").into())
}

/// Writes the package; it has its name only once the writer is finished.
async fn write(
    store: &dyn RosterStore,
    source: SourceId,
    arguments: &Export,
    columns: &mut Columns,
) -> Result<PackageWriter> {
    loop {
        columns.complete(store, source).await?;
        let options = ExportOptions { metadata: columns.keys(), ..ExportOptions::new(ExportVersion::V1_2) };
        let mut writer = PackageWriter::create(&arguments.dir, options)?;
        match write_all(store, source, &mut writer).await {
            Ok(()) => return Ok(writer),
            Err(Stopped::Column(kind)) if columns.is_guessed(kind) => columns.look_through(kind),
            Err(Stopped::Column(kind)) => {
                let message =
                    format!("the extension fields of {kind} changed while they were read; nothing was written");
                return Err(Failure::new("export.unsettled", message).into());
            }
            Err(Stopped::Store(error)) => return Err(error.into()),
            Err(Stopped::Package(error)) => return Err(error.into()),
        }
    }
}

/// Why writing stopped.
enum Stopped {
    /// A record of this kind has an extension field without a column.
    Column(Kind),
    Store(StoreError),
    Package(ExportError),
}

async fn write_all(store: &dyn RosterStore, source: SourceId, writer: &mut PackageWriter) -> Result<(), Stopped> {
    for kind in Kind::ALL {
        let mut pages = store.records(source, kind);
        while let Some(page) = pages.next().await {
            for record in &page.map_err(Stopped::Store)? {
                writer.write(record).map_err(|error| match error {
                    ExportError::UndeclaredMetadata { kind, .. } => Stopped::Column(kind),
                    other => Stopped::Package(other),
                })?;
            }
        }
    }
    Ok(())
}

/// The extension fields of each kind, which become columns and must be known before the first record is written.
///
/// Looking for them means to read a kind twice. That is done for the small kinds; the large ones, which hardly ever have
/// any, are taken to have none until a record proves otherwise.
#[derive(Debug)]
struct Columns(PerKind<Fields>);

#[derive(Debug, Clone)]
enum Fields {
    /// Taken to be none.
    Guessed,
    /// To be looked for.
    Wanted,
    /// Looked for and found.
    Found(BTreeSet<Text>),
}

impl Default for Columns {
    fn default() -> Self {
        Self(PerKind::from_fn(|kind| match kind {
            Kind::Orgs | Kind::AcademicSessions | Kind::Courses | Kind::Classes => Fields::Wanted,
            Kind::Users | Kind::Enrollments | Kind::Demographics => Fields::Guessed,
        }))
    }
}

impl Columns {
    fn is_guessed(&self, kind: Kind) -> bool {
        matches!(self.0[kind], Fields::Guessed)
    }

    fn look_through(&mut self, kind: Kind) {
        self.0[kind] = Fields::Wanted;
    }

    fn keys(&self) -> PerKind<BTreeSet<Text>> {
        PerKind::from_fn(|kind| match &self.0[kind] {
            Fields::Found(keys) => keys.clone(),
            Fields::Guessed | Fields::Wanted => BTreeSet::new(),
        })
    }

    async fn complete(&mut self, store: &dyn RosterStore, source: SourceId) -> Result<(), StoreError> {
        for kind in Kind::ALL {
            if !matches!(self.0[kind], Fields::Wanted) {
                continue;
            }
            let mut keys = BTreeSet::new();
            let mut pages = store.records(source, kind);
            while let Some(page) = pages.next().await {
                for record in &page? {
                    let unseen =
                        metadata(record).keys().filter(|key| !keys.contains(*key)).cloned().collect::<Vec<_>>();
                    keys.extend(unseen);
                }
            }
            self.0[kind] = Fields::Found(keys);
        }
        Ok(())
    }
}

fn metadata(record: &Record) -> &Metadata {
    match record {
        Record::Orgs(org) => &org.metadata,
        Record::AcademicSessions(session) => &session.metadata,
        Record::Courses(course) => &course.metadata,
        Record::Classes(class) => &class.metadata,
        Record::Users(user) => &user.metadata,
        Record::Enrollments(enrollment) => &enrollment.metadata,
        Record::Demographics(demographics) => &demographics.metadata,
    }
}

fn show(context: &mut Context, arguments: &Export, package: &WrittenPackage) -> Result<()> {
    let path = arguments.dir.display().to_string();
    if context.output.is_json() {
        let document = documents::Export { source: &arguments.source, path, records: package.records };
        context.output.json(&document)?;
    } else {
        let what = format!("wrote the live roster of `{}`", arguments.source);
        context.output.text(&listing::written(&what, &path, &package.records))?;
    }
    Ok(())
}
