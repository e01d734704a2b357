//! What holds while the store is away, comes back, or comes back with old data.

use std::fs;
use std::time::{Duration, Instant};

use super::node::*;
use crate::*;

const A_SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn everything_is_answered_within_a_second_while_the_store_is_away() {
    let site = Site::new(&[]);
    let node = site.node().await;
    let id = node.create().await.expect("created");
    site.server.kill();
    for round in 0..2 {
        let begin = Instant::now();
        assert!(matches!(node.create().await, Err(StoreError::Unavailable(_))));
        assert!(begin.elapsed() < A_SECOND, "round {round}");
        let begin = Instant::now();
        assert!(matches!(node.store.fetch(&id, Need::default()).await, Err(StoreError::Unavailable(_))));
        assert!(begin.elapsed() < A_SECOND, "round {round}");
        let begin = Instant::now();
        assert!(matches!(node.store.delete(&id).await, Err(StoreError::Unavailable(_))));
        assert!(begin.elapsed() < A_SECOND, "round {round}");
    }
    until(async || !node.store.is_up()).await;
    site.server.start_again();
    until(async || node.create().await.is_ok()).await;
    until(async || node.store.in_background() == 0).await;
}

#[tokio::test]
async fn an_unconfirmed_deletion_goes_on_and_is_reported_once() {
    let site = Site::new(&[]);
    let (one, two) = (site.node().await, site.node().await);
    let id = one.create().await.expect("created");
    site.server.signal("STOP");
    assert!(matches!(one.store.delete(&id).await, Err(StoreError::Unavailable(_))));
    site.server.signal("CONT");
    until(async || one.store.in_background() == 0).await;
    assert!(!two.can_use(&id).await);
    two.store.delete(&id).await.expect("it is reported");
    assert!(matches!(two.store.delete(&id).await, Err(StoreError::NotFound)));
    assert!(matches!(one.store.delete(&id).await, Err(StoreError::NotFound)));
}

#[tokio::test]
async fn an_unconfirmed_creation_is_taken_back() {
    let site = Site::new(&[]);
    let node = site.node().await;
    site.server.signal("STOP");
    assert!(matches!(node.create().await, Err(StoreError::Unavailable(_))));
    site.server.signal("CONT");
    until(async || node.store.in_background() == 0).await;
    assert_eq!(node.count().await, 0);
}

#[tokio::test]
async fn after_a_new_primary_an_unknown_id_is_not_called_absent() {
    let mut site = Site::new(&[]);
    site.settings.settle = Duration::from_secs(3);
    let node = site.node().await;
    let id = Id::random().expect("random");
    assert!(matches!(node.store.fetch(&id, Need::default()).await, Err(StoreError::Unsettled { .. })));
    assert!(matches!(node.store.delete(&id).await, Err(StoreError::Unsettled { .. })));
    until(async || matches!(node.store.delete(&id).await, Err(StoreError::NotFound))).await;
}

/// A session that was deleted, in a store that was then put back from an older dump.
pub(super) async fn put_back(site: &Site, node: &Node) -> Id {
    let id = node.create().await.expect("created");
    site.server.cli(&["CONFIG", "SET", "rdbcompression", "no"]);
    site.server.cli(&["SAVE"]);
    let (dump, aside) = (site.server.folder().join("dump.rdb"), site.server.folder().join("aside"));
    fs::copy(&dump, &aside).expect("copied");
    let saved = fs::read(&aside).expect("a dump");
    assert!(saved.windows(7).any(|window| window == b"record:"), "the record is in it");
    node.store.delete(&id).await.expect("deleted");
    site.server.kill();
    fs::copy(&aside, &dump).expect("copied");
    site.server.start_again();
    until(async || node.store.count().await.is_ok()).await;
    id
}

#[tokio::test]
async fn a_deleted_session_that_comes_back_with_an_old_dump_does_not_open() {
    let site = Site::new(&[]);
    let node = site.node().await;
    let id = put_back(&site, &node).await;
    assert!(matches!(node.store.fetch(&id, Need::default()).await, Err(StoreError::NotFound)));
    assert_eq!(node.count().await, 0);
    let new = node.create().await.expect("created");
    assert!(node.can_use(&new).await);
}

