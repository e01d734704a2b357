//! Clients of other people, unmodified, against both ends. `cargo xtask foreign` installs them.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::Keys;
use super::certificates::Certificates;
use crate::support::again;

/// The folder of the installed clients, next to that of the program.
fn installed(name: &str) -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_rke"));
    let target = program.ancestors().nth(2).expect("the target folder");
    let path = target.join("foreign").join(name);
    assert!(path.exists(), "{} is missing; install it with: cargo xtask foreign", path.display());
    path
}

/// Runs a program to its end. Returns what it prints.
async fn run(mut command: Command) -> String {
    let output = tokio::task::spawn_blocking(move || command.output()).await.expect("no panic");
    let output = output.expect("it runs");
    let (text, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}\n{log}");
    text.into_owned()
}

/// Dropping it kills it.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port that is free.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

/// Starts Rosenpass's daisyway in a folder, as one of two: the one that listens or the one that connects. It writes
/// each key to a file.
fn daisyway(dir: &Path, name: &str, peer: &str, connection: &str, key_server: u16) -> Running {
    let key = |name: &str| {
        let mut bytes = [0; 32];
        bytes[..name.len()].copy_from_slice(name.as_bytes());
        STANDARD.encode(bytes)
    };
    let config = format!(
        "[peer]\n{connection}\n\
         [etsi014]\nurl = \"http://127.0.0.1:{key_server}\"\nremote_sae_id = \"{peer}\"\ninterval_secs = 1\n\
         [wireguard]\nself_public_key = \"{}\"\npeer_public_key = \"{}\"\n\
         [outfile]\npath = \"{}\"\n",
        key(name),
        key(peer),
        dir.join(format!("{name}.key")).display()
    );
    let file = dir.join(format!("{name}.toml"));
    fs::write(&file, config).expect("written");
    let log = fs::File::create(dir.join(format!("{name}.log"))).expect("a log");
    let mut command = Command::new(installed("bin/daisyway"));
    command.arg("exchange").arg("--config").arg(file).stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(log);
    Running(command.spawn().expect("daisyway runs"))
}

/// Waits for this many keys, each the same at both ends.
async fn rotations(number: usize) {
    let (keys, dir) = (Keys::new().await, tempfile::tempdir().expect("a folder"));
    let port = free_port();
    let [listen, connect] = ["listen", "endpoint"].map(|what| format!("{what} = \"127.0.0.1:{port}\""));
    let _alice = daisyway(dir.path(), "alice", "bob", &listen, keys.alice.port());
    let _bob = daisyway(dir.path(), "bob", "alice", &connect, keys.bob.port());
    let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap_or_default();
    let mut last = String::new();
    for rotation in 0..number {
        last = again(async || {
            let [here, there] = ["alice.key", "bob.key"].map(read);
            match here == there && here.len() == 44 && here != last {
                true => Ok(here),
                false => {
                    Err(format!("key {rotation}: {here} {there}\n{}\n{}", read("alice.log"), read("bob.log")))
                }
            }
        })
        .await;
    }
    keys.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn daisyway_rotates_its_keys_with_both_ends_ten_times() {
    rotations(10).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes two minutes: cargo xtask test --long"]
async fn daisyway_rotates_its_keys_with_both_ends_a_hundred_times() {
    rotations(100).await;
}

/// A client with the certificate of an SAE.
struct Client<'a> {
    certificates: &'a Certificates,
    program: PathBuf,
    first: &'a [&'a str],
}

impl Client<'_> {
    async fn run(&self, sae: &str, port: u16, arguments: &[&str]) -> String {
        let mut command = Command::new(&self.program);
        command.args(self.first).arg(self.certificates.dir()).arg(sae).arg(port.to_string()).args(arguments);
        run(command).await
    }

    /// What one SAE makes, the other gets: in both directions, and with a status before.
    async fn check(&self, keys: &Keys) {
        let (alice, bob) = (("alice", keys.alice.port()), ("bob", keys.bob.port()));
        for (from, to) in [(alice, bob), (bob, alice)] {
            let status = self.run(from.0, from.1, &["status", to.0]).await;
            assert!(status.contains("65") && status.contains("256"), "{status}");
            let made = self.run(from.0, from.1, &["make", to.0]).await;
            let id = made.split_whitespace().next().expect("an id");
            let fetched = self.run(to.0, to.1, &["fetch", from.0, id]).await;
            assert!(made == fetched && made.len() > 80, "{made} {fetched}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_library_from_crates_io_gets_its_keys() {
    let certificates = Certificates::new();
    let keys = certificates.keys().await;
    let program = installed("bin/etsi014");
    Client { certificates: &certificates, program, first: &[] }.check(&keys).await;
    keys.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_library_from_pypi_gets_its_keys() {
    let certificates = Certificates::new();
    let keys = certificates.keys().await;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/foreign/pypi.py");
    let program = installed("python/bin/python");
    Client { certificates: &certificates, program, first: &[script] }.check(&keys).await;
    keys.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_probe_of_qkdsec_passes_with_the_one_warning_that_contradicts_the_standard() {
    let certificates = Certificates::new();
    let keys = certificates.keys().await;
    for (sae, port) in [("alice", keys.alice.port()), ("bob", keys.bob.port())] {
        let mut command = Command::new(installed("python/bin/qkdsec"));
        command.arg("doctor").arg(format!("https://localhost:{port}"));
        command.args(["--slave-sae-id", sae, "--format", "json"]);
        command.arg("--cert").arg(certificates.path(&format!("{sae}.pem")));
        command.arg("--key").arg(certificates.path(&format!("{sae}.key")));
        command.arg("--ca-cert").arg(certificates.path("ca.pem"));
        let report: Value = serde_json::from_str(&run(command).await).expect("JSON");
        let results = report["results"].as_array().expect("results");
        let odd: Vec<&Value> = results.iter().filter(|result| result["status"] != "pass").collect();
        assert!(results.len() == 10 && odd.len() == 1, "{report:#}");
        // It wants 404 for an unknown key, where the standard says 400.
        assert_eq!((&odd[0]["name"], &odd[0]["status"]), (&"error_contract_404".into(), &"warn".into()));
    }
    keys.stop().await;
}
