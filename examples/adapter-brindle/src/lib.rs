//! Brindle as a source of rosters.
//!
//! Brindle does not exist. Its adapter is the worked example of `docs/adding-a-vendor.md`: as small as an adapter can be, and
//! whole. One key opens one district, which is served in three lists of JSON, page by page:
//!
//! | list | an object |
//! |---|---|
//! | `schools` | `{"id": "s1", "name": "Hillside", "number": "0042"}` |
//! | `people` | `{"id": "p1", "first": "Ada", "last": "Byron", "kind": "pupil", "school": "s1", "year": "7"}` |
//! | `groups` | `{"id": "g1", "name": "7b Music", "school": "s1", "leader": "p9", "members": ["p1"]}` |
//!
//! A page is `{"total": 120, "items": […], "next": "/v1/people?after=p50"}`; the last one has no `next`.

mod client;
mod config;
mod error;
mod mapping;
mod source;
mod wire;

pub use config::BrindleConfig;
pub use error::BrindleError;
pub use source::BrindleSource;
