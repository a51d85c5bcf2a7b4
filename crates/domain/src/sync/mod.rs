//! The sync use case (being written: `Sync::run` answers an error until it lands).
mod guards;
mod options;
pub use self::guards::Guards;
pub use self::options::{NoProgress, Progress, ProgressEvent, SyncOptions, Totals};
use crate::ports::{Clock, RosterSource, RosterStore, StoreError};
use crate::report::RunReport;
use crate::RunId;
/// Brings one source's rosters into a store.
#[derive(Clone, Copy)]
pub struct Sync<'a> {
    /// Where the rosters are kept.
    pub store: &'a dyn RosterStore,
    /// What time it is.
    pub clock: &'a dyn Clock,
    /// Who is told how far it has come.
    pub progress: &'a dyn Progress,
}
/// What a run came to.
#[derive(Debug, Clone, PartialEq)]
pub struct SyncOutcome {
    /// The report, as the store keeps it.
    pub report: RunReport,
    /// The source has more: another run brings it.
    pub more: bool,
}
impl Sync<'_> {
    /// Makes one run.
    pub async fn run(&self, _run: RunId, _source_name: &str, _source: &dyn RosterSource, _options: &SyncOptions) -> Result<SyncOutcome, StoreError> {
        Err(StoreError::MovedOn)
    }
}
