//! What every kind of record looks like once it is mapped. The snapshots read like documentation.

use rollcall_adapters_classlink::{ClassLinkAccess, Mode};
use rollcall_domain::Kind;
use rollcall_domain::ports::Coverage;

use crate::harness::{Asked, Behaviour, ClassLink, PARTNER_KEY};

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

#[tokio::test]
async fn a_page_with_fewer_records_than_it_counts_is_asked_for_again_and_then_fails_the_pull() {
    for header in ["x-count", "x-returned-count"] {
        let classlink = ClassLink::fixture().await;
        let expected = classlink.pull().await;
        let cut = move |times: usize| {
            move |asked: &Asked, behaviour: &mut Behaviour| {
                let is_meant = asked.collection == "users" && asked.before < times;
                is_meant.then(|| {
                    let users = behaviour.data["users"].clone();
                    behaviour.data.get_mut("users").unwrap().truncate(3);
                    behaviour.counts = false;
                    let answer = behaviour.page(asked).insert_header(header, "6");
                    behaviour.data.insert("users".to_owned(), users);
                    answer
                })
            }
        };
        classlink.asked();
        classlink.script(cut(1));
        assert_eq!(classlink.pull().await.of(Kind::Users), expected.of(Kind::Users));
        classlink.asked();
        classlink.script(cut(usize::MAX));
        assert_eq!(classlink.failure().await.code, "pull.short");
        assert_eq!(classlink.asked_for("/users"), 2);
    }
}
