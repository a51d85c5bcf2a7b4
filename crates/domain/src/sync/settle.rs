//! What is decided when everything has arrived: repeated ids, early references, replays, links.

use std::collections::HashMap;
use std::sync::Arc;

use futures::StreamExt;

use super::session::{Event, FETCH_BATCH, Session, as_json, touch};
use super::table::{Entry, flag};
use super::{Failure, Totals};
use crate::ports::{Coverage, EmptySnapshot, Fetched, PullSummary, Repeats, StagedChange, Upsert, UserHalf};
use crate::{Code, Finding, Kind, Location, PendingRecord, Record, RefField, Reject, SourcedId, Warning};

impl Session<'_> {
    /// Refuses a pull that is visibly incomplete (R6).
    pub(super) async fn check_complete(&mut self, summary: &PullSummary) -> Result<(), Failure> {
        for (kind, total) in summary.totals.iter() {
            let received = self.counts[kind].received;
            if let Some(total) = total.filter(|total| received < *total)
                && self.options.totals == Totals::Trust
            {
                return Err(Failure::Incomplete(
                    "pull.short",
                    format!("the source announced {total} {kind} and sent {received}; nothing is applied"),
                ));
            }
        }
        for (kind, coverage) in summary.coverage.iter() {
            if *coverage != Coverage::Snapshot {
                continue;
            }
            self.load_for(kind).await?;
            let empty = !self.heard_of[kind] && self.live[kind] > 0;
            if empty
                && self.description.capabilities.empty_snapshot == EmptySnapshot::Fail
                && !self.options.allow_mass_change
            {
                return Err(Failure::Incomplete(
                    "collection.empty",
                    format!(
                        "the source sent no {kind}, although {} are stored; if that is meant, run once with --allow-mass-change",
                        self.live[kind]
                    ),
                ));
            }
        }
        Ok(())
    }

    /// Decides what could not be decided on arrival.
    pub(super) async fn settle(&mut self, summary: &PullSummary) -> Result<(), Failure> {
        self.settle_older(summary).await?;
        self.settle_again(summary).await?;
        // What is owned is put to its owner as the owner is now.
        self.finish_arrival().await?;
        self.settle_owned(summary).await?;
        self.finish_arrival().await?;
        self.settle_early(summary).await?;
        self.compare_schools().await
    }

    /// Decides what is older than what is stored. What more was said of the same ids is decided together with it.
    async fn settle_older(&mut self, summary: &PullSummary) -> Result<(), Failure> {
        let mut again = Vec::new();
        for event in std::mem::take(&mut self.later.older) {
            let (kind, id) = event.key();
            let key = self.keys.of(id);
            self.table_mut(kind).entry(key).clear(flag::WAITING);
            if self.later.disputed.contains(&(kind, key)) {
                again.push(event);
            } else if !self.ignored_as_stale(kind, id, std::slice::from_ref(&event), summary.coverage[kind]) {
                match event {
                    Event::Upsert(upsert) => self.route(upsert),
                    Event::Delete(deletion) => self.delete_explicitly(deletion),
                }
            }
        }
        again.append(&mut self.later.again);
        self.later.again = again;
        self.finish_arrival().await
    }

    /// Whether all that is said of a record is to be ignored: in a delta, what is older than what is stored. A snapshot is
    /// the truth whatever its dates (R4). Counts it if so.
    fn ignored_as_stale(&mut self, kind: Kind, id: &SourcedId, events: &[Event], coverage: Coverage) -> bool {
        let entry = self.entry_mut(kind, id);
        let is_stale =
            coverage == Coverage::Delta && events.iter().all(|event| entry.is_stored_newer_than(event.modified_ms()));
        if is_stale {
            entry.set(flag::SEEN | flag::STALE);
            self.counts[kind].stale += 1;
        }
        is_stale
    }

    // -- repeated ids -------------------------------------------------------------------------------------------------

    pub(super) async fn settle_again(&mut self, summary: &PullSummary) -> Result<(), Failure> {
        let mut groups: Vec<((Kind, SourcedId), Vec<Event>)> = Vec::new();
        let mut positions = HashMap::new();
        self.later.disputed.clear();
        for again in std::mem::take(&mut self.later.again) {
            let (kind, id) = again.key();
            let of = (kind, id.clone());
            let position = *positions.entry(of.clone()).or_insert_with(|| {
                groups.push((of, Vec::new()));
                groups.len() - 1
            });
            groups[position].1.push(again);
        }
        groups.retain(|((kind, id), events)| !self.settle_repeated(*kind, id, events));
        // Kinds in the order of reference, so that what is refused here is known to what refers to it.
        groups.sort_by_key(|((kind, _), _)| *kind);
        let mut groups = groups.into_iter().peekable();
        while let Some(((kind, _), _)) = groups.peek() {
            let kind = *kind;
            let mut chunk = Vec::new();
            while chunk.len() < FETCH_BATCH
                && let Some(group) = groups.next_if(|((next, _), _)| *next == kind)
            {
                chunk.push(group);
            }
            let mut known = self.fetch(kind, chunk.iter().map(|((_, id), _)| id)).await?;
            for ((_, id), events) in chunk {
                let fetched = known.remove(&id);
                self.settle_repeats(kind, &id, fetched, events, summary.coverage[kind]).await?;
            }
        }
        Ok(())
    }

    /// Whether further records of an id only repeat the accepted one, word for word. They are one record then.
    fn settle_repeated(&mut self, kind: Kind, id: &SourcedId, events: &[Event]) -> bool {
        let accepted = self.entry(kind, id).filter(|entry| entry.is_accepted()).map(Entry::fingerprint);
        let is_repeated = |event: &Event| match event {
            Event::Upsert(row) => accepted == Some(row.fingerprint()) && row.half == UserHalf::Whole,
            Event::Delete(_) => false,
        };
        if !events.iter().all(is_repeated) {
            return false;
        }
        for event in events {
            if let Event::Upsert(row) = event {
                self.count_repeated(row);
            }
        }
        let entry = self.entry_mut(kind, id);
        if entry.advance(events.iter().filter_map(Event::modified_ms).max()) {
            entry.set(flag::DATED);
            let newest = entry.modified_ms();
            self.stage(touch(kind, id.clone(), newest, None));
        }
        true
    }

    async fn settle_repeats(
        &mut self,
        kind: Kind,
        id: &SourcedId,
        fetched: Option<Fetched>,
        events: Vec<Event>,
        coverage: Coverage,
    ) -> Result<(), Failure> {
        if !self.is_decided(kind, id) && self.ignored_as_stale(kind, id, &events, coverage) {
            self.counts[kind].received -= events.len() as u64 - 1;
            return Ok(());
        }
        let all_upserts = events.iter().all(|event| matches!(event, Event::Upsert(_)));
        let was_deleted = self.flags(kind, id) & flag::GONE != 0;
        if self.description.capabilities.repeats == Repeats::Conflict && all_upserts && !was_deleted {
            let rows = events.into_iter().filter_map(|event| match event {
                Event::Upsert(upsert) => Some(upsert),
                Event::Delete(_) => None,
            });
            return self.settle_conflict(kind, id, fetched, rows.collect()).await;
        }
        // Successive states: the last one counts, and the record counts once.
        let decided = u64::from(self.flags(kind, id) & flag::HEARD_OF != 0);
        let states = decided + events.len() as u64;
        let newest = events.iter().filter_map(Event::modified_ms).max();
        let Some(last) = events.into_iter().next_back() else { return Ok(()) };
        self.take_back(kind, id, fetched.as_ref());
        self.counts[kind].received -= states - 1;
        self.entry_mut(kind, id).learn_date(newest);
        match last {
            Event::Upsert(upsert) => self.route(upsert),
            Event::Delete(deletion) => {
                self.delete_explicitly(deletion);
                // A live one is deleted with what requires it; of any other nothing is there to be deleted.
                if !self.entry_mut(kind, id).was_live() {
                    self.expel_holders(kind, id).await?;
                }
            }
        }
        Ok(())
    }

    /// Whether a record of this id, or a deletion, was accepted or waits. What was refused has said nothing.
    fn is_decided(&self, kind: Kind, id: &SourcedId) -> bool {
        self.flags(kind, id) & (flag::HEARD_OF & !flag::REJECTED) != 0
    }

    /// Several records claim one id. Users that differ in nothing but their roles are one user; others are refused, all
    /// of them, and the stored record stays.
    async fn settle_conflict(
        &mut self,
        kind: Kind,
        id: &SourcedId,
        fetched: Option<Fetched>,
        mut rows: Vec<Upsert>,
    ) -> Result<(), Failure> {
        let flags = self.flags(kind, id);
        let newest = rows.iter().filter_map(|row| row.modified_ms).max();
        // The first row may have been decided, or it waits, or it is among these: because it is older than what is stored, or
        // because only a refused one came before.
        let is_decided = self.is_decided(kind, id);
        let early = self.later.early[kind].iter().position(|early| early.record().sourced_id() == id);
        let mut first = match early {
            Some(early) => Some(self.later.early[kind][early].clone()),
            None => (!is_decided).then(|| rows.remove(0)),
        };
        let accepted = self.entry(kind, id).filter(|entry| entry.is_accepted()).map(Entry::fingerprint);
        let first_says = match &first {
            Some(first) => Some((first.fingerprint(), first.half)),
            None => accepted.map(|accepted| (accepted, UserHalf::Whole)),
        };
        let (repeated, rows): (Vec<_>, Vec<_>) =
            rows.into_iter().partition(|row| first_says == Some((row.fingerprint(), row.half)));
        for row in &repeated {
            self.count_repeated(row);
            if let Some(first) = &mut first {
                first.modified_ms = first.modified_ms.max(row.modified_ms);
            }
        }
        if let (Some(early), Some(first)) = (early, &first) {
            self.later.early[kind][early].modified_ms = first.modified_ms;
        }
        if rows.is_empty() {
            if let Some(row) = first.filter(|_| !is_decided) {
                self.route(row);
            }
            return Ok(());
        }
        let first_record = match (&first, &fetched) {
            (Some(first), _) => Some(first.record().clone()),
            // Unchanged records are not staged: the stored one is what the first row says.
            (None, Some(fetched)) if flags & flag::SEEN != 0 => {
                fetched.staged.clone().or_else(|| fetched.stored.as_ref().map(|stored| stored.record.clone()))
            }
            _ => None,
        };
        if let Some(merged) = first_record.clone().and_then(|record| merge_roles(record, &rows)) {
            let location = rows[0].location.clone();
            let modified_ms = newest.max(first.as_ref().and_then(|first| first.modified_ms));
            if is_decided {
                self.take_back(kind, id, fetched.as_ref());
            }
            self.counts[kind].received -= rows.len() as u64;
            if first.iter().chain(&rows).any(|row| row.half == UserHalf::WithoutRoles) {
                self.entry_mut(kind, id).set(flag::HALF);
            }
            let upsert = Upsert::new(merged, modified_ms, location, &mut self.scratch);
            self.warn_on(
                &upsert,
                Finding::on(
                    Code::IdDuplicate,
                    "sourcedId",
                    "rows that differ only in org and role are merged into one user",
                ),
            );
            self.admit(upsert);
            return Ok(());
        }
        let finding = |others: usize| {
            Finding::on(
                Code::IdDuplicate,
                "sourcedId",
                match others {
                    1 => "another row has this sourcedId and says something else; keep the right one".to_owned(),
                    _ => {
                        format!("{others} further rows have this sourcedId and say something else; keep the right one")
                    }
                },
            )
        };
        // A store that keeps nothing cannot say what the first row was; that there was one is known.
        let is_first_there = first_record.is_some() || flags & flag::SEEN != 0;
        let others = rows.len() - usize::from(!is_first_there) + usize::from(flags & flag::REJECTED != 0);
        if is_first_there {
            let place = Arc::clone(&rows[0].location.place);
            let position = match &first {
                Some(first) => first.location.position,
                None => self.entry(kind, id).and_then(Entry::position),
            };
            let location = Location { place, position, unit: rows[0].location.unit };
            let expelled = flags & (flag::STORED | flag::DELETED) != flag::STORED;
            if is_decided {
                self.take_back(kind, id, fetched.as_ref());
            }
            let reject = Reject {
                kind,
                sourced_id: Some(id.clone()),
                is_part: false,
                location,
                findings: vec![finding(others)],
                record: first_record.as_ref().and_then(as_json),
            };
            self.reject(reject, None);
            if expelled {
                self.expel_holders(kind, id).await?;
            }
        }
        for row in rows {
            let location = row.location.clone();
            self.reject_record(row.record(), location, vec![finding(others)], None);
        }
        Ok(())
    }

    /// Undoes what the run decided on a record, but for having received it.
    pub(super) fn take_back(&mut self, kind: Kind, id: &SourcedId, fetched: Option<&Fetched>) {
        let stored = fetched.and_then(|fetched| fetched.stored.as_ref());
        let staged = fetched.and_then(|fetched| fetched.staged.as_ref());
        if self.flags(kind, id) & flag::SEEN != 0
            && let Some(accepted) = staged.or(stored.map(|stored| &stored.record))
        {
            self.doubt_required_by(accepted);
        }
        let staged_off = staged.is_some_and(Record::is_disabled_user);
        let mut waited = false;
        let mut newest = None;
        if self.flags(kind, id) & flag::WAITING != 0 {
            for early in self.later.early[kind].extract_if(.., |early| early.record().sourced_id() == id) {
                waited = true;
                newest = newest.max(early.modified_ms);
            }
        }
        let entry = self.entry_mut(kind, id);
        entry.learn_date(newest);
        let before = *entry;
        entry.clear(flag::OF_RUN & !flag::REFERENCED);
        if let Some(stored) = stored {
            entry.set_fingerprint(stored.fingerprint);
        }
        let counts = &mut self.counts[kind];
        if before.has(flag::STAGED) {
            if !before.has(flag::STORED) {
                counts.created -= 1;
            } else if before.has(flag::DELETED) {
                counts.restored -= 1;
                self.later.restored.retain(|(of, restored)| *of != kind || restored != id);
            } else {
                counts.updated -= 1;
                self.disabled -= u64::from(staged_off && !before.has(flag::DISABLED));
            }
        } else if before.has(flag::GONE) {
            if before.was_live() {
                counts.deleted -= 1;
                self.later.deleted.retain(|(of, deleted)| *of != kind || deleted != id);
            } else {
                counts.unchanged -= 1;
            }
        } else if before.has(flag::STALE) {
            counts.stale -= 1;
        } else if before.has(flag::SEEN) {
            counts.unchanged -= 1;
        } else if before.has(flag::REJECTED) && !waited {
            // The earlier row stays refused, in the report and in the counts.
            counts.received += 1;
        }
        if before.has(flag::STAGED | flag::GONE | flag::DATED) {
            self.stage(StagedChange::Withdraw { kind, sourced_id: id.clone() });
        }
    }

    /// A record that others of this run were accepted on is not there after all: they wait for it again. So a row that is
    /// refused in the end has still spoken for its id.
    async fn expel_holders(&mut self, kind: Kind, id: &SourcedId) -> Result<(), Failure> {
        let mut expelled = vec![(kind, id.clone())];
        while let Some((kind, id)) = expelled.pop() {
            for field in RefField::ALL.into_iter().filter(|field| field.is_required() && field.target() == kind) {
                let holder_kind = field.holder();
                self.flush().await?;
                let holders = self.store.holders(self.source, self.run, field, std::slice::from_ref(&id)).await?;
                let staged: Vec<_> =
                    holders.into_iter().filter(|holder| holder.staged).map(|holder| holder.sourced_id).collect();
                let known = self.fetch(holder_kind, staged.iter()).await?;
                let mut known: Vec<_> = known
                    .into_iter()
                    .map(|(id, fetched)| (self.entry(holder_kind, &id).and_then(Entry::position), id, fetched))
                    .collect();
                // As they came, and not as a map has them.
                known.sort_unstable_by(|one, other| (one.0, &one.1).cmp(&(other.0, &other.1)));
                for (position, holder_id, fetched) in known {
                    let Some(record) = fetched.staged.clone() else { continue };
                    let stays = fetched.stored.as_ref().is_some_and(|stored| stored.deleted.is_none());
                    self.take_back(holder_kind, &holder_id, Some(&fetched));
                    self.entry_mut(holder_kind, &holder_id).set(flag::WAITING);
                    let upsert = self.taken_back(record, position);
                    self.later.early[holder_kind].push(upsert);
                    if !stays {
                        expelled.push((holder_kind, holder_id));
                    }
                }
            }
        }
        Ok(())
    }

    /// A record that the run accepted and has taken back, as it came.
    pub(super) fn taken_back(&mut self, record: Record, position: Option<u64>) -> Upsert {
        let place = self.facts.places[record.kind()].clone().unwrap_or_else(|| Arc::from("an earlier run"));
        let location = Location { position, ..Location::whole(&place) };
        let modified_ms = self.entry(record.kind(), record.sourced_id()).and_then(Entry::modified_ms);
        Upsert::new(record, modified_ms, location, &mut self.scratch)
    }

    /// Refuses a record whose required reference is not there, and keeps it for when that arrives.
    pub(super) fn refuse_for_reference(
        &mut self,
        upsert: &Upsert,
        field: RefField,
        target: &SourcedId,
        rejected: bool,
    ) {
        let pending = PendingRecord {
            record: upsert.record().clone(),
            fingerprint: upsert.fingerprint(),
            modified_ms: upsert.modified_ms,
        };
        let finding = missing_finding(field, target, rejected);
        self.reject_record(upsert.record(), upsert.location.clone(), vec![finding], Some(pending));
    }

    /// Sends a record the way that it would have gone on arrival. It is counted as received already.
    fn route(&mut self, upsert: Upsert) {
        if upsert.half == UserHalf::Whole {
            self.admit(upsert);
        } else {
            self.entry_mut(upsert.record().kind(), upsert.record().sourced_id()).set(flag::WAITING);
            self.later.halves.push(upsert);
        }
    }

    // -- early references and replays ---------------------------------------------------------------------------------

    /// Accepts or refuses what waits for a required reference, and replays what earlier runs refused for one (R8).
    async fn settle_early(&mut self, summary: &PullSummary) -> Result<(), Failure> {
        for kind in Kind::ALL {
            // What came back with its parent is there for those who refer to it.
            self.revive(kind, summary.coverage[kind]).await?;
            for upsert in std::mem::take(&mut self.later.early[kind]) {
                self.hand_over_batches().await?;
                let missing = self.missing_reference(upsert.record());
                let Some((field, target, rejected)) = missing else {
                    self.accept(upsert);
                    continue;
                };
                let id = upsert.record().sourced_id();
                self.entry_mut(kind, id).clear(flag::WAITING);
                self.refuse_for_reference(&upsert, field, &target, rejected);
                let entry = self.entry_mut(kind, id);
                if entry.has(flag::REFERENCED) && !entry.was_live() {
                    // An earlier state of it was accepted.
                    self.expel_holders(kind, id).await?;
                }
            }
            self.finish_arrival().await?;
            // Now also those whose new content was refused.
            self.revive(kind, summary.coverage[kind]).await?;
            if kind != Kind::Demographics || self.options.demographics {
                self.replay(kind, summary.coverage[kind]).await?;
            }
        }
        Ok(())
    }

    /// The first required reference of a record whose target is not there, and whether the target was refused.
    pub(super) fn missing_reference(&self, record: &Record) -> Option<(RefField, SourcedId, bool)> {
        let mut missing = None;
        record.each_reference(|reference| {
            let kind = reference.field.target();
            if missing.is_none() && reference.field.is_required() && !self.is_there(kind, reference.target) {
                let rejected = self.flags(kind, reference.target) & flag::REJECTED != 0;
                missing = Some((reference.field, reference.target.clone(), rejected));
            }
        });
        missing
    }

    async fn replay(&mut self, kind: Kind, coverage: Coverage) -> Result<(), Failure> {
        // A covering snapshot without the record has cancelled it; one with it has been decided.
        if coverage == Coverage::Snapshot {
            return Ok(());
        }
        let mut healed = 0_u64;
        let mut pages = self.store.pending(self.source, kind);
        while let Some(page) = pages.next().await {
            self.hand_over_batches().await?;
            for pending in page? {
                self.load_for(kind).await?;
                let id = pending.record.sourced_id().clone();
                let flags = self.flags(kind, &id);
                let is_accepted = flags & flag::SEEN != 0 && flags & flag::STALE == 0;
                if is_accepted || flags & flag::GONE != 0 {
                    self.stage(StagedChange::Settle { kind, sourced_id: id });
                    continue;
                }
                if flags & flag::REJECTED != 0 {
                    // Refused again: what was staged then is the newer record.
                    continue;
                }
                if self.missing_reference(&pending.record).is_some() {
                    continue;
                }
                // An older state that was ignored stands in nobody's way.
                self.entry_mut(kind, &id).clear(flag::SEEN | flag::STALE);
                if flags & flag::REVIVED != 0 {
                    // Its newer content is what comes back.
                    self.take_back_revival(kind, &id);
                }
                healed += 1;
                self.counts[kind].received += 1;
                self.stage(StagedChange::Settle { kind, sourced_id: id });
                let location = Location::whole(&Arc::from("an earlier run"));
                let upsert = Upsert::new(pending.record, pending.modified_ms, location, &mut self.scratch);
                self.accept_replayed(upsert);
            }
        }
        if healed > 0 {
            self.finish_arrival().await?;
            self.warn_of_stored(
                kind,
                None,
                Finding::whole(
                    Code::RefHealed,
                    format!("{healed} {kind} that an earlier run refused are applied: what they refer to has arrived"),
                ),
            );
        }
        Ok(())
    }

    // -- links --------------------------------------------------------------------------------------------------------

    /// Attaches dangling references whose targets have arrived, and reports those that still dangle.
    pub(super) async fn resolve_links(&mut self) -> Result<(), Failure> {
        for target in Kind::ALL {
            if self.counts[target].created == 0 {
                continue;
            }
            let mut attached: HashMap<Kind, u64> = HashMap::new();
            let mut pages = self.store.dangling(self.source, target);
            while let Some(page) = pages.next().await {
                for link in page? {
                    let holder_kind = link.field.holder();
                    let holder = self.flags(holder_kind, &link.holder);
                    // A holder with new content is attached with it, and a deleted one needs nothing.
                    if holder & (flag::STAGED | flag::GONE) == 0 && self.is_there(target, &link.target) {
                        *attached.entry(holder_kind).or_default() += 1;
                        self.stage(StagedChange::Attach(link));
                    }
                }
            }
            for (holder_kind, count) in attached {
                self.warn_of_stored(
                    holder_kind,
                    None,
                    Finding::whole(
                        Code::RefHealed,
                        format!("{count} references of stored {holder_kind} are attached: the {target} they name have arrived"),
                    ),
                );
            }
        }
        for link in std::mem::take(&mut self.later.loose) {
            let kind = link.field.holder();
            if !self.is_there_by_key(link.field.target(), link.target) {
                self.warn(Warning {
                    kind: Some(kind),
                    sourced_id: Some(link.holder),
                    location: link.location,
                    finding: Finding::on(
                        Code::RefDropped,
                        link.field.column(),
                        format!(
                            "the {} `{}` is not in the roster; the link is left out until it arrives",
                            link.field.target().singular(),
                            link.target_id
                        ),
                    ),
                });
            }
        }
        self.warn_of_cycles();
        Ok(())
    }

    fn warn_of_cycles(&mut self) {
        let mut in_cycles = Vec::new();
        for ((kind, start), (_, id, location)) in &self.facts.parents {
            let mut at = *start;
            for _ in 0..self.facts.parents.len() {
                let Some((parent, ..)) = self.facts.parents.get(&(*kind, at)) else { break };
                at = *parent;
                if at == *start {
                    in_cycles.push((*kind, id.clone(), location.clone()));
                    break;
                }
            }
        }
        in_cycles.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        for (kind, id, location) in in_cycles {
            self.warn(Warning {
                kind: Some(kind),
                sourced_id: Some(id),
                location,
                finding: Finding::on(
                    Code::RefType,
                    "parentSourcedId",
                    "the record is, through its parents, above itself",
                ),
            });
        }
    }
}

/// The user that all rows describe, if they differ in nothing but org and role.
fn merge_roles(first: Record, rows: &[Upsert]) -> Option<Record> {
    let Record::Users(mut user) = first else { return None };
    for row in rows {
        let Record::Users(other) = row.record() else { return None };
        let mut same = other.clone();
        same.roles.clone_from(&user.roles);
        if same != user {
            return None;
        }
        user.roles.extend(other.roles.iter().cloned());
    }
    Some(Record::Users(user))
}

fn missing_finding(field: RefField, target: &SourcedId, rejected: bool) -> Finding {
    let kind = field.target().singular();
    if rejected {
        Finding::on(
            Code::RefRejected,
            field.column(),
            format!("the {kind} `{target}` was itself refused in this run; correct that one first"),
        )
    } else {
        Finding::on(
            Code::RefMissing,
            field.column(),
            format!("the {kind} `{target}` is not in the roster; send it, or correct the id"),
        )
    }
}
