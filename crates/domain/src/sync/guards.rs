//! The guards: what a run may change before a person has to look at it (R9).

use serde::{Deserialize, Serialize};

use crate::ports::Hold;
use crate::{Code, Counts, Kind};

/// How much one run may change of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Guards {
    /// Deletions and users switched off, in percent of the live records.
    pub delete_percent: u8,
    /// Updates, in percent of the live records.
    pub update_percent: u8,
    /// Refused records, in percent of those received.
    pub reject_percent: u8,
    /// Percentages do not apply to fewer records than this.
    pub min_records: u64,
    /// Deletions and users switched off, in number.
    pub delete_max: Option<u64>,
    /// Updates, in number.
    pub update_max: Option<u64>,
}

impl Default for Guards {
    fn default() -> Self {
        Self {
            delete_percent: 10,
            update_percent: 75,
            reject_percent: 10,
            min_records: 20,
            delete_max: None,
            update_max: None,
        }
    }
}

/// What one run would do to one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Impact {
    pub(super) kind: Kind,
    /// Live records before the run.
    pub(super) live: u64,
    /// Users who would be switched off.
    pub(super) disabled: u64,
    pub(super) counts: Counts,
}

impl Guards {
    /// The guards that the impact trips.
    pub(super) fn check(&self, impact: &Impact) -> Vec<Hold> {
        let Impact { kind, live, disabled, counts } = *impact;
        let gone = counts.deleted + disabled;
        let mut holds = Vec::new();
        let mut hold = |code, message| holds.push(Hold { code, message });

        let of_live = |part: u64, percent: u8| live >= self.min_records && exceeds(part, live, percent);
        let switched_off =
            if disabled > 0 { format!(", {disabled} of them by switching users off") } else { String::new() };
        if of_live(gone, self.delete_percent) {
            hold(
                Code::GuardDelete,
                format!(
                    "the run would delete {gone} of {live} {kind}{switched_off}; more than {} % needs approval",
                    self.delete_percent
                ),
            );
        }
        if let Some(most) = self.delete_max.filter(|most| gone > *most) {
            hold(
                Code::GuardDelete,
                format!("the run would delete {gone} {kind}{switched_off}; more than {most} needs approval"),
            );
        }
        if of_live(counts.updated, self.update_percent) {
            hold(
                Code::GuardUpdate,
                format!(
                    "the run would update {} of {live} {kind}; more than {} % needs approval",
                    counts.updated, self.update_percent
                ),
            );
        }
        if let Some(most) = self.update_max.filter(|most| counts.updated > *most) {
            hold(
                Code::GuardUpdate,
                format!("the run would update {} {kind}; more than {most} needs approval", counts.updated),
            );
        }
        if counts.received >= self.min_records && exceeds(counts.rejected, counts.received, self.reject_percent) {
            hold(
                Code::GuardReject,
                format!(
                    "{} of {} {kind} were refused; more than {} % needs approval",
                    counts.rejected, counts.received, self.reject_percent
                ),
            );
        }
        holds
    }
}

fn exceeds(part: u64, whole: u64, percent: u8) -> bool {
    part.saturating_mul(100) > whole.saturating_mul(u64::from(percent))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn impact(live: u64, counts: Counts) -> Impact {
        Impact { kind: Kind::Users, live, disabled: 0, counts }
    }

    #[test]
    fn r9_a_percentage_is_tripped_by_more_than_itself_and_not_under_twenty_records() {
        let guards = Guards::default();
        let deleting = |deleted| Counts { deleted, ..Counts::default() };
        assert!(guards.check(&impact(100, deleting(10))).is_empty());
        assert_eq!(guards.check(&impact(100, deleting(11)))[0].code, Code::GuardDelete);
        assert!(guards.check(&impact(19, deleting(19))).is_empty());
        assert_eq!(guards.check(&impact(20, deleting(3)))[0].code, Code::GuardDelete);
    }

    #[test]
    fn r9_users_switched_off_weigh_as_much_as_deleted_ones() {
        let counts = Counts { deleted: 6, updated: 5, ..Counts::default() };
        let held = Guards::default().check(&Impact { kind: Kind::Users, live: 100, disabled: 5, counts });
        assert_eq!(held.len(), 1);
        assert_eq!(held[0].code, Code::GuardDelete);
    }

    #[test]
    fn r9_updates_rejects_and_absolute_numbers_hold_too() {
        let counts = Counts { received: 100, updated: 76, rejected: 11, deleted: 2, ..Counts::default() };
        let guards = Guards { delete_max: Some(1), update_max: Some(80), ..Guards::default() };
        let codes: Vec<_> = guards.check(&impact(100, counts)).into_iter().map(|hold| hold.code).collect();
        assert_eq!(codes, [Code::GuardDelete, Code::GuardUpdate, Code::GuardReject]);
    }
}
