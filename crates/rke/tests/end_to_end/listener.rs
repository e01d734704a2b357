//! The traffic between the daemon and the Content Server. An attacker on the path who reads every byte sees only
//! lengths, and what `docs/protocol.md` section 7 lists as sent in the clear.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use rke_host::wallet::{CoinFile, coin_files};
use rke_proto::RaidaIndex;
use rke_proto::handshake::{FirstPacket, Prologue, Response};
use rke_raida::network::LocalNetwork;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use crate::records::Detour;
use crate::support::{DOMAIN, Stage, percent};
use crate::wire::post;

/// Both directions of a connection, the client's data first.
pub(crate) type Heard = [Vec<u8>; 2];

/// Forwards connections to a server, and keeps everything that passes.
pub(crate) struct Listener {
    pub(crate) address: SocketAddr,
    heard: Arc<Mutex<Vec<Heard>>>,
}

impl Listener {
    pub(crate) async fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let heard = Arc::<Mutex<Vec<Heard>>>::default();
        let own = Arc::clone(&heard);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(server).await.expect("the Content Server");
                let nth = {
                    let mut heard = own.lock().expect("unpoisoned");
                    heard.push(Heard::default());
                    heard.len() - 1
                };
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                tokio::spawn(pass(from_client, to_server, Arc::clone(&own), (nth, 0)));
                tokio::spawn(pass(from_server, to_client, Arc::clone(&own), (nth, 1)));
            }
        });
        Self { address, heard }
    }

    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.heard.lock().expect("unpoisoned").clone()
    }
}

async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    heard: Arc<Mutex<Vec<Heard>>>,
    (nth, direction): (usize, usize),
) {
    let mut bytes = [0; 4096];
    while let Ok(len @ 1..) = from.read(&mut bytes).await {
        heard.lock().expect("unpoisoned")[nth][direction].extend(&bytes[..len]);
        if to.write_all(&bytes[..len]).await.is_err() {
            return;
        }
    }
    let _ = to.shutdown().await;
}

const HEADER_LEN: usize = 7;
const E_LEN: usize = 1216;
const EKEM_LEN: usize = 1120;
const TAG_LEN: usize = 16;
/// The length of a record without data: length, type, tag.
const EMPTY_RECORD_LEN: usize = 2 + 1 + TAG_LEN;

fn field(bytes: &[u8], at: usize) -> usize {
    u16::from_be_bytes([bytes[at], bytes[at + 1]]).into()
}

/// The part of a client's data in the clear, and where its records begin.
fn first_packet(client: &[u8]) -> (Prologue, usize) {
    let message_at = HEADER_LEN + field(client, 5) + 2;
    let end = message_at + field(client, message_at - 2);
    assert_eq!(end - message_at, E_LEN + 1 + DOMAIN.len() + TAG_LEN, "message 1 is e and the sealed domain");
    match FirstPacket::decode(&client[..end]).expect("a first packet") {
        FirstPacket::Handshake { prologue, .. } => (prologue, end),
        other => panic!("{other:?}"),
    }
}

/// The position at which the server's records begin.
fn response(server: &[u8]) -> usize {
    let end = HEADER_LEN + field(server, 5);
    assert_eq!(end, HEADER_LEN + EKEM_LEN + 20 + TAG_LEN, "message 2 is ekem, and a sealed id and lifetime");
    assert!(matches!(Response::decode(&server[..end]), Ok(Response::Accepted(_))));
    end
}

fn is_in(heard: &[Heard], what: &[u8]) -> bool {
    heard.iter().flatten().any(|bytes| bytes.windows(what.len()).any(|window| window == what))
}

const MARKER: &str = "marker 7f3a of the application";

