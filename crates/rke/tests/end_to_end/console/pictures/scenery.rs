//! The pictures of a network with everything in it that an operator may meet. Nothing of it is made up.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use rke_daemon::Daemon;
use rke_engine::Domain;
use rke_raida::content_server::{Application, DnsRecords, ServerConfig};
use rke_raida::dns::DnsServer;

use super::super::{ask_to_delete, cells, close_panels, confirm, go, live, open_panel, until_sessions};
use super::{Album, scroll_to};
use crate::chromium::Browser;
use crate::liars::make_liars;
use crate::records::with_endpoints;
use crate::relay::{Fault, Relays};
use crate::support::{config, get, network_with, percent, raw};

const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// How long sessions live, and how far apart they are opened: the rings show it.
const LIFE: Duration = Duration::from_secs(150);
const APART: Duration = Duration::from_secs(26);

/// Exchanges before the first picture, for the RAIDAs to have a history.
const HISTORY: usize = 32;

/// A daemon, and the wallet for its sessions.
struct Scenery {
    daemon: SocketAddr,
    wallet: PathBuf,
}

impl Scenery {
    /// Opens a session some time after the one before.
    async fn open_later(&self, domain: &str) -> String {
        tokio::time::sleep(APART).await;
        self.open(domain).await
    }

    async fn open(&self, domain: &str) -> String {
        let wallet = percent(self.wallet.to_str().expect("UTF-8"));
        let target = format!("/api/rke/session?domain={domain}&wallet_path={wallet}&fresh=true");
        let created = get(self.daemon, &target).await;
        assert_eq!(created.status, 200, "{}", created.body);
        created.json()["session_id"].as_str().expect("an id").to_owned()
    }

    async fn encrypt(&self, id: &str, times: usize) {
        for _ in 0..times {
            get(self.daemon, &format!("/api/rke/encrypt?session_id={id}&plaintext=SGVsbG8=")).await;
        }
    }
}

fn renamed(records: &DnsRecords, domain: &str) -> DnsRecords {
    DnsRecords { domain: domain.into(), host: format!("cs.{domain}"), ..records.clone() }
}

/// RAIDAs as they are: most answer at once, some take longer, one is away, one lies.
fn faults() -> [Fault; 25] {
    let mut faults = [Fault::None; 25];
    [6, 9, 13, 16, 22].into_iter().for_each(|raida| faults[raida] = Fault::Reordering);
    faults[18] = Fault::Lossy;
    faults
}

/// The domains of the sessions that are shown.
const DOMAINS: [&str; 6] =
    ["mail.example", "files.example", "archive.example", "staging.files.example", WEAK, "content.rke.test"];

/// The one whose keys have 8 bits.
const WEAK: &str = "museum.example";

pub(super) async fn take(browser: &mut Browser, album: &Album) {
    let dir = tempfile::Builder::new().prefix("rke-").tempdir().expect("a folder");
    let mut server = ServerConfig::new(Application::Echo);
    server.rules.domains = DOMAINS.map(str::to_owned).to_vec();
    let mut network = network_with(&dir, server).await;
    let narrow = network.add_narrow_key_set().await.expect("a key set of narrow shares");
    let relays = Relays::start(network.node_addresses(), faults().to_vec(), 3).await;
    let records = with_endpoints(&network, &relays.endpoints());
    let of = |domain| renamed(if domain == WEAK { &narrow } else { &records }, domain);
    let records = DOMAINS.map(of);
    let dns = DnsServer::start(LOOPBACK, &records, LOOPBACK.ip()).await.expect("a DNS server");
    let mut settings = config(&dir, dns.address());
    settings.reloadable.exchange_timeout = Duration::from_secs(12);
    settings.reloadable.session_ttl = LIFE;
    settings.reloadable.allow_weak_shares = vec![Domain::new(WEAK).expect("a domain")];
    let daemon = Daemon::start(settings).await.expect("a daemon");
    let wallet = network.wallet().to_owned();
    let scenery = Scenery { daemon: daemon.address(), wallet };
    browser.visit(&format!("http://localhost:{}/", scenery.daemon.port()));
    live(browser);
    for turn in 0..HISTORY {
        relays.spoil(11, if turn % 9 > 6 { Fault::Dead } else { Fault::None });
        relays.spoil(20, if turn > 25 { Fault::Dead } else { Fault::None });
        if turn == HISTORY - 1 {
            make_liars(&network, &dir, 1).await;
        }
        let id = scenery.open("mail.example").await;
        if turn < HISTORY - 1 {
            get(scenery.daemon, &format!("/api/rke/session/delete?session_id={id}")).await;
        } else {
            scenery.encrypt(&id, 48).await;
        }
    }
    for (domain, used) in [("files.example", 12), ("archive.example", 3), ("staging.files.example", 0)] {
        let id = scenery.open_later(domain).await;
        scenery.encrypt(&id, used).await;
    }
    // Before records name other addresses, with which histories begin again.
    go(browser, "raidas");
    browser.click(".raida:nth-child(19)");
    album.take(browser, "raidas");
    scenery.open_later(WEAK).await;
    let attack = "DELETE /api/rke/sessions HTTP/1.1\r\nhost: localhost\r\norigin: https://free-wallpapers.example\r\nconnection: close\r\n\r\n";
    raw(scenery.daemon, attack).await;
    of_sessions(browser, album);
    of_an_end(browser, album);

    (12..25).for_each(|raida| relays.spoil(raida, Fault::Dead));
    open_panel(browser);
    browser.fill("#open-domain", "content.rke.test");
    browser.fill("#open-wallet", scenery.wallet.to_str().expect("UTF-8"));
    browser.click("#open-button");
    browser.until(&format!("{} === 12", cells("answered")));
    browser.fill("#open-wallet", "/home/alice/wallet");
    album.take_prepared(browser, "opening", scroll_to("#open-result"));
    browser.until_text("#open-result", "Too few RAIDAs answered");
    album.take_prepared(browser, "failure", scroll_to("#open-result"));
    daemon.stop().await;
    dns.stop().await;
    network.stop().await;
}

/// Five sessions, and what the other views say meanwhile.
fn of_sessions(browser: &mut Browser, album: &Album) {
    until_sessions(browser, 5);
    browser.until("document.querySelector('#gate-last').textContent.includes('free-wallpapers')");
    album.take(browser, "sessions");
    browser.click(".session:last-child .row-open");
    browser.until("document.querySelectorAll('#session-raidas [data-state=used]').length > 0");
    album.take(browser, "session");
    close_panels(browser);
    for view in ["overview", "security"] {
        go(browser, view);
        album.take(browser, view);
    }
}

/// The end of a session, from the question to the receipt.
fn of_an_end(browser: &mut Browser, album: &Album) {
    go(browser, "sessions");
    browser.click("[data-sort=domain]");
    ask_to_delete(browser);
    album.take(browser, "deleting");
    confirm(browser);
    until_sessions(browser, 4);
    go(browser, "activity");
    let deleted = "document.querySelector('#activity-rows [data-event=session_deleted]').textContent";
    browser.until(&format!("{deleted}.includes('archive.example') && {deleted}.includes('Wiped there too')"));
    album.take(browser, "activity");
    browser.until("!document.querySelector('#said').classList.contains('shown')");
    browser.click("#activity-rows [data-event=session_deleted] button");
    album.take(browser, "receipt");
    close_panels(browser);
}
