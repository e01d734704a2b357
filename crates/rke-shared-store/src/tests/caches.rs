//! Resumption secrets and remembered packets that all nodes share.

use std::sync::Arc;
use std::time::Duration;

use rke_secret::Secret;

use super::node::*;
use crate::*;

fn entry<'a>(byte: u8, secret: &'a Secret<32>) -> NewEntry<'a> {
    NewEntry {
        id: Id([byte; 16]),
        secret,
        description: DESCRIPTION,
        farewell: Some(FAREWELL),
        lifetime: Duration::from_secs(600),
        most: 3,
    }
}

async fn begin(node: &Node) -> Exchange {
    match node.store.begin_exchange(DOMAIN).await.expect("a turn") {
        Turn::Own(exchange) => exchange,
        Turn::Others(_) => panic!("another node has the turn"),
    }
}

async fn keep(node: &Node, byte: u8, secret: &Secret<32>) -> Vec<EndedRecord> {
    let exchange = begin(node).await;
    let kept = node.store.keep(&exchange, DOMAIN, &entry(byte, secret)).await;
    node.store.end_exchange(exchange).await;
    kept.expect("kept").expect("it was not forgotten")
}

async fn cached(node: &Node) -> Vec<CacheEntry> {
    node.store.cached(DOMAIN).await.expect("entries")
}

#[tokio::test]
async fn one_exchange_serves_all_nodes() {
    let site = Site::new(&[]);
    let nodes = [Arc::new(site.node().await), Arc::new(site.node().await), Arc::new(site.node().await)];
    let open = |node: &Arc<Node>| {
        let node = Arc::clone(node);
        tokio::spawn(async move {
            loop {
                if !cached(&node).await.is_empty() {
                    return 0;
                }
                if let Turn::Own(exchange) = node.store.begin_exchange(DOMAIN).await.expect("a turn") {
                    if !cached(&node).await.is_empty() {
                        node.store.end_exchange(exchange).await;
                        return 0;
                    }
                    node.store.keep(&exchange, DOMAIN, &entry(1, &secret())).await.expect("kept");
                    node.store.end_exchange(exchange).await;
                    return 1;
                }
                tokio::task::yield_now().await;
            }
        })
    };
    let mut exchanges = 0;
    for opening in nodes.iter().cycle().take(30).map(open).collect::<Vec<_>>() {
        exchanges += opening.await.expect("no panic");
    }
    assert_eq!(exchanges, 1);
}

#[tokio::test]
async fn entries_are_the_same_on_all_nodes() {
    let site = Site::new(&[]);
    let (one, two) = (site.node().await, site.node().await);
    let key = secret();
    keep(&one, 1, &key).await;
    keep(&one, 2, &secret()).await;
    let entries = cached(&two).await;
    assert_eq!(entries.len(), 2);
    let first = entries.iter().find(|entry| entry.id.0 == [1; 16]).expect("an entry");
    assert!(first.secret.matches(&key));
    assert_eq!(first.description, DESCRIPTION);
    let removed = two.store.forget_entry(DOMAIN, &Id([1; 16])).await.expect("removed");
    assert_eq!(removed.expect("an entry").farewell.as_deref(), Some(FAREWELL));
    assert_eq!(cached(&one).await.len(), 1);
    assert!(two.store.forget_entry(DOMAIN, &Id([1; 16])).await.expect("no error").is_none());
}

#[tokio::test]
async fn what_ends_first_makes_room() {
    let site = Site::new(&[]);
    let node = site.node().await;
    for byte in 1..=3 {
        assert!(keep(&node, byte, &secret()).await.is_empty());
    }
    assert_eq!(keep(&node, 4, &secret()).await.len(), 1);
    // A newer one of the same coins replaces the older.
    assert_eq!(keep(&node, 4, &secret()).await.len(), 1);
    assert_eq!(cached(&node).await.len(), 3);
}

#[tokio::test]
async fn an_exchange_that_began_before_a_forget_stores_nothing() {
    for domain in [Some(DOMAIN), None] {
        let site = Site::new(&[]);
        let (one, two) = (site.node().await, site.node().await);
        keep(&one, 1, &secret()).await;
        let exchange = begin(&one).await;
        assert_eq!(two.store.forget(domain).await.expect("forgotten").len(), 1);
        let kept = one.store.keep(&exchange, DOMAIN, &entry(2, &secret())).await.expect("no error");
        assert!(kept.is_none());
        one.store.end_exchange(exchange).await;
        assert!(cached(&two).await.is_empty());
        keep(&two, 3, &secret()).await;
        assert_eq!(cached(&one).await.len(), 1);
    }
}

