//! The key is the right one: it is derived a second time, from the master secrets and from what one
//! RAIDA was asked, and decrypts what the API encrypted.

use std::sync::{Arc, Mutex};

use crate::support::{DOMAIN, config, get, network};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rke_daemon::Daemon;
use rke_host::wallet::CoinFile;
use rke_proto::derive::ShareWidth;
use rke_proto::header::RequestHeader;
use rke_proto::{Bitmap, EnvelopeKey, KeyContext, RaidaIndex, cipher, command, envelope};
use rke_raida::dns::DnsServer;
use rke_raida::network::LocalNetwork;
use rke_secret::Secret;
use tokio::net::UdpSocket;

type Asked = Arc<Mutex<Option<Vec<u8>>>>;

/// Stands before a node, keeps the last request and passes everything on.
async fn tap(node: std::net::SocketAddr, asked: Asked) -> std::net::SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let address = socket.local_addr().expect("an address");
    tokio::spawn(async move {
        let (mut buffer, mut client) = ([0; 2048], None);
        while let Ok((len, from)) = socket.recv_from(&mut buffer).await {
            if from == node {
                let to = client.expect("a client asked first");
                socket.send_to(&buffer[..len], to).await.expect("sent");
            } else {
                client = Some(from);
                *asked.lock().expect("unpoisoned") = Some(buffer[..len].to_vec());
                socket.send_to(&buffer[..len], node).await.expect("sent");
            }
        }
    });
    address
}

/// Opens a request with the ANs that the wallet has for RAIDA 0.
fn context_of(wallet: &std::path::Path, mut request: Vec<u8>) -> KeyContext {
    let raida = RaidaIndex::new(0).expect("RAIDA 0");
    let an = |name: &str| {
        let file = CoinFile::open(&wallet.join("Bank").join(name)).expect("a coin file");
        file.an(0, raida).expect("an AN")
    };
    let key = EnvelopeKey::type_5(&an("coin-1.bin"), &an("coin-2.bin")).expect("a key");
    let header = RequestHeader::decode(&request).expect("a header");
    let body = envelope::open_request(&header, &key, &mut request).expect("an open request");
    let (_, rest) = command::split_challenge(body).expect("a challenge");
    command::decode_share_request(rest).expect("a share request")
}

/// A session whose key is known here as well.
pub(crate) struct KnownKey {
    pub(crate) daemon: Daemon,
    pub(crate) id: String,
    pub(crate) key: Secret<32>,
    dns: DnsServer,
    network: LocalNetwork,
    _dir: tempfile::TempDir,
}

impl KnownKey {
    pub(crate) async fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let network = network(&dir).await;
        let asked = Asked::default();
        let node = network.node_addresses()[0];
        let tapped = tap(node, Arc::clone(&asked)).await;
        let mut records = network.records().clone();
        let texts = records.texts.iter_mut();
        texts.for_each(|text| *text = text.replace(&node.to_string(), &tapped.to_string()));
        let loopback = "127.0.0.1".parse().expect("an address");
        let dns = DnsServer::start("127.0.0.1:0".parse().expect("an address"), [&records], loopback).await;
        let dns = dns.expect("a DNS server");
        let daemon = Daemon::start(config(&dir, dns.address())).await.expect("a daemon");
        let target = format!("/api/rke/session?domain={DOMAIN}&wallet_path={}", network.wallet().display());
        let created = get(daemon.address(), &target).await.json();
        let id = created["session_id"].as_str().expect("an id").to_owned();
        let shown = get(daemon.address(), &format!("/api/rke/session/{id}")).await.json();
        let raidas =
            shown["raidas"].as_array().expect("indexes").iter().filter_map(serde_json::Value::as_u64);
        let bitmap: Bitmap = raidas.filter_map(|raida| RaidaIndex::new(raida as u8)).collect();
        let request = asked.lock().expect("unpoisoned").take().expect("RAIDA 0 was asked");
        let context = context_of(network.wallet(), request);
        let key = network.master_secrets().session_key(&context, ShareWidth::Wide, bitmap).expect("a key");
        Self { daemon, id, key, dns, network, _dir: dir }
    }

    pub(crate) async fn stop(self) {
        self.daemon.stop().await;
        self.dns.stop().await;
        self.network.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_content_server_derives_the_same_key() {
    let known = KnownKey::new().await;
    let plaintext = STANDARD.encode("what only two ends can read");
    let target =
        format!("/api/rke/encrypt?session_id={}&plaintext={}", known.id, plaintext.replace('+', "%2B"));
    let encrypted = get(known.daemon.address(), &target).await.json();
    let mut data = STANDARD.decode(encrypted["ciphertext"].as_str().expect("text")).expect("Base64");
    let nonce = hex::decode(encrypted["nonce"].as_str().expect("text")).expect("hex");
    let nonce: [u8; 16] = nonce.try_into().expect("16 bytes");
    known.key.expose(|key| cipher::aes256_ctr(key, &nonce, &mut data));
    assert_eq!(data, b"what only two ends can read");
    known.stop().await;
}
