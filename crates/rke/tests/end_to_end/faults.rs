//! The network at its worst, on real sockets: every fault, at up to 12 of 25 RAIDAs.

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::time::Duration;

use rke_raida::network::LocalNetwork;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::records::{Detour, with_endpoints};
use crate::relay::{Dice, Fault, Relays};
use crate::support::{DOMAIN, PATIENCE, Stage, again, get};

/// A daemon that reaches its RAIDAs through relays with these faults.
pub(crate) async fn through(faults: Vec<Fault>, seed: u64) -> Detour {
    through_within(faults, seed, PATIENCE).await
}

/// The same where an exchange only ends by its timeout: too many RAIDAs do not respond.
pub(crate) async fn through_within(faults: Vec<Fault>, seed: u64, exchange_timeout: Duration) -> Detour {
    let detour = async |network: &LocalNetwork, _: &tempfile::TempDir| {
        let relays = Relays::start(network.node_addresses(), faults, seed).await;
        with_endpoints(network, &relays.endpoints())
    };
    Detour::new(detour, |config| config.reloadable.exchange_timeout = exchange_timeout).await
}

fn raidas(shown: &Value) -> Vec<u64> {
    shown["raidas"].as_array().expect("indexes").iter().filter_map(Value::as_u64).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn raidas_whose_answers_in_envelope_5_do_not_open_are_asked_in_envelope_4_by_the_same_exchange() {
    let mut faults = vec![Fault::Garbling; 25];
    faults[..3].fill(Fault::None);
    let detour = through(faults, 0).await;
    // The second exchange knows the forms of the RAIDAs, and uses envelope 4 at once.
    for _ in 0..2 {
        let shown = detour.show(&detour.create().await).await;
        // Shares that come long after the thirteenth are left out.
        let used = raidas(&shown);
        assert_eq!((&shown["confirmed"], used.len() >= 13), (&json!(true), true), "{shown}");
        let forms = if used[0] < 3 { json!([4, 5]) } else { json!([4]) };
        assert_eq!(shown["envelope"], forms, "{shown}");
        let known = detour.get("/api/rke/raidas").await.json();
        for row in used.iter().map(|raida| &known["raidas"][*raida as usize]) {
            let form =
                if row["raida"].as_u64() >= Some(3) { json!("envelope_5_garbled") } else { Value::Null };
            assert_eq!(row["form"], form, "{row}");
        }
    }
    detour.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_mix_of_faults_at_twelve_raidas_gives_a_confirmed_key_in_time() {
    for seed in 0..24_u64 {
        let mut dice = Dice(seed);
        let mut faults = vec![Fault::None; 25];
        // First all twelve faults are of one kind, later any mix.
        let one_kind = Fault::ALL.get(seed as usize);
        while faults.iter().filter(|fault| **fault != Fault::None).count() < 12 {
            let any = Fault::ALL[dice.roll(Fault::ALL.len() as u64) as usize];
            faults[dice.roll(25) as usize] = one_kind.copied().unwrap_or(any);
        }
        let detour = through(faults.clone(), seed).await;
        let shown = detour.show(&detour.create().await).await;
        assert_eq!(shown["confirmed"], true, "seed {seed}, {faults:?}: {shown}");
        let used = raidas(&shown);
        assert!(used.len() >= 13, "seed {seed}: {shown}");
        let spoiled = used.iter().find(|raida| faults[**raida as usize].is_final());
        assert!(spoiled.is_none(), "seed {seed}: {spoiled:?} of {faults:?}");
        detour.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_thirteen_dead_the_refusal_says_which() {
    let faults = (0..25).map(|at| if at < 13 { Fault::Dead } else { Fault::None }).collect();
    let detour = through_within(faults, 0, Duration::from_secs(5)).await;
    let silent = again(async || {
        let refused = detour.create().await;
        assert_eq!(refused.status, 503, "{}", refused.body);
        let faults = refused.json()["faults"].as_array().expect("faults").clone();
        // Others may be late too.
        if faults.len() == 13 { Ok(faults) } else { Err(refused.body) }
    })
    .await;
    let silent: Vec<_> = silent.iter().filter_map(|fault| fault["raida"].as_u64()).collect();
    assert_eq!(silent, (0..13).collect::<Vec<_>>());
    detour.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn exchanges_that_hang_hold_up_nobody_else() {
    // RAIDAs that never answer, for one daemon. Another daemon has a working network.
    let silent: Vec<_> = (0..25).map(|_| UdpSocket::bind("127.0.0.1:0").expect("a socket")).collect();
    let dead: Vec<SocketAddr> =
        silent.iter().map(|socket| socket.local_addr().expect("an address")).collect();
    let detour = async |network: &LocalNetwork, _: &tempfile::TempDir| network.records().clone();
    let good = Detour::new(detour, |config| config.reloadable.max_sessions = 64).await;
    let id = good.create().await.json()["session_id"].as_str().expect("an id").to_owned();
    let detour = async |network: &LocalNetwork, _: &tempfile::TempDir| with_endpoints(network, &dead);
    let bad = Detour::new(detour, |_| ()).await;
    let (address, wallet) = (good.daemon.address(), good.network.wallet().display().to_string());
    // Sixteen domains that the good daemon's DNS does not know, and an exchange that hangs at the other daemon.
    let hanging: Vec<_> = (0..16)
        .map(|at| {
            let target = format!("/api/rke/session?domain=nobody{at}.test&wallet_path={wallet}");
            tokio::spawn(async move { get(address, &target).await })
        })
        .collect();
    let bad_address = bad.daemon.address();
    let target = format!("/api/rke/session?domain=content.rke.test&wallet_path={wallet}");
    let hung = tokio::spawn(async move { get(bad_address, &target).await });
    for _ in 0..200 {
        let answer = get(address, &format!("/api/rke/encrypt?session_id={id}&plaintext=AAAA")).await;
        assert_eq!(answer.status, 200);
    }
    assert_eq!(good.create().await.status, 200, "another domain's exchange");
    assert!(!hung.is_finished(), "it still waits for its RAIDAs");
    hung.abort();
    for answer in hanging {
        assert_eq!(answer.await.expect("no panic").status, 502);
    }
    good.stop().await;
    bad.stop().await;
}

/// Whether a RAIDA has no fault but a response that came too late, as on a busy machine.
pub(crate) fn is_late_at_most(fault: &Value) -> bool {
    fault.is_null() || fault == "no answer"
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
    let expected = "Only 0 of 13 required RAIDAs answered; 25 refused the wallet's coin: ";
    again(async || {
        let refused = stage.get(&target).await;
        assert_eq!(refused.status, 503, "{refused:?}");
        if refused.body.contains(expected) { Ok(()) } else { Err(refused.body) }
    })
    .await;
    let raidas = stage.get("/api/rke/raidas").await.json();
    assert!(
        raidas["raidas"].as_array().expect("rows").iter().all(|row| is_late_at_most(&row["last_fault"])),
        "{raidas}"
    );
    let is_any_late =
        raidas["raidas"].as_array().expect("rows").iter().any(|row| !row["last_fault"].is_null());
    assert!(is_any_late || raidas["margin"].is_null(), "{raidas}");
    stage.create().await;
    stage.stop().await;
}