#[tokio::test]
async fn forgetting_another_domain_changes_nothing() {
    let site = Site::new(&[]);
    let node = site.node().await;
    let exchange = begin(&node).await;
    node.store.forget(Some("other.test")).await.expect("forgotten");
    let kept = node.store.keep(&exchange, DOMAIN, &entry(1, &secret())).await;
    assert!(kept.expect("kept").is_some());
    assert_eq!(cached(&node).await.len(), 1);
}

#[tokio::test]
async fn an_entry_that_comes_back_with_an_old_dump_does_not_open() {
    let site = Site::new(&[]);
    let node = site.node().await;
    keep(&node, 1, &secret()).await;
    site.server.cli(&["SAVE"]);
    site.server.kill();
    site.server.start_again();
    until(async || node.count_if_up().await.is_some()).await;
    assert!(site.server.cli(&["ZCARD", "rke:{d0}:cached"]) == "1\n", "it is back");
    assert!(cached(&node).await.is_empty());
}

#[tokio::test]
async fn a_replayed_packet_is_refused_by_all_instances_and_no_owner_fills_the_memory() {
    let mut site = Site::new(&[]);
    site.settings.role = Role::ContentServer;
    let (one, two) = (site.node().await, site.node().await);
    let limits = ReplayLimits { all: 5, of_owner: 2 };
    let remember = async |node: &Node, packet: u8, owner: &str| {
        node.store.remember(&[packet; 32], &[owner], Duration::from_secs(600), limits).await
    };
    remember(&one, 1, "coin 1").await.expect("accepted");
    for node in [&one, &two] {
        assert!(matches!(remember(node, 1, "coin 1").await, Err(NotRemembered::Replayed)));
        assert!(matches!(remember(node, 1, "coin 2").await, Err(NotRemembered::Replayed)));
    }
    remember(&two, 2, "coin 1").await.expect("accepted");
    assert!(matches!(remember(&one, 3, "coin 1").await, Err(NotRemembered::Full)));
    for packet in 3..=5 {
        remember(&one, packet, &format!("coin {packet}")).await.expect("accepted");
    }
    assert!(matches!(remember(&two, 6, "coin 6").await, Err(NotRemembered::Full)));
}

#[tokio::test]
async fn what_the_memory_forgets_makes_room() {
    let mut site = Site::new(&[]);
    site.settings.role = Role::ContentServer;
    let node = site.node().await;
    let limits = ReplayLimits { all: 1, of_owner: 1 };
    let remember = async |packet: u8, lifetime: Duration| {
        node.store.remember(&[packet; 32], &["coin"], lifetime, limits).await
    };
    remember(1, Duration::from_millis(200)).await.expect("accepted");
    until(async || remember(2, Duration::from_secs(600)).await.is_ok()).await;
    assert!(matches!(remember(3, Duration::from_secs(600)).await, Err(NotRemembered::Full)));
}

#[tokio::test]
async fn a_content_server_s_keys_are_found_by_their_ids_on_each_instance() {
    let mut site = Site::new(&[]);
    let daemon = site.node().await;
    site.settings.role = Role::ContentServer;
    let (one, two) = (site.node().await, site.node().await);
    let (key, id) = (secret(), Id([7; 16]));
    let new = || NewRecord { id: Some(id), secret: &key, domain: DOMAIN, description: b"", farewell: None };
    one.store.create(new()).await.expect("created");
    let fetched = two.store.fetch(&id, Need::default()).await.expect("fetched");
    fetched.install(|same, _| assert!(same.matches(&key))).expect("installed");
    assert!(matches!(daemon.store.fetch(&id, Need::default()).await, Err(StoreError::NotFound)));
    assert!(two.store.delete(&id).await.expect("deleted").rest.expect("a rest").farewell.is_none());
    assert!(matches!(one.store.fetch(&id, Need::default()).await, Err(StoreError::NotFound)));
}

#[tokio::test]
async fn a_coin_that_has_too_many_keys_gives_up_the_one_that_it_has_not_used_for_longest() {
    let mut site = Site::new(&[]);
    site.settings.role = Role::ContentServer;
    let (one, two) = (site.node().await, site.node().await);
    let lifetime = Duration::from_secs(600);
    let mut ids = Vec::new();
    for node in [&one, &two, &one] {
        let id = node.create().await.expect("created");
        assert!(node.store.own("coin 1", &id, lifetime, 3).await.expect("counted").is_empty());
        ids.push(id);
    }
    two.hold(&ids[1]).await.expect("held");
    // The first is used again, so the second is the one to go.
    two.store.own("coin 1", &ids[0], lifetime, 3).await.expect("counted");
    let other = two.create().await.expect("created");
    assert!(two.store.own("coin 2", &other, lifetime, 3).await.expect("counted").is_empty());
    let fourth = one.create().await.expect("created");
    let gone = one.store.own("coin 1", &fourth, lifetime, 3).await.expect("counted");
    assert_eq!((gone.len(), gone[0].holders), (1, 1));
    assert!(!two.can_use(&ids[1]).await);
    for id in [&ids[0], &ids[2], &other, &fourth] {
        assert!(one.can_use(id).await);
    }
    // A deleted one does not count.
    one.store.delete(&ids[0]).await.expect("deleted");
    two.store.disown("coin 1", &ids[0]).await;
    let fifth = one.create().await.expect("created");
    assert!(one.store.own("coin 1", &fifth, lifetime, 3).await.expect("counted").is_empty());
}

