//! RAIDAs that return wrong 1-byte shares: the daemon tries other sets of RAIDAs, and nobody can say who lied.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use rke_proto::Form;
use rke_raida::content_server::DnsRecords;
use rke_raida::network::LocalNetwork;
use serde_json::json;

use super::{check_weakly_authenticated, echo, k, scene};
use crate::listener::Listener;
use crate::records::{Detour, moved};
use crate::relay::{Fault, Relays};

/// A second network with the same coins, and other master secrets of the same key set.
struct Liars {
    network: LocalNetwork,
    _dir: tempfile::TempDir,
}

impl Liars {
    async fn like(network: &LocalNetwork) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let from = network.wallet().parent().expect("a folder");
        for wallet in ["wallet", "content-server/wallet", "other-operator/wallet"] {
            copy(&from.join(wallet), &dir.path().join(wallet));
        }
        let mut network = crate::support::network(&dir).await;
        network.add_key_set(k(2), Form::Handshake3Narrow).await.expect("a key set");
        Self { network, _dir: dir }
    }

    /// The network's RAIDAs, with liars in place of the first `count`.
    fn in_place_of(&self, network: &LocalNetwork, count: usize) -> Vec<SocketAddr> {
        let (liars, honest) = (self.network.node_addresses(), network.node_addresses());
        [&liars[..count], &honest[count..]].concat()
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let copied = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &copied);
        } else {
            fs::copy(&path, &copied).expect("copied");
        }
    }
}

/// A network whose first RAIDAs lie, and a listener on the daemon's connections to its Content Server.
async fn with_liars(count: usize) -> (Detour, Liars, Listener) {
    let mut others = None;
    let lying = async |network: &mut LocalNetwork, records: DnsRecords| {
        let liars = Liars::like(network).await;
        let listener = Listener::before(network.content_server_address()).await;
        let endpoints = liars.in_place_of(network, count);
        let records = DnsRecords { port: listener.address.port(), ..records };
        others = Some((liars, listener));
        moved(network, records, &endpoints)
    };
    let detour = scene(lying, |_| ()).await;
    let (liars, listener) = others.expect("liars");
    (detour, liars, listener)
}

/// The kind of the first packet on each connection to the Content Server.
fn kinds(listener: &Listener) -> Vec<u8> {
    listener.heard().iter().map(|[client, _]| client[4]).collect()
}

async fn check_nobody_is_called_a_liar(detour: &Detour) {
    let raidas = detour.get("/api/rke/raidas").await.json();
    let rows = raidas["raidas"].as_array().expect("rows");
    assert!(rows.iter().all(|row| row["lies"] == 0 && row["state"] != "lying"), "{raidas}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_liar_is_left_out_and_nobody_can_say_who_it_is() {
    let (detour, liars, listener) = with_liars(1).await;
    let shown = detour.show(&detour.create().await).await;
    check_weakly_authenticated(&shown);
    let raidas = shown["raidas"].as_array().expect("RAIDAs");
    assert!(raidas.len() == 13 && !raidas.contains(&json!(0)), "{shown}");
    assert_eq!(echo(&detour, &shown).await, b"to and fro");
    let kinds = kinds(&listener);
    let (attach, exchanges) = kinds.split_last().expect("connections");
    assert!(*attach == 5 && (2..=4).contains(&exchanges.len()), "{kinds:?}");
    assert!(exchanges.iter().all(|kind| *kind == 1), "no share check over narrow shares: {kinds:?}");
    check_nobody_is_called_a_liar(&detour).await;
    detour.stop().await;
    liars.network.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_sets_of_raidas_are_tried_and_then_there_is_no_session() {
    let (detour, liars, listener) = with_liars(13).await;
    let refused = detour.create().await;
    let message = refused.json()["message"].as_str().expect("a message").to_owned();
    assert!(
        refused.status == 502 && message.contains("refused the shares of 5 sets of RAIDAs"),
        "{refused:?}"
    );
    assert_eq!(kinds(&listener), [1; 5]);
    check_nobody_is_called_a_liar(&detour).await;
    let status = detour.get("/api/rke/status").await.json();
    assert_eq!((&status["sessions"]["total"], &status["keystore"]["total"]), (&json!(0), &json!(0)));
    let metrics = detour.get("/metrics").await.body;
    assert!(metrics.contains("rke_session_creations_total{outcome=\"too_few_right\"} 1\n"), "{metrics}");
    detour.stop().await;
    liars.network.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_liar_that_answers_first_does_not_keep_out_the_honest_who_take_long() {
    let mut liars = None;
    let slow = async |network: &mut LocalNetwork, records: DnsRecords| {
        let lying = Liars::like(network).await;
        // Thirteen RAIDAs answer at once. They form only one set, and one of them lies.
        let faults = (0..25).map(|at| if at > 12 { Fault::Slow } else { Fault::None }).collect();
        let relays = Relays::start(&lying.in_place_of(network, 1), faults, 0).await;
        liars = Some(lying);
        moved(network, records, &relays.endpoints())
    };
    let detour = scene(slow, |_| ()).await;
    let shown = detour.show(&detour.create().await).await;
    check_weakly_authenticated(&shown);
    assert!(!shown["raidas"].as_array().expect("RAIDAs").contains(&json!(0)), "{shown}");
    detour.stop().await;
    liars.expect("liars").network.stop().await;
}
