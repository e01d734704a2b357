//! Scenarios of sessions that are opened from the cache, of data that flows in them, and of handshakes that fail.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::content_server::Manners;
use crate::daemon::Api;
use crate::network::Network;
use crate::process::Scan;
use crate::subject::{Subject, delete, use_session};

/// How long something may take that takes no time on a quiet machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Bytes that are sent through a tunnel.
const ECHOED: usize = 20_000;

/// Waits until a condition holds.
pub(crate) fn wait_for(what: &str, mut has_come: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !has_come()? {
        ensure!(Instant::now() < deadline, "timed out waiting until {what}");
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// A session by an exchange and two without the RAIDAs, each with a key of its own.
pub(crate) fn resumed(subject: &mut Subject, at: usize) -> Result<(Scan, Scan)> {
    let wallet = subject.network.renew()?;
    let ids =
        [subject.create(&wallet)?, subject.create_from_cache(&wallet)?, subject.create_from_cache(&wallet)?];
    ids.iter().take(at % 4).try_for_each(|id| use_session(subject.api, id, 5000))?;
    let living = subject.learn()?;
    ensure!(living.roots.len() == 3, "{} keys instead of 3", living.roots.len());
    let before = subject.scan_living(&living.sessions)?;
    ids.iter().try_for_each(|id| delete(subject.api, id, false))?;
    Ok((before, subject.scan()?))
}

/// A tunnel of a session through the daemon, which echoes.
pub(crate) struct Tunnel(TcpStream);

impl Tunnel {
    pub(crate) fn open(api: Api, id: &str) -> Result<Self> {
        let mut stream = api.connect()?;
        let head = format!("POST /api/rke/session/{id}/tunnel HTTP/1.1\r\nhost: localhost\r\n");
        write!(stream, "{head}te: trailers\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n")?;
        Ok(Self(stream))
    }

    /// Sends random bytes, and waits until they have come back.
    pub(crate) fn echo(&mut self) -> Result<()> {
        let mut data = vec![0; ECHOED];
        getrandom::fill(&mut data)?;
        write!(self.0, "{:x}\r\n", data.len())?;
        self.0.write_all(&data)?;
        self.0.write_all(b"\r\n")?;
        // Chunks may be cut anywhere, so only the last bytes are compared.
        let (mut answer, last) = (Vec::new(), &data[ECHOED - 8..]);
        while !answer.windows(last.len()).any(|window| window == last) {
            let mut piece = [0; 4096];
            let len = self.0.read(&mut piece)?;
            ensure!(len > 0, "the tunnel has ended: {}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(&piece[..len]);
        }
        Ok(())
    }

    /// Ends both directions.
    pub(crate) fn end(mut self) -> Result<()> {
        self.0.write_all(b"0\r\n\r\n")?;
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest)?;
        ensure!(rest.ends_with(b"\r\n\r\n"), "the tunnel was cut");
        Ok(())
    }
}

/// Waits until the daemon has closed its tunnels' connections.
pub(crate) fn wait_for_tunnels(network: &Network) -> Result<()> {
    wait_for("the tunnels are closed", || Ok(network.state().tunnels == 0))?;
    // A connection is closed before the keys of its two directions are dropped, in the same breath.
    thread::sleep(Duration::from_millis(20));
    Ok(())
}

/// A session with two tunnels: one ends, and its keys with it; the other is open when the session is deleted.
pub(crate) fn tunnelled(subject: &mut Subject, _: usize) -> Result<(Scan, Scan)> {
    let wallet = subject.network.renew()?;
    let id = subject.create(&wallet)?;
    let session = subject.learn()?.sessions;
    subject.network.turn_page();
    let mut ended = Tunnel::open(subject.api, &id)?;
    ended.echo()?;
    ended.end()?;
    wait_for_tunnels(&subject.network)?;
    let gone = subject.learn()?.transports;
    subject.network.turn_page();
    let mut open = Tunnel::open(subject.api, &id)?;
    open.echo()?;
    let living = subject.learn()?.transports;
    ensure!((gone.len(), living.len()) == (2, 2), "{} and {} keys of tunnels", gone.len(), living.len());
    let before = subject.scan_living(&[session, living].concat())?;
    ensure!(!before.has_found(&gone), "a tunnel has ended, and its keys are there");
    // Data flows until the session ends.
    let flow = thread::spawn(move || while open.echo().is_ok() {});
    thread::sleep(Duration::from_millis(10));
    delete(subject.api, &id, false)?;
    wait_for_tunnels(&subject.network)?;
    let after = subject.scan()?;
    ensure!(flow.join().is_ok(), "a task panicked");
    Ok((before, after))
}

/// The Content Server receives the first message and stays silent. Then it refuses, to a client that waits or to one
/// that has hung up; every tenth time it stays silent until the daemon's timeout.
pub(crate) fn cut_short(subject: &mut Subject, at: usize) -> Result<(Scan, Scan)> {
    let wallet = subject.network.renew()?;
    subject.network.set_manners(Manners::HoldsBack);
    let mut client = Some(subject.api.send(&subject.create_target(&wallet))?);
    wait_for("a handshake is begun", || Ok(subject.network.state().ledger.pending() == 1))?;
    let living = subject.learn()?;
    let before = subject.scan_living(&[living.pending, living.shares].concat())?;
    let (failures, hangs_up) = (subject.failures(), at.is_multiple_of(2));
    client.take_if(|_| hangs_up);
    if !at.is_multiple_of(10) {
        subject.network.set_manners(Manners::IsBusy);
    }
    match client {
        None => wait_for("the exchange has ended", || Ok(subject.failures() > failures))?,
        Some(mut stream) => {
            let mut answer = String::new();
            stream.read_to_string(&mut answer).context("no answer")?;
            ensure!(answer.contains("it refused"), "not the failure that was made: {answer}");
        }
    }
    let after = subject.scan()?;
    subject.network.set_manners(Manners::Accepts);
    Ok((before, after))
}
