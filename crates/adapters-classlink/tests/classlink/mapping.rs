//! What every kind of record looks like once it is mapped. The snapshots read like documentation.

use rollcall_adapters_classlink::{ClassLinkAccess, Mode};
use rollcall_domain::Kind;
use rollcall_domain::ports::Coverage;

use crate::harness::{ClassLink, PARTNER_KEY};

#[tokio::test]
async fn payloads_are_mapped() {
    let classlink = ClassLink::fixture().await;
    let pulled = classlink.pull().await;
    insta::assert_snapshot!("remarks", pulled.remarks());
    for kind in Kind::ALL {
        assert_eq!(pulled.summary.coverage[kind], Coverage::Snapshot);
        insta::assert_json_snapshot!(kind.as_str(), pulled.of(kind));
    }
}

#[tokio::test]
async fn the_records_are_the_same_both_ways_and_however_they_are_counted_and_paged() {
    let mut classlink = ClassLink::fixture().await;
    let expected = classlink.pull().await;
    for mode in [Mode::Proxy, Mode::Direct] {
        classlink.config.access = ClassLinkAccess::Partner { partner_key: PARTNER_KEY.into(), mode };
        for (counts, page_size) in [(true, 1), (false, 2), (false, 10_000)] {
            classlink.change(|behaviour| behaviour.counts = counts);
            classlink.config.roster.page_size = page_size;
            let pulled = classlink.pull().await;
            for kind in Kind::ALL {
                assert_eq!(pulled.of(kind), expected.of(kind), "{mode:?} {counts} {page_size}");
            }
        }
    }
}
