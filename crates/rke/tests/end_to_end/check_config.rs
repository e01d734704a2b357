//! `rke serve --check-config`: every mistake in the settings shows before a daemon starts with them.

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
