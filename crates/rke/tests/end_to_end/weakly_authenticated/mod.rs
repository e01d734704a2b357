//! Handshake 3 over the 1-byte shares of unmodified RAIDAs: keys of 256 bits, between ends that are only weakly
//! authenticated. It works where both ends allow it, reports how strong it is, and survives RAIDAs that lie and
//! cannot be identified.

mod liars;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rke_daemon::Daemon;
use rke_engine::Domain;
use rke_engine::settings::Config;
use rke_proto::{Form, KeySetId};
use rke_raida::content_server::{Application, DnsRecords, ServerConfig};
use rke_raida::dns::DnsServer;
use rke_raida::network::LocalNetwork;
use serde_json::{Value, json};

use crate::records::Detour;
use crate::support::{DOMAIN, config, get, network, request, running};
use crate::tunnel::{arguments, rke, rke_code};
use crate::wire::post;

fn domain() -> Domain {
    Domain::new(DOMAIN).expect("a domain")
}

fn k(number: u8) -> KeySetId {
    KeySetId::new(number).expect("a key set")
}

/// A network with a key set for handshake 3 over narrow shares, the only one that DNS names, and a daemon that may
/// use it. `records` may change the records of DNS.
pub(crate) async fn scene(
    records: impl AsyncFnOnce(&mut LocalNetwork, DnsRecords) -> DnsRecords,
    change: impl FnOnce(&mut Config),
) -> Detour {
    let dir = tempfile::tempdir().expect("a folder");
    let mut network = network(&dir).await;
    let own = network.add_key_set(k(2), Form::Handshake3Narrow).await.expect("a key set");
    let records = records(&mut network, own).await;
    let allow = |config: &mut Config| {
        config.reloadable.allow_weak_shares = vec![domain()];
        change(config);
    };
    Detour::on(dir, network, records, allow).await
}

pub(crate) async fn own(_: &mut LocalNetwork, records: DnsRecords) -> DnsRecords {
    records
}

/// Checks everything by which such a session shows how strong it is.
fn check_weakly_authenticated(shown: &Value) {
    let expected = json!({
        "key_bits": 256, "envelope": [4], "confirmed": true, "forward_secret": true, "authenticated": "weak",
        "coin": null, "liars": [],
    });
    for (name, value) in expected.as_object().expect("fields") {
        assert_eq!(shown.get(name), Some(value), "{name}: {shown}");
    }
    assert_eq!(shown["key_id"].as_str().map(str::len), Some(32), "{shown}");
}

fn id(shown: &Value) -> &str {
    shown["session_id"].as_str().unwrap_or_else(|| panic!("no session: {shown}"))
}

fn create_target(detour: &Detour) -> String {
    format!("/api/rke/session?domain={DOMAIN}&wallet_path={}", detour.network.wallet().display())
}

async fn echo(detour: &Detour, shown: &Value) -> Vec<u8> {
    let path = format!("session/{}/tunnel", id(shown));
    post(detour.daemon.address(), &path, &[], "to and fro").await.good()
}

