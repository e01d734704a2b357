//! Changing the settings of a running daemon: SIGHUP makes it reload its configuration. SIGHUP and SIGUSR1 both
//! make it look in DNS again.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rke_raida::dns::DnsServer;
use rustix::process::Signal;

use crate::everywhere::until;
use crate::real::{Files, Real, get_with};
use crate::records::serve_records;
use crate::support::{Answer, DOMAIN, network, percent};

fn write(path: &Path, text: &str) {
    fs::write(path, text).expect("written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_configuration_holds_at_once_and_sessions_live_on() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("rke.toml");
    write(&path, "max-sessions = 1\n");
    let real = Real::start(&["--config", path.to_str().expect("UTF-8")]).await;
    let id = real.create_id();
    let foreign = get_with("/api/rke/status", "host: rke.example\nx-rke-request: 1");
    assert_eq!((real.get(&real.create_target()).status, real.send(&foreign).status), (429, 421));
    write(
        &path,
        "max-sessions = 2\nallow-host = ['rke.example']\nsession-ttl = 2\nmax-keys = 0\nlog = 'debug'\n",
    );
    let log = real.reload();
    assert!(log.contains("the configuration was read again") && !log.contains("restart to apply"), "{log}");
    assert!(real.lives(&id));
    assert_eq!(real.send(&foreign).status, 200);
    let status = real.get("/api/rke/status").json();
    assert_eq!(
        (&status["sessions"]["max"], &status["config"]["session_timeout_sec"]),
        (&2.into(), &2.into())
    );
    assert_eq!(status["keystore"]["total"], 0, "the cache has no room any more");
    let short = real.create_id();
    std::thread::sleep(Duration::from_millis(2300));
    assert!(real.lives(&id) && !real.lives(&short), "an older session keeps its time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn how_often_sessions_may_be_opened_is_a_setting_that_a_reload_changes() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("rke.toml");
    write(&path, "create-rate = 1\ncreate-burst = 2\n");
    let real = Real::start(&["--config", path.to_str().expect("UTF-8")]).await;
    // The gate counts requests. What they ask for need not exist.
    let create = || real.get("/api/rke/session?domain=elsewhere.invalid").status;
    // How many pass depends on how long they take.
    until("a refused request", || create() == 429);
    write(&path, "create-rate = 1\ncreate-burst = 1000\n");
    real.reload();
    let statuses = [(); 5].map(|()| create());
    assert!(!statuses.contains(&429), "{statuses:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mistake_changes_nothing_and_what_takes_a_new_start_is_named() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("rke.toml");
    write(&path, "max-sessions = 1\n");
    let real = Real::start(&["--config", path.to_str().expect("UTF-8")]).await;
    let id = real.create_id();
    for mistake in ["max-sessions = 5\nunknown = 1\n", "max-sessions = 5\nwallet-root = '/does/not/exist'\n"]
    {
        write(&path, mistake);
        let log = real.reload();
        assert!(log.contains("the configuration is not changed"), "{log}");
        let status = real.get("/api/rke/status").json();
        assert_eq!((&status["sessions"]["max"], took(&status)), (&1.into(), false));
    }
    write(&path, "max-sessions = 5\nrequire-token = true\nbody-timeout = 7\nsandbox = 'off'\n");
    real.reload();
    for setting in ["require-token", "body-timeout", "sandbox"] {
        let is_named = |line: &str| line.contains(setting) && line.contains("restart to apply it");
        until(setting, || real.log().lines().any(is_named));
    }
    let status = real.get("/api/rke/status").json();
    assert_eq!(status["sessions"]["max"], 5, "without a token, as before");
    assert!(took(&status));
    assert!(real.lives(&id));
}

/// Whether the daemon took the settings that it read last.
fn took(status: &serde_json::Value) -> bool {
    status["config"]["last_reload_successful"].as_bool().expect("told")
}

/// A daemon, and a separate DNS server whose records can be changed.
struct Renamed {
    real: Real,
    dns: DnsServer,
}

impl Renamed {
    async fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let network = network(&dir).await;
        let dns = serve_records(([127, 0, 0, 1], 0).into(), network.records()).await;
        let server = dns.address().to_string();
        Self { real: Real::start_on(dir, network, &["--dns-server", &server], Files::AsMany), dns }
    }

    /// Makes DNS name no RAIDA server of the domain from here on.
    async fn name_no_servers(self) -> Self {
        let mut records = self.real.network.records().clone();
        records.texts.retain(|text| !text.contains("raida="));
        let address = self.dns.address();
        self.dns.stop().await;
        Self { dns: serve_records(address, &records).await, real: self.real }
    }

    fn create(&self, wallet: PathBuf) -> Answer {
        let wallet = percent(wallet.to_str().expect("UTF-8"));
        self.real.get(&format!("/api/rke/session?domain={DOMAIN}&wallet_path={wallet}"))
    }

    /// DNS has changed, but the daemon still uses the records that it remembers. Each wallet has its own exchange
    /// the first time.
    async fn remembered() -> Self {
        let renamed = Self::new().await;
        assert_eq!(renamed.create(renamed.real.network.wallet().into()).status, 200);
        let renamed = renamed.name_no_servers().await;
        let remembered = renamed.create(renamed.real.network.other_wallet());
        assert_eq!(remembered.status, 200, "{remembered:?}");
        renamed
    }

    fn expect_new_records(&self, wallet: PathBuf) {
        let refused = self.create(wallet);
        assert!(refused.status != 200 && refused.body.contains("no usable key set"), "{refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sighup_makes_the_daemon_look_in_dns_again() {
    let renamed = Renamed::remembered().await;
    let log = renamed.real.reload();
    assert!(log.contains("the configuration was read again"), "{log}");
    renamed.expect_new_records(renamed.real.network.server_wallet());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigusr1_makes_the_daemon_look_in_dns_again() {
    let renamed = Renamed::remembered().await;
    renamed.real.signal(Signal::USR1);
    // The cached keys are dropped last.
    while renamed.real.get("/api/rke/status").json()["keystore"]["total"] != 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    renamed.expect_new_records(renamed.real.network.wallet().into());
}
