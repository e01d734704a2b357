//! Domains whose records do not say which RAIDA a server is, and guardians that do. The guardians are real web
//! servers with certificates; some of them lie, are down or are not who they should be.

mod live;
mod site;

use std::cell::OnceCell;
use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use rke_engine::guardians::Guardians;
use rke_raida::content_server::DnsRecords;
use serde_json::Value;

use self::site::{Authority, Site, found};
use crate::dev::{Done, rke};
use crate::records::Detour;
use crate::support::{Stage, again, get, request};

/// Guardians without TLS, on this machine.
pub(crate) struct Sites(Vec<Site>);

impl Sites {
    async fn saying(responses: &[String]) -> Self {
        let mut sites = Vec::new();
        for response in responses {
            sites.push(Site::plain(response.clone()).await);
        }
        Self(sites)
    }

    pub(crate) fn settings(&self) -> Guardians {
        let urls: Vec<String> = self.0.iter().map(Site::url).collect();
        Guardians::new(&urls).expect("guardians")
    }

    /// Waits until the daemon has asked the guardians, as it does at its start, and returns the directory that it
    /// then shows.
    pub(crate) async fn until_asked(&self, daemon: SocketAddr) -> Value {
        for _ in 0..3000 {
            let directory = get(daemon, "/api/rke/raidas").await.json()["directory"].clone();
            if !directory["asked_at"].is_null() {
                return directory;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the guardians are not asked");
    }
}

/// Guardians that agree on 25 RAIDAs.
pub(crate) async fn agreeing() -> Sites {
    let endpoints: Vec<SocketAddr> = (0..25).map(|at| ([127, 0, 0, 1], 50_000 + at).into()).collect();
    Sites::saying(&[(); 3].map(|()| found(&host_list(&endpoints)))).await
}

/// A list in the form of `host.txt`, with the RAIDAs in this order.
fn host_list(endpoints: &[SocketAddr]) -> String {
    let lines = endpoints.iter().enumerate();
    lines.map(|(raida, endpoint)| format!("{endpoint} r{raida}\n")).collect()
}

/// A list in the other form, with mirrors, for servers at this host.
fn coin_list(host: &str, endpoints: &[SocketAddr]) -> String {
    let line = |(raida, endpoint): (usize, &SocketAddr)| {
        let port = endpoint.port();
        format!("{host}:{port} {raida}-0-4-P\n{host}:{} {raida}-0-4-M\n", port.wrapping_add(25).max(1))
    };
    endpoints.iter().enumerate().map(line).collect::<String>() + "# the end\n"
}

/// The same endpoints, each for another RAIDA.
fn rotated(endpoints: &[SocketAddr]) -> Vec<SocketAddr> {
    let mut rotated = endpoints.to_vec();
    rotated.rotate_left(1);
    rotated
}

/// Records that do not say which RAIDA a server is, as on the public network.
fn without_indexes(records: &DnsRecords) -> DnsRecords {
    let without_index = |text: &String| {
        let words = text.split(' ').filter(|word| !word.starts_with("raida="));
        words.collect::<Vec<_>>().join(" ")
    };
    DnsRecords { texts: records.texts.iter().map(without_index).collect(), ..records.clone() }
}

/// Runs a command to its end.
fn ended(mut command: Command) -> Done {
    command.output().expect("rke runs").into()
}

/// Who gives the right index of each server. The guardians give wrong ones.
#[derive(Clone, Copy, PartialEq)]
enum Knows {
    Dns,
    TheFile,
    NobodyElse,
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_in_dns_or_in_the_operators_file_goes_over_what_guardians_say() {
    for (knows, status) in [(Knows::Dns, 200), (Knows::TheFile, 200), (Knows::NobodyElse, 503)] {
        let (sites, file) = (OnceCell::new(), OnceCell::new());
        let detour = Detour::new(
            async |network, _| {
                let wrong = found(&host_list(&rotated(network.node_addresses())));
                let _ = sites.set(Sites::saying(&[(); 3].map(|()| wrong.clone())).await);
                let _ = file.set(network.directory_file().to_owned());
                match knows {
                    Knows::Dns => network.records().clone(),
                    Knows::TheFile | Knows::NobodyElse => without_indexes(network.records()),
                }
            },
            |config| {
                config.reloadable.guardians = sites.get().expect("sites").settings();
                config.reloadable.raida_directory = file.get().filter(|_| knows == Knows::TheFile).cloned();
            },
        );
        let detour = detour.await;
        let directory = sites.get().expect("sites").until_asked(detour.daemon.address()).await;
        assert_eq!(directory["raidas"].as_array().map(Vec::len), Some(25), "{directory}");
        let created = detour.create().await;
        assert_eq!(created.status, status, "{}", created.body);
        detour.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn guardians_that_give_no_list_are_named_and_nothing_is_agreed_on() {
    let long = "192.0.2.1:1 r1\n".repeat(5000);
    let status =
        |line: &str| format!("HTTP/1.1 {line}\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n");
    let mut sites = Sites::saying(&[
        status("302 Found"),
        status("404 Not Found"),
        found(&long),
        found("<html>nothing here</html>"),
        "no HTTP\r\n\r\n".into(),
    ])
    .await;
    let stranger = Authority::new("a stranger");
    for acceptor in [stranger.acceptor("127.0.0.1"), stranger.expired_acceptor("127.0.0.1")] {
        sites.0.push(Site::with_tls("127.0.0.1", acceptor, "/host.txt", found("")).await);
    }
    let stage = Stage::with(|config| config.reloadable.guardians = sites.settings()).await;
    let daemon = stage.daemon.address();
    let directory = sites.until_asked(daemon).await;
    let shown =
        (&directory["guardians"], &directory["needed"], &directory["answered"], &directory["agreed_at"]);
    assert_eq!(shown, (&7.into(), &4.into(), &0.into(), &Value::Null), "{directory}");
    let refused = request(daemon, "POST", "/api/rke/raidas/refresh").await;
    assert_eq!(refused.status, 502, "{}", refused.body);
    let message = refused.json()["message"].as_str().expect("a message").to_owned();
    let faults = [
        "it redirects elsewhere",
        "its response has status 404",
        "its list is over 64 KiB",
        "its list names no RAIDA",
        "the connection broke",
        "an authority that this machine does not know",
        "its certificate has expired",
    ];
    for (site, fault) in sites.0.iter().zip(faults) {
        let expected = format!("{}: ", site.url());
        let (_, rest) = message.split_once(&expected).unwrap_or_else(|| panic!("{message}"));
        let said = rest.split(". http").next().unwrap_or_default();
        assert!(said.contains(fault), "{expected} {said}");
    }
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_keeps_silent_holds_nobody_up_for_long() {
    let endpoints: Vec<SocketAddr> = (0..25).map(|at| ([127, 0, 0, 1], 50_000 + at).into()).collect();
    let good = found(&host_list(&endpoints));
    let sites = Sites::saying(&[good.clone(), good.clone(), String::new(), good]).await;
    let (stage, directory) = again(async || {
        let stage = Stage::with(|config| config.reloadable.guardians = sites.settings()).await;
        let begin = Instant::now();
        let directory = sites.until_asked(stage.daemon.address()).await;
        let took = begin.elapsed();
        // Well below the ten seconds that a guardian may take. A busy machine is not always as fast.
        if took < Duration::from_secs(8) && directory["answered"] == 3 {
            return Ok((stage, directory));
        }
        stage.stop().await;
        Err(format!("{took:?}: {directory}"))
    })
    .await;
    assert_eq!((&directory["answered"], directory["raidas"].as_array().map(Vec::len)), (&3.into(), Some(25)));
    assert_eq!(directory["faults"][0]["guardian"], sites.0[2].url());
    assert_eq!(directory["faults"][0]["fault"], "no response in time");
    let status = stage.get("/api/rke/status").await.json();
    assert_eq!((&status["directory"]["raidas"], &status["directory"]["needed"]), (&25.into(), &3.into()));
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_waits_for_guardians_that_are_still_being_asked() {
    let sites = Sites::saying(&[(); 3].map(|()| String::new())).await;
    let detour = Detour::new(
        async |network, _| without_indexes(network.records()),
        |config| config.reloadable.guardians = sites.settings(),
    );
    let detour = detour.await;
    let say = async {
        // These requests take longer than the refusal of a session that does not wait for the guardians.
        for _ in 0..10 {
            detour.get("/api/rke/status").await;
        }
        let good = found(&host_list(detour.network.node_addresses()));
        sites.0.iter().for_each(|site| site.say(good.clone()));
    };
    let (created, ()) = tokio::join!(detour.create(), say);
    assert_eq!(created.status, 200, "{}", created.body);
    detour.stop().await;
}

#[test]
fn guardians_that_cannot_be_trusted_are_a_wrong_use_of_the_program() {
    let dir = tempfile::tempdir().expect("a folder");
    let [one, two, three] = ["a", "b", "c"].map(|host| format!("https://{host}.test/host.txt"));
    for (urls, part) in [
        (&[one.as_str()][..], "names 1, and at least 3"),
        (&[&one, &two], "names 2, and at least 3"),
        (&[&one, &two, &one], "names a.test:443 twice"),
        (&[&one, &two, "http://c.test/host.txt"], "has no TLS"),
        (&[&one, &two, "https://c.test"], "names no file"),
    ] {
        let flags: Vec<&str> = urls.iter().flat_map(|url| ["--guardian", url]).collect();
        let done = ended(rke(&[&["serve"], &flags[..]].concat(), dir.path()));
        assert!(done.code == Some(2) && done.err.contains(part), "{urls:?}: {}", done.err);
    }
    let mut command = rke(&["serve"], dir.path());
    command.env("RKE_GUARDIAN", format!("{one},{two},{three},{three}"));
    let done = ended(command);
    assert!(done.code == Some(2) && done.err.contains("names c.test:443 twice"), "{}", done.err);
}
