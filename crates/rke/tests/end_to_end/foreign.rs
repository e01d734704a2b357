//! Peers as others implement them: a client and a Content Server of the public network, written here from sections
//! 3 to 6 and 8 of `docs/protocol.md`. They use general libraries for AES, HMAC and CRC, and none of this project's
//! wire code.

use std::collections::HashMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use ctr::cipher::{KeyIvInit, StreamCipher};
use hmac::{Hmac, KeyInit, Mac};
use rke_engine::Domain;
use rke_engine::settings::Confirm;
use rke_proto::derive::ShareKind;
use rke_proto::{Bitmap, ClientSn, ContentServerId, KeyContext, KeySetId};
use rke_raida::content_server::{Application, KeyRing, ServerConfig};
use rke_raida::network::LocalNetwork;
use sha2::{Digest, Sha256};

use crate::records::Detour;
use crate::support::{DOMAIN, PATIENCE, network};
use crate::wire::post;

const CS_ID: &str = "CONTENT-SERVER01";
const KID: u8 = 2;
const SESSION: [u8; 8] = *b"session!";

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("a key");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

/// AES-256-CTR; the first counter block is the first 16 bytes of the nonce.
fn aes_256_ctr(key: &[u8; 32], nonce: &[u8], data: &mut [u8]) {
    let block: [u8; 16] = nonce[..16].try_into().expect("a block");
    ctr::Ctr128BE::<aes::Aes256>::new(key.into(), &block.into()).apply_keystream(data);
}

fn random<const N: usize>() -> [u8; N] {
    rke_secret::Secret::<N>::random().expect("secret memory").expose(|bytes| *bytes)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970").as_secs()
}

/// Section 6.1.
fn narrow_key(shares: &[u8], client_sn: &[u8; 5], timestamp: u64) -> [u8; 32] {
    let sum = shares.iter().fold(0, |sum, share| sum ^ share);
    hmac(&[sum], &[b"RKE-EncryptionKey-v1.0", client_sn, &timestamp.to_be_bytes(), &[1]])
}

/// Whether the HMAC at the end of a payload covers the packet's header too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Covered {
    Header,
    PayloadAlone,
}

const BOTH: [Covered; 2] = [Covered::Header, Covered::PayloadAlone];

/// Section 8.1.
fn packet(key: &[u8; 32], key_id: [u8; 5], nonce: [u8; 24], payload: &[u8], covered: Covered) -> Vec<u8> {
    let length = u16::try_from(payload.len() + 32).expect("a short payload");
    let header = [&[6][..], &length.to_be_bytes(), &key_id, &nonce].concat();
    let tag = match covered {
        Covered::Header => hmac(key, &[&header, payload]),
        Covered::PayloadAlone => hmac(key, &[payload]),
    };
    let mut body = [payload, &tag].concat();
    aes_256_ctr(key, &nonce, &mut body);
    [header, body, vec![0xE3, 0xE3]].concat()
}

/// The header of a packet, and its payload as it arrived.
fn read_packet(stream: &mut TcpStream) -> Option<([u8; 32], Vec<u8>)> {
    let mut header = [0; 32];
    stream.read_exact(&mut header).ok()?;
    assert_eq!(header[0], 6);
    let mut rest = vec![0; usize::from(u16::from_be_bytes([header[1], header[2]])) + 2];
    stream.read_exact(&mut rest).ok()?;
    assert_eq!(rest.split_off(rest.len() - 2), [0xE3, 0xE3]);
    Some((header, rest))
}

fn opened(key: &[u8; 32], header: &[u8; 32], mut payload: Vec<u8>) -> (Vec<u8>, Covered) {
    assert!(payload.len() >= 32, "a refusal in the clear: {}", payload[0]);
    aes_256_ctr(key, &header[8..], &mut payload);
    let tag = payload.split_off(payload.len() - 32);
    let covered = match () {
        () if tag == hmac(key, &[header, &payload]) => Covered::Header,
        () if tag == hmac(key, &[&payload]) => Covered::PayloadAlone,
        () => panic!("an HMAC that is neither of the two"),
    };
    (payload, covered)
}

/// A user of the public network: one coin, and the RAIDAs.
struct Client {
    coin: [u8; 5],
    ans: Vec<[u8; 16]>,
    raidas: Vec<SocketAddr>,
}

