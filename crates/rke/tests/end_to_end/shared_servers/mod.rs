//! Instances of a Content Server that share a store: what was made at one works, and dies, at the other.

mod program;
mod stage;

use std::collections::HashSet;

use rke_host::session_keys::{DataKey, with_key};
use rke_host::usage::{KeyError, KeyUse};
use rke_proto::handshake::{KeyId, Reason, Response};
use rke_raida::content_server::{ContentServer, ReceptionPolicy};
use rke_shared_store::key_file;

use self::stage::{Pair, replay};
use crate::support::again;

fn key_id(text: &str) -> KeyId {
    KeyId(hex::decode(text).expect("hexadecimal").try_into().expect("16 bytes"))
}

/// What the application behind an instance gets under a session's key.
fn encrypt(server: &ContentServer, id: &KeyId) -> Result<[u8; 32], KeyError> {
    let keys = server.session_keys();
    with_key(&*keys, id, DataKey::Encrypt, KeyUse::Encrypt(32), |key| *key)
}

/// The instance's sessions, in the whole store. Those of the same second are listed in any order.
fn listed(server: &ContentServer) -> HashSet<(KeyId, bool)> {
    let sessions = server.session_keys().list().expect("a list");
    sessions.iter().map(|session| (session.key_id, session.is_resumed)).collect()
}

