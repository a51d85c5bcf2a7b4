//! Warnings, gathered by file, field and code: a million blank cells are one line of a report, not a million.

use std::collections::HashMap;
use std::sync::Arc;

use crate::report::{WarningExample, WarningGroup};
use crate::{Code, Kind, SourcedId, Text, Warning};

/// How many warnings of a group are shown one by one.
const EXAMPLES: usize = 10;

#[derive(Debug, Default)]
pub(super) struct Warnings {
    groups: HashMap<GroupKey, WarningGroup>,
}

type GroupKey = (Code, Option<Kind>, Arc<str>, Option<Text>);

impl Warnings {
    pub(super) fn add(&mut self, warning: Warning) {
        let Warning { kind, sourced_id, location, finding } = warning;
        let group = self
            .groups
            .entry((finding.code, kind, Arc::clone(&location.place), finding.field.clone()))
            .or_insert_with(|| WarningGroup {
                code: finding.code,
                kind,
                file: location.place.to_string(),
                field: finding.field.as_ref().map(ToString::to_string),
                count: 0,
                message: finding.message,
                first: Vec::new(),
            });
        group.count += 1;
        if group.first.len() < EXAMPLES && (sourced_id.is_some() || location.position.is_some()) {
            group.first.push(WarningExample {
                sourced_id: sourced_id.as_ref().map(SourcedId::to_string),
                line: location.position,
            });
        }
    }

    /// The groups in an order that does not depend on chance.
    pub(super) fn into_groups(self) -> Vec<WarningGroup> {
        let mut groups: Vec<_> = self.groups.into_values().collect();
        groups.sort_by(|a, b| (a.kind, &a.file, a.code, &a.field).cmp(&(b.kind, &b.file, b.code, &b.field)));
        groups
    }
}
