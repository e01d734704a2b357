//! Broken rules. Each test shows that the tests of the rule would notice. The counter is in `limits`.

use std::sync::atomic::{AtomicBool, Ordering};

use super::failures::put_back;
use super::node::*;
use crate::fault::Fault;

#[tokio::test]
async fn without_a_wait_a_deleted_key_is_used() {
    let site = Site::with_long_holds();
    let (one, two) = (site.broken_node(Fault::DeleteWithoutWait).await, site.node().await);
    let id = one.create().await.expect("created");
    two.hold(&id).await.expect("held");
    let copies = std::sync::Arc::clone(&two.copies);
    drop(two);
    one.store.delete(&id).await.expect("deleted");
    assert!(copies.can_use(&id), "a node that does not answer still uses it");
}

#[tokio::test]
async fn without_incarnations_a_deleted_session_comes_back() {
    let site = Site::new(&[]);
    let node = site.broken_node(Fault::NoIncarnation).await;
    let id = put_back(&site, &node).await;
    assert!(node.can_use(&id).await, "the old dump has brought it back");
}

#[tokio::test]
async fn if_holders_hear_of_a_deletion_before_the_record_is_removed_they_fetch_it_again() {
    for (fault, is_used) in [(None, false), (Some(Fault::AnnounceFirst), true)] {
        let site = Site::with_long_holds();
        let one = site.node_with(site.settings.clone(), fault).await.expect("a node");
        let two = site.node().await;
        let id = one.create().await.expect("created");
        two.hold(&id).await.expect("held");
        let is_deleted = AtomicBool::new(false);
        let deletion = async {
            one.store.delete(&id).await.expect("deleted");
            is_deleted.store(true, Ordering::Relaxed);
        };
        let uses = async {
            while !is_deleted.load(Ordering::Relaxed) {
                two.can_use(&id).await;
                tokio::task::yield_now().await;
            }
        };
        tokio::join!(deletion, uses);
        assert_eq!(two.copies.can_use(&id), is_used, "{fault:?}");
    }
}
