//! What Brindle sends, as it sends it. Fields that are not read are not named. What an object cannot be
//! without, its `id`, is required; so are the `total` and the `items` of a page. Every other field may be missing.

use serde::Deserialize;
use serde_json::Value;

/// A page of a list. An answer without `total` and `items` says nothing about what exists.
#[derive(Debug, Deserialize)]
pub(crate) struct Page {
    /// How many objects the whole list has.
    pub(crate) total: u64,
    /// Looked into one by one, so that one odd object spoils no page.
    pub(crate) items: Vec<Value>,
    pub(crate) next: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct School {
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    pub(crate) number: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Person {
    pub(crate) id: String,
    pub(crate) first: Option<String>,
    pub(crate) last: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) kind: Option<String>,
    pub(crate) school: Option<String>,
    pub(crate) year: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Group {
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    pub(crate) school: Option<String>,
    /// An id, and so is each member. Looked into one by one, so that one odd member spoils no group.
    pub(crate) leader: Option<Value>,
    #[serde(default)]
    pub(crate) members: Vec<Value>,
}
