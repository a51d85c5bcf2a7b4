//! What goes because it is absent, what goes with it, and what comes back (R5, R6, R7), and whether that may happen
//! without a person (R9).

use std::collections::HashSet;

use futures::StreamExt;

use super::Failure;
use super::guards::Impact;
use super::session::{FETCH_BATCH, STAGE_BATCH, Session, touch};
use super::table::{Entry, Flags, flag};
use crate::ports::{Coverage, DeleteReason, EmptySnapshot, Hold, PullSummary, StagedChange};
use crate::vocabulary::OrgType;
use crate::{Code, Finding, Kind, Record, RefField, SourcedId};

/// What a run would delete that needs a person whatever the number.
#[derive(Debug, Default)]
pub(super) struct Deletions {
    schools_and_districts: u64,
    sessions_in_use: u64,
    any: bool,
}

impl Session<'_> {
    /// Works out what the run deletes and brings back beyond what the source said in so many words.
    pub(super) async fn derive_deletions(&mut self, summary: &PullSummary) -> Result<Deletions, Failure> {
        // What the source deletes in so many words goes first, with what cannot be without it: only what is left can keep
        // an absent record.
        let mut gone = std::mem::take(&mut self.later.deleted);
        self.cascade(&gone, summary).await?;
        let any_snapshot = summary.coverage.iter().any(|(_, coverage)| *coverage == Coverage::Snapshot);
        if any_snapshot {
            self.look_again_at_the_doubtful().await?;
        }
        // From the last kind to the first: a record that stays because others refer to it keeps what it refers to.
        let mut absent = Vec::new();
        for kind in Kind::ALL.into_iter().rev() {
            if any_snapshot {
                self.keep_parents_of_refused(kind).await?;
            }
            if summary.coverage[kind] == Coverage::Snapshot {
                self.derive_absent(kind, &mut absent).await?;
            }
        }
        self.cascade(&absent, summary).await?;
        gone.append(&mut absent);
        let deletions = Deletions {
            schools_and_districts: self.count_schools(&gone).await?,
            sessions_in_use: self.count_sessions_in_use(&gone).await?,
            any: !gone.is_empty(),
        };
        for kind in Kind::ALL {
            self.revive(kind, summary.coverage[kind]).await?;
        }
        Ok(deletions)
    }

    /// Deletes the live records of a kind that a complete roster left out.
    async fn derive_absent(&mut self, kind: Kind, gone: &mut Vec<(Kind, SourcedId)>) -> Result<(), Failure> {
        self.load_for(kind).await?;
        let is_absent = |entry: &Entry| entry.was_live() && !entry.has(flag::HEARD_OF);
        // Took its leave with its parent, and is now missing in its own right: it must not come back with the parent.
        let is_absent_too = |entry: &Entry| entry.has(flag::BY_CASCADE) && !entry.has(flag::HEARD_OF);
        let Some(table) = self.table(kind) else { return Ok(()) };
        let absent = table.iter().filter(|entry| is_absent(entry)).count();
        let any = absent > 0 || table.iter().any(is_absent_too);
        if !any {
            return Ok(());
        }
        if self.unreadable[kind] {
            self.warn_of_stored(
                kind,
                None,
                Finding::whole(
                    Code::DeletionsWithheld,
                    format!(
                        "{absent} stored {kind} are absent and are kept: a record without a readable sourcedId may be one of them"
                    ),
                ),
            );
            return Ok(());
        }
        let mut retained = Vec::new();
        let ids = self.unheard_of(kind, |entry| is_absent(entry) || is_absent_too(entry)).await?;
        self.keep_what_referred_to_records_require(kind, &ids, is_absent).await?;
        for (number, sourced_id) in ids.into_iter().enumerate() {
            let Some(entry) = self.entry(kind, &sourced_id).copied() else { continue };
            if is_absent(&entry) && entry.has(flag::REFERENCED) {
                retained.push(sourced_id);
            } else if is_absent(&entry) {
                self.entry_mut(kind, &sourced_id).set(flag::GONE);
                self.counts[kind].deleted += 1;
                gone.push((kind, sourced_id.clone()));
                let reason = DeleteReason::Absent;
                self.stage(StagedChange::Delete { kind, sourced_id, reason, modified_ms: None });
            } else {
                self.stage(touch(kind, sourced_id, None, Some(DeleteReason::Absent)));
            }
            if number % STAGE_BATCH == 0 {
                self.flush().await?;
            }
        }
        self.flush().await?;
        self.retain(kind, retained).await
    }

    /// A class that enrollments of this run refer to stays, and so does its school. Where classes come as a whole too,
    /// that is known by now; where they do not, the absent schools are asked for theirs.
    async fn keep_what_referred_to_records_require(
        &mut self,
        kind: Kind,
        absent: &[SourcedId],
        is_absent: impl Fn(&Entry) -> bool,
    ) -> Result<(), Failure> {
        let is_between = |kind: Kind| RefField::ALL.iter().any(|field| field.is_required() && field.target() == kind);
        for field in RefField::ALL {
            if !field.is_required() || field.target() != kind || !is_between(field.holder()) {
                continue;
            }
            let unheld = |entry: &Entry| is_absent(entry) && !entry.has(flag::REFERENCED);
            let ids: Vec<_> = absent.iter().filter(|id| self.entry(kind, id).is_some_and(unheld)).cloned().collect();
            for chunk in ids.chunks(FETCH_BATCH) {
                self.flush().await?;
                for holder in self.store.holders(self.source, self.run, field, chunk).await? {
                    let is_kept = |entry: &Entry| entry.has(flag::REFERENCED) && entry.is_there();
                    if self.entry(field.holder(), &holder.sourced_id).is_some_and(is_kept) {
                        self.entry_mut(kind, &holder.target).set(flag::REFERENCED);
                    }
                }
            }
        }
        Ok(())
    }

    /// Notes that what a record requires may be referred to by nobody any more: it was accepted and is taken back.
    pub(super) fn doubt_required_by(&mut self, record: &Record) {
        record.each_reference(|reference| {
            if reference.field.is_required() {
                self.later.doubtful.insert((reference.field.target(), reference.target.clone()));
            }
        });
    }

    /// Finds out whether what taken back records referred to is still referred to by others of this run.
    async fn look_again_at_the_doubtful(&mut self) -> Result<(), Failure> {
        let mut doubtful: Vec<_> = std::mem::take(&mut self.later.doubtful)
            .into_iter()
            .filter(|(kind, id)| self.entry(*kind, id).is_some_and(|entry| entry.was_live() && !entry.is_accepted()))
            .collect();
        if doubtful.is_empty() {
            return Ok(());
        }
        doubtful.sort_unstable();
        self.flush().await?;
        for field in RefField::ALL.into_iter().filter(|field| field.is_required()) {
            let targets: Vec<_> =
                doubtful.iter().filter(|(kind, _)| *kind == field.target()).map(|(_, id)| id.clone()).collect();
            for chunk in targets.chunks(FETCH_BATCH) {
                let holders = self.store.holders(self.source, self.run, field, chunk).await?;
                let still: HashSet<_> = holders
                    .into_iter()
                    .filter(|holder| self.refers(field.holder(), &holder.sourced_id))
                    .map(|holder| (field.target(), holder.target))
                    .collect();
                doubtful.retain(|target| !still.contains(target));
            }
        }
        for (kind, id) in doubtful {
            self.entry_mut(kind, &id).clear(flag::REFERENCED);
        }
        Ok(())
    }

    /// Whether the source sent a record that is accepted, or that came back because it was sent.
    fn refers(&self, kind: Kind, id: &SourcedId) -> bool {
        let is_kept = |entry: &Entry| {
            let came_back = entry.has(flag::REVIVED) && entry.has(flag::REJECTED);
            (entry.is_accepted() || came_back) && !entry.has(flag::GONE)
        };
        self.entry(kind, id).is_some_and(is_kept) && !self.later.replayed.contains(&(kind, id.clone()))
    }

    /// A refused record is not an absent one (R5): what is stored of it stays, and so does what that requires.
    async fn keep_parents_of_refused(&mut self, kind: Kind) -> Result<(), Failure> {
        // One of several rows of an id may be accepted; what that one requires is known.
        let stays = |entry: &Entry| {
            entry.was_live() && entry.has(flag::REJECTED) && !entry.has(flag::GONE) && !entry.is_accepted()
        };
        if !self.table(kind).is_some_and(|table| table.iter().any(stays)) {
            return Ok(());
        }
        let mut pages = self.store.fingerprints(self.source, kind);
        while let Some(page) = pages.next().await {
            let refused: Vec<_> = page?
                .into_iter()
                .map(|stored| stored.sourced_id)
                .filter(|id| self.entry(kind, id).is_some_and(stays))
                .collect();
            self.mark_required(kind, &refused).await?;
        }
        Ok(())
    }

    /// Notes that what these stored records require is referred to.
    async fn mark_required(&mut self, kind: Kind, ids: &[SourcedId]) -> Result<(), Failure> {
        let known = self.fetch(kind, ids.iter()).await?;
        for stored in known.into_values().filter_map(|fetched| fetched.stored) {
            self.mark_required_by(&stored.record);
        }
        Ok(())
    }

    fn mark_required_by(&mut self, record: &Record) {
        record.each_reference(|reference| {
            if reference.field.is_required() {
                self.entry_mut(reference.field.target(), reference.target).set(flag::REFERENCED);
            }
        });
    }

    /// Keeps absent records to which records of this run refer, and what they refer to in turn (R7).
    async fn retain(&mut self, kind: Kind, retained: Vec<SourcedId>) -> Result<(), Failure> {
        self.mark_required(kind, &retained).await?;
        for id in retained {
            self.counts[kind].retained += 1;
            self.warn_of_stored(
                kind,
                Some(id.clone()),
                Finding::whole(
                    Code::RefRetained,
                    format!("the {} is absent and is kept, because records of this run refer to it", kind.singular()),
                ),
            );
        }
        Ok(())
    }

    /// Deletes what cannot be without what is gone.
    async fn cascade(&mut self, gone: &[(Kind, SourcedId)], summary: &PullSummary) -> Result<(), Failure> {
        let mut parents: Vec<_> = gone.to_vec();
        while !parents.is_empty() {
            let mut further = Vec::new();
            for field in RefField::ALL.into_iter().filter(|field| field.is_required()) {
                let of_kind: Vec<_> =
                    parents.iter().filter(|(kind, _)| *kind == field.target()).map(|(_, id)| id.clone()).collect();
                for chunk in of_kind.chunks(FETCH_BATCH) {
                    self.cascade_along(field, chunk, summary, &mut further).await?;
                }
            }
            parents = further;
        }
        Ok(())
    }

    async fn cascade_along(
        &mut self,
        field: RefField,
        parents: &[SourcedId],
        summary: &PullSummary,
        further: &mut Vec<(Kind, SourcedId)>,
    ) -> Result<(), Failure> {
        let kind = field.holder();
        self.load_for(kind).await?;
        self.flush().await?;
        let mut children = self.store.holders(self.source, self.run, field, parents).await?;
        // What is refused is reported as it came, and not as a store has it.
        children.sort_by_cached_key(|child| {
            (self.entry(kind, &child.sourced_id).and_then(Entry::position), child.sourced_id.clone())
        });
        let accepted: Vec<_> = children
            .iter()
            .filter(|child| self.flags(kind, &child.sourced_id) & (flag::SEEN | flag::REVIVED) != 0)
            .map(|child| child.sourced_id.clone())
            .collect();
        let known = self.fetch(kind, accepted.iter()).await?;
        for child in children {
            let entry = *self.entry_mut(kind, &child.sourced_id);
            if entry.has(flag::REVIVED) {
                // It came back with one parent, and goes again with another.
                if let Some(stored) = known.get(&child.sourced_id).and_then(|fetched| fetched.stored.as_ref()) {
                    self.doubt_required_by(&stored.record);
                }
                self.take_back_revival(kind, &child.sourced_id);
                further.push((kind, child.sourced_id));
                continue;
            }
            if entry.has(flag::GONE) || (child.deleted.is_some() && !child.staged) {
                continue;
            }
            let mut stays = false;
            if entry.is_accepted() {
                // The source sent the child and deleted what it belongs to: the child is refused like any other that
                // arrives without it. What is stored of it stays where that belongs elsewhere.
                let Some(fetched) = known.get(&child.sourced_id) else { continue };
                let stored = fetched.stored.as_ref().map(|stored| &stored.record);
                let Some(record) = fetched.staged.as_ref().or(stored).cloned() else { continue };
                stays = entry.was_live() && stored.is_some_and(|stored| self.has_all_it_requires(stored));
                self.take_back(kind, &child.sourced_id, Some(fetched));
                let upsert = self.taken_back(record, entry.position());
                self.refuse_for_reference(&upsert, field, &child.target, false);
            }
            if stays {
                continue;
            }
            if entry.was_live() {
                self.entry_mut(kind, &child.sourced_id).set(flag::GONE);
                self.counts[kind].deleted += 1;
                // What is missing in its own right must not come back with its parent.
                let is_absent = summary.coverage[kind] == Coverage::Snapshot
                    && !self.unreadable[kind]
                    && !entry.has(flag::SEEN | flag::REJECTED | flag::WAITING);
                let reason = if is_absent { DeleteReason::Absent } else { DeleteReason::Cascade };
                let sourced_id = child.sourced_id.clone();
                self.stage(StagedChange::Delete { kind, sourced_id, reason, modified_ms: None });
            }
            further.push((kind, child.sourced_id));
        }
        Ok(())
    }

    /// Brings back what went with a parent that is back, unless the source has since deleted it (R7).
    pub(super) async fn revive(&mut self, kind: Kind, coverage: Coverage) -> Result<(), Failure> {
        if kind == Kind::Demographics && !self.options.demographics {
            return Ok(());
        }
        let is_complete = coverage == Coverage::Snapshot;
        for field in RefField::ALL.into_iter().filter(|field| field.is_required() && field.holder() == kind) {
            let of_kind = self.later.restored.iter().filter(|(parent, _)| *parent == field.target());
            let parents: Vec<_> = of_kind.map(|(_, id)| id.clone()).collect();
            for chunk in parents.chunks(FETCH_BATCH) {
                self.revive_along(field, chunk, is_complete).await?;
            }
        }
        Ok(())
    }

    async fn revive_along(&mut self, field: RefField, parents: &[SourcedId], is_complete: bool) -> Result<(), Failure> {
        let kind = field.holder();
        self.load_for(kind).await?;
        self.flush().await?;
        let children = self.store.holders(self.source, self.run, field, parents).await?;
        // A complete roster names its children itself; one that it names and that was refused is not deleted.
        let may_return = |flags: Flags| {
            let is_accepted = flags & flag::SEEN != 0 && flags & flag::STALE == 0;
            !is_accepted
                && flags & (flag::GONE | flag::REVIVED | flag::WAITING) == 0
                && (!is_complete || flags & flag::REJECTED != 0)
        };
        let candidates: Vec<_> = children
            .into_iter()
            .filter(|child| !child.staged && child.deleted == Some(DeleteReason::Cascade))
            .map(|child| child.sourced_id)
            .filter(|id| may_return(self.flags(kind, id)))
            .collect();
        let known = self.fetch(kind, candidates.iter()).await?;
        for sourced_id in candidates {
            let Some(stored) = known.get(&sourced_id).and_then(|fetched| fetched.stored.as_ref()) else { continue };
            if self.has_all_it_requires(&stored.record) {
                let entry = self.entry_mut(kind, &sourced_id);
                entry.set(flag::REVIVED);
                if entry.has(flag::REJECTED) {
                    // The source has sent it, so it keeps what it requires.
                    self.mark_required_by(&stored.record);
                }
                self.counts[kind].restored += 1;
                self.stage(StagedChange::Revive { kind, sourced_id: sourced_id.clone() });
                self.later.restored.push((kind, sourced_id));
            }
        }
        Ok(())
    }

    /// Undoes that a record came back with its parent.
    pub(super) fn take_back_revival(&mut self, kind: Kind, id: &SourcedId) {
        self.entry_mut(kind, id).clear(flag::REVIVED);
        self.counts[kind].restored -= 1;
        self.later.restored.retain(|(of, restored)| *of != kind || restored != id);
        self.stage(StagedChange::Withdraw { kind, sourced_id: id.clone() });
    }

    fn has_all_it_requires(&self, record: &Record) -> bool {
        self.missing_reference(record).is_none()
    }

    async fn count_schools(&mut self, gone: &[(Kind, SourcedId)]) -> Result<u64, Failure> {
        let orgs: Vec<_> = gone.iter().filter(|(kind, _)| *kind == Kind::Orgs).map(|(_, id)| id.clone()).collect();
        let known = self.fetch(Kind::Orgs, orgs.iter()).await?;
        let schools = known.values().filter_map(|fetched| fetched.stored.as_ref()).filter(
            |stored| matches!(&stored.record, Record::Orgs(org) if matches!(org.org_type, OrgType::School | OrgType::District)),
        );
        Ok(schools.count() as u64)
    }

    /// How many of the deleted sessions have classes that stay.
    async fn count_sessions_in_use(&mut self, gone: &[(Kind, SourcedId)]) -> Result<u64, Failure> {
        let sessions: Vec<_> =
            gone.iter().filter(|(kind, _)| *kind == Kind::AcademicSessions).map(|(_, id)| id.clone()).collect();
        if sessions.is_empty() {
            return Ok(0);
        }
        self.load_for(Kind::Classes).await?;
        self.flush().await?;
        let mut in_use = HashSet::new();
        for chunk in sessions.chunks(FETCH_BATCH) {
            for class in self.store.holders(self.source, self.run, RefField::ClassTerm, chunk).await? {
                if self.is_there(Kind::Classes, &class.sourced_id) {
                    in_use.insert(class.target);
                }
            }
        }
        Ok(in_use.len() as u64)
    }

    /// The reasons why a person has to look at the run first (R9).
    pub(super) fn holds(&self, summary: &PullSummary, deletions: &Deletions, scope_changed: bool) -> Vec<Hold> {
        let mut holds = summary.holds.clone();
        let mut hold = |code, message| holds.push(Hold { code, message });
        let mut deleting = deletions.any;
        for kind in Kind::ALL {
            let counts = self.counts[kind];
            let live = self.live[kind];
            deleting |= counts.deleted > 0;
            if summary.coverage[kind] == Coverage::Snapshot
                && !self.heard_of[kind]
                && live > 0
                && self.description.capabilities.empty_snapshot == EmptySnapshot::Hold
            {
                hold(Code::CollectionEmpty, format!("the source sent no {kind}, although {live} are stored"));
            }
            let disabled = if kind == Kind::Users { self.disabled } else { 0 };
            for tripped in self.options.guards.check(&Impact { kind, live, disabled, counts }) {
                hold(tripped.code, tripped.message);
            }
        }
        if deletions.schools_and_districts > 0 {
            hold(
                Code::GuardStructure,
                format!("the run would delete schools or districts: {}", deletions.schools_and_districts),
            );
        }
        if deletions.sessions_in_use > 0 {
            hold(
                Code::GuardStructure,
                format!("the run would delete academic sessions that have classes: {}", deletions.sessions_in_use),
            );
        }
        if scope_changed && deleting {
            hold(
                Code::GuardScope,
                "the run would delete records right after the settings changed that decide what the source shows"
                    .to_owned(),
            );
        }
        holds
    }
}
