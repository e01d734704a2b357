//! `rke doctor`: no findings if everything works, and each fault with its fix.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use rke_raida::network::LocalNetwork;
use serde_json::Value;

use crate::dev::{Dev, Done, rke};
use crate::faults::through;
use crate::real::{Real, get_with};
use crate::records::{Detour, with_endpoints};
use crate::relay::{Fault, Relays};
use crate::support::{DOMAIN, again, again_blocking};

/// The findings with this verdict, each as check and message.
pub(crate) fn findings(json: &Value, verdict: &str) -> Vec<(String, String)> {
    let all = json["findings"].as_array().expect("findings").iter();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    all.filter(|found| found["result"] == verdict)
        .inspect(|found| assert_eq!(found.get("cure").is_some(), verdict != "ok", "{found}"))
        .map(|found| (text(&found["check"]), text(&found["message"])))
        .collect()
}

fn examine(dev: &Dev, arguments: &[&str]) -> (Option<i32>, Value) {
    let done = dev.rke(&[&["doctor", "--json"], arguments].concat());
    (done.code, serde_json::from_str(&done.text()).unwrap_or_else(|_| panic!("{}", done.err)))
}

/// Whether a check has a finding with this text.
pub(crate) fn says(found: &[(String, String)], check: &str, text: &str) -> bool {
    found.iter().any(|(of, message)| of == check && message.contains(text))
}

#[test]
fn where_all_is_well_nothing_fails() {
    let dev = Dev::start();
    let wallet = dev.wallet.to_str().expect("UTF-8");
    let data = dev.path("dev/daemon");
    let arguments = [DOMAIN, "--wallet", wallet, "--data-dir", data.to_str().expect("UTF-8")];
    // The doctor waits for each RAIDA only briefly.
    let json = again_blocking(|| {
        let (code, json) = examine(&dev, &arguments);
        let all_answer = ["25 of 25 answer", "usable at 25 of 25"];
        let ok = findings(&json, "ok");
        let is_well = all_answer.iter().all(|text| ok.iter().any(|(_, message)| message.contains(text)));
        if is_well && code == Some(0) { Ok(json) } else { Err(format!("{json:#}")) }
    });
    assert_eq!(json["success"], true, "{json:#}");
    let ok = findings(&json, "ok");
    for (check, text) in [
        ("memory", "may be locked"),
        ("data", "its owner's alone"),
        ("daemon", "version 0"),
        ("keys", "the daemon holds keys"),
        ("ready", "ready for work"),
        ("sessions", "0 of at most 16"),
        ("pages", "DNS rebinding"),
        ("pages", "another site"),
        ("network", "do not reach it"),
        ("users", "--require-token"),
        ("raidas", "25 of 25 answer"),
        ("server", "takes connections"),
        ("wallet", "usable at 25 of 25 RAIDAs"),
        ("dns", "25 RAIDA servers, 13 are required"),
        ("dns", "the daemon finds the same"),
    ] {
        assert!(says(&ok, check, text), "{check}, {text}: {json:#}");
    }
    again_blocking(|| {
        let text = dev.rke(&[&["doctor"], &arguments[..]].concat());
        if text.code == Some(0) && text.text().contains(" 0 failed") { Ok(()) } else { Err(text.text()) }
    });
    assert_eq!(dev.rke(&["session", "list"]).text(), "No sessions.\n", "it opens none");
}

