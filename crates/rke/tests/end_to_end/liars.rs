//! RAIDAs that give wrong shares: the share check names them, over the real network.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rke_proto::command::Preloading;
use rke_proto::directory::Directory;
use rke_proto::{ContentServerId, KeySetId, RaidaIndex};
use rke_raida::content_server::MasterSecrets;
use rke_raida::network::LocalNetwork;
use serde_json::{Value, json};

use crate::records::{Detour, with_endpoints};
use crate::relay::{Fault, Relays};
use crate::support::DOMAIN;

/// Gives the first `count` RAIDAs master secrets that the Content Server does not have.
pub(crate) async fn make_liars(network: &LocalNetwork, dir: &tempfile::TempDir, count: usize) {
    let cs_id = ContentServerId::new("CONTENT-SERVER01").expect("an ID");
    let wrong = MasterSecrets::random(cs_id, KeySetId::new(1).expect("k1")).expect("secrets");
    let nodes = network.node_addresses().iter().copied().zip(RaidaIndex::all()).take(count);
    let wallet = dir.path().join("content-server/wallet");
    let timeout = Duration::from_secs(5);
    // Later than what the network has preloaded, perhaps in this second.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970");
    let preloading = Preloading::Dated(since.as_secs() + 60);
    let report = wrong.preload(&Directory::new(nodes.collect()), &wallet, preloading, timeout).await;
    let report = report.expect("preloaded");
    assert_eq!(report.done.count(), count);
}

/// A daemon on a network with so many liars.
pub(crate) async fn with_liars(count: usize) -> Detour {
    let detour = async |network: &LocalNetwork, dir: &tempfile::TempDir| {
        make_liars(network, dir, count).await;
        network.records().clone()
    };
    Detour::new(detour, |_| ()).await
}

fn indexes(range: std::ops::Range<u8>) -> Value {
    json!(range.collect::<Vec<u8>>())
}

#[tokio::test(flavor = "multi_thread")]
async fn up_to_twelve_liars_are_named_and_the_session_opens_without_them() {
    for count in [1_u8, 12] {
        let detour = with_liars(count.into()).await;
        let shown = detour.show(&detour.create().await).await;
        assert_eq!((&shown["liars"], &shown["confirmed"]), (&indexes(0..count), &json!(true)), "{shown}");
        assert_eq!(shown["raidas"], indexes(count..25));
        let known = detour.get("/api/rke/raidas").await.json();
        assert_eq!((&known["raidas"][0]["state"], &known["raidas"][0]["lies"]), (&json!("lying"), &json!(1)));
        assert_eq!(known["margin"], 25 - u64::from(count) - 13);
        let metrics = detour.get("/metrics").await.body;
        let wrong = metrics.lines().filter(|line| line.starts_with("rke_raida_wrong_shares_total"));
        let named: Vec<&str> = wrong.filter(|line| line.ends_with("} 1")).collect();
        assert_eq!(named.len(), usize::from(count), "{metrics}");
        assert!(metrics.contains("rke_raida_wrong_shares_total{raida=\"0\"} 1\n"), "{metrics}");
        assert!(metrics.contains("rke_session_creations_total{outcome=\"opened\"} 1\n"), "{metrics}");
        // From here on they are asked last, which is never where the others do.
        let shown = detour.show(&detour.create().await).await;
        assert_eq!((&shown["liars"], &shown["raidas"]), (&json!([]), &indexes(count..25)), "{shown}");
        detour.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn liars_that_answer_first_do_not_keep_out_the_honest_who_take_long() {
    let slow = async |network: &LocalNetwork, dir: &tempfile::TempDir| {
        make_liars(network, dir, 12).await;
        // With RAIDA 12 there are thirteen answers at once, but one right share.
        let faults = (0..25).map(|at| if at > 12 { Fault::Slow } else { Fault::None }).collect();
        let relays = Relays::start(network.node_addresses(), faults, 0).await;
        with_endpoints(network, &relays.endpoints())
    };
    let detour =
        Detour::new(slow, |config| config.reloadable.exchange_timeout = Duration::from_secs(8)).await;
    let shown = detour.show(&detour.create().await).await;
    assert_eq!((&shown["liars"], &shown["raidas"]), (&indexes(0..12), &indexes(12..25)), "{shown}");
    assert_eq!(shown["confirmed"], true);
    detour.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_thirteen_liars_there_is_no_session_and_nothing_is_cached() {
    let detour = with_liars(13).await;
    let refused = detour.create().await;
    let expected = json!({
        "error": true,
        "message": "Only 12 of 13 required shares are right",
        "code": 502,
        "domain": DOMAIN,
    });
    assert_eq!((refused.status, refused.json()), (502, expected));
    // Which ones are wrong nobody can prove, so nobody is called a liar.
    let raidas = detour.get("/api/rke/raidas").await.json();
    assert!(raidas["raidas"].as_array().expect("rows").iter().all(|row| row["lies"] == 0), "{raidas}");
    let status = detour.get("/api/rke/status").await.json();
    assert_eq!((&status["sessions"]["total"], &status["keystore"]["total"]), (&json!(0), &json!(0)));
    detour.stop().await;
}
