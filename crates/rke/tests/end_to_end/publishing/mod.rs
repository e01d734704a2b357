//! The records that `preload` and `rotate` print, in the software that they are for: Knot reads the zone file and takes the
//! update, dnsmasq reads its lines.

mod doctor;
mod server;

use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rke_engine::Domain;
use rke_engine::discovery::{Discovery, Published, Validation};
use rke_proto::directory::Directory;
use rke_proto::reach::Reach;
use rke_raida::content_server::DnsRecords;
use rke_raida::network::LocalNetwork;
use serde_json::Value;

use self::server::Server;
use crate::dev::{Done, rke};
use crate::real::{Files, Real};
use crate::support::{DOMAIN, PATIENCE, network};

/// A Content Server ID with all signs that DNS software could take for its own.
const CS_ID: &str = r#"A,"B\C=#;D"#;

/// What a command of the Content Server prints.
fn printed(network: &LocalNetwork, words: &[&str]) -> String {
    let paths = [network.directory_file().to_owned(), network.server_wallet()];
    let [directory, wallet] = paths.each_ref().map(|path| path.to_str().expect("UTF-8"));
    let host = format!("cs.{DOMAIN}");
    let usual = ["--domain", DOMAIN, "--host", &host, "--raida-directory", directory, "--wallet", wallet];
    let dir = tempfile::tempdir().expect("a folder");
    let words = [&["content-server"], words, &usual].concat();
    let done: Done = rke(&words, dir.path()).output().expect("rke runs").into();
    assert_eq!(done.code, Some(0), "{}", done.err);
    done.text()
}

/// What this program's resolver finds at a DNS server, once that has read its zone.
async fn found(server: SocketAddr) -> DnsRecords {
    let domain = Domain::new(DOMAIN).expect("a domain");
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (validation, directory) = (Validation::off(), Directory::default());
        let discovery = Discovery::new(Some(server), validation, directory, Reach::Everywhere);
        match discovery.published(&domain).await {
            Published { targets: Ok(targets), texts: Ok(mut texts) } => {
                let [target] = &targets[..] else { panic!("one target: {targets:?}") };
                let (host, port) = (target.server.host.clone(), target.server.port);
                texts.sort();
                return DnsRecords { domain: DOMAIN.into(), host, port, texts };
            }
            failed => {
                let failures = (failed.targets.err(), failed.texts.err());
                assert!(Instant::now() < deadline, "{failures:?}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

/// The records in lines of a zone file, in the order of [`found`].
fn read(lines: &str) -> DnsRecords {
    let mut all = DnsRecords::read(lines).expect("records");
    let mut records = all.remove(0);
    records.texts.sort();
    records
}

/// Gives a server an update, as an operator does who has no key for it.
fn update(server: SocketAddr, lines: &str) {
    let mut nsupdate =
        Command::new("nsupdate").stdin(Stdio::piped()).spawn().expect("nsupdate, which the tests need");
    let input = format!("server 127.0.0.1 {}\nzone {DOMAIN}\n{lines}", server.port());
    nsupdate.stdin.take().expect("an input").write_all(input.as_bytes()).expect("written");
    assert!(nsupdate.wait().expect("an exit status").success(), "{input}");
}

/// For how many seconds a server says that its SRV record may be kept.
fn ttl(server: SocketAddr) -> String {
    let name = format!("_rke._udp.{DOMAIN}");
    let port = server.port().to_string();
    let output = Command::new("kdig")
        .args(["@127.0.0.1", "-p", &port, "+noall", "+answer", "SRV", &name])
        .output()
        .expect("kdig, which the tests need");
    let answer = String::from_utf8(output.stdout).expect("UTF-8");
    answer.split_whitespace().nth(1).unwrap_or_else(|| panic!("no answer: {answer}")).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_form_of_the_records_is_what_its_software_takes() {
    let dir = tempfile::tempdir().expect("a folder");
    let network = network(&dir).await;
    let keys = dir.path().join("keys").to_str().expect("UTF-8").to_owned();
    let with = |command: &str, more: &[&str]| {
        printed(
            &network,
            &[&[command, "--cs-id", CS_ID, "--data-dir", &keys, "--port", "444"], more].concat(),
        )
    };
    let zone = with("preload", &["--ttl", "77"]);
    let expected = read(&zone);
    assert_eq!((expected.texts.len(), expected.port), (28, 444));
    assert!(expected.texts.contains(&format!("k1 = {CS_ID}")), "{expected:?}");

    let knot = Server::knot(dir.path(), &zone);
    assert_eq!((found(knot.address).await, ttl(knot.address).as_str()), (expected.clone(), "77"));

    let dnsmasq = Server::dnsmasq(dir.path(), &with("preload", &["--format", "dnsmasq"]));
    assert_eq!(found(dnsmasq.address).await, expected);

    let old = "_rke._udp 60 IN SRV 0 0 1 old\n_rke._udp 60 IN TXT \"k1 = OLD\"\n_rke._udp 60 IN TXT \"192.0.2.1:1 k1 raida=1\"";
    let knot = Server::knot(dir.path(), old);
    assert_eq!(found(knot.address).await.host, format!("old.{DOMAIN}"));
    update(knot.address, &with("preload", &["--format", "nsupdate", "--ttl", "78"]));
    assert_eq!((found(knot.address).await, ttl(knot.address).as_str()), (expected.clone(), "78"));

    let json: Value = serde_json::from_str(&with("preload", &["--format", "json"])).expect("JSON");
    let all = json.as_array().expect("an array");
    let mut texts: Vec<&str> = all.iter().filter_map(|record| record["text"].as_str()).collect();
    texts.sort_unstable();
    assert_eq!(texts, expected.texts);
    assert_eq!((&all[0]["target"], &all[0]["ttl"]), (&format!("cs.{DOMAIN}").into(), &3600.into()));

    update(knot.address, &with("rotate", &["--format", "nsupdate"]));
    let texts = found(knot.address).await.texts;
    assert!(
        texts.contains(&format!("k2 = {CS_ID}")) && texts.iter().all(|text| !text.contains("k1")),
        "{texts:?}"
    );
    network.stop().await;
}

#[test]
fn a_time_to_live_is_refused_where_the_form_has_none() {
    let dir = tempfile::tempdir().expect("a folder");
    let preload = "content-server preload --cs-id SHOP --data-dir keys --domain a.test --host b.test --wallet w \
                   --raida-directory r --format dnsmasq --ttl 60";
    let words: Vec<&str> = preload.split_whitespace().collect();
    let done: Done = rke(&words, dir.path()).output().expect("rke runs").into();
    assert!(done.code == Some(2) && done.err.contains("set local-ttl=60"), "{}", done.err);
    assert!(!dir.path().join("keys").exists(), "no key set is made");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_opens_through_dnsmasq() {
    let dir = tempfile::tempdir().expect("a folder");
    let network = network(&dir).await;
    let keys = dir.path().join("content-server/data").to_str().expect("UTF-8").to_owned();
    let port = network.content_server_address().port().to_string();
    let own = ["preload", "--cs-id", "CONTENT-SERVER01", "--data-dir", &keys, "--port", &port];
    let lines = printed(&network, &[&own[..], &["--format", "dnsmasq"]].concat());
    let dnsmasq = Server::dnsmasq(dir.path(), &format!("{lines}host-record=cs.{DOMAIN},127.0.0.1"));
    let real = Real::start_on(dir, network, &["--dns-server", &dnsmasq.address.to_string()], Files::AsMany);
    assert!(real.lives(&real.create_id()));
}
