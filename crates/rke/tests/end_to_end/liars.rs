//! RAIDAs that return wrong shares: the share check identifies them, over the real network.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rke_proto::command::Preloading;
use rke_proto::directory::Directory;
use rke_proto::{ContentServerId, KeySetId, RaidaIndex};
use rke_raida::content_server::MasterSecrets;
use rke_raida::network::LocalNetwork;
use serde_json::{Value, json};

use crate::records::{Detour, with_endpoints};
use crate::relay::{Fault, Relays};
use crate::support::{DOMAIN, again};

/// Gives the first `count` RAIDAs other master secrets than the Content Server has.
pub(crate) async fn make_liars(network: &LocalNetwork, dir: &tempfile::TempDir, count: usize) {
    let cs_id = ContentServerId::new("CONTENT-SERVER01").expect("an ID");
    let wrong = MasterSecrets::random(cs_id, KeySetId::new(1).expect("k1")).expect("secrets");
    let nodes = network.node_addresses().iter().copied().zip(RaidaIndex::all()).take(count);
    let wallet = dir.path().join("content-server/wallet");
    let timeout = Duration::from_secs(60);
    // Later than the network's own preload, which may have happened within this second.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970");
    let preloading = Preloading::Dated(since.as_secs() + 60);
    let report = wrong.preload(&Directory::new(nodes.collect()), &wallet, preloading, timeout).await;
    let report = report.expect("preloaded");
    assert_eq!(report.done.count(), count);
}

/// A daemon on a network with `count` liars.
pub(crate) async fn with_liars(count: usize) -> Detour {
    let detour = async |network: &LocalNetwork, dir: &tempfile::TempDir| {
        make_liars(network, dir, count).await;
        network.records().clone()
    };
    Detour::new(detour, |_| ()).await
}

/// Opens a session, and checks that no liar is used and that nobody else is called a liar.
async fn create(detour: &Detour, count: u8) -> Value {
    let shown = detour.show(&detour.create().await).await;
    let indexes = |name: &str| -> Vec<u8> { serde_json::from_value(shown[name].clone()).expect("indexes") };
    let (liars, raidas) = (indexes("liars"), indexes("raidas"));
    assert!(liars.iter().all(|liar| *liar < count), "{shown}");
    assert!(raidas.len() >= 13 && raidas.iter().all(|raida| *raida >= count), "{shown}");
    assert_eq!(shown["confirmed"], true, "{shown}");
    shown
}

/// Opens sessions until all liars are known and all others are healthy. One exchange is enough, unless a share comes
/// so long after the thirteenth that it is left out. Returns the number of exchanges.
async fn until_all_are_known(detour: &Detour, count: u8) -> usize {
    let mut exchanges = 0;
    again(async || {
        create(detour, count).await;
        exchanges += 1;
        let known = detour.get("/api/rke/raidas").await.json();
        let rows = known["raidas"].as_array().expect("rows");
        let all_lie = rows[..count.into()].iter().all(|row| row["state"] == "lying" && row["lies"] != 0);
        let all_known = all_lie && known["margin"] == 25 - u64::from(count) - 13;
        if all_known { Ok(()) } else { Err(known.to_string()) }
    })
    .await;
    exchanges
}

#[tokio::test(flavor = "multi_thread")]
async fn up_to_twelve_liars_are_named_and_the_session_opens_without_them() {
    for count in [1_u8, 12] {
        let detour = with_liars(count.into()).await;
        let exchanges = until_all_are_known(&detour, count).await;
        let metrics = detour.get("/metrics").await.body;
        let wrong = metrics.lines().filter(|line| line.starts_with("rke_raida_wrong_shares_total"));
        let named: Vec<&str> = wrong.filter(|line| !line.ends_with("} 0")).collect();
        assert_eq!(named.len(), usize::from(count), "{metrics}");
        let first = "rke_raida_wrong_shares_total{raida=\"0\"} ";
        assert!(named.iter().any(|line| line.starts_with(first)), "{metrics}");
        let opened = format!("rke_session_creations_total{{outcome=\"opened\"}} {exchanges}\n");
        assert!(metrics.contains(&opened), "{metrics}");
        // From here on the liars are asked last. The honest RAIDAs are enough, so the liars are not asked unless an
        // honest one takes long.
        again(async || {
            let shown = create(&detour, count).await;
            if shown["liars"] == json!([]) { Ok(()) } else { Err(shown.to_string()) }
        })
        .await;
        detour.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn liars_that_answer_first_do_not_keep_out_the_honest_who_take_long() {
    let slow = async |network: &LocalNetwork, dir: &tempfile::TempDir| {
        make_liars(network, dir, 12).await;
        // RAIDAs 0 to 12 answer at once, but only RAIDA 12 has a right share.
        let faults = (0..25).map(|at| if at > 12 { Fault::Slow } else { Fault::None }).collect();
        let relays = Relays::start(network.node_addresses(), faults, 0).await;
        with_endpoints(network, &relays.endpoints())
    };
    let detour = Detour::new(slow, |_| ()).await;
    create(&detour, 12).await;
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
    // Nobody can prove which shares are wrong, so no RAIDA counts as a liar.
    let raidas = detour.get("/api/rke/raidas").await.json();
    assert!(raidas["raidas"].as_array().expect("rows").iter().all(|row| row["lies"] == 0), "{raidas}");
    let status = detour.get("/api/rke/status").await.json();
    assert_eq!((&status["sessions"]["total"], &status["keystore"]["total"]), (&json!(0), &json!(0)));
    detour.stop().await;
}