#[tokio::test(flavor = "multi_thread")]
async fn such_a_session_has_a_key_of_256_bits_and_says_that_its_ends_know_each_other_weakly() {
    let detour = scene(own, |_| ()).await;
    let first = detour.show(&detour.create().await).await;
    check_weakly_authenticated(&first);
    assert!(first["raidas"].as_array().is_some_and(|raidas| raidas.len() >= 13), "{first}");
    assert_eq!(echo(&detour, &first).await, b"to and fro");
    let keys = detour.get("/api/rke/keys").await.json();
    assert_eq!((&keys["total"], &keys["keys"][0]["key_bits"]), (&json!(1), &json!(256)), "{keys}");
    // A session from the cache has its own key.
    let cached = detour.get(&create_target(&detour)).await;
    assert_eq!(cached.json()["from_cache"], true);
    let second = detour.show(&cached).await;
    check_weakly_authenticated(&second);
    assert_ne!(first["key_id"], second["key_id"]);
    assert_eq!(
        (echo(&detour, &second).await, detour.network.content_server_keys()),
        (b"to and fro".into(), 2)
    );
    // Deletion at both ends.
    let path = format!("/api/rke/session/{}?everywhere=true", id(&first));
    let deleted = request(detour.daemon.address(), "DELETE", &path).await;
    assert_eq!(deleted.json()["remote"], "forgotten", "{deleted:?}");
    assert_eq!(detour.network.content_server_keys(), 1);
    // The program reports it too.
    let (daemon, wallet) = (detour.daemon.address(), detour.network.wallet().display());
    let create = format!("session create {DOMAIN} --wallet {wallet} --daemon {daemon}");
    let (success, _, log) = rke(arguments(&create), "").await;
    assert!(success && log.contains("WEAKLY AUTHENTICATED: ") && !log.contains("WEAK: "), "{log}");
    let connect = format!("connect {} --daemon {daemon}", id(&second));
    let (code, output, log) = rke_code(arguments(&connect), "through it").await;
    assert_eq!((code, output.as_str()), (0, "through it"), "{log}");
    assert!(log.starts_with("WEAKLY AUTHENTICATED: ") && log.lines().count() == 1, "{log}");
    detour.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_refused_without_the_switch_at_either_end() {
    for other in [vec![], vec![Domain::new("other.test").expect("a domain")]] {
        let detour = scene(own, |config| config.reloadable.allow_weak_shares = other).await;
        let refused = detour.create().await;
        assert_eq!(refused.status, 403, "{}", refused.body);
        assert!(refused.body.contains("weak (1-byte) key shares"), "{}", refused.body);
        assert!(refused.body.contains("know each other only weakly"), "{}", refused.body);
        assert!(refused.body.contains(&format!("--allow-weak-shares {DOMAIN}")), "{}", refused.body);
        detour.stop().await;
    }
    let mut detour = scene(own, |_| ()).await;
    let server = ServerConfig::new(Application::Echo);
    assert!(!server.rules.allow_narrow);
    detour.network.restart_content_server_with(server).await.expect("a Content Server");
    let refused = detour.create().await;
    assert!(refused.status == 502 && refused.body.contains("it does not have that key set"), "{refused:?}");
    detour.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rke_coin_is_never_set() {
    let told = async |network: &mut LocalNetwork, records: DnsRecords| {
        let mut server = ServerConfig::new(running("cat; env"));
        server.rules.allow_narrow = true;
        network.restart_content_server_with(server).await.expect("a Content Server");
        records
    };
    let mut detour = scene(told, |_| ()).await;
    let said = async |detour: &Detour| {
        let shown = detour.show(&detour.create().await).await;
        let path = format!("session/{}/tunnel", id(&shown));
        String::from_utf8(post(detour.daemon.address(), &path, &[], "").await.good()).expect("text")
    };
    let narrow = said(&detour).await;
    assert!(narrow.contains(&format!("RKE_DOMAIN={DOMAIN}\n")) && narrow.contains("RKE_SESSION_KEY_ID="));
    assert!(!narrow.contains("RKE_COIN"), "{narrow}");
    // Over wide shares, the same wallet proves one.
    let wide = detour.network.records().clone();
    detour.change_records(&wide).await;
    assert!(said(&detour).await.contains("RKE_COIN=0:1001\n"));
    detour.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_cache_keeps_outlives_the_daemon_and_opens_nothing_once_it_is_no_longer_allowed() {
    let mut settings = None;
    let mut detour = scene(own, |config| settings = Some(config.clone())).await;
    let settings = settings.expect("settings");
    assert_eq!(detour.create().await.json()["from_cache"], false);
    let mut meanwhile = settings.clone();
    meanwhile.fixed.data_dir.set_extension("other");
    let meanwhile = Daemon::start(meanwhile).await.expect("a daemon");
    std::mem::replace(&mut detour.daemon, meanwhile).stop().await;
    let again = Daemon::start(settings.clone()).await.expect("a daemon");
    std::mem::replace(&mut detour.daemon, again).stop().await;
    let cached = detour.get(&create_target(&detour)).await;
    assert_eq!(cached.json()["from_cache"], true);
    check_weakly_authenticated(&detour.show(&cached).await);
    let mut withdrawn = settings;
    withdrawn.reloadable.allow_weak_shares = Vec::new();
    detour.daemon.reload(withdrawn).await.expect("other settings");
    assert_eq!(detour.get("/api/rke/keys").await.json()["total"], 1, "it is still cached");
    let refused = detour.get(&create_target(&detour)).await;
    assert!(refused.status == 403 && refused.body.contains("weak (1-byte) key shares"), "{refused:?}");
    detour.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_form_is_remembered_and_cannot_be_lowered() {
    let mut live = None;
    let with_live = async |network: &mut LocalNetwork, records: DnsRecords| {
        live = Some(network.add_key_set(k(3), Form::Live).await.expect("a key set"));
        records
    };
    let mut data_dir = None;
    let mut detour = scene(with_live, |config| data_dir = Some(config.fixed.data_dir.clone())).await;
    let (live, data_dir) = (live.expect("records"), data_dir.expect("a folder"));
    let mut narrow = live.clone();
    narrow.texts.iter_mut().for_each(|text| *text = text.replace("k3", "k2"));
    narrow.texts.push("required handshake>=3".into());
    let wide = detour.network.records().clone();
    let known = || fs::read_to_string(data_dir.join("known-content-servers")).expect("a file");

    check_weakly_authenticated(&detour.show(&detour.create().await).await);
    assert!(known().contains(" CONTENT-SERVER01 handshake-3-narrow "), "{}", known());
    detour.change_records(&live).await;
    check_weaker(&detour, "(live, which is weaker)", "--form live").await;
    detour.change_records(&wide).await;
    assert_eq!(detour.show(&detour.create().await).await["authenticated"], "strong");
    assert!(known().contains(" CONTENT-SERVER01 wide "), "{}", known());
    detour.change_records(&narrow).await;
    check_weaker(&detour, "(handshake-3-narrow, which is weaker)", "--form handshake-3-narrow").await;
    // The operator can accept the weaker form.
    let folder = data_dir.display();
    let accept =
        format!("trust accept --data-dir {folder} --form handshake-3-narrow {DOMAIN} CONTENT-SERVER01");
    let (success, _, log) = rke(arguments(&accept), "").await;
    assert!(success, "{log}");
    check_weakly_authenticated(&detour.show(&detour.create().await).await);
    detour.change_records(&live).await;
    check_weaker(&detour, "(live, which is weaker)", "--form live").await;
    detour.stop().await;
}

/// Checks that DNS offers a weaker form than the known one, so that no session opens, and that the message says how
/// to accept it.
async fn check_weaker(detour: &Detour, form: &str, flag: &str) {
    let refused = detour.create().await;
    assert_eq!(refused.status, 403, "{}", refused.body);
    assert!(refused.body.contains(form) && refused.body.contains(flag), "{}", refused.body);
}

const NARROW_ID: &str = "NARROW-SERVER01";

fn content_server(command: &str, data_dir: &Path) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_rke"));
    program.args(["content-server", command, "--cs-id", NARROW_ID, "--domain", DOMAIN]).arg("--data-dir");
    program.arg(data_dir).stdin(Stdio::null());
    program
}

/// Runs `rke content-server serve`. Also returns what it prints until it listens.
fn serve(data_dir: &Path, address: SocketAddr, flags: &[&str]) -> (Child, String) {
    let mut serve = content_server("serve", data_dir);
    serve.args(["--listen", &address.to_string()]).args(flags).stderr(Stdio::piped());
    let mut serve = serve.spawn().expect("rke runs");
    let mut said = String::new();
    let mut lines = std::io::BufReader::new(serve.stderr.take().expect("a pipe"));
    while !said.contains(" listens on ") {
        let len = std::io::BufRead::read_line(&mut lines, &mut said).expect("text");
        assert_ne!(len, 0, "it does not listen: {said}");
    }
    (serve, said)
}

#[tokio::test(flavor = "multi_thread")]
async fn preload_narrow_prints_the_records_and_serve_wants_its_switch() {
    let dir = tempfile::tempdir().expect("a folder");
    let network = network(&dir).await;
    let keys = dir.path().join("narrow-keys");
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let mut preload = content_server("preload", &keys);
    preload.args(["--narrow", "--host", &format!("cs.{DOMAIN}"), "--port", &free.port().to_string()]);
    preload
        .arg("--raida-directory")
        .arg(network.directory_file())
        .arg("--wallet")
        .arg(network.server_wallet());
    let printed = preload.env("RKE_EXCHANGE_TIMEOUT", "60").output().expect("rke runs");
    let (zone, log) = (String::from_utf8_lossy(&printed.stdout), String::from_utf8_lossy(&printed.stderr));
    assert!(printed.status.success() && log.contains("25 of 25 RAIDAs hold"), "{log}");
    let texts =
        zone.lines().filter_map(|line| Some(line.split_once(" TXT \"")?.1.trim_end_matches('"').to_owned()));
    let records = DnsRecords { texts: texts.collect(), port: free.port(), ..network.records().clone() };
    assert!(records.texts.contains(&"required handshake>=3".into()), "{zone}");
    assert!(!zone.contains("share-bytes"), "{zone}");
    let live = content_server("preload", &keys)
        .args(["--live", "--host", "cs.test", "--raida-directory", "nowhere", "--wallet", "nowhere"])
        .output()
        .expect("rke runs");
    let refused = String::from_utf8_lossy(&live.stderr).into_owned();
    assert!(refused.contains("k1 exists already, for 1-byte shares (--narrow)"), "{refused}");

    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    let dns = DnsServer::start(loopback, [&records], loopback.ip()).await.expect("a DNS server");
    let mut settings = config(&dir, dns.address());
    settings.reloadable.allow_weak_shares = vec![domain()];
    let daemon = Daemon::start(settings).await.expect("a daemon");
    let create = format!("/api/rke/session?domain={DOMAIN}&wallet_path={}", network.wallet().display());
    for (flags, status) in [(&[][..], 502), (&["--allow-weak-shares"], 200)] {
        let (mut server, said) = serve(&keys, free, flags);
        assert_eq!(said.contains("Not served without --allow-weak-shares: k1"), flags.is_empty(), "{said}");
        let created = get(daemon.address(), &create).await;
        assert_eq!(created.status, status, "{created:?}");
        if status == 200 {
            let shown =
                get(daemon.address(), &format!("/api/rke/session/{}", id(&created.json()))).await.json();
            check_weakly_authenticated(&shown);
            assert_eq!(shown["cs_id"], NARROW_ID);
        }
        server.kill().expect("killed");
        server.wait().expect("it is gone");
    }
    daemon.stop().await;
    dns.stop().await;
    network.stop().await;
}
