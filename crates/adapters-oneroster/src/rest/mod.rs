//! OneRoster REST as a source of rosters.
//!
//! A pull goes through these stages. [`source`] decides what to read; [`collection`] reads one collection to its end, page
//! by page, through [`client`]; [`envelope`] finds the records in a page, [`wire`] reads one, and [`mapping`] makes items
//! of them, off the reactor; [`output`] hands them over. Nothing is held in memory but a few pages, a hash of each id of one
//! collection, and the titles of courses. What sets a vendor apart is in a [`profile`].
//!
//! What servers do, and what becomes of it:
//!
//! - They cap `limit` without a word: a short page ends nothing, and the offset advances by what came.
//! - They stumble over `fields` or `sort`: the request is repeated without them, and so are all others of the pull.
//! - They ignore `offset`, or repeat a page: it is asked for again, and then the pull fails.
//! - Their totals or their revision move during the pull, or records slide from one page to another: the pull begins
//!   again, three times at most. A revision that is the one of the last full pull ends a pull before it begins; one that
//!   some page does not state proves nothing.
//! - They announce the number of records on the page as the total: until a total has counted more than its page, a list is
//!   read until an empty page all the same.
//! - They link to the next page under another host or scheme: such a link is not followed, and the offset is counted.
//! - They answer with a web page, with half a page, without the list, or with a failure in words and the status 200: the
//!   page is asked for again, and then the pull fails.
//! - They hide a collection (403, 404, 410): without orgs, classes, users or enrollments the pull fails; sessions, courses
//!   and demographics are left alone and listed as skipped. An empty collection is an empty list, not a 404.
//! - They refuse the filter by date, or ignore it and send records that are older or have no date: everything is read, and
//!   changes alone are not asked for again until `full_every` has passed.
//! - They keep deleted records in the lists as `tobedeleted`: these are deletions, in a full pull too.
//! - They write booleans, numbers, lists and references in their own ways: see [`wire`].
//! - They send more than was asked for, passwords too: what is not stored is skipped while the JSON is read.

mod check;
mod client;
mod collection;
mod config;
mod cursor;
mod envelope;
mod error;
mod mapping;
mod output;
mod profile;
mod schools;
mod source;
mod wire;

pub use config::{RestConfig, RestVersion, ServiceRoot};
pub use envelope::PageFault;
pub use error::RestError;
pub use profile::RestProfile;
pub use source::RestSource;
