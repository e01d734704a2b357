//! The live wire: 1-byte shares in envelope 1. It works where it is allowed, says that it is weak,
//! and is: whoever sees the handshake finds the key in 256 tries.

use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rke_daemon::Domain;
use rke_proto::derive::{self, ShareWidth};
use rke_proto::tunnel::{HandshakeNonce, PacketHeader};
use rke_proto::{ContentServerId, KeyContext, cipher};
use rke_raida::network::LocalNetwork;
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use crate::records::Detour;
use crate::support::DOMAIN;
use crate::tunnel::{arguments, rke};

/// The records of a Content Server of the public network, at a port where an eavesdropper listens.
async fn eavesdropped(
    network: &LocalNetwork,
    seen: Arc<Mutex<Vec<u8>>>,
) -> rke_raida::content_server::DnsRecords {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let mut records = network.records().clone();
    records.port = listener.local_addr().expect("an address").port();
    records.texts.retain(|text| !text.contains("share-bytes"));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut header = [0; 32];
            if stream.read_exact(&mut header).await.is_ok() {
                *seen.lock().expect("unpoisoned") = header.to_vec();
            }
        }
    });
    records
}

#[tokio::test(flavor = "multi_thread")]
async fn narrow_shares_are_refused_unless_the_domain_is_allowed_to() {
    let detour = async |network: &LocalNetwork, _: &tempfile::TempDir| {
        let mut records = network.records().clone();
        records.texts.retain(|text| !text.contains("share-bytes"));
        records
    };
    let detour = Detour::new(detour, |_| ()).await;
    let refused = detour.create().await;
    assert_eq!(refused.status, 403, "{}", refused.body);
    assert!(refused.body.contains("weak (1-byte) key shares"), "{}", refused.body);
    detour.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_weak_key_is_found_in_256_tries_by_whoever_sees_the_handshake() {
    let seen = Arc::default();
    let detour =
        async |network: &LocalNetwork, _: &tempfile::TempDir| eavesdropped(network, Arc::clone(&seen)).await;
    let detour = Detour::new(detour, |config| {
        config.allow_weak_shares = vec![Domain::new(DOMAIN).expect("a domain")];
    })
    .await;
    let shown = detour.show(&detour.create().await).await;
    assert_eq!((&shown["key_bits"], &shown["envelope"]), (&json!(8), &json!([1])), "{shown}");
    let id = shown["session_id"].as_str().expect("an id");
    let encrypted = detour.get(&format!("/api/rke/encrypt?session_id={id}&plaintext=SGVsbG8gV29ybGQh")).await;
    let ciphertext = STANDARD.decode(encrypted.json()["ciphertext"].as_str().expect("text")).expect("Base64");
    let nonce = hex::decode(encrypted.json()["nonce"].as_str().expect("text")).expect("hex");
    let nonce: [u8; 16] = nonce.try_into().expect("16 bytes");
    // The program says so too.
    let (daemon, wallet) = (detour.daemon.address(), detour.network.wallet().display());
    let create = format!("session create {DOMAIN} --wallet {wallet} --daemon {daemon}");
    let (success, _, log) = rke(arguments(&create), "").await;
    assert!(success && log.contains("WEAK") && log.contains("has not confirmed the key"), "{log}");
    let (success, _, log) = rke(arguments(&format!("{create} --json")), "").await;
    assert!(success && log.contains("WEAK") && !log.contains("opened with"), "{log}");
    // Nothing but what went over the wire in clear.
    let header: [u8; 32] = seen.lock().expect("unpoisoned").clone().try_into().expect("a header");
    let header = PacketHeader::decode(&header).expect("a packet");
    let handshake = HandshakeNonce::decode(&header.nonce).expect("a handshake");
    let cs_id = ContentServerId::new("CONTENT-SERVER01").expect("an ID");
    let context: KeyContext = handshake.context(cs_id);
    let found = (0..=255_u8).find(|guess| {
        let (mut sum, mut key, mut data) = ([0; 32], [0; 32], ciphertext.clone());
        sum[0] = *guess;
        derive::key(&sum, ShareWidth::Narrow, &context, handshake.bitmap, &mut key);
        cipher::aes256_ctr(&key, &nonce, &mut data);
        data == b"Hello World!"
    });
    assert!(found.is_some(), "the key was not found");
    detour.stop().await;
}
