//! The key is the right one: the test's own Content Server derives it from the master secrets, and decrypts what
//! the API encrypted.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use crate::support::{DOMAIN, config, get, network};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rke_daemon::Daemon;
use rke_host::framing::{First, read_first, records};
use rke_proto::cipher;
use rke_proto::derive::{ShareKind, ShareWidth};
use rke_proto::handshake::kem::EncapsulationSeeds;
use rke_proto::handshake::{
    Accepted, FirstPacket, Grant, KeyId, Prologue, Record, Responder, SessionSecrets, keys, psk,
};
use rke_raida::content_server::DnsRecords;
use rke_raida::dns::DnsServer;
use rke_raida::network::LocalNetwork;
use rke_secret::Secret;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

/// Responds to one exchange as the Content Server does, and returns the secrets that both ends then share.
async fn answer(mut stream: TcpStream, network: &LocalNetwork) -> SessionSecrets {
    let first = read_first(&mut stream).await.expect("a packet").expect("a client");
    let First::Handshake(packet) = first else { panic!("the client spoke of envelope type 6") };
    let decoded = FirstPacket::decode(&packet).expect("a first packet");
    let FirstPacket::Handshake { prologue: Prologue::Exchange(exchange), raw, message } = decoded else {
        panic!("the client began with {decoded:?}");
    };
    let mut shares = Vec::new();
    for group in exchange.groups() {
        let kind = ShareKind::Wide(group.coins);
        shares
            .extend(network.master_secrets().shares(&exchange.context, kind, group.raidas).expect("shares"));
    }
    shares.sort_by_key(|(raida, _)| *raida);
    let in_order = shares.iter().map(|(_, share)| share);
    let psk = psk::from_shares(in_order, ShareWidth::Wide, raw).expect("secret memory");
    let seeds = EncapsulationSeeds::random().expect("random bytes");
    let (responder, said) = Responder::receive(raw, &psk, message, &seeds).expect("the same shares");
    assert_eq!(said.domain.as_deref(), Some(DOMAIN));
    let grant = Grant { resumption: None, lifetime: 3600 };
    let (response, Accepted { secrets, transport, .. }) = responder.accept(grant).expect("secret memory");
    stream.write_all(&response.to_bytes()).await.expect("sent");
    let (mut reader, mut writer) = records(stream, transport);
    assert_eq!(reader.next().await.expect("a record"), Record::End(None));
    writer.end(None).await.expect("sent");
    secrets
}

/// A session whose key this test knows as well.
pub(crate) struct KnownKey {
    pub(crate) daemon: Daemon,
    pub(crate) id: String,
    /// K.
    pub(crate) key: Secret<32>,
    pub(crate) key_id: KeyId,
    dns: DnsServer,
    network: Arc<LocalNetwork>,
    _dir: tempfile::TempDir,
}

impl KnownKey {
    pub(crate) async fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let network = Arc::new(network(&dir).await);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let port = listener.local_addr().expect("an address").port();
        let known = Arc::new(Mutex::new(None));
        let (own_network, own_known) = (Arc::clone(&network), Arc::clone(&known));
        let server = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.expect("a client");
            let secrets = answer(stream, &own_network).await;
            *own_known.lock().expect("unpoisoned") = Some(secrets);
        });
        let records = DnsRecords { port, ..network.records().clone() };
        let loopback = "127.0.0.1".parse().expect("an address");
        let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
        let dns = DnsServer::start(any, [&records], loopback).await.expect("a DNS server");
        let daemon = Daemon::start(config(&dir, dns.address())).await.expect("a daemon");
        let target = format!("/api/rke/session?domain={DOMAIN}&wallet_path={}", network.wallet().display());
        let created = get(daemon.address(), &target).await.json();
        let id = created["session_id"].as_str().expect("an id").to_owned();
        server.await.expect("the Content Server");
        let secrets = known.lock().expect("unpoisoned").take().expect("a key");
        let SessionSecrets { key, key_id, .. } = secrets;
        Self { daemon, id, key, key_id, dns, network, _dir: dir }
    }

    /// A key derived from K.
    pub(crate) fn derived(&self, derive: fn(&[u8; 32], &mut [u8; 32])) -> Secret<32> {
        Secret::fill(|out| self.key.expose(|key| derive(key, out))).expect("secret memory")
    }

    pub(crate) async fn stop(self) {
        self.daemon.stop().await;
        self.dns.stop().await;
        if let Some(network) = Arc::into_inner(self.network) {
            network.stop().await;
        }
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
    known.derived(keys::ctr_key).expose(|key| cipher::aes256_ctr(key, &nonce, &mut data));
    assert_eq!(data, b"what only two ends can read");
    let shown = get(known.daemon.address(), &format!("/api/rke/session/{}", known.id)).await.json();
    assert_eq!(shown["key_id"], known.key_id.to_string());
    known.stop().await;
}
