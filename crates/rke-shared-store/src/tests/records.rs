//! The life of a record on two nodes.

use std::fs;
use std::time::Duration;

use super::node::*;
use super::server::Server;
use crate::*;

#[tokio::test]
async fn a_key_made_on_one_node_is_used_on_another() {
    let site = Site::new(&[]);
    let (one, two) = (site.node().await, site.node().await);
    let key = secret();
    let id = one.create_for(DOMAIN, &key).await.expect("created");
    let fetched = two.store.fetch(&id, Need::default()).await.expect("fetched");
    assert_eq!(fetched.description(), DESCRIPTION);
    fetched.install(|same, _| assert!(same.matches(&key))).expect("installed");
}

#[tokio::test]
async fn an_unknown_id_is_not_found() {
    let site = Site::new(&[]);
    let node = site.node().await;
    let id = Id::random().expect("random");
    assert!(matches!(node.store.fetch(&id, Need::default()).await, Err(StoreError::NotFound)));
    assert!(matches!(node.store.delete(&id).await, Err(StoreError::NotFound)));
    assert!(matches!(node.store.renew(&id).await, Err(StoreError::NotFound)));
}

#[tokio::test]
async fn a_record_ends_by_the_store_s_clock_and_a_node_hands_on_its_farewell() {
    let mut site = Site::new(&[]);
    site.settings.limits.ttl = Duration::from_millis(1500);
    let node = site.node().await;
    let id = node.create().await.expect("created");
    let held = node.hold(&id).await.expect("held");
    assert!(held.until <= held.ends);
    until(async || !node.can_use(&id).await).await;
    until(async || !crate::lock::lock(&node.ended).is_empty()).await;
    let ended = crate::lock::lock(&node.ended).clone();
    assert_eq!(ended.len(), 1);
    assert_eq!((ended[0].id, ended[0].ending), (id.0, Ending::Removed));
    assert_eq!(
        (ended[0].rest.description.as_slice(), ended[0].rest.farewell.as_deref()),
        (DESCRIPTION, Some(FAREWELL))
    );
}

#[tokio::test]
async fn a_renewal_moves_the_end_up_to_the_latest_one() {
    let mut site = Site::new(&[]);
    site.settings.limits.ttl = Duration::from_secs(100);
    site.settings.limits.max_lifetime = Duration::from_secs(100);
    let node = site.node().await;
    let id = node.create().await.expect("created");
    let before = node.hold(&id).await.expect("held").expires_at;
    assert_eq!(node.store.renew(&id).await.expect("renewed"), before);

    let site = Site::new(&[]);
    let (one, two) = (site.node().await, site.node().await);
    let key = secret();
    let id = one.create_for(DOMAIN, &key).await.expect("created");
    let before = one.hold(&id).await.expect("held").expires_at;
    // A renewal in the same millisecond does not move the end.
    until(async || one.store.renew(&id).await.expect("renewed") > before).await;
    let (first, second) = tokio::join!(one.store.renew(&id), two.store.renew(&id));
    let latest = first.expect("renewed").max(second.expect("renewed"));
    assert!(latest > before);
    let fetched = two.store.fetch(&id, Need::default()).await.expect("fetched");
    fetched
        .install(|same, held| {
            assert!(same.matches(&key));
            assert_eq!(held.expires_at, latest);
        })
        .expect("installed");
}

#[tokio::test]
async fn an_unused_session_ends_and_a_used_one_does_not() {
    let mut site = Site::new(&[]);
    site.settings.limits.idle = Some(Duration::from_secs(2));
    let node = site.node().await;
    let (used, unused) = (node.create().await.expect("created"), node.create().await.expect("created"));
    until(async || {
        node.hold(&used).await.expect("it is used");
        node.count().await == 1
    })
    .await;
    assert!(matches!(node.store.fetch(&unused, Need::default()).await, Err(StoreError::NotFound)));
    node.hold(&used).await.expect("it lives");
}

#[tokio::test]
async fn a_walk_shows_each_record_once() {
    let site = Site::new(&[]);
    let node = site.node().await;
    let before = node.store.changes().await.expect("a number");
    let mut made = Vec::new();
    for _ in 0..25 {
        made.push(node.create().await.expect("created").0);
    }
    assert!(node.store.changes().await.expect("a number") > before);
    let mut seen = Vec::new();
    let walk = node.store.each(|row| {
        assert_eq!(row.description, DESCRIPTION);
        seen.push(row.id.0);
    });
    walk.await.expect("a walk");
    made.sort_unstable();
    seen.sort_unstable();
    assert_eq!(seen, made);
    assert_eq!(node.count().await, 25);
}