async fn opens(pair: &Pair) -> String {
    pair.create().await.unwrap_or_else(|why| panic!("{why}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_one_instance_is_resumed_and_used_at_the_other_and_dies_at_both() {
    let pair = Pair::start(ReceptionPolicy::default()).await;
    let first = opens(&pair).await;
    let key = key_id(&pair.key_id(&first).await);
    let echoed = pair.echo(&first).await;
    assert!(echoed.status == 200 && echoed.body.contains("hello"), "{}", echoed.body);

    pair.relay.lead_to(&pair.two);
    let echoed = pair.echo(&first).await;
    assert!(echoed.status == 200 && echoed.body.contains("hello"), "{}", echoed.body);
    let resumed = pair.resume().await.unwrap_or_else(|why| panic!("{why}"));
    let resumed_key = key_id(&pair.key_id(&resumed).await);
    for server in [&pair.one, &pair.two] {
        assert_eq!(listed(server), HashSet::from([(key, false), (resumed_key, true)]));
        assert!(server.session_keys().get_ready(&resumed_key, KeyUse::Decrypt).is_ok());
    }
    assert_eq!(encrypt(&pair.one, &key), encrypt(&pair.two, &key));

    // Through the second, a key that the first holds.
    assert!(encrypt(&pair.one, &key).is_ok());
    let deleted = pair.delete_everywhere(&first).await;
    assert_eq!((deleted.status, &deleted.json()["remote"]), (200, &"forgotten".into()), "{}", deleted.body);
    assert_eq!(encrypt(&pair.one, &key), Err(KeyError::NotFound));
    assert_eq!(encrypt(&pair.two, &key), Err(KeyError::NotFound));
    assert!(encrypt(&pair.one, &resumed_key).is_ok(), "the other session lives");
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recorded_first_message_is_refused_by_the_other_instance() {
    let pair = Pair::start(ReceptionPolicy::default()).await;
    let first = opens(&pair).await;
    pair.echo(&first).await;
    let resumed = pair.resume().await.unwrap_or_else(|why| panic!("{why}"));
    assert_ne!(first, resumed);
    let packets = pair.relay.first_packets();
    let refused = Response::Refused(Reason::Replayed).to_bytes();
    let replayed = packets.iter().filter(|packet| replay(pair.two.address(), packet) == refused).count();
    // The exchange, the attachment and the resumption of this test. What came before has been forgotten with its key.
    assert!(replayed >= 3, "{replayed} of {}", packets.len());
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keys_of_a_coin_are_counted_over_all_instances() {
    let rules = ReceptionPolicy { keys_per_coin: 2, unproven_keys: 2, ..ReceptionPolicy::default() };
    let pair = Pair::start(rules).await;
    let mut keys = Vec::new();
    for server in [&pair.one, &pair.two, &pair.one] {
        pair.relay.lead_to(server);
        let id = opens(&pair).await;
        keys.push(key_id(&pair.key_id(&id).await));
    }
    let left: HashSet<KeyId> = listed(&pair.two).into_iter().map(|(key, _)| key).collect();
    assert_eq!(left, keys[1..].iter().copied().collect(), "the one that was unused for longest made room");
    assert_eq!(encrypt(&pair.one, &keys[0]), Err(KeyError::NotFound));
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_lacks_a_key_set_of_the_others_says_so_until_it_has_it() {
    let pair = Pair::start(ReceptionPolicy::default()).await;
    let lacking = "other instances serve a key set that is not in this data folder";
    let elsewhere = pair.with_a_key_set_more().await;
    let says = async |server: &ContentServer, fault: &[&str]| {
        again(async || match server.monitored().faults() {
            faults if faults == fault => Ok(()),
            faults => Err(format!("{faults:?}")),
        })
        .await;
    };
    says(&pair.one, &[lacking]).await;
    says(&pair.two, &[lacking]).await;
    says(&elsewhere.server, &[]).await;
    pair.take_key_set_from(&elsewhere);
    says(&pair.one, &[]).await;
    says(&pair.two, &[]).await;
    elsewhere.server.stop().await;
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tags_in_audit_logs_come_from_the_key_file_of_the_store() {
    let pair = Pair::start(ReceptionPolicy::default()).await;
    let elsewhere = pair.with_a_key_set_more().await;
    pair.relay.lead_to(&elsewhere.server);
    let opened = async |name: &str| {
        let key_id = key_id(&pair.key_id(&opens(&pair).await).await);
        let tag = key_file::read_audit_tags(pair.key_file()).expect("tags").tag(&key_id.0);
        again(async || match std::fs::read_to_string(&elsewhere.audit_log).expect("a log") {
            log if log.contains(&format!(r#""session":"{tag}""#)) => Ok(()),
            log => Err(format!("{name}, {tag}: {log}")),
        })
        .await;
    };
    opened("by the first key").await;
    key_file::add_key(pair.key_file()).expect("another key");
    elsewhere.server.reload_store_keys().expect("keys");
    opened("by the new key").await;
    elsewhere.server.stop().await;
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_store_clients_are_refused_with_words_and_what_it_has_lost_stays_lost() {
    let mut pair = Pair::start(ReceptionPolicy::default()).await;
    let first = opens(&pair).await;
    let key = key_id(&pair.key_id(&first).await);
    pair.redis.signal("STOP");
    let refused = pair.create().await.expect_err("nobody remembers this packet");
    assert!(refused.contains("it is busy"), "{refused}");
    again(async || match encrypt(&pair.two, &key) {
        Err(KeyError::NotHeld) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    let faults = pair.one.monitored().faults();
    assert_eq!(faults, ["the shared store cannot be used"]);
    let kept = pair.delete_everywhere(&first).await;
    assert_eq!((kept.status, &kept.json()["remote"]), (200, &"pending".into()), "{}", kept.body);

    pair.redis.signal("CONT");
    again(async || match encrypt(&pair.two, &key) {
        Err(KeyError::NotFound) => Ok(()),
        other => Err(format!("the deletion goes on: {other:?}")),
    })
    .await;
    let second = again(async || pair.create().await).await;
    let key = key_id(&pair.key_id(&second).await);
    assert!(encrypt(&pair.two, &key).is_ok());

    pair.redis.kill();
    pair.redis.start_again();
    again(async || match encrypt(&pair.two, &key) {
        Err(KeyError::NotFound) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    assert!(again(async || pair.create().await).await != second);
    pair.stop().await;
}
