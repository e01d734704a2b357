//! A network whose secrets the scanner knows: 25 RAIDA nodes, a Content Server, their DNS, and wallets, made anew as
//! often as one likes. The nodes answer as `docs/protocol.md` says and remember what they were asked.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use rke_proto::coin::{AN_LEN, CoinId, CoinStatus, FileHeader, encode_coin_header};
use rke_proto::command::{self, Command, Preload};
use rke_proto::derive::{self, ShareWidth};
use rke_proto::envelope::{self, ResponseParts};
use rke_proto::header::RequestHeader;
use rke_proto::{Bitmap, Envelope, EnvelopeKey, KeyContext, RAIDA_COUNT, RaidaIndex, Status};
use rke_raida::content_server::DnsRecords;
use rke_raida::dns::DnsServer;
use rke_secret::Secret;
use sha2::{Digest, Sha256};
use tokio::net::{TcpListener, UdpSocket};

use crate::content_server;
use crate::needles::{Needles, Secret as Kind};
use crate::stream::Start;

/// The domain of the network.
pub(crate) const DOMAIN: &str = "content.scan.test";
pub(crate) const CS_ID: &str = "SCANNED-SERVER";
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// What a node does with a request for a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behaviour {
    Answers,
    KeepsSilent,
}

type Ans = [[u8; AN_LEN]; RAIDA_COUNT];

/// The secrets of the moment, and what the nodes saw.
pub(crate) struct State {
    pub(crate) masters: [[u8; 32]; RAIDA_COUNT],
    coins: HashMap<CoinId, Ans>,
    behaviours: [Behaviour; RAIDA_COUNT],
    /// Exchanges that were asked for, each with the RAIDAs that gave a share.
    asked: Vec<(KeyContext, Bitmap)>,
    /// Envelopes that were used, by RAIDA.
    envelopes: Vec<(RaidaIndex, Envelope)>,
}

/// The running network.
pub(crate) struct Network {
    state: Arc<Mutex<State>>,
    addresses: Vec<SocketAddr>,
    dns: DnsServer,
    folder: tempfile::TempDir,
    wallets: u32,
}

impl Network {
    pub(crate) async fn start() -> Result<Self> {
        let state = State {
            masters: random_array()?,
            coins: HashMap::new(),
            behaviours: [Behaviour::Answers; RAIDA_COUNT],
            asked: Vec::new(),
            envelopes: Vec::new(),
        };
        let state = Arc::new(Mutex::new(state));
        let mut addresses = Vec::new();
        for raida in RaidaIndex::all() {
            let socket = UdpSocket::bind((LOOPBACK, 0)).await.context("cannot bind a node")?;
            addresses.push(socket.local_addr()?);
            tokio::spawn(serve(raida, socket, Arc::clone(&state)));
        }
        let servers = addresses.iter().zip(RaidaIndex::all());
        let mut texts = vec![format!("k1 = {CS_ID}"), "required share-bytes>=32".into()];
        texts.extend(servers.map(|(address, raida)| format!("{address} k1 raida={raida}")));
        let listener = TcpListener::bind((LOOPBACK, 0)).await.context("cannot bind the Content Server")?;
        let port = listener.local_addr()?.port();
        tokio::spawn(content_server::serve(listener, Arc::clone(&state)));
        let records = DnsRecords { domain: DOMAIN.into(), host: format!("cs.{DOMAIN}"), port, texts };
        let dns = DnsServer::start(SocketAddr::new(LOOPBACK, 0), [&records], LOOPBACK).await?;
        let folder = tempfile::tempdir().context("cannot make a folder for wallets")?;
        Ok(Self { state, addresses, dns, folder, wallets: 0 })
    }

