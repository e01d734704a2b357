//! A network whose secrets the scanner knows: 25 RAIDA nodes, a Content Server, their DNS, and wallets, renewed as
//! often as needed. The nodes respond according to `docs/protocol.md` and remember the requests.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, ensure};
use rke_proto::coin::Group;
use rke_proto::coin::{AN_LEN, CoinId, CoinPair, CoinStatus, FileHeader, encode_coin_header};
use rke_proto::command::{self, Command, Preload};
use rke_proto::derive::{self, ShareKind};
use rke_proto::envelope::{self, ResponseParts};
use rke_proto::handshake::{ExchangePrologue, Prologue};
use rke_proto::header::RequestHeader;
use rke_proto::{Envelope, EnvelopeKey, KeyContext, RAIDA_COUNT, RaidaIndex, Status};
use rke_raida::content_server::DnsRecords;
use rke_raida::dns::DnsServer;
use rke_secret::Secret;
use sha2::{Digest, Sha256};
use tokio::net::{TcpListener, UdpSocket};

use crate::content_server::{self, Manners};
use crate::ledger::{Basis, Keeps, Ledger, Living};
use crate::needles::{Needles, Secret as Kind, Source};
use crate::noise::exchange_psk;
use crate::stream::Start;

/// The domain of the network.
pub(crate) const DOMAIN: &str = "content.scan.test";
pub(crate) const CS_ID: &str = "SCANNED-SERVER";
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A node's handling of a request for a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behaviour {
    Answers,
    KeepsSilent,
}

type Ans = [[u8; AN_LEN]; RAIDA_COUNT];

/// The secrets of the moment, and what nodes and Content Server saw.
pub(crate) struct State {
    pub(crate) masters: [[u8; 32]; RAIDA_COUNT],
    coins: HashMap<CoinId, Ans>,
    behaviours: [Behaviour; RAIDA_COUNT],
    /// Shares that were given, each with the coins that it is bound to.
    asked: Vec<(KeyContext, RaidaIndex, CoinPair)>,
    /// Envelopes that were used, by RAIDA.
    envelopes: Vec<(RaidaIndex, Envelope)>,
    pub(crate) ledger: Ledger,
    pub(crate) manners: Manners,
    /// The process whose memory holds the seeds of its handshakes.
    pub(crate) seeds_of: Option<i32>,
    /// Exchanges that the Content Server has had.
    pub(crate) exchanges: u32,
    /// Tunnels that are open.
    pub(crate) tunnels: usize,
    /// Errors at the Content Server, including clients that hang up.
    pub(crate) trouble: Vec<String>,
}