#[tokio::test]
async fn the_store_never_sees_an_id_a_key_or_text() {
    let site = Site::new(&["--appendonly", "yes", "--appendfsync", "always"]);
    let (one, two) = (site.node().await, site.node().await);
    let key = secret();
    let (mut ids, mut bytes) = (Vec::new(), Vec::new());
    let shown = site.server.monitored(async {
        for _ in 0..3 {
            let id = one.create_for(DOMAIN, &key).await.expect("created");
            two.hold(&id).await.expect("held");
            one.store.renew(&id).await.expect("renewed");
            ids.push(id);
        }
        one.store.delete(&ids[0]).await.expect("deleted");
        one.store.delete_many(Some(DOMAIN)).await.expect("deleted");
    });
    bytes.extend(shown.await.into_bytes());
    site.server.cli(&["SAVE"]);
    read_all(site.server.folder(), &mut bytes);
    assert!(bytes.len() > 10_000);
    let mut needles: Vec<Vec<u8>> = vec![DOMAIN.into(), DESCRIPTION.into(), FAREWELL.into()];
    needles.extend(ids.iter().map(|id| id.0.to_vec()));
    key.expose(|key| needles.push(key.to_vec()));
    for needle in needles {
        // `MONITOR` shows bytes that are not text as `\xHH`.
        let escaped: String = needle.iter().map(|byte| format!("\\x{byte:02x}")).collect();
        for form in [needle.clone(), hex::encode(&needle).into(), escaped.into_bytes()] {
            assert!(!bytes.windows(form.len()).any(|window| window == form), "{form:?}");
        }
    }
}

fn read_all(folder: &std::path::Path, into: &mut Vec<u8>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => read_all(&path, into),
            false => into.extend(fs::read(path).expect("a file")),
        }
    }
}

#[tokio::test]
async fn a_session_takes_less_than_a_kibibyte() {
    let site = Site::new(&[]);
    let node = site.node().await;
    let used = |server: &Server| {
        let info = server.info("memory");
        let line = info.lines().find_map(|line| line.strip_prefix("used_memory_dataset:")).expect("a line");
        line.trim().parse::<u64>().expect("a number")
    };
    node.create().await.expect("created");
    let (before, description, farewell) = (used(&site.server), [7; 200], [8; 130]);
    for _ in 0..900 {
        let (secret, domain) = (&secret(), DOMAIN);
        let new =
            NewRecord { id: None, secret, domain, description: &description, farewell: Some(&farewell) };
        node.store.create(new).await.expect("created");
    }
    let each = (used(&site.server) - before) / 900;
    assert!(each < 1024, "{each} bytes");
}

#[tokio::test]
async fn keys_are_rotated_while_sessions_live() {
    let site = Site::new(&[]);
    let (one, two) = (site.node().await, site.node().await);
    let old = one.create().await.expect("created");
    key_file::add_key(&site.settings.key_file).expect("added");
    one.store.use_keys(one.store.read_keys().expect("keys"));
    let new = one.create().await.expect("created");
    one.store.renew(&old).await.expect("renewed");
    // The other node has only the old key yet.
    assert!(two.can_use(&old).await);
    assert!(matches!(two.store.fetch(&new, Need::default()).await, Err(StoreError::OtherKeys)));
    // Nor can it delete by domain what it cannot name, and it does not say that it has.
    assert!(matches!(two.store.delete_many(Some("other.test")).await, Err(StoreError::OtherKeys)));
    assert!(matches!(two.store.forget(Some("other.test")).await, Err(StoreError::OtherKeys)));
    two.store.use_keys(two.store.read_keys().expect("keys"));
    assert!(two.store.delete_many(Some("other.test")).await.is_ok());
    assert!(two.can_use(&new).await);
    two.store.delete(&old).await.expect("deleted");
    assert!(!one.can_use(&old).await);
    assert_eq!(one.store.keys_in_use().await.expect("tags").len(), 2);
}

#[tokio::test]
async fn a_walk_leaves_nothing_out_while_others_are_deleted() {
    let mut site = Site::new(&[]);
    site.settings.limits.max = 2000;
    let node = site.node().await;
    let mut live = std::collections::BTreeSet::new();
    for at in 0..620 {
        let domain = if at % 20 == 0 { "gone.test" } else { DOMAIN };
        let id = node.create_for(domain, &secret()).await.expect("created");
        if at % 20 != 0 {
            live.insert(id.0);
        }
    }
    // Those are not swept yet.
    node.store.delete_many(Some("gone.test")).await.expect("deleted");
    let mut seen = Vec::new();
    node.store.each(|row| seen.push(row.id.0)).await.expect("a walk");
    assert_eq!(seen.len(), live.len());
    assert_eq!(seen.into_iter().collect::<std::collections::BTreeSet<_>>(), live);
}

#[tokio::test]
async fn what_is_given_back_twice_counts_once() {
    let site = Site::new(&[]);
    let node = site.node().await;
    let id = node.create().await.expect("created");
    let need = Need { messages: 1, bytes: 1 };
    let first = node.hold_for(&id, need).await.expect("held").block;
    let second = node.hold_for(&id, need).await.expect("held").block;
    node.store.release_twice(&id, first).await;
    let third = node.hold_for(&id, need).await.expect("held").block;
    // A block is a part of what is left: only the second is out.
    assert_eq!(third.messages, (limits().messages - second.messages) / 64);
}
