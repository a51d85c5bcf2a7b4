//! `rollcall generate`

use std::path::Path;

use anyhow::Result;
use rollcall_adapters_oneroster::export::{ExportOptions, ExportVersion, PackageWriter, WrittenPackage};
use rollcall_domain::PerKind;
use rollcall_vendor_sim::{Churn, District, DistrictError, as_1_1_can_say};

use super::Context;
use crate::cli::Generate;
use crate::documents;
use crate::failure::{Exit, Failure};
use crate::screens::listing;

pub(super) async fn run(context: &mut Context, arguments: &Generate) -> Result<Exit> {
    let district = district(arguments)?;
    let (folder, version) = (arguments.dir.clone(), ExportVersion::from(arguments.version));
    // A large district takes a while and never waits: it gets a thread on which that does no harm.
    let package = tokio::task::spawn_blocking(move || write(&district, version, &folder)).await??;

    let path = arguments.dir.display().to_string();
    if context.output.is_json() {
        let document = documents::Generated { path, version: version.as_str(), records: package.records };
        context.output.json(&document)?;
    } else {
        let what = format!("wrote a synthetic district as OneRoster {}", version.as_str());
        context.output.text(&listing::written(&what, &path, &package.records))?;
    }
    Ok(Exit::Done)
}

fn district(arguments: &Generate) -> Result<District> {
    let invalid = |error: DistrictError| Failure::usage("usage", error.to_string());
    let churn = Churn::new(arguments.churn).map_err(invalid)?;
    let (students, generation) = (arguments.students as usize, arguments.generation as usize);
    Ok(District::at_generation(students, arguments.seed, generation, churn).map_err(invalid)?)
}

fn write(district: &District, version: ExportVersion, folder: &Path) -> Result<WrittenPackage> {
    let metadata = PerKind::from_fn(District::metadata_keys);
    let mut writer = PackageWriter::create(folder, ExportOptions { metadata, ..ExportOptions::new(version) })?;
    for record in district.all_records() {
        match version {
            ExportVersion::V1_1 => writer.write(&as_1_1_can_say(record))?,
            ExportVersion::V1_2 => writer.write(&record)?,
        }
    }
    Ok(writer.finish()?)
}
