//! What a deletion promises: afterwards nobody uses the key.

use std::time::{Duration, Instant};

use super::node::*;
use crate::*;

#[tokio::test]
async fn after_a_deletion_no_node_uses_the_key() {
    let site = Site::new(&[]);
    let nodes = [site.node().await, site.node().await, site.node().await];
    let id = nodes[0].create().await.expect("created");
    for node in &nodes {
        node.hold(&id).await.expect("held");
    }
    let begin = Instant::now();
    let deleted = nodes[1].store.delete(&id).await.expect("deleted");
    assert!(begin.elapsed() < limits().hold, "the holders answered");
    assert_eq!(deleted.holders, 2);
    assert_eq!(deleted.rest.expect("what is left").farewell.as_deref(), Some(FAREWELL));
    for node in &nodes {
        assert!(!node.can_use(&id).await);
        assert!(matches!(node.store.delete(&id).await, Err(StoreError::NotFound)));
    }
}

#[tokio::test]
async fn each_holder_of_a_copy_says_what_it_found_when_it_is_to_search() {
    let site = Site::new(&[]);
    let nodes = [site.node().await, site.node().await, site.node().await];
    let id = nodes[0].create().await.expect("created");
    for node in &nodes[..2] {
        node.hold(&id).await.expect("held");
    }
    let deleted = nodes[2].store.delete_and_search(&id).await.expect("deleted");
    assert_eq!((deleted.holders, deleted.searches), (2, vec![SEARCH; 2]));
    for node in &nodes {
        assert!(!node.can_use(&id).await);
    }

    let id = nodes[0].create().await.expect("created");
    for node in &nodes[..2] {
        node.hold(&id).await.expect("held");
    }
    // A copy that is gone leaves nothing to search for.
    nodes[0].store.wipe_holds();
    let deleted = nodes[1].store.delete_and_search(&id).await.expect("deleted");
    assert_eq!((deleted.holders, deleted.searches), (1, Vec::new()));
}

#[tokio::test]
async fn a_holder_that_does_not_answer_is_waited_for_until_its_hold_is_over() {
    let site = Site::new(&[]);
    let (one, two) = (site.node().await, site.node().await);
    let id = one.create().await.expect("created");
    two.hold(&id).await.expect("held");
    let copies = std::sync::Arc::clone(&two.copies);
    drop(two);
    let begin = Instant::now();
    one.store.delete(&id).await.expect("deleted");
    assert!(begin.elapsed() >= limits().hold);
    assert!(!copies.can_use(&id), "its hold is over");
}

#[tokio::test]
async fn a_node_that_has_given_back_its_block_still_hears_of_a_deletion() {
    let site = Site::new(&[]);
    let (one, two) = (site.node().await, site.node().await);
    let id = one.create().await.expect("created");
    two.hold_for(&id, Need { messages: 1, bytes: 1 }).await.expect("held");
    // As if it arrived after the next fetch.
    two.store.release(&id, Block { messages: 1, bytes: 1 }).await;
    assert_eq!(one.store.delete(&id).await.expect("deleted").holders, 1);
    assert!(!two.copies.can_use(&id));
}

#[tokio::test]
async fn deleting_all_reaches_every_holder() {
    let site = Site::new(&[]);
    let (one, two) = (site.node().await, site.node().await);
    let mut ids = Vec::new();
    for _ in 0..10 {
        let id = one.create().await.expect("created");
        two.hold(&id).await.expect("held");
        ids.push(id);
    }
    let begin = Instant::now();
    assert_eq!(one.store.delete_many(None).await.expect("deleted"), Some(10));
    assert!(begin.elapsed() < limits().hold, "the holder answered");
    for id in &ids {
        assert!(!two.can_use(id).await && !one.can_use(id).await);
    }
    // Each is handed on, so that its key is wiped at the other end too.
    let ended = async || crate::lock::lock(&one.ended).len() + crate::lock::lock(&two.ended).len();
    until(async || ended().await == 10).await;
}

