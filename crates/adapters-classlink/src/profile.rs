//! How ClassLink serves OneRoster, where that differs from the standard.

use rollcall_adapters_oneroster::RestProfile;

/// The most records that ClassLink sends in one page; it refuses more.
const MAX_PAGE: u32 = 10_000;

/// The ways of ClassLink's servers and of its proxy.
///
/// Links, where there are any, name another host than the one that is asked; offsets are counted instead. The revision is
/// said by some servers and not by others, and so is either count.
pub(crate) const PROFILE: RestProfile = RestProfile {
    source_kind: "classlink",
    total_headers: &["x-total-count"],
    // The second is what older servers say.
    page_count_headers: &["x-count", "x-returned-count"],
    follows_links: false,
    revision_header: Some("x-perm-rev"),
    max_page_size: MAX_PAGE,
    ..RestProfile::STANDARD
};
