//! A session's key from 25 nodes and the Content Server on loopback, and one from the cache, compared with a loop that sends
//! as many datagrams, waits for as many responses, makes the same two round trips over TCP, and does the same key encapsulation.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rke_engine::Domain;
use rke_engine::discovery::{Discovery, Dnssec, Validation};
use rke_engine::exchange::{Exchange, ExchangeConfig, Kept, KeptSecret};
use rke_engine::guardians::AgreedDirectory;
use rke_engine::settings::Confirm;
use rke_engine::trust::KnownServers;
use rke_host::udp::{self, Ended, Pool};
use rke_host::wallet::Wallet;
use rke_proto::RaidaIndex;
use rke_proto::directory::Directory;
use rke_proto::handshake::kem::{self, EncapsulationSeeds};
use rke_proto::reach::Reach;
use rke_proto::round::{MAX_DATAGRAM_LEN, Round};
use rke_secret::Secret;
use tokio::runtime::{Builder, Runtime};

use crate::machine::{SERVER_CORE, stay_on};
use crate::method::{Pace, Side, Triples, triples};
use crate::report::{Figure, Goal};
use crate::shares;
use crate::stage::{DOMAIN, Stage};
use crate::times::Times;

const SECOND: Duration = Duration::from_secs(1);

/// Times that one measurement takes at most: a node answers a coin no more than 65,536 times in ten minutes.
const MOST: u64 = 400;

/// Bytes of a first packet, and of its response.
const PACKET_LEN: usize = 1320;
const RESPONSE_LEN: usize = 1163;

/// Bytes of the end records that confirm a session, one in each direction.
const END_LEN: usize = 19;

pub(crate) fn rows(stage: &Stage) -> Result<Vec<Figure>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let exchange = exchange(stage)?;
    let echo = echo()?;
    let mut sides = Sides {
        stage,
        runtime,
        raidas: RaidaIndex::all().collect(),
        pool: Pool::default(),
        exchange,
        domain: Domain::new(DOMAIN).context("not a domain")?,
        wallet: stage.network.wallet().into(),
        kept: None,
        echo,
    };
    // Finds what DNS says once, for all that follow.
    sides.kept = sides.create()?.1;
    // First, because later exchanges with the same coin push the secret out of the Content Server.
    let resume = sides.measure(Sides::floor_of_tcp, Sides::resume)?;
    let create = sides.measure(Sides::floor_of_all, |sides| Ok(sides.create()?.0))?;
    let sockets = sides.measure(Sides::bare_loop, Sides::sockets)?;
    Ok(vec![
        row(
            "exchange with 25 nodes and the Content Server: from wallet to key, p50",
            &create,
            Times::p50,
            Goal::AtMost(1.25),
        ),
        row("the same, p99", &create, Times::p99, Goal::None),
        row("a key from the cache: resumption, p50", &resume, Times::p50, Goal::AtMost(1.3)),
        row("the same, p99", &resume, Times::p99, Goal::None),
        row("25 nodes: sending and taking answers alone, p50", &sockets, Times::p50, Goal::None),
        row("the same, p99", &sockets, Times::p99, Goal::None),
    ])
}

fn row(name: &str, triples: &Triples<Times>, metric: fn(&Times) -> f64, goal: Goal) -> Figure {
    Figure {
        name: name.into(),
        ours: format!("{:.0} µs", triples.ours(metric)),
        peer: format!("floor {:.0} µs", triples.peer(metric)),
        value: triples.ratio(metric),
        goal,
        steady: triples.steady,
        plotted: None,
    }
}

/// An exchange as the daemon makes it.
fn exchange(stage: &Stage) -> Result<Exchange> {
    let directory = Directory::default();
    let discovery = Discovery::new(
        Some(stage.network.dns_address()),
        Validation::load(Dnssec::Off, None)?,
        directory,
        Reach::Everywhere,
    );
    let folder = stage.folder().join("exchange");
    std::fs::create_dir_all(&folder)?;
    let rules = ExchangeConfig {
        timeout: Duration::from_secs(5),
        confirm: Confirm::Require,
        confirm_timeout: Duration::from_secs(2),
        allow_weak_shares: Default::default(),
        allow_envelope_1: Default::default(),
    };
    let known = KnownServers::open(&folder, Vec::new())?;
    Ok(Exchange::new(discovery, AgreedDirectory::none(), known, rules))
}

/// A server on the servers' core that answers each connection's first packet with as many bytes as a response has, and an end record
/// with another one.
fn echo() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").context("no listener")?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        let _ = stay_on(SERVER_CORE);
        for mut stream in listener.incoming().flatten() {
            let _ = stream.set_nodelay(true);
            let _ = answer::<PACKET_LEN>(&mut stream, &[0; RESPONSE_LEN])
                .and_then(|()| answer::<END_LEN>(&mut stream, &[0; END_LEN]));
        }
    });
    Ok(address)
}