    pub(crate) fn dns(&self) -> SocketAddr {
        self.dns.address()
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The directory file of the nodes.
    pub(crate) fn directory(&self) -> Result<PathBuf> {
        let path = self.folder.path().join("directory.txt");
        let lines = self.addresses.iter().zip(RaidaIndex::all()).map(|(at, raida)| format!("{at} {raida}\n"));
        std::fs::write(&path, lines.collect::<String>())?;
        Ok(path)
    }

    /// Who answers from here on: the first so many nodes; the others do `otherwise`.
    pub(crate) fn let_answer(&self, count: usize, otherwise: Behaviour) {
        let mut state = self.state();
        for (at, behaviour) in state.behaviours.iter_mut().enumerate() {
            *behaviour = if at < count { Behaviour::Answers } else { otherwise };
        }
    }

    /// New master secrets, and a new wallet of two new coins.
    pub(crate) fn renew(&mut self) -> Result<PathBuf> {
        self.wallets += 1;
        let wallet = self.folder.path().join(format!("wallet-{}", self.wallets));
        std::fs::create_dir_all(wallet.join("Bank"))?;
        let mut coins = HashMap::new();
        for at in 0..2 {
            let id = CoinId { denomination: 0, serial: 2 * self.wallets + at };
            let ans: Ans = random_array()?;
            let mut file = FileHeader::new(1, [CoinStatus::Passed; RAIDA_COUNT]).encode().to_vec();
            file.extend(encode_coin_header(id));
            file.extend(ans.as_flattened());
            std::fs::write(wallet.join(format!("Bank/{at}.bin")), file)?;
            coins.insert(id, ans);
        }
        let mut state = self.state();
        state.masters = random_array()?;
        state.coins.extend(coins);
        state.asked.clear();
        state.envelopes.clear();
        Ok(wallet)
    }

    /// Adds every secret of the exchanges since [`Network::renew`]: the coins' ANs, the envelopes'
    /// keys, the shares, their XOR and the key. Gives the number of exchanges.
    pub(crate) fn add_needles(&self, needles: &mut Needles) -> usize {
        self.add_needles_with(needles, &[])
    }

    /// The same, and the keys of these streams.
    pub(crate) fn add_needles_with(&self, needles: &mut Needles, streams: &[Start]) -> usize {
        let state = self.state();
        for (raida, envelope) in &state.envelopes {
            let mut hash = Sha256::new();
            for an in envelope.coins().filter_map(|coin| state.coins.get(&coin)) {
                let an = &an[raida.position()];
                needles.add_plain(Kind::An, an);
                needles.add_aes_key(Kind::An, an);
                hash.update(an);
            }
            let key: [u8; 32] = hash.finalize().into();
            needles.add_plain(Kind::EnvelopeKey, &key);
            needles.add_aes_key(Kind::EnvelopeKey, &key);
            needles.add_hmac_key(Kind::EnvelopeKey, &key);
        }
        for (context, bitmap) in &state.asked {
            let mut sum = [0; 32];
            for raida in bitmap.iter() {
                let mut share = [0; 32];
                derive::share(&state.masters[raida.position()], ShareWidth::Wide, context, &mut share);
                needles.add_plain(Kind::Share, &share);
                sum.iter_mut().zip(&share).for_each(|(sum, byte)| *sum ^= byte);
            }
            let mut key = [0; 32];
            derive::key(&sum, ShareWidth::Wide, context, *bitmap, &mut key);
            needles.add_plain(Kind::ShareSum, &sum);
            needles.add_hmac_key(Kind::ShareSum, &sum);
            needles.add_plain(Kind::SessionKey, &key);
            needles.add_aes_key(Kind::SessionKey, &key);
            needles.add_hmac_key(Kind::SessionKey, &key);
            needles.add_hex(Kind::SessionKey, &key);
            streams.iter().for_each(|stream| stream.add_needles(&key, needles));
        }
        state.asked.len()
    }

    /// Adds the master secrets that the nodes hold.
    pub(crate) fn add_masters(&self, needles: &mut Needles) {
        for master in &self.state().masters {
            needles.add_plain(Kind::MasterSecret, master);
            needles.add_hmac_key(Kind::MasterSecret, master);
            needles.add_hex(Kind::MasterSecret, master);
        }
    }

    /// The master secret of one RAIDA, and an envelope key for it.
    pub(crate) fn master(&self, raida: RaidaIndex) -> [u8; 32] {
        self.state().masters[raida.position()]
    }

    /// A coin of the newest wallet that is known there.
    pub(crate) fn coins(&self) -> Vec<CoinId> {
        let newest = 2 * self.wallets;
        [newest, newest + 1].map(|serial| CoinId { denomination: 0, serial }).to_vec()
    }

    /// The key of an envelope to a RAIDA; the envelope is remembered as used.
    pub(crate) fn envelope_key(&self, raida: RaidaIndex, envelope: Envelope) -> Result<EnvelopeKey> {
        let mut state = self.state();
        state.envelopes.push((raida, envelope));
        state.key(raida, envelope).context("the coins are known")
    }

    /// Remembers an exchange with one RAIDA as asked.
    pub(crate) fn note_asked(&self, raida: RaidaIndex, context: KeyContext) {
        self.state().note_asked(raida, context);
    }

    /// The DNS stops with the network.
    pub(crate) async fn stop(self) {
        self.dns.stop().await;
    }
}

impl State {
    fn key(&self, raida: RaidaIndex, envelope: Envelope) -> Option<EnvelopeKey> {
        let an = |coin: CoinId| {
            let an = self.coins.get(&coin)?[raida.position()];
            Secret::fill(|slot| *slot = an).ok()
        };
        match envelope {
            Envelope::Type0 => Some(EnvelopeKey::None),
            Envelope::Type1(coin) => EnvelopeKey::type_1(&an(coin)?).ok(),
            Envelope::Type4(coin) => EnvelopeKey::type_4(&an(coin)?).ok(),
            Envelope::Type5(first, second) => EnvelopeKey::type_5(&an(first)?, &an(second)?).ok(),
        }
    }