#[tokio::test]
async fn deleting_a_domain_leaves_the_others() {
    let site = Site::new(&[]);
    let (one, two) = (site.node().await, site.node().await);
    let (gone, stays) =
        (one.create_for("gone.test", &secret()).await, one.create_for("stays.test", &secret()).await);
    let (gone, stays) = (gone.expect("created"), stays.expect("created"));
    two.hold(&gone).await.expect("held");
    two.hold(&stays).await.expect("held");
    one.store.delete_many(Some("gone.test")).await.expect("deleted");
    assert!(!two.can_use(&gone).await && two.copies.can_use(&stays));
    let later = one.create_for("gone.test", &secret()).await.expect("created");
    assert!(two.can_use(&later).await);
    // Once the deleted ones are removed, nothing about the domain is left, and it stays so.
    until(async || site.server.cli(&["HLEN", "rke:{d0}:domains"]) == "0\n").await;
    assert!(!two.can_use(&gone).await && two.can_use(&later).await);
    assert_eq!(one.count().await, 2);
}

#[tokio::test]
async fn a_key_that_is_deleted_on_its_way_is_not_installed() {
    let site = Site::new(&[]);
    let (one, two) = (site.node().await, site.node().await);
    let id = one.create().await.expect("created");
    for deleting in [&two, &one] {
        let id = if deleting.can_use(&id).await { id } else { one.create().await.expect("created") };
        let on_its_way = one.store.fetch(&id, Need::default()).await.expect("fetched");
        deleting.store.delete(&id).await.expect("deleted");
        assert!(matches!(on_its_way.install(|_, _| ()), Err(StoreError::Overtaken)));
    }
}

#[tokio::test]
async fn a_deletion_goes_on_if_nobody_waits_for_it() {
    let site = Site::new(&[]);
    let node = site.node().await;
    let id = node.create().await.expect("created");
    {
        let deletion = node.store.delete(&id);
        let nobody = tokio::time::timeout(Duration::ZERO, deletion);
        let _ = nobody.await;
    }
    until(async || !node.can_use(&id).await).await;
}

#[tokio::test]
async fn another_node_takes_over_what_a_dead_one_has_not_wiped_at_the_other_end() {
    let site = Site::new(&[]);
    let (one, two) = (site.node().await, site.node().await);
    let id = one.create().await.expect("created");
    one.store.delete(&id).await.expect("deleted");
    drop(one);
    assert!(crate::lock::lock(&two.ended).is_empty(), "the dead one still has time");
    let give_up =
        "for _, n in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do redis.call('ZADD', KEYS[1], 0, n) end";
    let age = || site.server.cli(&["EVAL", give_up, "1", "rke:{d0}:farewells"]);
    age();
    until(async || !crate::lock::lock(&two.ended).is_empty()).await;
    let heard = crate::lock::lock(&two.ended)[0].clone();
    assert_eq!(
        (heard.id, heard.ending, heard.rest.farewell.as_deref()),
        (id.0, Ending::Overdue, Some(FAREWELL))
    );
    two.store.farewell_done(&id, &heard.rest).await.expect("done");
    assert_eq!(site.server.cli(&["ZCARD", "rke:{d0}:farewells"]), "0\n");
    assert_eq!(site.server.cli(&["--scan", "--pattern", "rke:*farewell:*"]), "");
}

#[tokio::test]
async fn a_deletion_of_others_does_not_end_a_key_on_its_way() {
    let site = Site::new(&[]);
    let (one, two) = (site.node().await, site.node().await);
    let id = one.create().await.expect("created");
    let mut is_first = true;
    let brought = one.store.bring(&id, Need::default(), |fetched| {
        if std::mem::take(&mut is_first) {
            // What the announcement does.
            one.store.wipe_holds();
        }
        fetched.install(|_, _| ())
    });
    brought.await.expect("it is fetched again");
    two.store.delete_many(Some("other.test")).await.expect("deleted");
    two.store.delete(&id).await.expect("deleted");
    let gone = one.store.bring(&id, Need::default(), |fetched| fetched.install(|_, _| ())).await;
    assert!(matches!(gone, Err(StoreError::NotFound)));
}