/// Nobody leaves it half changed.
pub(crate) fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
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
            ledger: Ledger::default(),
            manners: Manners::Accepts,
            seeds_of: None,
            exchanges: 0,
            tunnels: 0,
            trouble: Vec::new(),
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

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// The directory file of the nodes.
    pub(crate) fn directory(&self) -> Result<PathBuf> {
        let path = self.folder.path().join("directory.txt");
        let lines = self.addresses.iter().zip(RaidaIndex::all()).map(|(at, raida)| format!("{at} {raida}\n"));
        std::fs::write(&path, lines.collect::<String>())?;
        Ok(path)
    }

    /// Which nodes respond from here on: the first that many; the others do `otherwise`.
    pub(crate) fn let_answer(&self, count: usize, otherwise: Behaviour) {
        let mut state = self.state();
        for (at, behaviour) in state.behaviours.iter_mut().enumerate() {
            *behaviour = if at < count { Behaviour::Answers } else { otherwise };
        }
    }

    /// From here on the seeds of a process's handshakes are read where it holds them.
    pub(crate) fn read_seeds_of(&self, process: i32) {
        self.state().seeds_of = Some(process);
    }

    /// How the Content Server treats its clients from here on.
    pub(crate) fn set_manners(&self, manners: Manners) {
        self.state().manners = manners;
    }

    /// New master secrets, and a new wallet of two new coins.
    pub(crate) fn renew(&mut self) -> Result<PathBuf> {
        let masters = random_array()?;
        self.state().masters = masters;
        self.renew_wallet()
    }

    /// A new wallet of two new coins. Needles that are added later exclude the old ones.
    pub(crate) fn renew_wallet(&mut self) -> Result<PathBuf> {
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
        state.coins.extend(coins);
        state.turn_page();
        Ok(wallet)
    }

    /// Needles that are added from here on are for events from here on.
    pub(crate) fn turn_page(&self) {
        self.state().turn_page();
    }

    /// Adds every secret since [`Network::renew`]: the coins' ANs, the envelopes' keys, the shares, and all secrets
    /// of every handshake. Returns the needles of those that must exist somewhere while sessions live.
    pub(crate) fn add_needles(&self, needles: &mut Needles) -> Result<Living> {
        self.add_needles_with(needles, &[], Keeps::Nothing)
    }

    /// The same, with the keys of these streams, and without the secrets that are kept.
    pub(crate) fn add_needles_with(
        &self,
        needles: &mut Needles,
        streams: &[Start],
        keeps: Keeps,
    ) -> Result<Living> {
        let (state, mut living) = (self.state(), Living::default());
        for (raida, envelope) in &state.envelopes {
            let mut hash = Sha256::new();
            for an in envelope.coins().filter_map(|coin| state.coins.get(&coin)) {
                let an = &an[raida.position()];
                living.ans.push(needles.add(Kind::An, an));
                hash.update(an);
            }
            let key = needles.add(Kind::EnvelopeKey, &hash.finalize());
            if !state.asked.iter().any(|(_, answered, _)| answered == raida) {
                living.unanswered.push(key);
            }
        }
        for (context, raida, coins) in &state.asked {
            living.shares.push(needles.add(Kind::Share, &state.share(*raida, context, *coins)));
        }
        ensure!(
            state.seeds_of.is_none() || state.ledger.knows_all_seeds(),
            "the seed of a handshake was not found"
        );
        state.ledger.add_to(needles, streams, keeps, &mut living);
        Ok(living)
    }

    /// How many RAIDAs have given a share since [`Network::renew`].
    pub(crate) fn shares_given(&self) -> usize {
        self.state().asked.len()
    }

    /// How many exchanges there were since [`Network::renew`].
    pub(crate) fn exchanges(&self) -> usize {
        let state = self.state();
        let client_sns: BTreeSet<[u8; 5]> =
            state.asked.iter().map(|(context, ..)| context.client_sn.0).collect();
        client_sns.len()
    }

    /// Adds the master secrets that the nodes hold. Returns what they are found by.
    pub(crate) fn add_masters(&self, needles: &mut Needles) -> Vec<Source> {
        self.state().masters.iter().map(|master| needles.add(Kind::MasterSecret, master)).collect()
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

    /// Remembers a share as given.
    pub(crate) fn note_asked(&self, raida: RaidaIndex, context: KeyContext, coins: CoinPair) {
        self.state().asked.push((context, raida, coins));
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
        EnvelopeKey::of(envelope, &envelope.coins().map(an).collect::<Option<Vec<_>>>()?).ok()
    }

    fn turn_page(&mut self) {
        self.asked.clear();
        self.envelopes.clear();
        self.ledger.turn_page();
    }

    fn share(&self, raida: RaidaIndex, context: &KeyContext, coins: CoinPair) -> [u8; 32] {
        let mut share = [0; 32];
        derive::share(&self.masters[raida.position()], ShareKind::Wide(coins), context, &mut share);
        share
    }

    /// The shares of an exchange, each bound to the coins of its group, in the order of their RAIDAs.
    pub(crate) fn shares_of(&self, exchange: &ExchangePrologue) -> Vec<(RaidaIndex, [u8; 32])> {
        let of_group = |group: &Group| -> Vec<_> {
            let share = |raida| (raida, self.share(raida, &exchange.context, group.coins));
            group.raidas.iter().map(share).collect()
        };
        let mut shares: Vec<_> = exchange.groups().iter().flat_map(of_group).collect();
        shares.sort_by_key(|(raida, _)| *raida);
        shares
    }

    /// The psk of a handshake.
    pub(crate) fn basis(&self, prologue: &Prologue, raw: &[u8]) -> Result<Basis> {
        match prologue {
            Prologue::Exchange(exchange) => {
                let shares: Vec<_> = self.shares_of(exchange).into_iter().map(|(_, share)| share).collect();
                let (known, psk) = exchange_psk(&shares, raw);
                Ok(Basis { psk, known })
            }
            Prologue::Resume { id, .. } => self.ledger.resumption(&id.0).context("no such resumption"),
            Prologue::Attach { id, .. } => self.ledger.attachment(&id.0).context("no such key"),
        }
    }

    /// A node's response; `None` if it stays silent.
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
            (Command::PreloadKeySet, _) => {
                let (_, preload) = Preload::decode_with_timestamp(rest).ok()?;
                preload.key_sets().for_each(|(_, master)| self.masters[raida.position()] = *master);
                payload.extend(challenge.as_bytes());
            }
            (Command::GetWideKeyShare, Behaviour::Answers) => {
                let (context, coins) =
                    (command::decode_share_request(rest).ok()?, header.envelope.coin_pair()?);
                payload.extend(challenge.as_bytes());
                payload.extend(self.share(raida, &context, coins));
                let given = (context, raida, coins);
                if !self.asked.contains(&given) {
                    self.asked.push(given);
                }
            }
            _ => return None,
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
        let answer = lock(&state).answer(raida, &mut buffer[..len]);
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