#[tokio::test]
async fn a_coin_has_no_more_keys_after_the_keys_of_the_store_are_rotated() {
    let mut site = Site::new(&[]);
    site.settings.role = Role::ContentServer;
    let node = site.node().await;
    let lifetime = Duration::from_secs(600);
    let mut ids = Vec::new();
    for at in 0..4 {
        if at == 2 {
            key_file::add_key(&site.settings.key_file).expect("added");
            node.store.use_keys(node.store.read_keys().expect("keys"));
        }
        let id = node.create().await.expect("created");
        let gone = node.store.own("coin", &id, lifetime, 2).await.expect("counted");
        assert_eq!(gone.len(), usize::from(at >= 2), "{at}");
        ids.push(id);
    }
    for (at, id) in ids.iter().enumerate() {
        assert_eq!(node.can_use(id).await, at >= 2, "{at}");
    }
}

#[tokio::test]
async fn what_was_forgotten_before_a_new_primary_stays_forgotten() {
    let site = Site::new(&[]);
    let node = site.node().await;
    let exchange = begin(&node).await;
    node.store.forget(Some(DOMAIN)).await.expect("forgotten");
    site.server.kill();
    site.server.start_again();
    until(async || node.create().await.is_ok()).await;
    let kept = node.store.keep(&exchange, DOMAIN, &entry(1, &secret())).await.expect("an answer");
    assert!(kept.is_none());
}

#[tokio::test]
async fn keys_whose_lifetime_is_over_do_not_count_on_their_coin() {
    let mut site = Site::new(&[]);
    site.settings.role = Role::ContentServer;
    let node = site.node().await;
    let (first, second) = (node.create().await.expect("created"), node.create().await.expect("created"));
    node.store.own("coin", &first, Duration::from_millis(50), 1).await.expect("counted");
    until(async || site.server.cli(&["--scan", "--pattern", "*owned:*"]).is_empty()).await;
    assert!(node.store.own("coin", &second, Duration::from_secs(600), 1).await.expect("counted").is_empty());
    assert!(node.can_use(&first).await, "it was not deleted, since it did not count");
}

#[tokio::test]
async fn known_content_servers_are_shared_and_replaced_only_by_those_who_have_read_them() {
    let site = Site::new(&[]);
    let (one, two) = (site.node().await, site.node().await);
    let nothing = one.store.known_server(DOMAIN).await.expect("known");
    assert_eq!(nothing.about, None);
    one.store.remember_server(DOMAIN, &nothing, b"CS wide").await.expect("no error").expect("remembered");
    let known = two.store.known_server(DOMAIN).await.expect("known");
    assert_eq!(known.about.as_deref(), Some(&b"CS wide"[..]));
    // The second to come hears about the first.
    let refused = two.store.remember_server(DOMAIN, &nothing, b"impostor").await.expect("no error");
    assert_eq!(refused.expect_err("refused").about.as_deref(), Some(&b"CS wide"[..]));
    // After a rotation it is still known, and an operator may replace it.
    key_file::add_key(&site.settings.key_file).expect("added");
    two.store.use_keys(two.store.read_keys().expect("keys"));
    let before = two.store.keys_in_use().await.expect("tags");
    let known = two.store.known_server(DOMAIN).await.expect("known");
    let after = two.store.keys_in_use().await.expect("tags");
    assert!(after.len() == 1 && after != before, "it is sealed under the new key");
    two.store.remember_server(DOMAIN, &known, b"CS2 wide").await.expect("no error").expect("remembered");
    // A node without the new key does not say that nothing is known: it would trust anyone.
    assert!(matches!(one.store.known_server(DOMAIN).await, Err(StoreError::OtherKeys)));
    one.store.use_keys(one.store.read_keys().expect("keys"));
    let known = one.store.known_server(DOMAIN).await.expect("known");
    assert_eq!(known.about.as_deref(), Some(&b"CS2 wide"[..]));
    assert_eq!(one.store.known_server("other.test").await.expect("known").about, None);
}
