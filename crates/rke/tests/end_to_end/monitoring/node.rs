//! A RAIDA node.

use std::fs;

use rke_proto::RaidaIndex;

use super::*;

/// RAIDA 7 of the stage's network, as a process.
pub(super) async fn start(stage: &mut Stage, more: &[&str]) -> Program {
    let data_dir = stage.dir.path().join("raida-07");
    start_in(stage, RaidaIndex::new(7).expect("RAIDA 7"), &data_dir, more).await
}

/// A node that has lost its data folder, so it starts with a new one.
pub(super) async fn start_without_key_set(stage: &mut Stage, raida: RaidaIndex) -> Program {
    let data_dir = stage.dir.path().join("new-raida");
    start_in(stage, raida, &data_dir, &[]).await
}

async fn start_in(stage: &mut Stage, raida: RaidaIndex, data_dir: &Path, more: &[&str]) -> Program {
    let address = stage.network.node_addresses()[raida.position()].to_string();
    stage.network.stop_node(raida).await;
    let [coins, server_coins] = [stage.network.wallet().to_owned(), stage.network.server_wallet()]
        .map(|path| path.display().to_string());
    let (index, data_dir) = (raida.get().to_string(), data_dir.display().to_string());
    let node = ["raida", "--index", &index, "--listen", &address, "--coins", &coins];
    Program::start(&[&node[..], &["--coins", &server_coins, "--data-dir", &data_dir], more].concat())
}

/// Preloads a Content Server ID to RAIDA 7 alone, with the Content Server's coins. That is too few, so it fails in any case.
/// Returns what it says.
pub(super) fn preload(stage: &Stage, cs_id: &str) -> String {
    let file = stage.dir.path().join("one.txt");
    fs::write(&file, format!("{} 7\n", stage.network.node_addresses()[7])).expect("written");
    let keys = stage.dir.path().join("other-keys");
    let [file, wallet, keys] =
        [file, stage.network.server_wallet(), keys].map(|path| path.display().to_string());
    let usual =
        ["content-server", "preload", "--cs-id", cs_id, "--domain", DOMAIN, "--host", "cs.example.com"];
    let more = ["--raida-directory", &file, "--wallet", &wallet, "--data-dir", &keys];
    refused(&[&usual[..], &more].concat(), stage.dir.path())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_counts_what_it_does_and_shows_it_on_this_machine_only() {
    let mut stage = Stage::new().await;
    let mut node = start(&mut stage, &[]).await;
    node.check("Metrics of a RAIDA node").await;
    let metrics = node.metrics().await;
    let coins = metrics.value("rke_raida_coins", &[]);
    assert!(coins >= 3.0, "{coins}");
    assert_eq!(metrics.value("rke_raida_key_sets", &[]), 1.0);
    assert_eq!(metrics.value("rke_raida_owned_ids", &[]), 1.0);
    let answered = [("command", "get_wide_key_share"), ("outcome", "answered")];
    assert_eq!(metrics.value("rke_raida_requests_total", &answered), 0.0);

    stage.create().await;
    again(async || match node.value("rke_raida_requests_total", &answered).await >= 1.0 {
        true => Ok(()),
        false => Err("it has answered no request".into()),
    })
    .await;
    let metrics = node.metrics().await;
    assert!(metrics.value("rke_raida_replay_memory_used", &[]) >= 1.0);
    assert_eq!(metrics.value("rke_raida_replay_memory_size", &[]), 1_048_576.0);

    // Someone who knows no coin.
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.send_to(&[0xff; 200], stage.network.node_addresses()[7]).expect("sent");
    again(async || match node.value("rke_raida_malformed_datagrams_total", &[]).await {
        1.0 => Ok(()),
        other => Err(format!("{other} malformed datagrams")),
    })
    .await;
    node.stop();
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_data_folder_is_gone_is_not_ready() {
    let mut stage = Stage::new().await;
    let node = start(&mut stage, &[]).await;
    let (folder, elsewhere) = (stage.dir.path().join("raida-07"), stage.dir.path().join("elsewhere"));
    fs::rename(&folder, &elsewhere).expect("moved");
    let unready = node.get("/health/ready", "host: localhost").await;
    assert_eq!(
        (unready.status, &unready.json()["reasons"][0]),
        (503, &"the data directory cannot be written".into())
    );
    assert_eq!(node.get("/health/live", "host: localhost").await.status, 200);
    fs::rename(&elsewhere, &folder).expect("moved back");
    assert_eq!(node.get("/health/ready", "host: localhost").await.status, 200);
    node.stop();
    stage.stop().await;
}

#[test]
fn metrics_are_for_this_machine() {
    let dir = tempfile::tempdir().expect("a folder");
    let usual =
        ["raida", "--index", "7", "--listen", "127.0.0.1:0", "--coins", "coins", "--data-dir", "data"];
    for (value, text) in
        [("0.0.0.0:0", "or unix:PATH"), ("somewhere", "unix:PATH"), ("unix:", "the path of a socket")]
    {
        let said = match value {
            "0.0.0.0:0" => {
                fs::create_dir(dir.path().join("coins")).expect("a folder");
                let wallet = crate::dev::rke(&["wallet", "new", "coins/alice", "0:7"], dir.path()).status();
                assert!(wallet.expect("rke runs").success());
                let usual = usual.map(|word| if word == "coins" { "coins/alice" } else { word });
                refused(&[&usual[..], &["--metrics", value]].concat(), dir.path())
            }
            _ => refused(&[&usual[..], &["--metrics", value]].concat(), dir.path()),
        };
        assert!(said.contains(text) && !said.contains("listens"), "{value}: {said}");
    }
}
