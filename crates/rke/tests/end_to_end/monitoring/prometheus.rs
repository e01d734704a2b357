//! A real Prometheus reads real programs: every alert of `packaging/monitoring` fires, and every query of the dashboard has
//! a result. Only what a test cannot bring about comes from [`fake`].

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hyper::Response;
use hyper::body::Incoming;
use rke_proto::RaidaIndex;
use serde_json::Value;

use super::*;
use crate::servers::{free_port, refusing_port};
use crate::support::{percent, request};
use crate::wire::{Pieces, pieces, send};

/// The alerts for which Prometheus needs a minute of counters before and after are given this long.
const UNTIL_ALL_FIRE: Duration = Duration::from_secs(180);

fn packaged(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/monitoring");
    fs::read_to_string(folder.join(name)).expect("a file of the project")
}

/// A Prometheus that scrapes these targets each second. Dropping it kills it.
struct Prometheus {
    address: SocketAddr,
    child: Child,
}

impl Prometheus {
    /// Alerts fire at once, whatever their `for` says.
    fn start(dir: &Path, targets: &[(&str, SocketAddr)]) -> Self {
        let rules = packaged("rke-alerts.yml");
        let rules: Vec<&str> = rules.lines().filter(|line| !line.trim_start().starts_with("for: ")).collect();
        fs::write(dir.join("rules.yml"), rules.join("\n")).expect("written");
        let jobs: String = targets
            .iter()
            .map(|(job, address)| {
                format!("- job_name: {job}\n  static_configs: [{{ targets: [\"{address}\"] }}]\n")
            })
            .collect();
        let global = "global: { scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s }";
        let text = format!("{global}\nrule_files: [rules.yml]\nscrape_configs:\n{jobs}");
        fs::write(dir.join("prometheus.yml"), text).expect("written");
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", dir.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", dir.join("prometheus").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stderr(fs::File::create(dir.join("prometheus.log")).expect("a file"))
            .spawn()
            .expect("prometheus runs");
        Self { address, child }
    }

    async fn is_ready(&self) -> Result<(), String> {
        let connected = TcpStream::connect(self.address);
        connected.map_err(|error| error.to_string())?;
        match self.ask("/-/ready").await {
            Answer { status: 200, .. } => Ok(()),
            answer => Err(answer.body),
        }
    }

    async fn ask(&self, target: &str) -> Answer {
        raw(self.address, format!("GET {target} HTTP/1.0\r\n\r\n")).await
    }

    async fn get(&self, target: &str) -> Value {
        let value = self.ask(target).await.json();
        assert_eq!(value["status"], "success", "{target}: {value}");
        value["data"].clone()
    }

    /// The names of all alerts, none of which may be wrong.
    async fn rules(&self) -> BTreeSet<String> {
        let data = self.get("/api/v1/rules").await;
        let groups = data["groups"].as_array().expect("groups").iter();
        let rules: Vec<&Value> = groups.flat_map(|group| group["rules"].as_array().expect("rules")).collect();
        for rule in &rules {
            assert!(rule["lastError"].is_null(), "{rule}");
        }
        rules.iter().map(|rule| rule["name"].as_str().expect("a name").to_owned()).collect()
    }

    async fn firing(&self) -> BTreeSet<String> {
        let data = self.get("/api/v1/alerts").await;
        let alerts = data["alerts"].as_array().expect("alerts").iter();
        let firing = alerts.filter(|alert| alert["state"] == "firing");
        firing.map(|alert| alert["labels"]["alertname"].as_str().expect("a name").to_owned()).collect()
    }

