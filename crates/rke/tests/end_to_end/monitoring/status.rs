//! The commands that say how a program is doing, and where key sets are preloaded.

use std::fs;

use super::*;
use crate::dev::{Done, rke};

fn run(arguments: &[&str], dir: &Path) -> Done {
    rke(arguments, dir).output().expect("rke runs").into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_shows_a_content_server_and_its_exit_code_says_whether_it_is_ready() {
    let mut stage = Stage::new().await;
    let config = stage.dir.path().join("settings.toml");
    fs::write(&config, "").expect("written");
    let file = config.to_str().expect("UTF-8");
    let server = Program::content_server(&mut stage, &["--max-keys", "77", "--config", file]).await;
    stage.create().await;
    let at = server.metrics.to_string();
    again(async || match server.value("rke_content_server_keys", &[("proof", "proven")]).await {
        1.0 => Ok(()),
        other => Err(format!("{other} keys")),
    })
    .await;
    let status = ["content-server", "status", "--metrics", &at];
    let shown = run(&status, stage.dir.path());
    assert_eq!(shown.code, Some(0), "{}", shown.err);
    for part in [
        "Ready.",
        "Started ",
        "Key sets: 1 active, 0 retiring, 0 retired.",
        "Keys: 1 of at most 77; 1 prove a coin.",
    ] {
        assert!(shown.text().contains(part), "{part}: {}", shown.text());
    }
    let json = run(&[&status[..], &["--json"]].concat(), stage.dir.path()).text();
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((&json["ready"], &json["reasons"]), (&true.into(), &serde_json::json!([])));
    let max = serde_json::json!({"name": "rke_content_server_keys_max", "labels": {}, "value": 77.0});
    assert!(json["metrics"].as_array().expect("metrics").contains(&max), "{json}");

    // Settings that are refused leave it ready.
    let refused = "It refused its settings when it last read them again, and uses those before";
    assert!(!shown.text().contains(refused), "{}", shown.text());
    fs::write(&config, "nonsense = 1").expect("written");
    server.signal(Signal::HUP);
    again_blocking(|| {
        let shown = run(&status, stage.dir.path());
        let is_told = shown.code == Some(0) && shown.text().contains(refused);
        is_told.then_some(()).ok_or_else(|| shown.text())
    });

    // Another kind of program, none at all, and one that is not ready.
    let other = run(&["raida", "status", "--metrics", &at], stage.dir.path());
    assert!(other.code == Some(1) && other.err.contains("is not a RAIDA node"), "{}", other.err);
    let nobody = run(&["raida", "status", "--metrics", "unix:/nowhere/metrics.sock"], stage.dir.path());
    assert!(nobody.code == Some(3) && nobody.err.contains("no RAIDA node responds"), "{}", nobody.err);
    let data_dir = stage.network.server_data_dir();
    let folders = fs::read_dir(&data_dir).expect("a folder").flatten();
    let key_set =
        folders.map(|entry| entry.path()).find(|path| path.join("preloaded").exists()).expect("a key set");
    fs::write(key_set.join("retires-at"), "1").expect("written");
    let unready = again_blocking(|| {
        let shown = run(&status, stage.dir.path());
        if shown.code == Some(1) { Ok(shown) } else { Err(shown.text()) }
    });
    assert!(unready.text().contains("Not ready: no key set is served"), "{}", unready.text());
    server.stop();
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_shows_a_node() {
    let mut stage = Stage::new().await;
    let node = node::start(&mut stage, &[]).await;
    let shown = run(&["raida", "status", "--metrics", &node.metrics.to_string()], stage.dir.path());
    assert_eq!(shown.code, Some(0), "{}", shown.err);
    for part in
        ["Ready.", "Master secrets: 1, of 1 Content Server IDs.", "Preloads: 0 stored, 0 refused, 0 failed."]
    {
        assert!(shown.text().contains(part), "{part}: {}", shown.text());
    }
    node.stop();
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn key_sets_are_listed_with_the_raidas_that_hold_them() {
    let mut stage = Stage::new().await;
    let data_dir = stage.network.server_data_dir().display().to_string();
    stage.network.stop_node(rke_proto::RaidaIndex::new(3).expect("RAIDA 3")).await;
    let directory = stage.network.directory_file().display().to_string();
    let wallet = stage.network.server_wallet().display().to_string();
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
    let more = [
        "--host",
        "cs.example.com",
        "--raida-directory",
        &directory,
        "--wallet",
        &wallet,
        "--retire-after",
        "7200",
    ];
    let rotated = run(&[&rotate[..], &more].concat(), stage.dir.path());
    assert_eq!(rotated.code, Some(0), "{}", rotated.err);
    let list = ["content-server", "key-sets", "--data-dir", &data_dir];
    let table = run(&list, stage.dir.path()).text();
    let rows: Vec<&str> = table.lines().filter(|line| line.contains("CONTENT-SERVER01")).collect();
    let [first, second] = rows[..] else { panic!("{table}") };
    assert!(first.contains("k1") && first.contains("all 25") && first.contains("in 2 h"), "{table}");
    assert!(second.contains("k2") && second.contains("24 of 25, not 3"), "{table}");
    let json = run(&[&list[..], &["--json"]].concat(), stage.dir.path()).text();
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(
        (&json[1]["key_set"], &json[1]["form"], &json[1]["retires_at"]),
        (&2.into(), &"wide".into(), &().into())
    );
    let raidas = json[1]["preloaded"]["raidas"].as_array().expect("RAIDAs");
    assert_eq!((raidas.len(), &raidas[3]["raida"]), (24, &4.into()));
    assert!(json[0]["retires_at"].is_string() && json[0]["preloaded"]["since"].is_string(), "{json}");
    stage.stop().await;
}

#[test]
fn metrics_are_at_a_unix_socket_of_this_user() {
    use std::os::unix::fs::MetadataExt;
    let dir = tempfile::tempdir().expect("a folder");
    let new = run(&["wallet", "new", "alice", "0:7"], dir.path());
    assert_eq!(new.code, Some(0), "{}", new.err);
    let socket = dir.path().join("run/metrics.sock");
    fs::create_dir(dir.path().join("run")).expect("a folder");
    let metrics = format!("unix:{}", socket.display());
    let node = ["raida", "--index", "7", "--listen", "127.0.0.1:0", "--coins", "alice", "--data-dir", "data"];
    let mut node =
        rke(&[&node[..], &["--metrics", &metrics]].concat(), dir.path()).spawn().expect("rke runs");
    let shown = again_blocking(|| {
        let shown = run(&["raida", "status", "--metrics", &metrics], dir.path());
        if shown.code == Some(0) { Ok(shown) } else { Err(shown.err) }
    });
    assert!(shown.text().contains("Coins: 1."), "{}", shown.text());
    assert_eq!(fs::symlink_metadata(&socket).expect("metadata").mode() & 0o777, 0o600);
    kill_process(Pid::from_child(&node), Signal::TERM).expect("a signal");
    assert!(node.wait().expect("an exit status").success());
    assert!(!socket.exists(), "the socket goes with the node, which its sandbox lets it remove");
}