/// Reads a packet and sends what it is answered with.
fn answer<const LEN: usize>(stream: &mut TcpStream, with: &[u8]) -> io::Result<()> {
    stream.read_exact(&mut [0; LEN])?;
    stream.write_all(with)
}

struct Sides<'a> {
    stage: &'a Stage,
    runtime: Runtime,
    raidas: Vec<RaidaIndex>,
    pool: Pool,
    exchange: Exchange,
    domain: Domain,
    wallet: PathBuf,
    kept: Option<Kept>,
    echo: SocketAddr,
}

impl Sides<'_> {
    fn measure(
        &self,
        peer: impl Fn(&Self) -> Result<Duration>,
        ours: impl Fn(&Self) -> Result<Duration>,
    ) -> Result<Triples<Times>> {
        triples(Pace::LONG, Times::p50, |side| {
            let (started, mut times) = (Instant::now(), Times::new()?);
            while started.elapsed() < SECOND && times.count() < MOST {
                times.add(match side {
                    Side::Peer => peer(self)?,
                    Side::Ours => ours(self)?,
                });
            }
            Ok(times)
        })
    }

    /// All that the daemon does from the records of a domain to a session's key.
    fn create(&self) -> Result<(Duration, Option<Kept>)> {
        let started = Instant::now();
        let deadline = self.exchange.deadline();
        let exchanged = self.exchange.run(&self.domain, Wallet::at(&self.wallet), None, deadline);
        let (_, kept) = self.runtime.block_on(exchanged)?;
        Ok((started.elapsed(), kept))
    }

    /// All that it does for one from the cache, the file apart.
    fn resume(&self) -> Result<Duration> {
        let Some(Kept { origin, secret }) = &self.kept else { anyhow::bail!("nothing is cached") };
        let KeptSecret::Resumption { secret, id, .. } = secret else { anyhow::bail!("the key is narrow") };
        let started = Instant::now();
        self.runtime.block_on(self.exchange.resume(origin, (*id, secret)))?;
        Ok(started.elapsed())
    }

    /// The requests and the responses, which are verified.
    fn sockets(&self) -> Result<Duration> {
        let mut round = self.round()?;
        let started = Instant::now();
        let deadline = tokio::time::Instant::now() + 2 * SECOND;
        let ended = self.runtime.block_on(udp::run(&self.pool, &mut round, deadline))?;
        ensure!(ended == Ended::Ready, "only {} nodes answered", round.answered().count());
        Ok(started.elapsed())
    }

    fn round(&self) -> Result<Round> {
        let network = &self.stage.network;
        let proofs = shares::prove(network.wallet(), &self.raidas)?;
        shares::round(network, proofs, &shares::context(network)?)
    }

    fn floor_of_all(&self) -> Result<Duration> {
        Ok(self.bare_loop()? + self.floor_of_tcp()?)
    }

    fn floor_of_tcp(&self) -> Result<Duration> {
        Ok(self.round_trips()? + encapsulation()?)
    }

    fn bare_loop(&self) -> Result<Duration> {
        let socket = UdpSocket::bind("127.0.0.1:0").context("no socket")?;
        socket.set_read_timeout(Some(SECOND))?;
        let mut round = self.round()?;
        let due = round.take_due(Duration::ZERO);
        let datagrams: Vec<(SocketAddr, Vec<u8>)> = due.map(|(_, to, bytes)| (to, bytes.to_vec())).collect();
        let mut answer = [0; MAX_DATAGRAM_LEN];
        let started = Instant::now();
        for (to, datagram) in &datagrams {
            socket.send_to(datagram, to)?;
        }
        for _ in &datagrams {
            socket.recv_from(&mut answer).context("a node did not answer")?;
        }
        Ok(started.elapsed())
    }

    /// A connection, a packet and a response, and an end record in each direction: without those, neither end knows that the other
    /// one has the key.
    fn round_trips(&self) -> Result<Duration> {
        let started = Instant::now();
        let mut stream = TcpStream::connect(self.echo)?;
        stream.set_nodelay(true)?;
        stream.write_all(&[0; PACKET_LEN])?;
        stream.read_exact(&mut [0; RESPONSE_LEN])?;
        stream.write_all(&[0; END_LEN])?;
        stream.read_exact(&mut [0; END_LEN])?;
        Ok(started.elapsed())
    }
}

/// X-Wing's key generation, encapsulation and decapsulation, as both ends do them.
fn encapsulation() -> Result<Duration> {
    let (seed, seeds) = (Secret::random()?, EncapsulationSeeds::random()?);
    let started = Instant::now();
    let public = kem::public_key(&seed)?;
    let (ciphertext, _) = kem::encapsulate(&public, &seeds)?.context("the key was refused")?;
    kem::decapsulate(&seed, &ciphertext)?.context("the ciphertext was refused")?;
    Ok(started.elapsed())
}
