//! The records of one generation, and the lists that were asked of them.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use rollcall_domain::{Kind, PerKind};

use super::query::Query;
use super::routes::{Only, View, targets};
use crate::collection::{Collection, Stored};
use crate::json;

/// So many lists are remembered: a client reads one page after the other of a few.
const LISTS: usize = 24;

/// The records of one generation.
#[derive(Debug)]
pub(super) struct Roster {
    collections: PerKind<Arc<Collection>>,
    lists: Mutex<HashMap<String, Arc<[u32]>>>,
}

/// Which records of a collection are meant, in order.
#[derive(Debug, Clone)]
pub(super) enum List {
    /// All of them, by id.
    Whole(usize),
    /// Those at these places.
    Places(Arc<[u32]>),
}

impl List {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Whole(count) => *count,
            Self::Places(places) => places.len(),
        }
    }

    /// The place in the collection of a record of the list.
    pub(super) fn place(&self, number: usize) -> usize {
        match self {
            Self::Whole(_) => number,
            Self::Places(places) => places[number] as usize,
        }
    }
}

impl Roster {
    pub(super) fn new(collections: PerKind<Arc<Collection>>) -> Self {
        Self { collections, lists: Mutex::default() }
    }

    pub(super) fn collection(&self, kind: Kind) -> &Arc<Collection> {
        &self.collections[kind]
    }

    pub(super) fn collections(&self) -> &PerKind<Arc<Collection>> {
        &self.collections
    }

    /// A record by its id.
    pub(super) fn find(&self, kind: Kind, id: &str) -> Option<Stored<'_>> {
        let collection = &self.collections[kind];
        collection.find(id).map(|place| collection.get(place))
    }

    /// The ids to which a member of some living records refers, escaped for JSON.
    pub(super) fn referred(&self, kind: Kind, member: &str, only: &[Only], role: Option<&str>) -> HashSet<Vec<u8>> {
        let role = role.map(|role| format!("\"{role}\"").into_bytes());
        let collection = &self.collections[kind];
        let mut ids = HashSet::new();
        for record in (0..collection.len()).map(|place| collection.get(place)) {
            if record.stamp.status != "tobedeleted"
                && only.iter().all(|only| only.is(record))
                && role.as_ref().is_none_or(|role| json::member(record.members, "role") == Some(role))
            {
                targets(record.members, member, |id| {
                    ids.insert(id.to_vec());
                });
            }
        }
        ids
    }

    /// The records that a path and a query mean. Equal paths and queries have equal keys.
    pub(super) fn list(&self, path: &str, view: &View, query: &Query, with_tombstones: bool) -> List {
        let collection = &self.collections[view.kind];
        if view.only.is_empty() && query.filter.is_none() && query.sort.is_none() && with_tombstones {
            return List::Whole(collection.len());
        }
        let key = format!("{path}\n{}", query.key);
        if let Some(known) = self.lists.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return List::Places(Arc::clone(known));
        }
        let is_meant = |record: Stored<'_>| {
            (with_tombstones || record.stamp.status != "tobedeleted")
                && view.only.iter().all(|only| only.is(record))
                && query.filter.as_ref().is_none_or(|filter| filter.matches(record))
        };
        let places = (0..collection.len()).filter(|&place| is_meant(collection.get(place)));
        let mut places: Vec<u32> = places.filter_map(|place| u32::try_from(place).ok()).collect();
        if let Some((by, downwards)) = &query.sort {
            places.sort_by_cached_key(|&place| {
                let mut values = Vec::new();
                by.each_value(collection.get(place as usize), &mut |value, _| values.push(value.to_owned()));
                values
            });
            if *downwards {
                places.reverse();
            }
        }
        let places: Arc<[u32]> = places.into();
        let mut lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        if lists.len() >= LISTS {
            lists.clear();
        }
        lists.insert(key, Arc::clone(&places));
        List::Places(places)
    }
}