    fn note_asked(&mut self, raida: RaidaIndex, context: KeyContext) {
        let at = self.asked.iter().position(|(known, _)| *known == context).unwrap_or_else(|| {
            self.asked.push((context, Bitmap::default()));
            self.asked.len() - 1
        });
        let (_, bitmap) = &mut self.asked[at];
        *bitmap = bitmap.iter().chain([raida]).collect();
    }

    /// What a node answers; `None` where it keeps silent.
    fn answer(&mut self, raida: RaidaIndex, datagram: &mut [u8]) -> Option<Vec<u8>> {
        let header = RequestHeader::decode(datagram).ok()?;
        let key = self.key(raida, header.envelope)?;
        if !self.envelopes.contains(&(raida, header.envelope)) {
            self.envelopes.push((raida, header.envelope));
        }
        let body = envelope::open_request(&header, &key, datagram).ok()?;
        let (challenge, rest) = command::split_challenge(body).ok()?;
        let mut payload = Vec::new();
        match (Command::from_wire(header.group, header.command)?, self.behaviours[raida.position()]) {
            (Command::PreloadMasterKey, _) => {
                let preload = Preload::decode(rest).ok()?;
                preload.key_sets().for_each(|(_, master)| self.masters[raida.position()] = *master);
            }
            (_, Behaviour::KeepsSilent) => return None,
            (_, Behaviour::Answers) => {
                let context = command::decode_share_request(rest).ok()?;
                let mut share = [0; 32];
                derive::share(&self.masters[raida.position()], ShareWidth::Wide, &context, &mut share);
                payload.extend(challenge.as_bytes());
                payload.extend(share);
                self.note_asked(raida, context);
            }
        }
        let challenge = Some(*challenge.as_bytes());
        let status = Status::SUCCESS;
        let parts = ResponseParts { raida, status, challenge, execution_micros: 0, random: random().ok()? };
        envelope::seal_response(&header, &key, &parts, payload.len(), |out| out.copy_from_slice(&payload))
            .ok()
    }
}

async fn serve(raida: RaidaIndex, socket: UdpSocket, state: Arc<Mutex<State>>) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok((len, from)) = socket.recv_from(&mut buffer).await {
        let answer = state.lock().unwrap_or_else(PoisonError::into_inner).answer(raida, &mut buffer[..len]);
        if let Some(answer) = answer {
            let _ = socket.send_to(&answer, from).await;
        }
    }
}

/// Random bytes.
pub(crate) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

fn random_array<const N: usize, const M: usize>() -> Result<[[u8; N]; M]> {
    let mut bytes = [[0; N]; M];
    getrandom::fill(bytes.as_flattened_mut())?;
    Ok(bytes)
}
