//! A Content Server.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use super::audit::Log;
use super::*;

async fn until(program: &Program, name: &str, labels: &[(&str, &str)], is_so: impl Fn(f64) -> bool) {
    again(async || match program.value(name, labels).await {
        value if is_so(value) => Ok(()),
        value => Err(format!("{name} {labels:?} is {value}: {}", program.log())),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_content_server_counts_what_it_does_and_shows_it_on_this_machine_only() {
    let mut stage = Stage::new().await;
    let mut server = Program::content_server(&mut stage, &["--keys-per-coin", "2"]).await;
    server.check("Metrics of a Content Server").await;
    assert_eq!(server.value("rke_content_server_key_sets", &[("state", "active")]).await, 1.0);

    let first = stage.create_id().await;
    let exchanges = [("kind", "exchange"), ("outcome", "done")];
    until(&server, "rke_content_server_connections_total", &exchanges, |count| count == 1.0).await;
    let metrics = server.metrics().await;
    assert_eq!(metrics.value("rke_content_server_keys", &[("proof", "proven")]), 1.0);
    assert_eq!(metrics.value("rke_content_server_keys", &[("proof", "unproven")]), 0.0);
    assert_eq!(metrics.value("rke_content_server_resumptions", &[]), 1.0);

    // One more than the coin has room for.
    stage.create().await;
    stage.create().await;
    until(&server, "rke_content_server_evictions_total", &[("what", "key")], |count| count == 1.0).await;
    let resumed = [("kind", "resumption"), ("outcome", "done")];
    until(&server, "rke_content_server_connections_total", &resumed, |count| count == 2.0).await;

    let target = format!("/api/rke/session/{first}?everywhere=true");
    crate::support::request(stage.daemon.address(), "DELETE", &target).await;
    until(
        &server,
        "rke_content_server_connections_total",
        &[("kind", "forget"), ("outcome", "done")],
        |count| count >= 1.0,
    )
    .await;

    // Anyone.
    let mut stream = TcpStream::connect(stage.network.content_server_address()).expect("connected");
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("sent");
    let _ = stream.read_to_end(&mut Vec::new());
    let unreadable = [("kind", "unknown"), ("outcome", "unreadable")];
    until(&server, "rke_content_server_connections_total", &unreadable, |count| count == 1.0).await;
    until(&server, "rke_content_server_open_connections", &[], |count| count == 0.0).await;
    server.stop();
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_content_server_refuses_is_counted_by_its_reason() {
    let mut stage = Stage::new().await;
    let server = Program::content_server(&mut stage, &[]).await;
    stage.create().await;
    server.stop();
    // The next one does not know the first one's resumption.
    let mut server = Program::content_server(&mut stage, &[]).await;
    stage.create().await;
    let refused = [("kind", "resumption"), ("outcome", "refused")];
    until(&server, "rke_content_server_connections_total", &refused, |count| count == 1.0).await;
    let no_such_key = [("reason", "no_such_key")];
    assert_eq!(server.value("rke_content_server_refusals_total", &no_such_key).await, 1.0);
    server.check("Metrics of a Content Server").await;
    server.stop();
    stage.stop().await;
}

/// The fields of a line in JSON whose message is `connection`, without the time that it took.
fn connections(log: &str) -> Vec<Value> {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let fields = lines.map(|line| line["fields"].clone());
    fields.filter(|fields| fields["message"] == "connection").collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_connection_has_a_line_and_strangers_have_a_few_of_them() {
    let mut stage = Stage::new().await;
    let server = Program::content_server(&mut stage, &["--log-format", "json"]).await;
    server.wait_for("a key set is there");
    let created = stage.create().await;
    let exchange = again(async || {
        let lines = connections(&server.log());
        lines.into_iter().find(|line| line["kind"] == "exchange").ok_or_else(|| server.log())
    })
    .await;
    let shown = stage
        .get(&format!("/api/rke/session/{}", created["session_id"].as_str().expect("an id")))
        .await
        .json();
    let key_id = shown["key_id"].as_str().expect("a key id");
    assert_eq!((&exchange["outcome"], &exchange["domain"]), (&"done".into(), &DOMAIN.into()));
    assert_eq!((&exchange["coin"], &exchange["key"]), (&shown["coin"], &key_id[..8].into()));
    assert!(
        exchange["millis"].is_u64()
            && exchange["peer"].as_str().is_some_and(|peer| peer.starts_with("127.0.0.1:"))
    );

    // A crowd of strangers cannot fill the log. What is left out is said.
    for _ in 0..200 {
        let mut stream = TcpStream::connect(stage.network.content_server_address()).expect("connected");
        let _ = stream.write_all(b"GET / HTTP/1.1\r\n\r\n");
        let _ = stream.read_to_end(&mut Vec::new());
    }
    let unreadable = [("kind", "unknown"), ("outcome", "unreadable")];
    until(&server, "rke_content_server_connections_total", &unreadable, |count| count == 200.0).await;
    let lines = connections(&server.log()).into_iter().filter(|line| line["outcome"] == "unreadable").count();
    // A minute may end meanwhile.
    assert!((30..=60).contains(&lines), "{lines} lines: {}", server.log());
    assert!(!server.log().contains(key_id), "ids are shortened: {}", server.log());
    server.stop();
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sighup_takes_other_limits_and_the_log_and_keeps_the_keys() {
    let mut stage = Stage::new().await;
    let file = stage.dir.path().join("content-server.toml");
    fs::write(&file, "keys-per-coin = 3\nlog = 'warn'\n").expect("written");
    let config = file.display().to_string();
    let server = Program::content_server(&mut stage, &["--config", &config]).await;
    let (first, second) = (stage.create_id().await, stage.create_id().await);
    assert_eq!(server.value("rke_content_server_keys", &[("proof", "proven")]).await, 2.0);

    // A setting that cannot be used changes nothing.
    fs::write(&file, "keys-per-coin = 0\nlog = 'info'\n").expect("written");
    server.signal(Signal::HUP);
    server.wait_for("the settings are not changed");
    assert_eq!(server.value("rke_config_last_reload_successful", &[]).await, 0.0);
    fs::write(
        &file,
        "keys-per-coin = 1\nlog = 'info'\nmax-keys = 5\nmax-connections = 7\ndomain = ['elsewhere.test']\n",
    )
    .expect("written");
    server.signal(Signal::HUP);
    server.wait_for("Content Server CONTENT-SERVER01 has read its settings again.");
    let fixed = server.wait_for("restart to apply it");
    assert!(fixed.contains("max-connections"), "{fixed}");
    let metrics = server.metrics().await;
    assert_eq!(metrics.value("rke_config_last_reload_successful", &[]), 1.0);
    assert_eq!(metrics.value("rke_content_server_keys", &[("proof", "proven")]), 2.0, "the keys stay");
    assert_eq!(metrics.value("rke_content_server_keys_max", &[]), 5.0);
    for id in [&first, &second] {
        assert_eq!(stage.get(&format!("/api/rke/encrypt?session_id={id}&plaintext=YQ==")).await.status, 200);
    }
    // The next session takes the place of both.
    stage.create().await;
    until(&server, "rke_content_server_keys", &[("proof", "proven")], |keys| keys == 1.0).await;
    server.wait_for("made room for another");
    server.stop();
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_says_when_a_key_set_comes_and_when_it_retires() {
    let mut stage = Stage::new().await;
    let audit_log = Log::of(stage.network.server_data_dir());
    let more = [&audit_log.flag()[..], &["--key-lifetime", "5"]].concat();
    let server = Program::content_server(&mut stage, &more).await;
    let line = server.wait_for("a key set is there");
    stage.create().await;
    let [opened, expired] = ["session_opened", "session_expired"].map(|name| audit_log.wait_for(name, 1));
    assert_eq!(opened[0]["session"], expired[0]["session"]);
    assert!(line.contains("key_set=k1") && line.contains("cs_id=CONTENT-SERVER01"), "{line}");
    let directory = stage.network.directory_file().display().to_string();
    let [wallet, data_dir] = [stage.network.server_wallet(), stage.network.server_data_dir()];
    let [wallet, data_dir] = [wallet, data_dir].map(|path| path.display().to_string());
    let rotate = [
        "content-server",
        "rotate",
        "--cs-id",
        "CONTENT-SERVER01",
        "--data-dir",
        &data_dir,
        "--domain",
        DOMAIN,
    ];
    let rotate =
        [&rotate[..], &["--host", "cs.example.com", "--raida-directory", &directory, "--wallet", &wallet]]
            .concat();
    let rotated =
        crate::dev::rke(&[&rotate[..], &["--retire-after", "2"]].concat(), stage.dir.path()).output();
    let rotated = rotated.expect("rke runs");
    assert!(rotated.status.success(), "{}", String::from_utf8_lossy(&rotated.stderr));
    assert!(server.wait_for("going to retire").contains("key_set=k1"));
    assert!(server.wait_for("a key set has retired").contains("key_set=k1"));
    server.wait_for("key_set=k2");
    until(&server, "rke_content_server_key_sets", &[("state", "retired")], |sets| sets == 1.0).await;
    assert_eq!(server.value("rke_content_server_key_sets", &[("state", "active")]).await, 1.0);
    let [retiring, retired] = ["key_set_retiring", "key_set_retired"].map(|name| audit_log.wait_for(name, 1));
    assert!(retiring[0]["key_set"] == "k1" && retiring[0]["retires_at"].is_u64(), "{retiring:?}");
    assert_eq!(retired[0]["key_set"], "k1");
    server.stop();
    stage.stop().await;
}
