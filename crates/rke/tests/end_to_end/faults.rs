//! The network at its worst, on real sockets: every fault, at up to 12 of 25 RAIDAs.

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

use rke_raida::network::LocalNetwork;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::records::{Detour, with_endpoints};
use crate::relay::{Dice, Fault, Relays};
use crate::support::{DOMAIN, Stage, get};

/// A daemon that asks through relays with these faults.
pub(crate) async fn through(faults: Vec<Fault>, seed: u64) -> Detour {
    let detour = async |network: &LocalNetwork, _: &tempfile::TempDir| {
        let relays = Relays::start(network.node_addresses(), faults, seed).await;
        with_endpoints(network, &relays.endpoints())
    };
    Detour::new(detour, |config| config.reloadable.exchange_timeout = Duration::from_secs(5)).await
}

fn raidas(shown: &Value) -> Vec<u64> {
    shown["raidas"].as_array().expect("indexes").iter().filter_map(Value::as_u64).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn raidas_whose_answers_in_envelope_5_do_not_open_are_asked_in_envelope_4_by_the_same_exchange() {
    let mut faults = vec![Fault::Garbling; 25];
    faults[..3].fill(Fault::None);
    let detour = through(faults, 0).await;
    let all: Vec<u64> = (0..25).collect();
    // The second exchange knows, and asks them in envelope 4 at once.
    for exchange in 1..=2_u64 {
        let shown = detour.show(&detour.create().await).await;
        assert_eq!((&shown["confirmed"], raidas(&shown)), (&json!(true), all.clone()), "{shown}");
        assert_eq!(shown["envelope"], json!([4, 5]), "{shown}");
        let known = detour.get("/api/rke/raidas").await.json();
        for row in known["raidas"].as_array().expect("rows") {
            let form =
                if row["raida"].as_u64() >= Some(3) { json!("envelope_5_garbled") } else { Value::Null };
            assert_eq!((&row["form"], &row["answered"]), (&form, &json!(exchange)));
        }
    }
    detour.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_mix_of_faults_at_twelve_raidas_gives_a_confirmed_key_in_time() {
    for seed in 0..24_u64 {
        let mut dice = Dice(seed);
        let mut faults = vec![Fault::None; 25];
        // One kind at all twelve first, then any mix.
        let one_kind = Fault::ALL.get(seed as usize);
        while faults.iter().filter(|fault| **fault != Fault::None).count() < 12 {
            let any = Fault::ALL[dice.roll(Fault::ALL.len() as u64) as usize];
            faults[dice.roll(25) as usize] = one_kind.copied().unwrap_or(any);
        }
        let detour = through(faults.clone(), seed).await;
        let started = Instant::now();
        let shown = detour.show(&detour.create().await).await;
        let took = started.elapsed();
        assert_eq!(shown["confirmed"], true, "seed {seed}, {faults:?}: {shown}");
        let used = raidas(&shown);
        assert!(used.len() >= 13, "seed {seed}: {shown}");
        let spoiled = used.iter().find(|raida| faults[**raida as usize].is_final());
        assert!(spoiled.is_none(), "seed {seed}: {spoiled:?} of {faults:?}");
        // Thirteen answer at once: nobody waits for the slow ones, or for what is sent again.
        assert!(took < Duration::from_millis(1500), "seed {seed}, {faults:?}: {took:?}");
        detour.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_thirteen_dead_the_refusal_says_which() {
    let faults = (0..25).map(|at| if at < 13 { Fault::Dead } else { Fault::None }).collect();
    let detour = through(faults, 0).await;
    let refused = detour.create().await;
    assert_eq!(refused.status, 503, "{}", refused.body);
    let silent = refused.json()["faults"].as_array().map(Vec::len);
    assert_eq!((silent, &refused.json()["faults"][12]["raida"]), (Some(13), &Value::from(12)));
    detour.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn exchanges_that_hang_hold_up_nobody_else() {
    // A DNS server that never answers, and one network that does.
    let silent: Vec<_> = (0..25).map(|_| UdpSocket::bind("127.0.0.1:0").expect("a socket")).collect();
    let dead: Vec<SocketAddr> =
        silent.iter().map(|socket| socket.local_addr().expect("an address")).collect();
    let detour = async |network: &LocalNetwork, _: &tempfile::TempDir| network.records().clone();
    let good = Detour::new(detour, |config| config.reloadable.max_sessions = 64).await;
    let id = good.create().await.json()["session_id"].as_str().expect("an id").to_owned();
    let detour = async |network: &LocalNetwork, _: &tempfile::TempDir| with_endpoints(network, &dead);
    let bad = Detour::new(detour, |config| config.reloadable.exchange_timeout = Duration::from_secs(3)).await;
    let (address, wallet) = (good.daemon.address(), good.network.wallet().display().to_string());
    // Domains that the good daemon's DNS knows nothing of, beside sixteen that hang elsewhere.
    let hanging: Vec<_> = (0..16)
        .map(|at| {
            let target = format!("/api/rke/session?domain=nobody{at}.test&wallet_path={wallet}");
            tokio::spawn(async move { get(address, &target).await })
        })
        .collect();
    let bad_address = bad.daemon.address();
    let target = format!("/api/rke/session?domain=content.rke.test&wallet_path={wallet}");
    let hung = tokio::spawn(async move { get(bad_address, &target).await });
    let started = Instant::now();
    for _ in 0..200 {
        let answer = get(address, &format!("/api/rke/encrypt?session_id={id}&plaintext=AAAA")).await;
        assert_eq!(answer.status, 200);
    }
    assert_eq!(good.create().await.status, 200, "another domain's exchange");
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    assert_eq!(hung.await.expect("no panic").status, 503);
    for answer in hanging {
        assert_eq!(answer.await.expect("no panic").status, 502);
    }
    good.stop().await;
    bad.stop().await;
}

/// A copy of a wallet whose coins have other ANs.
pub(crate) fn with_other_ans(wallet: &Path) -> TempDir {
    let copy = tempfile::tempdir().expect("a folder");
    let bank = copy.path().join("Bank");
    std::fs::create_dir(&bank).expect("a folder");
    for path in rke_host::wallet::all_coin_files(wallet) {
        let mut coin = std::fs::read(&path).expect("a coin");
        let ans = coin.len() - 25 * 16;
        coin[ans..].iter_mut().for_each(|byte| *byte ^= 1);
        std::fs::write(bank.join(path.file_name().expect("a name")), coin).expect("written");
    }
    copy
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_wallet_is_named_as_the_cause_and_no_raida_is_blamed() {
    let stage = Stage::new().await;
    let wrong = with_other_ans(stage.network.wallet());
    let target = format!("/api/rke/session?domain={DOMAIN}&wallet_path={}", wrong.path().display());
    let refused = stage.get(&target).await;
    assert_eq!(refused.status, 503, "{refused:?}");
    let expected = "Only 0 of 13 required RAIDAs answered; 25 refused the wallet's coin: ";
    assert!(refused.body.contains(expected), "{refused:?}");
    let raidas = stage.get("/api/rke/raidas").await.json();
    assert!(
        raidas["raidas"].as_array().expect("rows").iter().all(|row| row["last_fault"].is_null()),
        "{raidas}"
    );
    assert!(raidas["margin"].is_null(), "{raidas}");
    stage.create().await;
    stage.stop().await;
}
