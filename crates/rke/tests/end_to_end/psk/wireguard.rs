//! WireGuard between two network namespaces, its pre-shared key renewed by `rke wireguard`. WireGuard is wireguard-go, which
//! needs no kernel module. `wg` reaches it from any namespace.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use rke_proto::coin::CoinId;
use rke_proto::preshared::{NONCE_LEN, Proposal, Purpose, Response, Tunnel as Proposed};
use rke_raida::content_server::{Interface, KeyCommand, KeyFormat, KeyService, PublicKey, wireguard_command};

use super::namespaces::{Namespace, pair, run};
use super::{Running, launcher, serve, stage_with};
use crate::support::{Stage, again, again_blocking};
use crate::wire::{pieces, send};

/// How long one packet may take.
const PACKET: Duration = Duration::from_secs(1);

/// One end of the tunnel.
struct End {
    namespace: Namespace,
    public: PublicKey,
    server: Child,
}

/// A tunnel between two namespaces. Dropping it removes them.
struct Tunnel {
    ends: [End; 2],
    dir: tempfile::TempDir,
}

fn wg(line: &str) -> String {
    run(&format!("wg {line}"))
}

impl End {
    fn start(namespace: Namespace, dir: &Path, number: usize) -> Self {
        let name = namespace.0.clone();
        let server = namespace.command("wireguard-go").args(["-f", &name]).spawn().expect("ip runs");
        again_blocking(|| {
            let shown =
                Command::new("wg").args(["show", &name]).output().expect("wg is needed for this test");
            shown.status.success().then_some(()).ok_or_else(|| "wireguard-go is needed for this test".into())
        });
        let key = dir.join(format!("key{number}"));
        fs::write(&key, wg("genkey")).expect("written");
        wg(&format!("set {name} listen-port 5182{number} private-key {}", key.display()));
        let public = wg(&format!("show {name} public-key")).parse().expect("a key");
        let own = number + 1;
        run(&format!("ip -n {name} address add 10.9.0.{own}/24 dev {name}"));
        run(&format!("ip -n {name} link set {name} up"));
        Self { namespace, public, server }
    }

    /// It has the name of its namespace.
    fn interface(&self) -> &str {
        &self.namespace.0
    }

    fn preshared(&self) -> String {
        let shown = wg(&format!("show {} preshared-keys", self.interface()));
        shown.split('\t').nth(1).expect("a key").to_owned()
    }

    fn set_preshared(&self, peer: &PublicKey, dir: &Path) {
        let file = dir.join("psk");
        fs::write(&file, wg("genpsk")).expect("written");
        wg(&format!("set {} peer {peer} preshared-key {}", self.interface(), file.display()));
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
        let _ = fs::remove_file(format!("/var/run/wireguard/{}.sock", self.interface()));
    }
}

impl Tunnel {
    fn start() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let [a, b] = pair();
        let tunnel = Self { ends: [End::start(a, dir.path(), 0), End::start(b, dir.path(), 1)], dir };
        tunnel.meet();
        tunnel
    }

    /// Makes each end a peer of the other.
    fn meet(&self) {
        for number in [0, 1] {
            self.know(number, "");
        }
    }

    fn know(&self, number: usize, more: &str) {
        let (end, other) = (&self.ends[number], 1 - number);
        let peer = self.ends[other].public;
        let at = format!("endpoint 192.0.2.{}:5182{other} allowed-ips 10.9.0.{}/32", other + 1, other + 1);
        wg(&format!("set {} peer {peer} {at}{more}", end.interface()));
    }

    /// Makes the first end forget the other one and its keys, so that the next packet needs a handshake.
    fn forget(&self) {
        let [end, other] = &self.ends;
        let file = self.dir.path().join("kept");
        fs::write(&file, end.preshared()).expect("written");
        wg(&format!("set {} peer {} remove", end.interface(), other.public));
        self.know(0, &format!(" preshared-key {}", file.display()));
    }

    fn keys(&self) -> [String; 2] {
        [self.ends[0].preshared(), self.ends[1].preshared()]
    }

    /// Waits until both ends have the same key, another than these.
    async fn agrees_again(&self, earlier: &[String]) {
        again(async || match self.keys() {
            [own, other] if own == other && !earlier.contains(&own) && own != "(none)" => Ok(()),
            keys => Err(format!("{keys:?}")),
        })
        .await;
    }

    fn service(&self, fail_closed: bool) -> KeyService {
        let interface: Interface = self.ends[1].interface().parse().expect("a name");
        let command = KeyCommand::new(launcher(&wireguard_command(&interface)), KeyFormat::Base64);
        let coin = CoinId { denomination: 0, serial: 1001 };
        let peers = Arc::new(BTreeMap::from([(self.ends[0].public, coin)]));
        KeyService::WireGuard { command, peers, fail_closed }
    }

    fn flags(&self) -> Vec<String> {
        let peer = self.ends[1].public.to_string();
        ["wireguard", "--interface", self.ends[0].interface(), "--peer", &peer].map(Into::into).to_vec()
    }

    /// Packets through the tunnel and back.
    fn traffic(&self) -> Traffic {
        let socket =
            |end: usize, at: &str| self.ends[end].namespace.inside(|| UdpSocket::bind(at).expect("a socket"));
        let (client, server) = (socket(0, "10.9.0.1:0"), socket(1, "10.9.0.2:7"));
        client.connect("10.9.0.2:7").expect("connected");
        client.set_read_timeout(Some(PACKET)).expect("set");
        std::thread::spawn(move || {
            let mut packet = [0; 8];
            while let Ok((len, from)) = server.recv_from(&mut packet) {
                let _ = server.send_to(&packet[..len], from);
            }
        });
        Traffic { client, sent: 0 }
    }
}

