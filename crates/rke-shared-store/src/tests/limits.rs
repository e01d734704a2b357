//! The limits of the store and of keys.

use std::sync::Arc;
use std::time::Duration;

use super::node::*;
use crate::fault::Fault;
use crate::*;

/// Fills a store of five from three nodes at once. Returns how many creations succeeded.
async fn fill(site: &Site, fault: Option<Fault>) -> (usize, Vec<Arc<Node>>) {
    let mut nodes = Vec::new();
    for _ in 0..3 {
        nodes.push(Arc::new(site.node_with(site.settings.clone(), fault).await.expect("a node")));
    }
    let create = |number: usize| {
        let node = Arc::clone(&nodes[number % 3]);
        tokio::spawn(async move { node.create().await })
    };
    let mut made = 0;
    for creation in (0..30).map(create).collect::<Vec<_>>() {
        match creation.await.expect("no panic") {
            Ok(_) => made += 1,
            Err(StoreError::Full { max: 5, .. }) => (),
            Err(error) => panic!("{error}"),
        }
    }
    (made, nodes)
}

fn small(ttl: Duration) -> Site {
    let mut site = Site::new(&[]);
    site.settings.limits.max = 5;
    site.settings.limits.ttl = ttl;
    site
}

#[tokio::test]
async fn the_limit_is_exact_over_all_nodes() {
    let site = small(Duration::from_secs(600));
    let (made, nodes) = fill(&site, None).await;
    assert_eq!((made, nodes[0].count().await), (5, 5));
    let Err(StoreError::Full { retry_after, .. }) = nodes[1].create().await else { panic!("it is full") };
    assert!(retry_after > Duration::from_secs(500) && retry_after <= Duration::from_secs(600));
}

#[tokio::test]
async fn what_has_expired_makes_room_and_a_counter_would_not_notice_it() {
    for (fault, room) in [(None, true), (Some(Fault::Counter), false)] {
        let site = small(Duration::from_secs(2));
        let (made, nodes) = fill(&site, fault).await;
        assert_eq!(made, 5);
        until(async || nodes[0].count().await == 0).await;
        assert_eq!(nodes[1].create().await.is_ok(), room, "{fault:?}");
    }
}

#[tokio::test]
async fn what_was_deleted_makes_room_at_once() {
    let site = small(Duration::from_secs(600));
    let (_, nodes) = fill(&site, None).await;
    nodes[0].store.delete_many(Some(DOMAIN)).await.expect("deleted");
    for _ in 0..5 {
        nodes[1].create().await.expect("there is room");
    }
    assert!(matches!(nodes[1].create().await, Err(StoreError::Full { .. })));
    assert_eq!(nodes[2].store.delete_many(None).await.expect("deleted"), Some(5));
    for _ in 0..5 {
        nodes[1].create().await.expect("there is room");
    }
    assert!(matches!(nodes[1].create().await, Err(StoreError::Full { .. })));
}

#[tokio::test]
async fn nodes_together_encrypt_as_much_as_a_key_may_and_a_killed_node_s_block_counts() {
    let mut site = Site::new(&[]);
    site.settings.limits.messages = 100;
    site.settings.limits.bytes = 1000;
    let (one, two) = (site.node().await, site.node().await);
    let id = one.create().await.expect("created");
    let need = |messages, bytes| Need { messages, bytes };
    let held = one.hold_for(&id, need(60, 600)).await.expect("held");
    assert_eq!(held.block, Block { messages: 60, bytes: 600 });
    assert!(matches!(two.store.fetch(&id, need(41, 1)).await, Err(StoreError::UsedUp)));
    assert!(matches!(two.store.fetch(&id, need(1, 401)).await, Err(StoreError::UsedUp)));
    two.hold_for(&id, need(40, 400)).await.expect("held");
    assert!(matches!(one.store.extend(&id, need(1, 0), |_| ()).await, Err(StoreError::UsedUp)));
    // Decryption goes on.
    one.store.extend(&id, Need::default(), |_| ()).await.expect("extended");
    one.store.release(&id, Block { messages: 10, bytes: 100 }).await;
    two.store.extend(&id, need(10, 100), |_| ()).await.expect("what was given back can be used");
    assert!(matches!(two.store.extend(&id, need(1, 1), |_| ()).await, Err(StoreError::UsedUp)));
    two.store.renew(&id).await.expect("renewed");
    assert!(matches!(two.store.extend(&id, need(1, 1), |_| ()).await, Err(StoreError::UsedUp)));
}

#[tokio::test]
async fn a_node_with_other_limits_does_not_start_while_another_one_lives() {
    let site = Site::new(&[]);
    let _node = site.node().await;
    let mut settings = site.settings.clone();
    settings.limits.max = 7;
    settings.limits.hold = Duration::from_millis(200);
    let error = site.node_with(settings, None).await.err().expect("an error").to_string();
    assert!(
        error.contains("max-sessions=7 here, max-sessions=1000 there; hold=200 here, hold=1000 there"),
        "{error}"
    );
    assert!(!error.contains("key-bytes"), "{error}");
}
