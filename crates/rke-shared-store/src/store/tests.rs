//! What scripts do with requests that arrive late.

use super::*;
use crate::name::Kind;
use crate::tests::node::{DESCRIPTION, DOMAIN, Site, secret, until};

#[tokio::test]
async fn a_creation_that_arrives_after_it_was_taken_back_adds_nothing() {
    let site = Site::new(&[]);
    let node = site.node().await;
    let (shared, id, key) = (&node.store.shared, Id([7; 16]), secret());
    let new =
        || NewRecord { id: Some(id), secret: &key, domain: DOMAIN, description: DESCRIPTION, farewell: None };
    let name = shared.keys().sealing().name(Kind::Session, &id);
    shared.run(&shared.scripts.take_back, 0, &[&name.0]).await.expect("taken back");
    assert!(node.store.create(new()).await.is_err());
    assert_eq!(node.count().await, 0);
}

#[tokio::test]
async fn a_renewal_that_arrives_after_another_changes_nothing() {
    let site = Site::new(&[]);
    let node = site.node().await;
    let id = node.create().await.expect("created");
    let shared = &node.store.shared;
    let name = shared.keys().sealing().name(Kind::Session, &id);
    let key = [shared.prefix(0), b"record:".to_vec(), name.0.to_vec()].concat();
    let raw = async || -> Vec<u8> {
        let raw = shared.link.command(redis::cmd("GET").arg(key.as_slice())).await.expect("a record");
        redis::from_redis_value(raw).expect("bytes")
    };
    let old = raw().await;
    let before = Record::decode(&old).expect("a record");
    until(async || node.store.renew(&id).await.expect("renewed") > before.head.expires_at).await;
    let renewed = raw().await;
    let args: [&[u8]; 4] = [&name.0, &before.secret, &old, b"0"];
    let reply = shared.run(&shared.scripts.renew, 0, &args).await.expect("a reply");
    assert_eq!(reply.status, "changed");
    assert_eq!(raw().await, renewed);
}