    async fn has_result(&self, query: &str) -> bool {
        let data = self.get(&format!("/api/v1/query?query={}", percent(query))).await;
        data["result"].as_array().is_some_and(|result| !result.is_empty())
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A daemon, a node and two Content Servers in trouble, and the network that they are on.
struct Trouble {
    stage: Stage,
    node: Program,
    /// RAIDA 17, which has lost its data folder.
    _without_key_set: Program,
    /// The stage's, with limits that are too low.
    server: Program,
    /// Another one on the same data folder, to restart.
    second: Program,
    second_at: SocketAddr,
    bad_coins: PathBuf,
}

impl Trouble {
    async fn new() -> Self {
        let mut stage = Stage::with(|config| config.reloadable.max_sessions = 6).await;
        let bad_coins = stage.dir.path().join("bad-coins");
        fs::create_dir(&bad_coins).expect("a folder");
        fs::write(bad_coins.join("bad.bin"), "not a coin").expect("written");
        let bad = bad_coins.display().to_string();
        // Sixteen places, one for each coin. It has no preloader.
        let node = node::start(&mut stage, &["--replay-memory", "16", "--coins", &bad]).await;
        let raida = RaidaIndex::new(17).expect("RAIDA 17");
        let without_key_set = node::start_without_key_set(&mut stage, raida).await;
        let limits = ["--keys-per-coin", "2", "--max-connections", "4", "--max-commands", "1"];
        let server =
            Program::content_server(&mut stage, &[&limits[..], &["--exec", "sleep 600"]].concat()).await;
        let second_at = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let second = Self::second(&stage, second_at);
        Self { stage, node, _without_key_set: without_key_set, server, second, second_at, bad_coins }
    }

    fn second(stage: &Stage, metrics: SocketAddr) -> Program {
        let data_dir = stage.network.server_data_dir().display().to_string();
        let serve = ["content-server", "serve", "--cs-id", "CONTENT-SERVER01", "--listen", "127.0.0.1:0"];
        let metrics = metrics.to_string();
        Program::start_at(&[&serve[..], &["--data-dir", &data_dir]].concat(), &metrics)
    }

    fn targets(&self) -> [(&'static str, SocketAddr); 6] {
        let down = SocketAddr::from(([127, 0, 0, 1], refusing_port()));
        [
            ("rke-daemon", self.stage.daemon.address()),
            ("rke-raida", self.node.metrics),
            ("rke-content-server", self.server.metrics),
            ("rke-content-server-2", self.second_at),
            ("rke-fake", fake::start()),
            ("rke-down", down),
        ]
    }

    /// Makes exchanges until the daemon has a response of the node that has lost its data folder.
    async fn find_the_lost_key_set(&self) {
        again(async || {
            let answer = self.stage.get(&format!("{}&fresh=true", self.stage.create_target())).await.json();
            let Some(id) = answer["session_id"].as_str() else { return Err(answer.to_string()) };
            request(self.stage.daemon.address(), "DELETE", &format!("/api/rke/session/{id}")).await;
            let row = self.stage.get("/api/rke/raidas").await.json()["raidas"][17].clone();
            if row["state"] == "no_key_set" { Ok(()) } else { Err(row.to_string()) }
        })
        .await;
    }

    /// Opens sessions until the daemon has no room, each by an exchange, most of which the node refuses.
    async fn fill(&self) -> Vec<String> {
        let mut ids = Vec::new();
        loop {
            let answer = self.stage.get(&format!("{}&fresh=true", self.stage.create_target())).await;
            match answer.status {
                200 => ids.push(answer.json()["session_id"].as_str().expect("an id").to_owned()),
                429 => return ids,
                _ => panic!("{answer:?}"),
            }
        }
    }

    /// Attaches to a session with a tunnel that stays open as long as both of these values.
    async fn attach(&self, id: &str) -> (Pieces, Option<Response<Incoming>>) {
        let (mut sender, body) = pieces();
        sender.send_data("x".into()).await.expect("the first piece");
        let target = format!("/api/rke/session/{id}/tunnel");
        let headers = [("content-type", "application/octet-stream")];
        (sender, send(self.stage.daemon.address(), "POST", &target, &headers, body).await.ok())
    }

    /// Notes in the data folder when k1 retires, in Unix seconds.
    fn retire_at(&self, at: u64) {
        let folders = fs::read_dir(self.stage.network.server_data_dir()).expect("a folder").flatten();
        let mut sets =
            folders.filter(|entry| entry.file_name().to_string_lossy().starts_with("master-secrets-"));
        let folder = sets.next().expect("a key set").path();
        fs::write(folder.join("retires-at.new"), at.to_string()).expect("written");
        fs::rename(folder.join("retires-at.new"), folder.join("retires-at")).expect("moved");
    }
}

/// Waits until these alerts have fired, and adds all that fire to those seen.
async fn wait_for(prometheus: &Prometheus, names: &[&str], seen: &mut BTreeSet<String>) {
    let deadline = Instant::now() + UNTIL_ALL_FIRE;
    loop {
        seen.extend(prometheus.firing().await);
        let missing: Vec<&&str> = names.iter().filter(|name| !seen.contains(**name)).collect();
        if missing.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "these do not fire: {missing:?}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_alert_fires_and_every_query_of_the_dashboard_has_a_result() {
    let mut trouble = Trouble::new().await;
    let dir = tempfile::tempdir().expect("a folder");
    let prometheus = Prometheus::start(dir.path(), &trouble.targets());
    again(async || prometheus.is_ready().await).await;
    let mut seen = BTreeSet::new();
    // The first rates need a scrape of everything.
    again(async || match prometheus.has_result("sum(up) == 5").await {
        true => Ok(()),
        false => Err("it has not scraped all".into()),
    })
    .await;
    trouble.find_the_lost_key_set().await;
    wait_for(&prometheus, &["RkeRaidaWithoutKeySet"], &mut seen).await;
    for raida in (8..17).filter_map(RaidaIndex::new) {
        trouble.stage.network.stop_node(raida).await;
    }
    let ids = trouble.fill().await;
    let _tunnels = (trouble.attach(&ids[4]).await, trouble.attach(&ids[5]).await);
    let said = node::preload(&trouble.stage, "ANOTHER");
    assert!(said.contains("0 of 1"), "{said}");
    for _ in 0..20 {
        let foreign = get_with("/api/rke/status", "host: evil.example");
        assert_eq!(raw(trouble.stage.daemon.address(), foreign).await.status, 421);
    }
    // Its coins cannot all be used, so it refuses to read its settings again.
    trouble.node.signal(Signal::HUP);
    let of_limits = [
        "RkeFewSpareRaidas",
        "RkeForeignHost",
        "RkeSessionsFull",
        "RkeRaidaReplayMemoryFull",
        "RkeRaidaPreloadRefused",
        "RkeReloadFailed",
    ];
    wait_for(&prometheus, &of_limits, &mut seen).await;
    let of_server =
        ["RkeRaidaCoinsUnusable", "RkeContentServerEvicts", "RkeContentServerCommandsFull", "RkeDown"];
    wait_for(&prometheus, &of_server, &mut seen).await;
    assert_dashboard(&prometheus).await;

    let crowd = || TcpStream::connect(trouble.stage.network.content_server_address()).expect("connected");
    again(async || {
        let _crowd = [(); 4].map(|()| crowd());
        tokio::time::sleep(Duration::from_secs(3)).await;
        seen.extend(prometheus.firing().await);
        seen.contains("RkeContentServerCrowded").then_some(()).ok_or_else(|| "it is not crowded".into())
    })
    .await;
    trouble.second.signal(Signal::TERM);
    trouble.second.child.wait().expect("an exit status");
    trouble.second = Trouble::second(&trouble.stage, trouble.second_at);
    fs::rename(trouble.stage.dir.path().join("raida-07"), dir.path().join("raida-07")).expect("moved");
    trouble.retire_at(u64::MAX / 2);
    wait_for(&prometheus, &["RkeNotReady", "RkeRestarted", "RkeContentServerRetiresLast"], &mut seen).await;
    trouble.retire_at(1);
    trouble.server.signal(Signal::KILL);
    request(trouble.stage.daemon.address(), "DELETE", &format!("/api/rke/session/{}", ids[5])).await;
    wait_for(&prometheus, &["RkeContentServerWithoutKeySet", "RkeDeletionsPending"], &mut seen).await;

    let all = prometheus.rules().await;
    wait_for(&prometheus, &all.iter().map(String::as_str).collect::<Vec<_>>(), &mut seen).await;
    assert_documented_alerts(&all);
    drop((prometheus, trouble.bad_coins));
    trouble.stage.stop().await;
}

/// The dashboard has no query that fails or finds nothing.
async fn assert_dashboard(prometheus: &Prometheus) {
    let dashboard: Value = serde_json::from_str(&packaged("rke-dashboard.json")).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels").iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let queries: Vec<&str> = targets.map(|target| target["expr"].as_str().expect("a query")).collect();
    assert!(queries.len() > 30, "{} queries", queries.len());
    for query in queries {
        let query = query.replace("$instance", ".*").replace("$__rate_interval", "1m");
        assert!(!query.contains('$'), "{query}");
        again(async || match prometheus.has_result(&query).await {
            true => Ok(()),
            false => Err(format!("nothing for {query}")),
        })
        .await;
    }
}

/// The table of docs/monitoring.md has these alerts and no other.
fn assert_documented_alerts(alerts: &BTreeSet<String>) {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/monitoring.md");
    let text = fs::read_to_string(docs).expect("docs");
    let chapter =
        text.split("\n## Alerts\n").nth(1).expect("a chapter").split("\n## ").next().expect("its text");
    let rows = chapter.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    assert_eq!(&rows.map(str::to_owned).collect::<BTreeSet<_>>(), alerts);
}