#[test]
fn what_is_wrong_is_found() {
    let dev = Dev::start();
    let (data, wallet) = (dev.path("data"), dev.path("wallet"));
    fs::create_dir_all(wallet.join("Bank")).expect("a folder");
    fs::create_dir(&data).expect("a folder");
    fs::set_permissions(&data, Permissions::from_mode(0o755)).expect("a mode");
    fs::write(wallet.join("Bank/x.bin"), "no coin").expect("written");
    let paths = [&data, &wallet].map(|path| path.to_str().expect("UTF-8").to_owned());
    let arguments = ["nowhere.test", "--data-dir", &paths[0], "--wallet", &paths[1]];
    let (code, json) = examine(&dev, &arguments);
    assert_eq!((code, &json["success"]), (Some(1), &false.into()));
    let failed = findings(&json, "fail");
    for (check, text) in [
        ("data", "open to others"),
        ("wallet", "usable at 0 of 25 RAIDAs"),
        ("dns", "refused to look this name up"),
        ("dns", "the daemon: DNS discovery failed"),
    ] {
        assert!(says(&failed, check, text), "{check}, {text}: {json:#}");
    }
    assert!(says(&findings(&json, "warn"), "wallet", "x.bin"), "{json:#}");
    let (code, json) = examine(&dev, &["--daemon", "127.0.0.1:1", "--wallet", "/nowhere"]);
    assert!(code == Some(1) && says(&findings(&json, "fail"), "daemon", "no daemon responds"), "{json:#}");
    assert!(says(&findings(&json, "fail"), "wallet", "cannot open the wallet folder"), "{json:#}");
}

#[test]
fn a_daemon_that_is_not_ready_is_found_though_it_answers() {
    let dev = Dev::start();
    fs::remove_dir_all(dev.path("dev/daemon")).expect("removed");
    let (code, json) = examine(&dev, &[]);
    assert_eq!(code, Some(1), "{json:#}");
    assert!(says(&findings(&json, "fail"), "ready", "data directory cannot be written"), "{json:#}");
}

/// The findings of `rke doctor` with nothing but these arguments.
async fn found(arguments: &[&str]) -> Value {
    let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
    let run = move || {
        let dir = tempfile::tempdir().expect("a folder");
        let all: Vec<&str> =
            ["doctor", "--json"].into_iter().chain(arguments.iter().map(String::as_str)).collect();
        let done: Done = rke(&all, dir.path()).output().expect("rke runs").into();
        serde_json::from_str::<Value>(&done.text()).unwrap_or_else(|_| panic!("{}", done.err))
    };
    tokio::task::spawn_blocking(run).await.expect("no panic")
}

