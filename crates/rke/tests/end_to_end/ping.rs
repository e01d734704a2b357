//! `rke ping`: reaches what a session with a domain needs, without a session.

use rke_raida::network::LocalNetwork;
use serde_json::Value;

use crate::dev::{Dev, Done, rke};
use crate::records::{Detour, with_endpoints};
use crate::relay::{Fault, Relays};
use crate::support::{DOMAIN, again_blocking};

#[test]
fn all_that_responds_is_timed() {
    let dev = Dev::start();
    // It waits for each response only briefly.
    let all_respond =
        |text: &str| text.contains("25 of 25 RAIDAs responded") && text.matches(" ms").count() == 28;
    let text = again_blocking(|| {
        let done = dev.rke(&["ping", DOMAIN]);
        let text = done.text();
        if done.code == Some(0) && all_respond(&text) { Ok(text) } else { Err(text + &done.err) }
    });
    let with = |start: &str| text.lines().filter(|line| line.trim_start().starts_with(start)).count();
    assert_eq!((with("DNS"), with("RAIDA "), with("Content Server")), (1, 25, 1), "{text}");
    assert!(
        text.contains("k1 of RKE-TEST-SERVER")
            && text.contains("25 of 25 RAIDAs responded (13 must), median "),
        "{text}"
    );
    let json = again_blocking(|| {
        let json: Value = serde_json::from_str(&dev.rke(&["ping", DOMAIN, "--json"]).text()).expect("JSON");
        let times = [&json["raidas"][24]["ms"], &json["content_servers"][0]["ms"]];
        if times.iter().all(|ms| ms.is_number()) { Ok(json) } else { Err(format!("{json:#}")) }
    });
    assert_eq!((&json["command"], &json["success"]), (&"rke_ping".into(), &true.into()), "{json:#}");
    // Without a daemon that names its DNS server.
    let dns = dev.rke(&["status", "--json"]).text();
    let dns: Value = serde_json::from_str(&dns).expect("JSON");
    let dns = dns["config"]["dns_server"].as_str().expect("an address").to_owned();
    let arguments = ["ping", DOMAIN, "--daemon", "127.0.0.1:1", "--dns-server", &dns];
    again_blocking(|| {
        let done: Done = rke(&arguments, dev.dir.path()).output().expect("rke runs").into();
        if done.code == Some(0) { Ok(()) } else { Err(done.text() + &done.err) }
    });
}

#[test]
fn who_is_not_there_is_no_failure_of_the_network() {
    let dev = Dev::start();
    for (domain, text) in [("nowhere.test", "refused to look this name up"), ("b d", "is not a domain name")]
    {
        let done = dev.rke(&["ping", domain]);
        assert!(done.code == Some(2) && done.err.contains(text), "{domain}: {}", done.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn too_few_raidas_are_a_failure_and_each_is_named() {
    for (silent, code) in [(12, 0), (13, 1)] {
        let faults = (0..25).map(|at| if at < silent { Fault::Refusing } else { Fault::None }).collect();
        let detour = async |network: &LocalNetwork, _: &tempfile::TempDir| {
            let relays = Relays::start(network.node_addresses(), faults, 0).await;
            with_endpoints(network, &relays.endpoints())
        };
        let detour = Detour::new(detour, |_| ()).await;
        let daemon = detour.daemon.address().to_string();
        let responded = format!("{} of 25 RAIDAs responded (13 must)", 25 - silent);
        let run = move || {
            let dir = tempfile::tempdir().expect("a folder");
            let ping = || -> Done {
                rke(&["ping", DOMAIN, "--daemon", &daemon], dir.path()).output().expect("rke runs").into()
            };
            again_blocking(|| {
                let done = ping();
                if done.text().contains(&responded) { Ok(done) } else { Err(done.text() + &done.err) }
            })
        };
        let done = tokio::task::spawn_blocking(run).await.expect("no panic");
        let text = done.text();
        assert_eq!(done.code, Some(code), "{text}{}", done.err);
        assert_eq!(text.matches("nothing listens there").count(), silent, "{text}");
        detour.stop().await;
    }
}

#[test]
fn a_daemon_that_does_not_respond_is_no_domain_that_is_not_found() {
    // It takes connections and says nothing, as a stopped daemon does.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let daemon = silent.local_addr().expect("an address").to_string();
    let dir = tempfile::tempdir().expect("a folder");
    let arguments = ["ping", DOMAIN, "--daemon", &daemon, "--timeout", "1"];
    let done: Done = rke(&arguments, dir.path()).output().expect("rke runs").into();
    assert!(done.code == Some(3) && done.err.contains("has not responded within 1 s"), "{}", done.err);
}
