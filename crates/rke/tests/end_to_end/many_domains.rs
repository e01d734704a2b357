//! Sessions for many domains, requested at the same time: all of them open, with few sockets.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use procfs::process::{FDTarget, Process};
use rke_host::udp::MAX_ROUNDS;
use rke_raida::content_server::{Application, DnsRecords, ServerConfig};
use rke_raida::dns::DnsServer;

use crate::real::{Files, Real, get_with};
use crate::support::{DOMAIN, network_with, percent};

const DOMAINS: usize = 300;

/// Fewer than the sessions that one web page may open at the same time.
const SESSIONS_OF_A_PAGE: usize = 150;

/// An exchange sends two DNS queries at a time, each from its own socket, and uses one more socket for its round.
/// Without a limit there would be three sockets for each domain.
const MOST_SOCKETS: usize = 3 * MAX_ROUNDS + 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_domains_at_once_all_get_a_session_over_few_sockets() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut server = ServerConfig::new(Application::Echo);
    let other = |at| format!("d{at}.{DOMAIN}");
    server.rules.domains = (0..DOMAINS).map(other).chain([DOMAIN.into()]).collect();
    // All sessions are opened with the same coins.
    server.rules.keys_per_coin = 2 * DOMAINS;
    let network = network_with(&dir, server).await;
    let own = network.records().clone();
    let other = |at| DnsRecords { domain: other(at), ..own.clone() };
    let records: Vec<DnsRecords> = (0..DOMAINS).map(other).chain([own.clone()]).collect();
    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    let dns = DnsServer::start(loopback, &records, loopback.ip()).await.expect("a DNS server");
    let dns_address = dns.address().to_string();
    let flags = ["--dns-server", &dns_address, "--max-sessions", "1000"];
    let real = Real::start_on(dir, network, &flags, Files::AsMany);
    let wallet = percent(real.network.wallet().to_str().expect("UTF-8"));
    let opened = AtomicBool::new(false);
    let most = thread::scope(|threads| {
        let watcher = threads.spawn(|| most_sockets(real.process(), &opened));
        let open = |at| {
            let (real, wallet) = (&real, &wallet);
            threads.spawn(move || {
                let target = format!("/api/rke/session?domain=d{at}.{DOMAIN}&wallet_path={wallet}");
                let port = 10_000 + at / SESSIONS_OF_A_PAGE;
                real.send(get_with(&target, &format!("host: localhost\norigin: http://localhost:{port}")))
            })
        };
        let opening: Vec<_> = (0..DOMAINS).map(open).collect();
        let answers: Vec<_> = opening.into_iter().map(|answer| answer.join().expect("an answer")).collect();
        opened.store(true, Ordering::Relaxed);
        for answer in answers {
            assert_eq!((answer.status, &answer.json()["from_cache"]), (200, &false.into()), "{answer:?}");
        }
        watcher.join().expect("a number")
    });
    assert!((1..=MOST_SOCKETS).contains(&most), "{most} sockets for {DOMAINS} domains");
    dns.stop().await;
}

/// The most UDP sockets that a process has at one time, until `over` is set.
fn most_sockets(process: u32, over: &AtomicBool) -> usize {
    let mut most = 0;
    while !over.load(Ordering::Relaxed) {
        most = most.max(sockets(process));
        thread::sleep(Duration::from_millis(2));
    }
    most
}

fn sockets(process: u32) -> usize {
    let all = procfs::net::udp().into_iter().chain(procfs::net::udp6()).flatten();
    let all: HashSet<u64> = all.map(|socket| socket.inode).collect();
    let process = Process::new(process as i32).expect("the daemon runs");
    let descriptors = process.fd().expect("its descriptors").flatten();
    let is_udp = |target: &FDTarget| matches!(target, FDTarget::Socket(inode) if all.contains(inode));
    descriptors.filter(|descriptor| is_udp(&descriptor.target)).count()
}
