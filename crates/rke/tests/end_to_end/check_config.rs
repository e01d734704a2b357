//! `--check-config`: every mistake in the settings shows before a daemon, a node or a Content Server starts with them.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

use crate::doors::certificates;

fn check(data_dir: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    let mut rke = Command::new(env!("CARGO_BIN_EXE_rke"));
    rke.args(["serve", "--check-config", "--data-dir"]).arg(data_dir).args(arguments);
    rke.envs(variables.iter().copied()).output().expect("rke runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn good_settings_are_one_line_and_nothing_is_started_or_made() {
    let dir = tempfile::tempdir().expect("a folder");
    certificates(dir.path(), "our");
    let data_dir = dir.path().join("data");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let file = dir.path().join("rke.toml");
    let named = |name: &str| dir.path().join(name).display().to_string();
    fs::write(
        &file,
        format!(
            "listen = '{}'\nwallet-root = '{}'\ntls-cert = '{}'\ntls-key = '{}'\nrequire-token = 'yes'\n",
            taken.local_addr().expect("an address"),
            dir.path().display(),
            named("our-server.pem"),
            named("our-server-key.pem"),
        ),
    )
    .expect("written");
    let file = file.to_str().expect("UTF-8");
    let output = check(&data_dir, &[("RKE_WIPE_ON_SUSPEND", "yes")], &["--config", file]);
    let (printed, error) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(
        (output.status.code(), printed.lines().count(), error.as_str()),
        (Some(0), 1, ""),
        "{printed}"
    );
    assert!(printed.contains("are good") && printed.contains(file), "{printed}");
    assert!(!data_dir.exists(), "it has made a data directory");
    let output = check(&data_dir, &[], &[]);
    assert!(text(&output.stdout).contains("without a configuration file"), "{output:?}");
}

#[test]
fn each_mistake_is_named_as_wrong_settings() {
    let dir = tempfile::tempdir().expect("a folder");
    certificates(dir.path(), "our");
    let named = |name: &str| dir.path().join(name).display().to_string();
    let (certificate, key) = (named("our-server.pem"), named("our-server-key.pem"));
    fs::write(dir.path().join("unknown.toml"), "max-session = 3\n").expect("written");
    fs::write(dir.path().join("empty"), "").expect("written");
    let no_variables = &[][..];
    for (variables, arguments, part) in [
        (no_variables, &["--config", &named("unknown.toml")][..], "max-session"),
        (no_variables, &["--config", "/nowhere"], "/nowhere"),
        (no_variables, &["--session-ttl", "0"], "--session-ttl must be from 1"),
        (no_variables, &["--log", "=="], "--log"),
        (no_variables, &["--wallet-root", "/nowhere"], "--wallet-root"),
        (no_variables, &["--raida-directory", "/nowhere"], "/nowhere"),
        (no_variables, &["--shared-token", "/nowhere"], "openssl rand -hex 32"),
        (
            no_variables,
            &["--store", "redis://127.0.0.1:1", "--store-key-file", &named("no.key"), "--require-token"],
            "no.key",
        ),
        (no_variables, &["--dnssec", "try", "--dnssec-anchors", &named("empty")], &named("empty")),
        (no_variables, &["--pin", "a.test"], "--pin"),
        (no_variables, &["--allow-host", "http://a.test"], "--allow-host"),
        (no_variables, &["--tls-cert", "/nowhere", "--tls-key", &key], "--tls-cert"),
        (no_variables, &["--tls-cert", &certificate, "--tls-key", &named("our-client-key.pem")], "together"),
        (no_variables, &["--listen", "0.0.0.0:0"], "--require-token"),
        (&[("RKE_REQUIRE_TOKEN", "maybe")], &[], "RKE_REQUIRE_TOKEN"),
    ] {
        let output = check(&dir.path().join("data"), variables, arguments);
        let error = text(&output.stderr);
        assert!(output.status.code() == Some(2) && error.contains(part), "{arguments:?}: {output:?}");
        assert!(output.stdout.is_empty() && !dir.path().join("data").exists(), "{arguments:?}");
    }
}

/// What another program than the daemon says of its settings: the exit code, and what it prints.
fn check_other(command: &[&str], arguments: &[&str]) -> (Option<i32>, String) {
    let mut rke = Command::new(env!("CARGO_BIN_EXE_rke"));
    let output = rke.args(command).arg("--check-config").args(arguments).output().expect("rke runs");
    (output.status.code(), text(&[output.stdout, output.stderr].concat()))
}

#[test]
fn a_node_and_a_content_server_check_their_settings_too() {
    let dir = tempfile::tempdir().expect("a folder");
    let named = |name: &str| dir.path().join(name).display().to_string();
    let wallet =
        Command::new(env!("CARGO_BIN_EXE_rke")).args(["wallet", "new", &named("wallet"), "0:1001"]).output();
    assert!(wallet.expect("rke runs").status.success());
    fs::create_dir(dir.path().join("empty")).expect("a folder");
    fs::write(dir.path().join("unknown.toml"), "max-keyz = 3\n").expect("written");
    let (data, coins, unknown) = (named("data"), named("wallet/Bank"), named("unknown.toml"));
    let node = ["--index", "7", "--listen", "127.0.0.1:1", "--data-dir", &data];
    let server = ["--cs-id", "SHOP", "--data-dir", &data, "--listen", "127.0.0.1:1"];
    let is = |command: &[&str], given: [&[&str]; 2], code: i32, words: &str| {
        let (found, printed) = check_other(command, &given.concat());
        assert!(found == Some(code) && printed.contains(words), "{given:?}: {found:?} {printed}");
    };
    let (raida, content_server): (&[&str], &[&str]) = (&["raida"], &["content-server", "serve"]);
    is(raida, [&node, &["--coins", &coins]], 0, "are good");
    is(raida, [&node, &["--coins", &named("empty")]], 2, "empty");
    is(raida, [&node, &["--coins", &coins, "--config", &unknown]], 2, "max-keyz");
    is(raida, [&node, &["--coins", &coins, "--log", "nonsense=x"]], 2, "nonsense");
    is(content_server, [&server, &[]], 0, "are good");
    is(content_server, [&server, &["--config", &unknown]], 2, "max-keyz");
    let store = ["--store", "redis://127.0.0.1:1", "--store-key-file", &named("no.key")];
    is(content_server, [&server, &store], 2, "no.key");
    let etsi = [
        "--etsi",
        "127.0.0.1:0",
        "--etsi-tls-cert",
        "/no",
        "--etsi-tls-key",
        "/no",
        "--etsi-tls-client-ca",
        "/no",
    ];
    is(content_server, [&server, &etsi], 2, "/no");
    assert!(!dir.path().join("data").exists(), "it has made a data directory");
}
