//! How the daemon handles names and records: domains in other scripts, lines with typos, records that change.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use crate::records::{Detour, with_endpoints};
use crate::support::{DOMAIN, again};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn domains_are_shown_in_ascii_and_what_is_none_is_a_bad_request() {
    let detour = Detour::new(async |network, _| network.records().clone(), |_| ()).await;
    let found = detour.get("/api/rke/discover?domain=M%C3%BCnchen.example").await;
    assert!(found.status == 502 && found.json()["domain"] == "xn--mnchen-3ya.example", "{found:?}");
    let underscored = detour.get("/api/rke/discover?domain=my_host.example").await;
    assert!(
        underscored.status == 502 && underscored.json()["domain"] == "my_host.example",
        "{underscored:?}"
    );
    for bad in ["192.0.2.1", "https://a.example", "a..example", "a%20b"] {
        for target in ["/api/rke/discover?domain=", "/api/rke/session?wallet_path=/w&domain="] {
            let refused = detour.get(&format!("{target}{bad}")).await;
            assert!(refused.status == 400 && refused.body.contains("'domain'"), "{refused:?}");
        }
    }
    detour.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_typo_is_quoted_and_is_no_reason_to_accept_weak_shares() {
    let with_typo = async |network: &rke_raida::network::LocalNetwork, _: &tempfile::TempDir| {
        let mut records = network.records().clone();
        let is_there = records.texts.iter().any(|text| text.contains("share-bytes"));
        assert!(is_there, "{:?}", records.texts);
        records.texts.iter_mut().for_each(|text| *text = text.replace("share-bytes", "sharebytes"));
        records
    };
    let detour = Detour::new(with_typo, |_| ()).await;
    let refused = detour.create().await;
    assert!(refused.status == 502 && refused.body.contains("no usable key set"), "{refused:?}");
    assert!(refused.body.contains("required sharebytes>=32"), "{refused:?}");
    assert!(!refused.body.contains("allow-weak-shares"), "{refused:?}");
    detour.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_that_led_to_nobody_are_looked_up_again() {
    let nowhere: Vec<UdpSocket> =
        (0..25).map(|_| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket")).collect();
    let endpoints: Vec<SocketAddr> =
        nowhere.iter().map(|socket| socket.local_addr().expect("an address")).collect();
    let quick = |config: &mut rke_engine::settings::Config| {
        config.reloadable.exchange_timeout = Duration::from_secs(2)
    };
    let mut detour = Detour::new(async |network, _| with_endpoints(network, &endpoints), quick).await;
    let target =
        format!("/api/rke/session?domain={DOMAIN}&wallet_path={}", detour.network.wallet().display());
    assert_eq!(detour.get(&target).await.status, 503);
    let good = detour.network.records().clone();
    detour.change_records(&good).await;
    // With its short timeout, an exchange may fail on a busy machine.
    again(async || {
        let opened = detour.get(&target).await;
        if opened.status == 200 { Ok(()) } else { Err(opened.body) }
    })
    .await;
    detour.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fresh_session_asks_dns_again() {
    let mut detour = Detour::new(async |network, _| network.records().clone(), |_| ()).await;
    assert_eq!(detour.create().await.status, 200);
    let mut none = detour.network.records().clone();
    none.texts.retain(|text| !text.starts_with("k1"));
    detour.change_records(&none).await;
    let refused = detour.create().await;
    assert!(refused.status == 502 && refused.body.contains("no usable key set"), "{refused:?}");
    detour.stop().await;
}
