//! Records of a domain that aim the daemon at others: many times at one machine, at machines behind the daemon, or at
//! endpoints that never respond.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::process::Command;
use std::time::Duration;

use crate::records::{Detour, with_endpoints};
use crate::support::{DOMAIN, percent};

/// A machine that has not asked for anything.
struct Victim(UdpSocket);

impl Victim {
    fn new() -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
        socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
        Self(socket)
    }

    fn endpoint(&self) -> SocketAddr {
        self.0.local_addr().expect("an address")
    }

    /// How many datagrams have arrived.
    fn datagrams(&self) -> usize {
        std::iter::from_fn(|| self.0.recv_from(&mut [0; 2048]).ok()).count()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_is_said_to_be_many_raidas_gets_no_datagram() {
    let victim = Victim::new();
    let detour = Detour::new(
        async |network, _| with_endpoints(network, &[victim.endpoint(); 25]),
        |config| config.reloadable.exchange_timeout = Duration::from_secs(2),
    );
    let detour = detour.await;
    let refused = detour.create().await;
    let first =
        format!("The first of what is left out: one endpoint for several RAIDAs: {}", victim.endpoint());
    assert!(refused.status == 502 && refused.body.contains(&first), "{refused:?}");
    assert_eq!(victim.datagrams(), 0);
    let found = detour.get(&format!("/api/rke/discover?domain={DOMAIN}")).await.json();
    assert!(
        found["warnings"][0].as_str().is_some_and(|warning| warning.contains("several RAIDAs")),
        "{found}"
    );
    detour.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_never_answered_gets_two_datagrams_at_most() {
    let victims: Vec<Victim> = (0..25).map(|_| Victim::new()).collect();
    let endpoints: Vec<SocketAddr> = victims.iter().map(Victim::endpoint).collect();
    let detour = Detour::new(
        async |network, _| with_endpoints(network, &endpoints),
        |config| config.reloadable.exchange_timeout = Duration::from_secs(3),
    );
    let detour = detour.await;
    let refused = detour.create().await;
    assert_eq!(refused.status, 503, "{refused:?}");
    for victim in &victims {
        // One, and one more in case it was lost, unless the exchange ends before its time comes.
        assert!((1..=2).contains(&victim.datagrams()));
    }
    detour.stop().await;
}

/// Runs in a separate network namespace, in which the system's resolver is on loopback, as systemd-resolved is.
#[test]
fn private_addresses_are_asked_only_where_the_operator_says_so() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    std::fs::write(dir.join("resolv.conf"), "nameserver 127.0.0.1\n").expect("written");
    let wallet = percent(dir.join("dev/wallet").to_str().expect("UTF-8"));
    let session =
        format!("http://127.0.0.1:8080/api/rke/session?domain=content.rke.test&wallet_path={wallet}");
    let live = "curl -s -o /dev/null http://127.0.0.1:8080/health/live";
    let curl = format!("until {live}; do sleep 0.1; done; curl -s '{session}'");
    let script = format!(
        "ip link set lo up && mount --bind {dir}/resolv.conf /etc/resolv.conf && \
         {{ \"$0\" dev --data-dir {dir}/dev --listen 127.0.0.1:8081 --dns-port 53 >{dir}/said & }} && \
         until grep -q Ctrl-C {dir}/said; do sleep 0.1; done; \
         \"$0\" serve --data-dir {dir}/one & one=$!; {curl}; echo; \
         curl -s http://127.0.0.1:8080/api/rke/raidas; echo; kill $one; wait $one; \
         \"$0\" serve --data-dir {dir}/two --allow-private-raidas & two=$!; {curl}; echo; kill $two; wait $two; \
         RKE_DNS_SERVER=127.0.0.1:53 \"$0\" serve --data-dir {dir}/three & {curl}",
        dir = dir.display()
    );
    let output = Command::new("unshare")
        .args(["--net", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", &script])
        .arg(env!("CARGO_BIN_EXE_rke"))
        .output();
    let output = output.expect("unshare runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<serde_json::Value> =
        said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let [refused, raidas, allowed, own] = &lines[..] else {
        panic!("{said}\n{}", String::from_utf8_lossy(&output.stderr))
    };
    let message = refused["message"].as_str().expect("a message");
    assert!(
        refused["code"] == 502 && message.contains("(--allow-private-raidas allows it): 127.0.0.1:25000"),
        "{refused}"
    );
    let asked = raidas["raidas"].as_array().expect("a list").iter().filter(|raida| raida["asked"] != 0);
    assert_eq!(asked.count(), 0, "{raidas}");
    assert!(allowed["success"] == true && own["success"] == true, "{allowed} {own}");
}

/// A Content Server cannot be at such an address either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_of_no_single_machine_is_not_connected_to() {
    for host in [IpAddr::from([0, 0, 0, 0]), IpAddr::from([224, 0, 0, 1]), IpAddr::from([255, 255, 255, 255])]
    {
        let detour = Detour::new(
            async |network, _| {
                let mut records = network.records().clone();
                records.host = host.to_string();
                records
            },
            |_| (),
        );
        let detour = detour.await;
        let refused = detour.create().await;
        assert!(refused.status == 502 && refused.body.contains("no single machine"), "{refused:?}");
        detour.stop().await;
    }
}
