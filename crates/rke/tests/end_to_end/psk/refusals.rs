//! Keys that are not set, and who says so.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use rke_proto::coin::CoinId;
use rke_proto::preshared::{NONCE_LEN, Name, Proposal, Purpose, Response, Tunnel};
use rke_raida::content_server::{Application, KeyCommand, KeyFormat, KeyService, PublicKey, ServerConfig};

use super::{Files, Running, command, launcher, psk, serve, stage_with};
use crate::support::{Stage, again};
use crate::wire::post;

const COIN: CoinId = CoinId { denomination: 0, serial: 1001 };
const OTHER_COIN: CoinId = CoinId { denomination: 0, serial: 7 };

fn wireguard(peers: &[(PublicKey, CoinId)], deed: &str) -> KeyService {
    let peers: BTreeMap<PublicKey, CoinId> = peers.iter().copied().collect();
    let command = KeyCommand::new(launcher(deed), KeyFormat::Base64);
    KeyService::WireGuard { command, peers: Arc::new(peers), fail_closed: false }
}

/// What the Content Server responds to a proposal.
async fn propose(stage: &Stage, proposal: &Proposal) -> Response {
    let path = format!("session/{}/tunnel", stage.create_id().await);
    let replied = post(stage.daemon.address(), &path, &[], proposal.to_bytes()).await.good();
    Response::decode(&replied).expect("a response")
}

/// Its reason for not setting the key.
async fn reason(stage: &Stage, proposal: &Proposal) -> String {
    match propose(stage, proposal).await {
        Response::NotSet(reason) => reason,
        Response::Set => panic!("the key is set: {proposal:?}"),
    }
}

fn proposal(client: PublicKey, addresses: &[Ipv4Addr]) -> Proposal {
    let addresses = addresses.iter().map(Ipv4Addr::to_ipv6_mapped).collect();
    let purpose = Purpose::WireGuard(Tunnel { client: client.0, server: [9; 32], addresses });
    Proposal { nonce: [1; NONCE_LEN], every: 0, purpose }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_sets_only_the_key_of_its_own_peer_and_never_from_inside_the_tunnel() {
    let files = Files::new();
    let (own, others, unknown) = (PublicKey([1; 32]), PublicKey([2; 32]), PublicKey([3; 32]));
    let service = wireguard(&[(own, COIN), (others, OTHER_COIN)], &files.keep("server"));
    let mut stage = stage_with(service).await;
    for peer in [others, unknown] {
        let refused = reason(&stage, &proposal(peer, &[])).await;
        assert!(refused.contains("may not set the key of that peer"), "{refused}");
    }
    let from = [Ipv4Addr::new(10, 9, 0, 1), Ipv4Addr::LOCALHOST];
    let refused = reason(&stage, &proposal(own, &from)).await;
    assert!(refused.contains("runs through the tunnel"), "{refused}");
    let named = Purpose::Command(Name::new("a").expect("a name"));
    let refused = reason(&stage, &Proposal { purpose: named, ..proposal(own, &[]) }).await;
    assert!(refused.contains("WireGuard only"), "{refused}");
    assert!(files.read("server").is_empty(), "no command has run");
    // This one is handed over, and the command is not one that shows the key.
    let refused = reason(&stage, &proposal(own, &from[..1])).await;
    assert!(refused.contains("has another one") && !files.read("server").is_empty(), "{refused}");
    serve(&mut stage, command("cat", KeyFormat::Raw)).await;
    let refused = reason(&stage, &proposal(own, &[])).await;
    assert!(refused.contains("without --wireguard"), "{refused}");
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_cannot_set_the_key_says_so_and_the_next_key_heals() {
    let files = Files::new();
    let mut stage = stage_with(command("cat > /dev/null; exit 3", KeyFormat::Base64)).await;
    let (code, log) = psk(&stage, &files.keep("client"), &[]).await;
    assert!(
        code == 1 && log.contains("the Content Server has not set it") && log.contains("status 3"),
        "{log}"
    );
    assert!(files.read("client").is_empty(), "this end has not set what the other one has not");
    serve(&mut stage, command(&files.keep("server"), KeyFormat::Base64)).await;
    let (code, log) = psk(&stage, "exit 4", &[]).await;
    assert!(code == 1 && log.contains("this end has not") && log.contains("status 4"), "{log}");
    assert!(files.read("client") != files.read("server"));
    let (code, log) = psk(&stage, &files.keep("client"), &[]).await;
    assert!(code == 0 && files.read("client") == files.read("server"), "{log}");
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_or_content_server_that_gives_no_keys_says_so() {
    let stage = Stage::new().await;
    let (code, log) = psk(&stage, "cat", &[]).await;
    assert!(code == 1 && log.contains("--allow-export"), "{code} {log}");
    stage.stop().await;
    let mut stage = stage_with(command("cat", KeyFormat::Raw)).await;
    stage.network.restart_content_server_with(ServerConfig::new(Application::Echo)).await.expect("a server");
    let (code, log) = psk(&stage, "cat", &[]).await;
    assert!(code == 1 && log.contains("was it started with --wireguard or --psk-exec?"), "{code} {log}");
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missed_renewal_raises_an_alarm_and_the_next_one_ends_it() {
    let files = Files::new();
    let mut stage = stage_with(command(&files.keep("server"), KeyFormat::Base64)).await;
    let running = Running::start(&["psk", "--exec", &files.keep("client"), "--every", "1"], &stage);
    running.says("Both ends have a new key").await;
    stage.network.stop_content_server().await;
    running.says("ALARM: the key was not renewed").await;
    serve(&mut stage, command(&files.keep("server"), KeyFormat::Base64)).await;
    again(async || match running.says("ALARM").await.split("ALARM").last() {
        Some(last) if last.contains("Both ends have a new key") => Ok(()),
        other => Err(format!("no new key: {other:?}")),
    })
    .await;
    stage.stop().await;
}
