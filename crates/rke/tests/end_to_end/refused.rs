//! RAIDAs that refuse. Ports at which nothing listens end an exchange as soon as too few other RAIDAs are left. If
//! RAIDAs refuse the time, the daemon compares it with earlier readings of this machine's clock.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use rke_proto::RaidaIndex;
use rke_raida::network::LocalNetwork;
use serde_json::{Value, json};

use crate::faults::through;
use crate::real::{Files, Real};
use crate::records::{Detour, with_endpoints};
use crate::relay::{Fault, Relays};
use crate::support::{Answer, again, network};

/// No test runs this long, so an exchange that ends has not waited for its deadline.
const AN_HOUR: Duration = Duration::from_secs(3600);

/// The message of a refused exchange, and the `raidas` rows of the RAIDAs that it names.
fn told(refused: &Answer, raidas: &Answer) -> (String, Vec<Value>) {
    assert_eq!(refused.status, 503, "{}", refused.body);
    let (refused, raidas) = (refused.json(), raidas.json());
    let failed = refused["faults"].as_array().expect("faults").iter();
    let row = |fault: &Value| raidas["raidas"][fault["raida"].as_u64().expect("an index") as usize].clone();
    (refused["message"].as_str().expect("a message").to_owned(), failed.map(row).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn twelve_nodes_that_are_gone_are_done_without_and_thirteen_end_the_exchange_at_once() {
    let dir = tempfile::tempdir().expect("a folder");
    let network = network(&dir).await;
    let mut real = Real::start_on(dir, network, &["--exchange-timeout", "3600"], Files::AsMany);
    for raida in RaidaIndex::all().take(12) {
        real.network.stop_node(raida).await;
    }
    let create = format!("{}&fresh=true", real.create_target());
    let created = real.get(&create);
    assert_eq!(created.status, 200, "{}", created.body);
    real.network.stop_node(RaidaIndex::new(12).expect("an index")).await;
    let expected = "Only 12 of 13 required RAIDAs answered; 13 refused: nothing listens at their ports";
    let rows = again(async || {
        let (message, rows) = told(&real.get(&create), &real.get("/api/rke/raidas"));
        // Others may be late.
        if message == expected { Ok(rows) } else { Err(message) }
    })
    .await;
    assert_eq!(rows.len(), 13);
    for row in rows {
        let said = (&row["state"], &row["last_fault"]);
        assert_eq!(said, (&json!("failing"), &json!("refused: nothing listens at its port")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn closed_ports_are_told_from_silent_ones_over_both_families() {
    for family in [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()] {
        let sockets: Vec<_> = (0..25).map(|_| UdpSocket::bind((family, 0)).expect("a socket")).collect();
        let endpoints: Vec<SocketAddr> =
            sockets.iter().map(|socket| socket.local_addr().expect("an address")).collect();
        // 13 of the sockets are connected to themselves, so the system refuses all others as at a closed port. The
        // rest never respond.
        for (socket, own) in sockets.iter().zip(&endpoints).take(13) {
            socket.connect(own).expect("connected");
        }
        let detour =
            async |network: &LocalNetwork, _: &tempfile::TempDir| with_endpoints(network, &endpoints);
        let detour = Detour::new(detour, |config| config.reloadable.exchange_timeout = AN_HOUR).await;
        let (message, rows) = told(&detour.create().await, &detour.get("/api/rke/raidas").await);
        assert!(
            message.ends_with("answered; 13 refused: nothing listens at their ports"),
            "{family}: {message}"
        );
        let faults = rows.iter().map(|row| row["last_fault"].as_str().expect("a fault"));
        let expected = ["refused: nothing listens at its port", "no answer"];
        assert!(faults.eq(std::iter::repeat_n(expected[0], 13).chain([expected[1]; 12])), "{rows:?}");
        detour.stop().await;
        drop(sockets);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_that_all_raidas_refuse_is_asked_about_with_the_coin() {
    let detour = through(vec![Fault::Stale; 25], 0).await;
    let rows = again(async || {
        let (message, rows) = told(&detour.create().await, &detour.get("/api/rke/raidas").await);
        let all_are_named = [
            "answered; 25 refused the request's time or its coin: this machine's clock is probably wrong. It said 20",
            "Z, and RAIDAs allow 300 seconds. If it is right, is the wallet's coin authentic?",
        ]
        .iter()
        .all(|part| message.contains(part));
        // Some may be late.
        if all_are_named { Ok(rows) } else { Err(message) }
    })
    .await;
    assert!(rows.iter().all(|row| row["last_fault"] == "refused: bad parameter (198)"), "{rows:?}");
    detour.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_time_is_compared_with_the_one_that_was_accepted_last() {
    let dir = tempfile::tempdir().expect("a folder");
    let network = network(&dir).await;
    let relays = Relays::start(network.node_addresses(), vec![Fault::None; 25], 0).await;
    let records = with_endpoints(&network, &relays.endpoints());
    let detour = Detour::on(dir, network, records, |_| ()).await;
    assert_eq!(detour.create().await.status, 200);
    (0..25).for_each(|raida| relays.spoil(raida, Fault::Stale));
    let (message, _) = told(&detour.create().await, &detour.get("/api/rke/raidas").await);
    assert!(message.contains("and has not been set since RAIDAs last accepted its time"), "{message}");
    (0..22).for_each(|raida| relays.spoil(raida, Fault::None));
    // A few refusals are no reason to doubt this machine's clock, and do not hinder the exchange.
    assert_eq!(detour.create().await.status, 200);
    detour.stop().await;
}
