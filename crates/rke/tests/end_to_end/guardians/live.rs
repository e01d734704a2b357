//! A live domain, whose records give no index, and nine guardians. Five of them are honest, one lies, one is down,
//! and two are not who they should be.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rke_raida::dns::DnsServer;
use serde_json::{Value, json};

use super::site::{Authority, Site, found};
use super::{coin_list, ended, host_list, rotated, without_indexes};
use crate::dev::{Done, rke};
use crate::everywhere::until;
use crate::real::Real;
use crate::support::{DOMAIN, again_blocking, network};

/// A host of the domain. It resolves to this machine.
const HOST: &str = "cs.content.rke.test";

struct Live {
    real: Real,
    sites: Vec<Site>,
    flags: Vec<String>,
    endpoints: Vec<SocketAddr>,
    _dns: DnsServer,
    /// The certificate authority's folder. The sandbox must allow reading it.
    _elsewhere: tempfile::TempDir,
}

impl Live {
    async fn start() -> Self {
        let (dir, elsewhere) =
            (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let mut network = network(&dir).await;
        let records = without_indexes(&network.add_narrow_key_set().await.expect("a key set"));
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let dns = DnsServer::start(loopback, [&records], loopback.ip()).await.expect("a DNS server");
        let endpoints = network.node_addresses().to_vec();
        let ours = Authority::new("ours");
        let authorities = elsewhere.path().join("authorities.pem");
        std::fs::write(&authorities, ours.pem()).expect("written");
        let sites = sites(&ours, &endpoints).await;
        let mut flags: Vec<String> =
            sites.iter().flat_map(|site| ["--guardian".into(), site.url()]).collect();
        flags.extend(["--guardian".into(), format!("https://{HOST}:1/host.txt")]);
        let [dns_server, root] = [dns.address().to_string(), dir.path().display().to_string()];
        let more = ["--dns-server", &dns_server, "--wallet-root", &root, "--allow-weak-shares", DOMAIN];
        flags.extend(more.map(str::to_owned));
        let given: Vec<&str> = flags.iter().map(String::as_str).collect();
        let real = Real::start_trusting(dir, network, &given, authorities);
        Self { real, sites, flags, endpoints, _dns: dns, _elsewhere: elsewhere }
    }

    /// Sets the list that the honest guardians return from now on.
    fn honest_say(&self, endpoints: &[SocketAddr]) {
        for site in &self.sites[..5] {
            site.say(found(&host_list(endpoints)));
        }
    }

    fn directory(&self) -> Value {
        self.real.get("/api/rke/raidas").json()["directory"].clone()
    }

    /// The directory once all guardians that can give a list have given it. Once enough agree, the daemon waits for
    /// the others only briefly.
    fn until_all_are_heard(&self) -> Value {
        again_blocking(|| {
            let directory = self.directory();
            if directory["answered"] == 6 && directory["faults"].as_array().map(Vec::len) == Some(4) {
                return Ok(directory);
            }
            self.rke(&["raidas", "refresh"]);
            Err(directory.to_string())
        })
    }

    fn rke(&self, arguments: &[&str]) -> Done {
        let daemon = self.real.address.to_string();
        ended(rke(&[arguments, &["--daemon", &daemon]].concat(), Path::new("/")))
    }
}

/// Five honest guardians, with both forms of lists, by name and by address; one that lies; two with wrong
/// certificates.
async fn sites(ours: &Authority, endpoints: &[SocketAddr]) -> Vec<Site> {
    let (hosts, coins) = (found(&host_list(endpoints)), found(&coin_list(HOST, endpoints)));
    let lies = found(&host_list(&rotated(endpoints)));
    let stranger = Authority::new("a stranger");
    let (by_name, by_address) = (|| ours.acceptor(HOST), || ours.acceptor("127.0.0.1"));
    vec![
        Site::with_tls(HOST, by_name(), "/host.txt", hosts.clone()).await,
        Site::with_tls("127.0.0.1", by_address(), "/host.txt", hosts.clone()).await,
        Site::with_tls(HOST, ours.old_acceptor(HOST), "/coin4.txt", coins.clone()).await,
        Site::with_tls(HOST, by_name(), "/a/coin4.txt", coins).await,
        Site::with_tls("127.0.0.1", by_address(), "/list?of=raidas", hosts.clone()).await,
        Site::with_tls(HOST, by_name(), "/host.txt", lies).await,
        Site::with_tls(HOST, stranger.acceptor(HOST), "/host.txt", hosts.clone()).await,
        Site::with_tls(HOST, ours.acceptor("other.test"), "/host.txt", hosts).await,
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_domain_opens_through_guardians_of_whom_most_agree() {
    let live = Live::start().await;
    let id = live.real.create_id();
    let shown = live.real.get(&format!("/api/rke/session/{id}")).json();
    assert_eq!((&shown["key_bits"], &shown["confirmed"]), (&8.into(), &true.into()), "{shown}");
    let directory = live.until_all_are_heard();
    let counts = json!([directory["guardians"], directory["needed"], directory["answered"]]);
    assert_eq!(counts, json!([9, 5, 6]), "{directory}");
    for (at, row) in directory["raidas"].as_array().expect("RAIDAs").iter().enumerate() {
        let endpoint = live.endpoints[at].to_string();
        assert_eq!(
            (&row["raida"], &row["endpoints"], &row["guardians"]),
            (&json!(at), &json!([endpoint]), &json!(5))
        );
    }
    let url = |at: usize| live.sites[at].url();
    let fault = |at: usize| directory["faults"][at]["fault"].as_str().expect("a fault");
    let all = (0..25).map(|at| at.to_string()).collect::<Vec<_>>().join(", ");
    assert_eq!(directory["faults"].as_array().map(Vec::len), Some(4), "{directory}");
    assert_eq!(directory["faults"][0]["guardian"], url(5));
    assert_eq!(fault(0), format!("it disagrees with most guardians about RAIDAs {all}"));
    assert_eq!(directory["faults"][1]["guardian"], url(6));
    assert!(fault(1).contains("an authority that this machine does not know"), "{directory}");
    assert!(fault(2).contains("for another name") && fault(3).contains("refuses connections"), "{directory}");
    let log = live.real.log();
    assert!(
        log.contains("the guardians agree on the RAIDA directory") && !log.contains("has changed"),
        "{log}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_directory_is_shown_with_its_age_and_with_what_is_wrong_with_it() {
    let live = Live::start().await;
    live.real.create_id();
    live.until_all_are_heard();
    let raidas = live.rke(&["raidas"]).text();
    assert!(raidas.contains("RAIDA directory: 25 of 25 RAIDAs, as of "), "{raidas}");
    assert!(raidas.contains("at least 5 of 9 guardians") && raidas.contains("6 gave a list"), "{raidas}");
    assert!(raidas.contains(&format!("{}: it disagrees with most", live.sites[5].url())), "{raidas}");
    let status = live.rke(&["status"]).text();
    assert!(status.contains("RAIDA directory: 25 of 25 RAIDAs, as of "), "{status}");
    let metrics = live.real.get("/metrics").body;
    assert!(metrics.contains("rke_raida_directory_agreed_time_seconds "), "{metrics}");
    let doctor = live.rke(&["doctor", DOMAIN, "--json"]);
    let findings: Value = serde_json::from_str(&doctor.text()).expect("JSON");
    let says = |check: &str, result: &str, text: &str| {
        let mut all = findings["findings"].as_array().expect("findings").iter();
        all.any(|found| {
            found["check"] == check
                && found["result"] == result
                && found["message"].as_str().is_some_and(|message| message.contains(text))
        })
    };
    assert!(says("directory", "ok", "25 of 25 RAIDAs"), "{findings:#}");
    assert!(says("directory", "warn", "for another name"), "{findings:#}");
    assert!(says("dns", "ok", "the daemon finds the same"), "{findings:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_told_with_its_difference_and_the_list_outlives_the_daemon() {
    let mut live = Live::start().await;
    live.real.create_id();
    let (third, fourth) = (live.endpoints[3], live.endpoints[4]);
    let mut swapped = live.endpoints.clone();
    swapped.swap(3, 4);
    live.honest_say(&swapped);
    // The daemon does not ask guardians again right after it has asked them.
    until("a change is told", || {
        let refreshed = live.rke(&["raidas", "refresh"]);
        assert_eq!(refreshed.code, Some(0), "{}", refreshed.err);
        live.real.log().contains("has changed")
    });
    let log = live.real.log();
    let expected = format!(
        "the RAIDA directory has changed: RAIDA 3 was at {third}, is at {fourth}; RAIDA 4 was at {fourth}, is at {third}"
    );
    assert!(log.contains(&expected), "{log}");
    assert_eq!(live.directory()["raidas"][3]["endpoints"], json!([fourth.to_string()]));

    // A reload asks the guardians too.
    live.honest_say(&live.endpoints);
    let asked = live.sites[0].asked();
    live.real.reload();
    until("the guardians are asked again", || live.sites[0].asked() > asked);
    until("the list is as it was", || {
        live.directory()["raidas"][3]["endpoints"] == json!([third.to_string()])
    });

    let file = live.real.data_dir().join("raida-directory.json");
    until("the list is kept", || {
        std::fs::read_to_string(&file).is_ok_and(|text| text.contains(&third.to_string()))
    });
    assert_eq!(std::fs::metadata(&file).expect("metadata").permissions().mode() & 0o777, 0o600);
    let agreed_at = live.directory()["agreed_at"].clone();
    live.sites.clear();
    let flags: Vec<&str> = live.flags.iter().map(String::as_str).collect();
    live.real.kill_and_restart(&flags);
    until("the guardians are not reached", || live.real.log().contains("the guardians agree on no RAIDA"));
    let directory = live.directory();
    assert_eq!((&directory["agreed_at"], &directory["answered"]), (&agreed_at, &0.into()), "{directory}");
    let id = live.real.create_id();
    assert_eq!(live.real.get(&format!("/api/rke/session/{id}")).json()["from_cache"], false);
    let refreshed = live.rke(&["raidas", "refresh"]);
    assert_eq!(refreshed.code, Some(1), "{}", refreshed.text());
    assert!(
        refreshed.err.contains("The RAIDA directory is not refreshed: 0 of 9 guardians"),
        "{}",
        refreshed.err
    );
    assert!(refreshed.err.contains("it refuses connections"), "{}", refreshed.err);
}