impl Client {
    fn of(network: &LocalNetwork) -> Self {
        let file = fs::read(network.wallet().join("Bank/coin-1.bin")).expect("a coin");
        let (ans, _) = file[39..39 + 400].as_chunks::<16>();
        let coin = file[34..39].try_into().expect("5 bytes");
        Self { coin, ans: ans.to_vec(), raidas: network.node_addresses().to_vec() }
    }

    /// Command 2 in envelope 4, sections 3 to 5. Returns a share, or the status of the refusal.
    fn share(&self, raida: usize, cs_id: &str, client_sn: &[u8; 5], timestamp: u64) -> Result<u8, u8> {
        let key: [u8; 32] = Sha256::digest(self.ans[raida]).into();
        let (nonce, challenge) = (random::<24>(), random::<12>());
        let mut csid = [0; 16];
        csid[..cs_id.len()].copy_from_slice(cs_id.as_bytes());
        let crc = crc32fast::hash(&challenge).to_be_bytes();
        let mut body =
            [&challenge[..], &crc, &csid, &[KID], client_sn, &timestamp.to_be_bytes()[..]].concat();
        aes_256_ctr(&key, &nonce, &mut body);
        let tag = hmac(&key, &[&body]);
        let start = [1, 0, raida as u8, 0, 15, 2, 0, 6, 0, 0, 0, 0, 0, 0, 1, 1];
        let length = u16::try_from(body.len() + 32 + 2).expect("a short body").to_be_bytes();
        let request = [&start[..], &[4], &length, &self.coin, &nonce, &body, &tag, &[0x3E, 0x3E]].concat();
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        socket.send_to(&request, self.raidas[raida]).expect("sent");
        let mut response = [0; 256];
        let length = socket.recv(&mut response).expect("a response");
        let (header, body) = response[..length].split_at(48);
        let [share, body_tag @ .., 0x3E, 0x3E] = body else { return Err(header[2]) };
        assert_eq!(body_tag, hmac(&key, &[&[*share]]));
        let mut share = [*share];
        aes_256_ctr(&key, &header[24..40], &mut share);
        Ok(share[0])
    }

    /// Agrees on a key with the Content Server, section 8, and sends data to and fro.
    fn meet(&self, server: SocketAddr, cs_id: &str, length: usize, handshake: Covered, data: Covered) {
        let (client_sn, timestamp, key_id) = (random::<5>(), now(), random::<5>());
        let shares = (0..25).map(|raida| self.share(raida, cs_id, &client_sn, timestamp));
        let shares: Vec<u8> = shares.collect::<Result<_, _>>().expect("shares");
        let key = narrow_key(&shares, &client_sn, timestamp);
        let bitmap = [0x01, 0xFF, 0xFF, 0xFF];
        let prefix = &cs_id.as_bytes()[..6];
        let nonce = [&bitmap[..], &timestamp.to_be_bytes(), &client_sn, &[KID], prefix].concat();
        let nonce: [u8; 24] = nonce.try_into().expect("24 bytes");
        // Coin, two zeros, session identifier, no tickets, and four zeros in the longer form.
        let mut payload = [&self.coin[..], &[0, 0], &SESSION, &[0; 100]].concat();
        payload.resize(length - 32, 0);
        let mut stream = TcpStream::connect(server).expect("connected");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.write_all(&packet(&key, key_id, nonce, &payload, handshake)).expect("sent");
        let (header, answer) = read_packet(&mut stream).expect("an answer");
        let (answer, _) = opened(&key, &header, answer);
        assert_eq!((answer[0], &answer[21..], &header[3..8]), (250, &bitmap[..], &key_id[..]));
        for text in ["to", "and", "fro"] {
            let payload = [&SESSION[..], text.as_bytes()].concat();
            stream.write_all(&packet(&key, key_id, random(), &payload, data)).expect("sent");
            let (header, echoed) = read_packet(&mut stream).expect("data");
            assert_eq!(opened(&key, &header, echoed), (payload, data), "in kind");
        }
    }
}

/// A network whose Content Server serves clients of the live network.
async fn serving(dir: &tempfile::TempDir) -> LocalNetwork {
    let mut network = network(dir).await;
    let mut server = ServerConfig::new(Application::Echo);
    server.rules.allow_narrow = true;
    network.restart_content_server_with(server).await.expect("a Content Server");
    network
}