#[tokio::test]
async fn a_key_that_was_fetched_again_while_its_deletion_was_under_way_is_not_used_after_the_next_one() {
    let site = Site::new(&[]);
    let (one, two) = (site.node().await, site.node().await);
    let id = one.create().await.expect("created");
    one.hold(&id).await.expect("held");
    // As the script runs in the background, for a deletion that was not confirmed, after a request has fetched the key again.
    let names = one.store.names(&id);
    one.store.remove_in_background(&id, names).await;
    let begin = Instant::now();
    assert_eq!(two.store.delete(&id).await.expect("it is reported").holders, 1);
    assert!(!one.copies.can_use(&id), "the first one has wiped it");
    assert!(begin.elapsed() < limits().hold);
}

#[tokio::test]
async fn a_node_with_other_limits_than_the_rest_serves_nothing_any_longer() {
    let mut site = Site::new(&[]);
    let early = site.node().await;
    let id = early.create().await.expect("created");
    early.hold(&id).await.expect("held");
    // The store has lost all that it knew, and others come first.
    site.settings.limits.hold = Duration::from_millis(200);
    site.server.cli(&["FLUSHALL"]);
    let late = site.node().await;
    until(async || !early.store.is_up()).await;
    assert!(!early.copies.can_use(&id), "its hold is longer than the others wait");
    assert!(matches!(early.create().await, Err(StoreError::Unavailable(Outage::OtherLimits))));
    late.create().await.expect("created");
}

#[tokio::test]
async fn a_new_primary_knows_a_node_before_it_serves_it() {
    let site = Site::new(&[]);
    let node = site.node().await;
    node.create().await.expect("created");
    site.server.kill();
    site.server.start_again();
    until(async || node.create().await.is_ok()).await;
    assert!(site.server.cli(&["ZCARD", "rke:{d}:members"]).trim() == "1");
}

#[tokio::test]
async fn what_is_there_is_used_and_deleted_where_no_memory_is_left() {
    let site = Site::new(&[]);
    let node = site.node().await;
    let (one, two) = (node.create().await.expect("created"), node.create().await.expect("created"));
    site.server.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    assert!(matches!(node.create().await, Err(StoreError::Unavailable(_))));
    node.hold(&one).await.expect("held");
    node.store.renew(&one).await.expect("renewed");
    node.store.delete(&one).await.expect("deleted");
    node.store.forget(None).await.expect("forgotten");
    assert_eq!(node.store.delete_many(None).await.expect("deleted"), Some(1));
    assert!(!node.can_use(&two).await);
}

/// Waits until the store is refused for this, and nothing else.
async fn refuses(node: &Node, code: &str) {
    until(async || node.store.outage() == Some(Outage::Refused(code.into()))).await;
}

async fn is_usable(node: &Node) {
    until(async || node.store.is_up()).await;
    node.create().await.expect("created");
}

#[tokio::test]
async fn a_store_that_can_be_reached_and_takes_no_changes_is_an_outage_until_it_takes_them() {
    let site = Site::new(&[]);
    let node = site.node().await;
    is_usable(&node).await;
    let set = |name: &str, value: &str| site.server.cli(&["CONFIG", "SET", name, value]);
    set("min-replicas-to-write", "1");
    refuses(&node, "NOREPLICAS").await;
    set("min-replicas-to-write", "0");
    is_usable(&node).await;
    site.server.cli(&["REPLICAOF", "127.0.0.1", "1"]);
    refuses(&node, "READONLY").await;
    site.server.cli(&["REPLICAOF", "NO", "ONE"]);
    is_usable(&node).await;
    // It cannot save to a folder that is gone.
    set("save", "3600 1");
    fs::remove_dir_all(site.server.folder()).expect("removed");
    site.server.cli(&["BGSAVE"]);
    refuses(&node, "MISCONF").await;
    set("save", "");
    is_usable(&node).await;
}

#[tokio::test]
async fn a_store_without_memory_for_more_is_an_outage_until_it_has_some() {
    let site = Site::new(&[]);
    let node = site.node().await;
    let id = node.create().await.expect("created");
    site.server.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    assert!(matches!(node.create().await, Err(StoreError::Unavailable(_))));
    let refused = || {
        let commands = site.server.info("commandstats");
        let of_scripts = commands.lines().find(|line| line.starts_with("cmdstat_evalsha:"));
        let count =
            of_scripts.and_then(|line| line.split_once("failed_calls=")).map(|(_, count)| count.trim());
        count.and_then(|count| count.parse::<u64>().ok()).expect("a count")
    };
    // Sweeps succeed meanwhile, and each tries to add something.
    let before = refused();
    until(async || refused() > before + 2).await;
    assert_eq!(node.store.outage(), Some(Outage::Refused("OOM".into())));
    node.hold(&id).await.expect("held");
    site.server.cli(&["CONFIG", "SET", "maxmemory", "0"]);
    is_usable(&node).await;
}