#[tokio::test(flavor = "multi_thread")]
async fn who_else_reaches_the_daemon_is_told() {
    let real = Real::start(&["--listen", "0.0.0.0:0", "--require-token"]).await;
    let (daemon, token) = (format!("127.0.0.1:{}", real.port()), real.data_dir().join("token"));
    let json = found(&["--daemon", &daemon, "--token-file", token.to_str().expect("UTF-8")]).await;
    assert!(says(&findings(&json, "warn"), "network", "they need the token"), "{json:#}");
    assert!(says(&findings(&json, "ok"), "users", "who has no token is refused"), "{json:#}");
    let text = fs::read_to_string(&token).expect("a token");
    let headers = format!("host: localhost\nauthorization: Bearer {text}");
    let refusals = real.send(get_with("/api/rke/refusals", &headers)).json();
    assert_eq!(refusals["total"], 0, "the doctor's own requests do not count: {refusals}");
    let json = found(&["--daemon", &daemon]).await;
    assert!(says(&findings(&json, "fail"), "daemon", "token"), "{json:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn raidas_with_the_same_trouble_are_named_in_one_finding() {
    for (fault, count, verdict, text) in [
        (Fault::Dead, 12, "ok", "no response from 12 RAIDAs: RAIDA 0 at 127.0.0.1:"),
        (Fault::Dead, 13, "fail", "no response from 13 RAIDAs: RAIDA 0 at 127.0.0.1:"),
        (Fault::Refusing, 1, "ok", "nothing listens at the port of RAIDA 0 at 127.0.0.1:"),
        (Fault::Refusing, 13, "fail", "nothing listens at the port of 13 RAIDAs: RAIDA 0 at 127.0.0.1:"),
    ] {
        let faults = (0..25).map(|at| if at < count { fault } else { Fault::None }).collect();
        let detour = async |network: &LocalNetwork, _: &tempfile::TempDir| {
            let relays = Relays::start(network.node_addresses(), faults, 0).await;
            with_endpoints(network, &relays.endpoints())
        };
        let detour = Detour::new(detour, |_| ()).await;
        let answering = format!("{} of 25 answer", 25 - count);
        let json = again(async || {
            let json = found(&[DOMAIN, "--daemon", &detour.daemon.address().to_string()]).await;
            // Others may be late.
            if says(&findings(&json, verdict), "raidas", &answering) {
                Ok(json)
            } else {
                Err(format!("{json:#}"))
            }
        })
        .await;
        let named = findings(&json, "warn").into_iter().filter(|(check, _)| check == "raidas");
        let [(_, message)] = &named.collect::<Vec<_>>()[..] else { panic!("one finding: {json:#}") };
        assert!(message.starts_with(text) && message.matches("RAIDA ").count() == count, "{message}");
        detour.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_that_raidas_refuse_is_compared_with_the_clock() {
    let detour = through(vec![Fault::Stale; 25], 0).await;
    let address = detour.daemon.address().to_string();
    assert!(!says(&findings(&found(&["--daemon", &address]).await, "fail"), "clock", "refused"));
    let text = "25 RAIDAs refused the daemon's time or its coin, last at 20";
    let json = again(async || {
        assert_eq!(detour.create().await.status, 503);
        let json = found(&["--daemon", &address]).await;
        // Some may be late.
        if says(&findings(&json, "fail"), "clock", text) { Ok(json) } else { Err(format!("{json:#}")) }
    })
    .await;
    assert!(says(&findings(&json, "fail"), "clock", "; here it is 20"), "{json:#}");
    detour.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_with_the_wrong_index_is_found() {
    let detour = async |network: &LocalNetwork, _: &tempfile::TempDir| {
        let mut records = network.records().clone();
        for line in &mut records.texts {
            let other = if line.ends_with("raida=3") { "raida=4" } else { "raida=3" };
            if line.ends_with("raida=3") || line.ends_with("raida=4") {
                line.replace_range(line.len() - other.len().., other);
            }
        }
        records
    };
    let detour = Detour::new(detour, |_| ()).await;
    let json = again(async || {
        let json = found(&[DOMAIN, "--daemon", &detour.daemon.address().to_string()]).await;
        let is_complete = says(&findings(&json, "ok"), "raidas", "23 of 25 answer");
        if is_complete { Ok(json) } else { Err(format!("{json:#}")) }
    })
    .await;
    assert!(says(&findings(&json, "warn"), "raidas", "is not RAIDA 3"), "{json:#}");
    assert!(says(&findings(&json, "warn"), "raidas", "is not RAIDA 4"), "{json:#}");
    assert!(says(&findings(&json, "ok"), "raidas", "23 of 25 answer"), "{json:#}");
    detour.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_content_server_no_session_opens_and_the_doctor_says_so() {
    let records = async |network: &LocalNetwork, _: &tempfile::TempDir| network.records().clone();
    let mut detour = Detour::new(records, |_| ()).await;
    detour.network.stop_content_server().await;
    let daemon = detour.daemon.address().to_string();
    let run = move || -> Done {
        let dir = tempfile::tempdir().expect("a folder");
        rke(&["doctor", "--json", DOMAIN, "--daemon", &daemon], dir.path()).output().expect("rke runs").into()
    };
    let done = tokio::task::spawn_blocking(run).await.expect("no panic");
    let json: Value = serde_json::from_str(&done.text()).unwrap_or_else(|_| panic!("{}", done.err));
    let failed = findings(&json, "fail");
    assert!(done.code == Some(1) && says(&failed, "server", "refuses connections"), "{json:#}");
    detour.stop().await;
}