#[tokio::test(flavor = "multi_thread")]
async fn our_content_server_takes_both_handshakes_and_both_hmacs_and_responds_in_kind() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut network = network(&dir).await;
    network.add_narrow_key_set().await.expect("a key set");
    let (client, server) = (Client::of(&network), network.content_server_address());
    let meetings = move || {
        for length in [147, 151] {
            for (handshake, data) in BOTH.into_iter().flat_map(|first| BOTH.map(|second| (first, second))) {
                client.meet(server, CS_ID, length, handshake, data);
            }
        }
    };
    tokio::task::spawn_blocking(meetings).await.expect("no panic");
    assert_eq!(network.content_server_keys(), 8);
    network.stop().await;
}

fn preload(network: &LocalNetwork, data_dir: &Path, flags: &[&str]) -> String {
    let printed = Command::new(env!("CARGO_BIN_EXE_rke"))
        .args(["content-server", "preload", "--live", "--cs-id", CS_ID, "--key-set", "2"])
        .args(["--domain", DOMAIN, "--host", "cs.test"])
        .args(flags)
        .arg("--data-dir")
        .arg(data_dir)
        .arg("--raida-directory")
        .arg(network.directory_file())
        .arg("--wallet")
        .arg(network.server_wallet())
        .output()
        .expect("rke runs");
    let log = String::from_utf8_lossy(&printed.stderr).into_owned();
    assert!(printed.status.success(), "{log}");
    log
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_lower_cases_the_id_is_served_once_the_raidas_have_that_form() {
    let dir = tempfile::tempdir().expect("a folder");
    let (network, lower) = (serving(&dir).await, "content-server01");
    let data_dir = dir.path().join("content-server/data");
    let client = Client::of(&network);
    preload(&network, &data_dir, &[]);
    let no_such_key_set = client.share(7, lower, &random(), now());
    assert_eq!(no_such_key_set, Err(212));
    let log = preload(&network, &data_dir, &["--lower-case-too"]);
    for id in [CS_ID, lower] {
        assert!(log.contains(&format!("25 of 25 RAIDAs hold the master secrets of k2 of {id}.")), "{log}");
    }
    let network = {
        let mut network = network;
        network.restart_content_server().await.expect("a Content Server");
        network
    };
    let server = network.content_server_address();
    let meetings = move || {
        for id in [lower, CS_ID] {
            client.meet(server, id, 147, Covered::PayloadAlone, Covered::Header);
        }
    };
    tokio::task::spawn_blocking(meetings).await.expect("no panic");
    network.stop().await;
}

/// How a foreign Content Server responds to a handshake, and what its HMACs cover.
#[derive(Debug, Clone, Copy)]
struct Manners {
    status: u8,
    covered: Covered,
}

/// A foreign Content Server, which sends back what it receives.
#[derive(Clone)]
struct Server {
    manners: Arc<Mutex<Manners>>,
    /// Keys by the key id that the client chose.
    keys: Arc<Mutex<HashMap<[u8; 5], [u8; 32]>>>,
    /// Returns the Content Server's shares of all RAIDAs for a client SN and a timestamp.
    shares: Arc<dyn Fn([u8; 5], u64) -> Vec<u8> + Send + Sync>,
}

impl Server {
    /// A server with the master secrets of a network's key set, and its port.
    fn with_secrets_of(dir: &Path) -> (Self, u16) {
        let cs_id = ContentServerId::new(CS_ID).expect("an ID");
        let keys = KeyRing::open(cs_id, &dir.join("content-server/data")).expect("a key ring");
        let key_set = KeySetId::new(KID).expect("a key set");
        let set = keys.sets().iter().find(|set| set.secrets.key_set() == key_set).expect("k2");
        let secrets = Arc::clone(&set.secrets);
        let shares = move |client_sn, timestamp| {
            let context = KeyContext { cs_id, key_set, client_sn: ClientSn(client_sn), timestamp };
            let all: Bitmap = rke_proto::RaidaIndex::all().collect();
            let shares = secrets.shares(&context, ShareKind::Narrow, all).expect("secret memory");
            shares.iter().map(|(_, share)| share.expose(|share| share[0])).collect()
        };
        let manners = Manners { status: 250, covered: Covered::Header };
        let server =
            Self { manners: Arc::new(Mutex::new(manners)), keys: Arc::default(), shares: Arc::new(shares) };
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let own = server.clone();
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                let own = own.clone();
                std::thread::spawn(move || own.serve(stream));
            }
        });
        (server, port)
    }

    fn behave(&self, manners: Manners) {
        *self.manners.lock().expect("unpoisoned") = manners;
    }

    fn serve(&self, mut stream: TcpStream) {
        while let Some((header, payload)) = read_packet(&mut stream) {
            let key_id: [u8; 5] = header[3..8].try_into().expect("5 bytes");
            let Manners { status, covered } = *self.manners.lock().expect("unpoisoned");
            let known = self.keys.lock().expect("unpoisoned").get(&key_id).copied();
            let (key, answer) = match known {
                Some(key) => {
                    let (data, _) = opened(&key, &header, payload);
                    // The first packet only identifies the key.
                    if data.len() == SESSION.len() {
                        continue;
                    }
                    (key, data)
                }
                None => self.agree(key_id, &header, payload, status),
            };
            stream.write_all(&packet(&key, key_id, random(), &answer, covered)).expect("sent");
        }
    }

    /// The key of a handshake, and the response to it.
    fn agree(&self, key_id: [u8; 5], header: &[u8; 32], payload: Vec<u8>, status: u8) -> ([u8; 32], Vec<u8>) {
        let (bitmap, client_sn) = (&header[8..12], header[20..25].try_into().expect("5 bytes"));
        let timestamp = u64::from_be_bytes(header[12..20].try_into().expect("8 bytes"));
        assert_eq!((header[25], &header[26..]), (KID, &CS_ID.as_bytes()[..6]));
        let bits = u32::from_be_bytes(bitmap.try_into().expect("4 bytes"));
        let all = (self.shares)(client_sn, timestamp);
        let shares: Vec<u8> =
            (0..25).filter(|raida| bits & (1 << raida) != 0).map(|raida| all[raida]).collect();
        let key = narrow_key(&shares, &client_sn, timestamp);
        // The longer form. Its HMAC covers the payload alone.
        let (said, covered) = opened(&key, header, payload);
        assert_eq!((said.len(), covered, &said[5..7]), (119, Covered::PayloadAlone, &[0, 0][..]));
        assert!(said[15..].iter().all(|byte| *byte == 0), "no tickets, and four zeros");
        self.keys.lock().expect("unpoisoned").insert(key_id, key);
        (key, [&[status][..], &random::<16>(), &3600_u32.to_be_bytes(), bitmap].concat())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn our_client_takes_answers_of_either_hmac_241_for_250_and_242_and_243_for_refusals() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut network = network(&dir).await;
    let mut records = network.add_narrow_key_set().await.expect("a key set");
    let (server, port) = Server::with_secrets_of(dir.path());
    records.port = port;
    let detour = Detour::on(dir, network, records, |config| {
        config.reloadable.allow_weak_shares = vec![Domain::new(DOMAIN).expect("a domain")];
        config.reloadable.confirm = Confirm::Require;
    })
    .await;
    for (status, covered) in [250, 241].into_iter().flat_map(|status| BOTH.map(|covered| (status, covered))) {
        server.behave(Manners { status, covered });
        let created = detour.create().await;
        assert_eq!(created.status, 200, "{status} {covered:?}: {}", created.body);
        assert_eq!(detour.show(&created).await["confirmed"], true);
        let path = format!("session/{}/tunnel", created.json()["session_id"].as_str().expect("an id"));
        let echoed = post(detour.daemon.address(), &path, &[], "to and fro").await.good();
        assert_eq!(echoed, b"to and fro", "{status} {covered:?}");
    }
    for (status, reason) in [(242, "no ticket is good (242)"), (243, "some tickets are not good (243)")] {
        for covered in BOTH {
            server.behave(Manners { status, covered });
            let refused = detour.create().await;
            assert!(
                refused.status == 502 && refused.body.contains(reason),
                "{status} {covered:?}: {refused:?}"
            );
        }
    }
    detour.stop().await;
}
