//! A key from 25 nodes on loopback, discovery left out, beside a bare loop that sends as many datagrams and
//! waits for as many answers.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rke_host::udp::{self, Ended, Pool};
use rke_proto::RaidaIndex;
use rke_proto::round::{MAX_DATAGRAM_LEN, Round};
use tokio::runtime::{Builder, Runtime};

use crate::method::{Pace, Side, Triples, triples};
use crate::report::{Goal, Row};
use crate::shares;
use crate::stage::Stage;
use crate::times::Times;

const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn rows(stage: &Stage) -> Result<Vec<Row>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let sides = Sides { stage, runtime, raidas: RaidaIndex::all().collect(), pool: Pool::default() };
    let whole = sides.measure(|| sides.whole())?;
    let sockets = sides.measure(|| sides.sockets())?;
    Ok(vec![
        row("from wallet to key, p50", &whole, Times::p50, Goal::AtMost(1.2)),
        row("from wallet to key, p99", &whole, Times::p99, Goal::AtMost(1.3)),
        row("sending and taking answers alone, p50", &sockets, Times::p50, Goal::None),
        row("sending and taking answers alone, p99", &sockets, Times::p99, Goal::None),
    ])
}

fn row(name: &str, triples: &Triples<Times>, metric: fn(&Times) -> f64, goal: Goal) -> Row {
    Row {
        name: format!("exchange with 25 nodes: {name}"),
        ours: format!("{:.0} µs", triples.ours(metric)),
        peer: format!("bare loop {:.0} µs", triples.peer(metric)),
        value: triples.ratio(metric),
        goal,
        steady: triples.steady,
        plotted: None,
    }
}

struct Sides<'a> {
    stage: &'a Stage,
    runtime: Runtime,
    raidas: Vec<RaidaIndex>,
    pool: Pool,
}

impl Sides<'_> {
    fn measure(&self, ours: impl Fn() -> Result<Duration>) -> Result<Triples<Times>> {
        let socket = UdpSocket::bind("127.0.0.1:0").context("no socket")?;
        socket.set_read_timeout(Some(SECOND))?;
        triples(Pace::LONG, Times::p50, |side| {
            let (started, mut times) = (Instant::now(), Times::new()?);
            while started.elapsed() < SECOND {
                times.add(match side {
                    Side::Peer => self.bare_loop(&socket)?,
                    Side::Ours => ours()?,
                });
            }
            Ok(times)
        })
    }

    /// All that the daemon does between discovery and the key.
    fn whole(&self) -> Result<Duration> {
        let started = Instant::now();
        let network = &self.stage.network;
        let context = shares::context(network)?;
        let mut round = shares::round(network, shares::prove(network.wallet(), &self.raidas)?, &context)?;
        self.carry(&mut round)?;
        round.derive_key(&context)?.context("there is no key")?;
        Ok(started.elapsed())
    }

    /// The requests and the answers, which are verified.
    fn sockets(&self) -> Result<Duration> {
        let mut round = self.round()?;
        let started = Instant::now();
        self.carry(&mut round)?;
        Ok(started.elapsed())
    }

    fn round(&self) -> Result<Round> {
        let network = &self.stage.network;
        let proofs = shares::prove(network.wallet(), &self.raidas)?;
        shares::round(network, proofs, &shares::context(network)?)
    }

    fn carry(&self, round: &mut Round) -> Result<()> {
        let deadline = tokio::time::Instant::now() + 2 * SECOND;
        let ended = self.runtime.block_on(udp::run(&self.pool, round, deadline))?;
        ensure!(ended == Ended::Ready, "only {} nodes answered", round.answered().count());
        Ok(())
    }

    fn bare_loop(&self, socket: &UdpSocket) -> Result<Duration> {
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
}