struct Traffic {
    client: UdpSocket,
    sent: u64,
}

impl Traffic {
    /// Sends a packet. Returns whether it comes back.
    fn flows(&mut self) -> bool {
        self.sent += 1;
        let (packet, mut back) = (self.sent.to_be_bytes(), [0; 8]);
        let _ = self.client.send(&packet);
        while self.client.recv(&mut back).is_ok() {
            if back == packet {
                return true;
            }
        }
        false
    }
}

fn start(tunnel: &Tunnel, stage: &Stage, more: &[&str]) -> Running {
    let flags = tunnel.flags();
    let flags: Vec<&str> =
        flags.iter().map(String::as_str).chain(["--every", "2"]).chain(more.iter().copied()).collect();
    Running::start(&flags, stage)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_loses_nothing_through_ten_keys_stops_where_they_differ_and_resumes() {
    let tunnel = Tunnel::start();
    let stage = stage_with(tunnel.service(false)).await;
    let mut traffic = tunnel.traffic();
    again(async || traffic.flows().then_some(()).ok_or_else(|| "no tunnel".into())).await;
    let running = start(&tunnel, &stage, &[]);
    let (mut seen, mut lost) = (BTreeSet::new(), 0);
    again(async || {
        lost += usize::from(!traffic.flows());
        seen.insert(tunnel.ends[0].preshared());
        (seen.len() > 11).then_some(()).ok_or_else(|| format!("{} keys", seen.len()))
    })
    .await;
    assert_eq!(lost, 0, "of {} packets", traffic.sent);
    // One end alone gets another key.
    tunnel.ends[1].set_preshared(&tunnel.ends[0].public, tunnel.dir.path());
    tunnel.agrees_again(&tunnel.keys()).await;
    tunnel.forget();
    again(async || traffic.flows().then_some(()).ok_or_else(|| "the new key does not work".into())).await;

    assert_eq!(running.stop().await, Some(0));
    tunnel.ends[0].set_preshared(&tunnel.ends[1].public, tunnel.dir.path());
    assert!(traffic.flows(), "WireGuard uses the key from its next handshake on");
    tunnel.forget();
    // Two handshakes have been tried, and both have failed.
    again(async || {
        assert!(!traffic.flows(), "a packet went through");
        let shown = wg(&format!("show {} transfer", tunnel.ends[0].interface()));
        let sent: u64 = shown.split('\t').nth(2).and_then(|sent| sent.parse().ok()).expect("a number");
        (sent >= 2 * 148).then_some(()).ok_or(shown)
    })
    .await;
    let running = start(&tunnel, &stage, &[]);
    again(async || traffic.flows().then_some(()).ok_or_else(|| "it does not resume".into())).await;
    drop(running);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missed_renewal_replaces_the_key_if_it_is_to_fail_closed() {
    let tunnel = Tunnel::start();
    let mut stage = stage_with(tunnel.service(false)).await;
    let running = start(&tunnel, &stage, &["--fail-closed"]);
    tunnel.agrees_again(&[]).await;
    stage.network.stop_content_server().await;
    running.says("ALARM: the key was not renewed").await;
    running.says("A random key has taken its place").await;
    let [own, other] = tunnel.keys();
    assert_ne!(own, other);
    serve(&mut stage, tunnel.service(false)).await;
    tunnel.agrees_again(&[own, other]).await;
    drop(running);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_content_server_whose_client_is_gone_fails_closed_too() {
    let tunnel = Tunnel::start();
    let stage = stage_with(tunnel.service(true)).await;
    let running = start(&tunnel, &stage, &[]);
    tunnel.agrees_again(&[]).await;
    // As after a power cut: nobody says that there will be no further key.
    drop(running);
    let [_, last] = tunnel.keys();
    again(async || match tunnel.keys() {
        [own, other] if own != other && other != last => Ok(()),
        keys => Err(format!("{keys:?}")),
    })
    .await;
    let closed = tunnel.keys();
    let running = start(&tunnel, &stage, &[]);
    tunnel.agrees_again(&closed).await;
    drop(running);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_gone_before_it_has_its_first_key_is_missed_too() {
    let tunnel = Tunnel::start();
    let stage = stage_with(tunnel.service(true)).await;
    let [client, server] = tunnel.ends.each_ref().map(|end| end.public.0);
    let purpose = Purpose::WireGuard(Proposed { client, server, addresses: Vec::new() });
    let proposal = Proposal { nonce: [1; NONCE_LEN], every: 3, purpose };
    let (mut sender, body) = pieces();
    let path = format!("/api/rke/session/{}/tunnel", stage.create_id().await);
    sender.send_data(proposal.to_bytes().into()).await.expect("sent");
    let mut replied = send(stage.daemon.address(), "POST", &path, &[], body).await.expect("a response");
    let first = replied.frame().await.expect("a part").expect("data").into_data().expect("data");
    assert_eq!(Response::decode(&first), Ok(Response::Set));
    let set = tunnel.ends[1].preshared();
    // Without a receipt, and without an end.
    sender.abort(std::io::Error::other("gone"));
    again(async || match tunnel.ends[1].preshared() {
        replaced if replaced != set => Ok(()),
        set => Err(format!("{set} stays")),
    })
    .await;
    stage.stop().await;
}
