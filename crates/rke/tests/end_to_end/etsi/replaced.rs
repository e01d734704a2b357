//! The sessions that keys come from are replaced in time, and the one before stays, so that its keys can still be fetched.

use std::collections::BTreeSet;
use std::time::Duration;

use rke_daemon::{EtsiClient, EtsiServer, SaeIdentity};
use serde_json::json;

use super::{Keys, ask, ids, keys, listen, post, sae, sessions};
use crate::support::{Stage, again};

/// Makes more than half of the keys that a session gives.
async fn use_up_half(both: &Keys) {
    for _ in 0..257 {
        keys(&post(both.alice, "bob/enc_keys", &json!({"number": 128})).await);
    }
}

/// The sessions, once there are two and `known` are not the same.
async fn another(both: &Keys, known: &BTreeSet<String>) -> BTreeSet<String> {
    again(async || {
        let open: BTreeSet<String> = sessions(&both.stage).await.into_iter().collect();
        if open.len() == 2 && open != *known { Ok(open) } else { Err(format!("{open:?}")) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_whose_keys_run_out_is_replaced_and_the_one_before_it_stays() {
    let both = Keys::new().await;
    let early = keys(&ask(both.bob, "alice/enc_keys").await);
    let first: BTreeSet<String> = sessions(&both.stage).await.into_iter().collect();
    use_up_half(&both).await;
    let second = another(&both, &first).await;
    assert!(second.is_superset(&first));
    assert_eq!(keys(&post(both.alice, "bob/dec_keys", &ids(&early)).await), early);
    use_up_half(&both).await;
    let third = another(&both, &second).await;
    assert!(third.is_disjoint(&first), "the one before the last is over");
    both.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_replaced_in_the_middle_of_its_life() {
    let stage = Stage::with(|config| config.reloadable.session_ttl = Duration::from_secs(8)).await;
    let both = Keys::with(stage, ["alice", "bob"].map(|name| SaeIdentity::Only(sae(name)))).await;
    let first: BTreeSet<String> = sessions(&both.stage).await.into_iter().collect();
    let second = another(&both, &first).await;
    assert!(second.is_superset(&first), "the first one lives");
    both.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn new_keys_come_from_a_new_session_soon_after_the_content_server_was_started_again() {
    let mut both = Keys::new().await;
    let first: BTreeSet<String> = sessions(&both.stage).await.into_iter().collect();
    both.stage.network.restart_content_server().await.expect("a Content Server");
    let server_keys = both.stage.network.session_keys().expect("a Content Server");
    let there = listen(SaeIdentity::Only(sae("bob"))).await;
    let bob = there.address();
    let clients = [EtsiClient { coin: "0:1001".parse().expect("a coin"), sae: sae("alice") }];
    let there = EtsiServer::at_content_server(there, server_keys, &clients);
    // Nothing else than requests for keys makes the daemon look.
    let made = again(async || {
        let made = keys(&ask(both.alice, "bob/enc_keys").await);
        let fetched = post(bob, "alice/dec_keys", &ids(&made)).await;
        if fetched.status == 200 { Ok((made, keys(&fetched))) } else { Err(format!("{fetched:?}")) }
    })
    .await;
    assert_eq!(made.0, made.1);
    another(&both, &first).await;
    there.stop().await;
    both.stop().await;
}
