//! A node's responses to requests for wide shares on one core, compared with an echo of datagrams of the same sizes.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use rke_proto::RaidaIndex;
use rke_proto::round::MAX_DATAGRAM_LEN;

use crate::machine::{SERVER_CORE, stay_on};
use crate::method::{Pace, Side, triples};
use crate::report::{Figure, Goal};
use crate::shares;
use crate::stage::Stage;

const SECOND: Duration = Duration::from_secs(1);
/// Requests that are made ahead, each of its own: more than a node can answer in a second.
const REQUESTS: usize = 150_000;
/// Requests that are made together.
const AT_ONCE: usize = 500;
/// Requests that wait for their response.
const DEPTH: usize = 32;

pub(crate) fn rows(stage: &Stage) -> Result<Vec<Figure>> {
    let node = stage.network.node_addresses()[0];
    let socket = client(node)?;
    let request = requests(stage, 1)?.pop().context("no request")?;
    socket.send(&request)?;
    let answer_len = socket.recv(&mut [0; MAX_DATAGRAM_LEN]).context("the node does not answer")?;
    let echo = Echo::start(answer_len)?;
    let triples = triples(
        Pace::LONG,
        |rate| *rate,
        |side| match side {
            Side::Ours => rate(&client(node)?, &requests(stage, REQUESTS)?),
            Side::Peer => rate(&echo.client()?, &vec![request.clone(); REQUESTS]),
        },
    )?;
    Ok(vec![Figure {
        name: "a node's wide shares".into(),
        ours: format!("{:.0} k/s", triples.ours(|rate| *rate) / 1e3),
        peer: format!("UDP echo {:.0} k/s", triples.peer(|rate| *rate) / 1e3),
        value: triples.ratio(|rate| *rate),
        goal: Goal::AtLeast(0.5),
        steady: triples.steady,
        plotted: None,
    }])
}

fn client(server: std::net::SocketAddr) -> Result<UdpSocket> {
    let socket = UdpSocket::bind("127.0.0.1:0").context("no socket")?;
    socket.set_read_timeout(Some(SECOND))?;
    socket.connect(server)?;
    Ok(socket)
}

/// Sealed requests to the first node, no two alike.
fn requests(stage: &Stage, count: usize) -> Result<Vec<Vec<u8>>> {
    // The wallet is read once for that many.
    let network = &stage.network;
    let first = RaidaIndex::all().next().context("there is no RAIDA")?;
    let first = vec![first; AT_ONCE.min(count)];
    let context = shares::context(network)?;
    let mut requests = Vec::with_capacity(count);
    while requests.len() < count {
        let proofs = shares::prove(network.wallet(), &first)?;
        let mut round = shares::round(network, proofs, &context)?;
        requests.extend(round.take_due(Duration::ZERO).map(|(_, _, bytes)| bytes.to_vec()));
    }
    Ok(requests)
}

/// Answers a second, for a second or until there are no requests left.
fn rate(socket: &UdpSocket, requests: &[Vec<u8>]) -> Result<f64> {
    let mut answer = [0; MAX_DATAGRAM_LEN];
    let (first, rest) = requests.split_at(DEPTH.min(requests.len()));
    let (started, mut answers) = (Instant::now(), 0);
    for request in first {
        socket.send(request)?;
    }
    for request in rest {
        socket.recv(&mut answer).context("an answer did not come")?;
        answers += 1;
        if started.elapsed() > SECOND {
            break;
        }
        socket.send(request)?;
    }
    Ok(f64::from(answers) / started.elapsed().as_secs_f64())
}

/// A thread on the server's core that answers each datagram with one of a fixed length.
struct Echo {
    socket: UdpSocket,
    thread: Option<std::thread::JoinHandle<Result<()>>>,
}

impl Echo {
    fn start(answer_len: usize) -> Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0").context("no socket")?;
        let here = socket.try_clone()?;
        let thread = std::thread::spawn(move || {
            stay_on(SERVER_CORE)?;
            let (mut datagram, answer) = ([0; MAX_DATAGRAM_LEN], vec![7; answer_len]);
            // An empty datagram ends it.
            while let (1.., peer) = here.recv_from(&mut datagram)? {
                here.send_to(&answer, peer)?;
            }
            Ok(())
        });
        Ok(Self { socket, thread: Some(thread) })
    }

    fn client(&self) -> Result<UdpSocket> {
        client(self.socket.local_addr()?)
    }

    fn stop(&mut self) -> Result<()> {
        self.client()?.send(&[])?;
        let thread = self.thread.take().context("it was stopped before")?;
        thread.join().map_err(|_| anyhow!("the echo panicked"))?
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            eprintln!("rke-bench: the echo did not end well: {error:#}");
        }
    }
}