async fn id_and_key_id(detour: &Detour, created: &Value) -> (String, String) {
    let id = created["session_id"].as_str().expect("an id").to_owned();
    let shown = detour.get(&format!("/api/rke/session/{id}")).await.json();
    (id, shown["key_id"].as_str().expect("a key id").to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_sees_coins_ids_and_lengths_and_nothing_else() {
    let mut listener = None;
    let on_the_way = async |network: &LocalNetwork, _: &tempfile::TempDir| {
        let own = Listener::before(network.content_server_address()).await;
        let mut records = network.records().clone();
        records.port = own.address.port();
        listener = Some(own);
        records
    };
    let detour = Detour::new(on_the_way, |_| ()).await;
    let listener = listener.expect("a listener");
    let (exchanged, first_key_id) = id_and_key_id(&detour, &detour.create().await.json()).await;
    let wallet = detour.network.wallet().to_owned();
    let target = format!("/api/rke/session?domain={DOMAIN}&wallet_path={}", wallet.display());
    let cached = detour.get(&target).await.json();
    assert_eq!(cached["from_cache"], true);
    let (resumed, second_key_id) = id_and_key_id(&detour, &cached).await;
    assert_ne!(first_key_id, second_key_id);
    for id in [&exchanged, &resumed] {
        let path = format!("session/{id}/tunnel");
        assert_eq!(post(detour.daemon.address(), &path, &[], MARKER).await.good(), MARKER.as_bytes());
    }
    let heard = listener.heard();
    assert_eq!(heard.len(), 4, "a connection for each session, and one for each tunnel");
    // The exchange shows the Content Server ID, key set, client SN and timestamp, and which RAIDAs and coins it used.
    let (prologue, records_at) = first_packet(&heard[0][0]);
    let Prologue::Exchange(exchange) = prologue else { panic!("{prologue:?}") };
    assert_eq!(exchange.context.cs_id.to_string(), "CONTENT-SERVER01");
    assert!(exchange.raidas().count() >= 13, "{exchange:?}");
    let coins: Vec<String> = exchange.proven_coins(13).iter().map(ToString::to_string).collect();
    assert_eq!(coins, ["0:1001", "0:1002"]);
    let mut names = Vec::new();
    for [client, server] in &heard[..2] {
        let ((prologue, client_at), server_at) = (first_packet(client), response(server));
        assert_eq!(client.len() - client_at, EMPTY_RECORD_LEN, "the client's end");
        assert_eq!(server.len() - server_at, EMPTY_RECORD_LEN, "the server's end");
        names.push(prologue);
    }
    assert_eq!(records_at, heard[0][0].len() - EMPTY_RECORD_LEN);
    // A resumption shows its id. A tunnel shows the key id, which names the session's key at both ends.
    assert!(matches!(names[1], Prologue::Resume { .. }), "{:?}", names[1]);
    for ([client, server], key_id) in heard[2..].iter().zip([&first_key_id, &second_key_id]) {
        let ((prologue, client_at), server_at) = (first_packet(client), response(server));
        let Prologue::Attach { id, .. } = prologue else { panic!("{prologue:?}") };
        assert_eq!(id.to_string(), *key_id);
        for (records, end_len) in [(&client[client_at..], 0), (&server[server_at..], 4)] {
            check_records(records, end_len);
        }
    }
    // Session ids concern only the daemon, the domain is sealed, and so is everything else.
    for word in [MARKER, "marker", DOMAIN, &exchanged, &resumed] {
        assert!(!is_in(&heard, word.as_bytes()), "{word} is in the clear");
    }
    for secret in secrets(&wallet) {
        assert!(!is_in(&heard, &secret), "a secret is in the clear");
    }
    detour.stop().await;
}

/// Checks that records fill all bytes. Their types are sealed, so only the length of the last one shows that it is
/// the end.
fn check_records(mut records: &[u8], end_len: usize) {
    let (mut total, mut last) = (0, 0);
    while !records.is_empty() {
        last = field(records, 0) - 1 - TAG_LEN;
        total += last;
        records = &records[2 + 1 + TAG_LEN + last..];
    }
    assert!(last == 0 || last == end_len, "the last record has {last} bytes");
    assert_eq!(total - last, MARKER.len());
}

/// Eight bytes of each AN of a wallet.
fn secrets(wallet: &std::path::Path) -> Vec<Vec<u8>> {
    let files =
        coin_files(&wallet.join("Bank")).into_iter().map(|path| CoinFile::open(&path).expect("coins"));
    let an = |file: &CoinFile, raida| file.an(0, raida).expect("an AN").expose(|an| an[..8].to_vec());
    files.flat_map(|file| RaidaIndex::all().map(move |raida| an(&file, raida)).collect::<Vec<_>>()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_session_encrypts_no_other_decrypts_from_the_cache_or_not() {
    let stage = Stage::new().await;
    let created = [stage.create().await, stage.create().await, stage.create().await];
    let from_cache: Vec<_> = created.iter().map(|session| session["from_cache"].clone()).collect();
    assert_eq!(from_cache, [false, true, true]);
    let ids = created.each_ref().map(|session| session["session_id"].as_str().expect("an id"));
    for from in ids {
        let encrypted =
            stage.get(&format!("/api/rke/encrypt?session_id={from}&plaintext=SGVsbG8=")).await.json();
        let sealed = post(stage.daemon.address(), "seal", &[("x-rke-session", from)], "hello").await.good();
        for to in ids {
            let [nonce, ciphertext] =
                ["nonce", "ciphertext"].map(|name| encrypted[name].as_str().expect("text"));
            let target =
                format!("/api/rke/decrypt?session_id={to}&nonce={nonce}&ciphertext={}", percent(ciphertext));
            let decrypted = stage.get(&target).await.json();
            assert_eq!(decrypted["plaintext"] == "SGVsbG8=", from == to, "{decrypted}");
            let opened = post(stage.daemon.address(), "open", &[("x-rke-session", to)], sealed.clone()).await;
            assert_eq!(opened.status == 200 && opened.body == b"hello", from == to, "{}", opened.status);
        }
    }
    stage.stop().await;
}
