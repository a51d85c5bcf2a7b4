use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The files whose rows are records, and the kind that they are counted under.
const KINDS: [&str; 7] = ["orgs", "academicSessions", "courses", "classes", "users", "enrollments", "demographics"];

/// A package as plain rows by kind and sourcedId, read without the program's own code.
///
/// A row is its cells without status and date; a user of 1.2 has its roles with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roster {
    rows: BTreeMap<&'static str, BTreeMap<String, Vec<String>>>,
}

/// What turns one roster into another.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Difference {
    /// Ids that are new.
    pub created: BTreeSet<String>,
    /// Ids whose rows differ.
    pub updated: BTreeSet<String>,
    /// Ids that are gone.
    pub deleted: BTreeSet<String>,
    /// How many rows are equal.
    pub unchanged: u64,
}

impl Roster {
    /// Reads a package.
    ///
    /// # Panics
    ///
    /// If it is no package.
    pub fn read(folder: &Path) -> Self {
        let mut rows: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        for kind in KINDS {
            let file = folder.join(format!("{kind}.csv"));
            let records = rows.entry(kind).or_default();
            for cells in read(&file) {
                let id = cells[0].clone();
                let content: Vec<_> = cells.into_iter().skip(3).collect();
                assert!(records.insert(id, content).is_none(), "an id twice in {kind}");
            }
        }
        let mut roles = read(&folder.join("roles.csv"));
        roles.sort();
        let users = rows.get_mut("users").expect("every kind is there");
        for role in roles {
            let user = users.get_mut(&role[3]).expect("a role belongs to a user");
            user.extend(role.into_iter().skip(4));
        }
        Self { rows }
    }

    /// The number of records of a kind.
    pub fn len(&self, kind: &str) -> u64 {
        self.rows[kind].len() as u64
    }

    /// Whether there is nothing of a kind.
    pub fn is_empty(&self, kind: &str) -> bool {
        self.rows[kind].is_empty()
    }

    /// What turns this roster into `next`, per kind.
    pub fn difference(&self, next: &Self) -> BTreeMap<&'static str, Difference> {
        let of_kind = |kind: &'static str| {
            let (old, new) = (&self.rows[kind], &next.rows[kind]);
            let mut difference = Difference::default();
            for (id, row) in new {
                match old.get(id) {
                    None => drop(difference.created.insert(id.clone())),
                    Some(before) if before == row => difference.unchanged += 1,
                    Some(_) => drop(difference.updated.insert(id.clone())),
                }
            }
            difference.deleted = old.keys().filter(|id| !new.contains_key(*id)).cloned().collect();
            (kind, difference)
        };
        KINDS.into_iter().map(of_kind).collect()
    }
}

fn read(file: &Path) -> Vec<Vec<String>> {
    if !file.exists() {
        return Vec::new();
    }
    let mut reader = csv::Reader::from_path(file).expect("the file can be read");
    let rows = reader.records().map(|row| row.expect("a whole row").iter().map(str::to_owned).collect());
    rows.collect()
}
