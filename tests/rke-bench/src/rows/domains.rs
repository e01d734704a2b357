//! Concurrent sessions for a thousand domains: whether all are opened, and how many sockets that takes.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rke_host::udp::MAX_ROUNDS;
use rke_raida::content_server::DnsRecords;
use rke_raida::dns::DnsServer;

use crate::answer::Answer;
use crate::load::{Generator, Load, Requests};
use crate::method::Spread;
use crate::process::{Server, free_address};
use crate::report::{Figure, Goal};
use crate::stage::{DOMAINS, Stage, flags_with, many_domains};

const FIRST_PORT: usize = 10_000;

/// An exchange asks for two DNS records at a time, each from a socket of its own, in addition to the one of its round.
const MOST_SOCKETS: usize = 3 * MAX_ROUNDS + 8;

pub(crate) fn rows(stage: &Stage) -> Result<Vec<Figure>> {
    let own = stage.network.records();
    let other = |domain| DnsRecords { domain, ..own.clone() };
    let records: Vec<DnsRecords> = many_domains().map(other).chain([own.clone()]).collect();
    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    let dns = stage.runtime.block_on(DnsServer::start(loopback, &records, loopback.ip()))?;
    let (address, folder) = (free_address()?, stage.folder().join("domains"));
    let mut flags = flags_with(address, &folder, dns.address());
    flags.extend(["--max-sessions", "1000", "--exchange-timeout", "30"].map(str::to_owned));
    let server = Server::start(stage.program(), &flags, address, &stage.folder().join("domains.log"))?;
    let (seconds, sockets) = open(&server, &stage.network.wallet().display().to_string())?;
    stage.runtime.block_on(dns.stop());
    Ok(vec![Figure {
        name: "sessions for 1,000 domains at once: sockets".into(),
        ours: format!("all in {seconds:.1} s"),
        peer: String::new(),
        value: Spread::of([sockets as f64]),
        goal: Goal::AtMost(MOST_SOCKETS as f64),
        steady: true,
        plotted: None,
    }])
}

/// Opens the sessions. Returns how long it took, and the most UDP sockets that there were.
fn open(server: &Server, wallet: &str) -> Result<(f64, usize)> {
    let over = AtomicBool::new(false);
    thread::scope(|threads| {
        let watcher = threads.spawn(|| {
            let mut most = 0;
            while !over.load(Ordering::Relaxed) {
                most = most.max(server.udp_sockets()?);
                thread::sleep(Duration::from_millis(5));
            }
            anyhow::Ok(most)
        });
        let load = Load { connections: DOMAINS, depth: 1, time: Duration::MAX };
        let run = Generator::connect(server, DOMAINS).and_then(|mut generator| {
            generator.run(load, &mut Domains { wallet, domains: many_domains(), port: FIRST_PORT })
        });
        over.store(true, Ordering::Relaxed);
        let most = watcher.join().ok().context("the watcher panicked")??;
        Ok((run?.seconds(), most))
    })
}

/// A session for each domain, each requested by a different page.
struct Domains<'a, D> {
    wallet: &'a str,
    domains: D,
    port: usize,
}

impl<D: Iterator<Item = String>> Requests for Domains<'_, D> {
    fn add(&mut self, out: &mut Vec<u8>) -> bool {
        let Some(domain) = self.domains.next() else { return false };
        let (wallet, port) = (self.wallet, self.port);
        self.port += 1;
        let head = format!("GET /api/rke/session?domain={domain}&wallet_path={wallet} HTTP/1.1\r\n");
        out.extend(head.as_bytes());
        out.extend(format!("Host: localhost\r\nOrigin: http://localhost:{port}\r\n\r\n").as_bytes());
        true
    }

    fn take(&mut self, answer: &Answer<'_>) -> Result<()> {
        ensure!(answer.status == 200, "{} {}", answer.status, String::from_utf8_lossy(answer.body));
        Ok(())
    }
}
