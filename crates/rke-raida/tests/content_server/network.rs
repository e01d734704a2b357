//! The Content Server of a local network.

use std::time::Duration;

use rke_host::framing::read_response;
use rke_proto::coin::CoinId;
use rke_proto::command::Preloading;
use rke_proto::directory::Directory;
use rke_proto::handshake::{Reason, Record, Response};
use rke_proto::round::Fault;
use rke_proto::{RaidaIndex, Status};
use rke_raida::content_server::{Application, ServerConfig};
use rke_raida::network::{LocalNetwork, LocalNetworkConfig};
use tokio::io::AsyncWriteExt;
use tokio::net::UdpSocket;

use crate::client::{COIN, DOMAIN, Peer, cs_id, key_ring, read_all, running, within};

async fn network(dir: &tempfile::TempDir, domain: &str) -> LocalNetwork {
    let config = LocalNetworkConfig {
        dir: dir.path().into(),
        domain: domain.into(),
        cs_id: cs_id(),
        first_raida_port: 0,
        dns_port: 0,
        content_server_port: 0,
    };
    for _ in 0..40 {
        match LocalNetwork::start_with(config.clone(), ServerConfig::new(running("tr a-z A-Z"))).await {
            Ok(network) => return network,
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
    panic!("no local network");
}

fn peer(network: &LocalNetwork, dir: &tempfile::TempDir) -> Peer {
    let (_, secrets) = key_ring(&dir.path().join("content-server/data"));
    Peer::new(network.content_server_address(), secrets)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_content_server_starts_again_at_its_address_without_its_keys() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut network = network(&dir, DOMAIN).await;
    let peer = peer(&network, &dir);
    let session = peer.open().await;
    let (mut reader, mut writer) = session.attach().await;
    writer.data(b"command").await.expect("sent");
    writer.end(None).await.expect("sent");
    assert_eq!(read_all(&mut reader).await, ("COMMAND".into(), Some(Record::End(Some(0)))));
    assert_eq!(network.content_server_keys(), 1);
    network.restart_content_server().await.expect("started");
    assert_eq!(network.content_server_keys(), 0);
    let mut stream = peer.connect().await;
    stream.write_all(&session.attach_packet().1).await.expect("sent");
    let refused = within(read_response(&mut stream)).await.expect("a response");
    assert!(matches!(refused, Response::Refused(Reason::NoSuchKey)));
    network.restart_content_server_with(ServerConfig::new(Application::Echo)).await.expect("started");
    let (mut reader, mut writer) = peer.open().await.attach().await;
    writer.data(b"echo").await.expect("sent");
    writer.end(None).await.expect("sent");
    assert_eq!(read_all(&mut reader).await, ("echo".into(), Some(Record::End(None))));
    network.stop_content_server().await;
    assert!(tokio::net::TcpStream::connect(network.content_server_address()).await.is_err());
    network.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_serves_the_networks_domain_alone() {
    let dir = tempfile::tempdir().expect("a folder");
    let network = network(&dir, "other.example").await;
    let peer = peer(&network, &dir);
    let mut stream = peer.connect().await;
    stream.write_all(&peer.exchange(COIN).1).await.expect("sent");
    let refused = within(read_response(&mut stream)).await.expect("a response");
    assert!(matches!(refused, Response::Refused(Reason::AnotherDomain)));
    network.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn its_id_is_its_coins_and_no_other_operator_may_preload_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut network = network(&dir, DOMAIN).await;
    let records = network.add_narrow_key_set().await.expect("a key set of narrow shares");
    assert!(records.texts.iter().any(|text| text.starts_with("k2 = ")), "{records:?}");
    assert!(!records.texts.iter().any(|text| text.contains("share-bytes")), "{records:?}");
    let (keys, secrets) = key_ring(&dir.path().join("content-server/data"));
    let wallets = [(network.other_wallet(), 0), (network.server_wallet(), 25)];
    for (wallet, done) in wallets {
        let report = keys.preload(&secrets, network.directory(), &wallet, Duration::from_secs(60)).await;
        assert_eq!(report.expect("sent").done.count(), done, "{}", wallet.display());
    }
    let session = peer(&network, &dir).open_with(CoinId { denomination: 1, serial: 7 }).await;
    assert_eq!(session.grant.lifetime, 86_400);
    network.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preload_goes_on_where_one_port_is_closed() {
    let dir = tempfile::tempdir().expect("a folder");
    let network = network(&dir, DOMAIN).await;
    let loopback = async || UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let (closed, slow) = (loopback().await.local_addr().expect("an address"), loopback().await);
    let raidas = [0, 1].map(|index| RaidaIndex::new(index).expect("an index"));
    let directory =
        Directory::new(vec![(closed, raidas[0]), (slow.local_addr().expect("an address"), raidas[1])]);
    let answer_the_second_request = async {
        let mut request = [0; 2048];
        slow.recv_from(&mut request).await.expect("a request");
        let (_, from) = slow.recv_from(&mut request).await.expect("another one");
        let mut refusal = [0; 32];
        (refusal[0], refusal[2]) = (1, Status::INTERNAL.0);
        slow.send_to(&refusal, from).await.expect("sent");
    };
    let (secrets, wallet, an_hour) =
        (network.master_secrets(), network.server_wallet(), Duration::from_secs(3600));
    let preload = secrets.preload(&directory, &wallet, Preloading::Public, an_hour);
    let (report, ()) = within(async { tokio::join!(preload, answer_the_second_request) }).await;
    let faults = report.expect("a report").faults;
    assert_eq!(faults, [(raidas[0], Fault::Closed), (raidas[1], Fault::Refused(Status::INTERNAL))]);
    network.stop().await;
}
