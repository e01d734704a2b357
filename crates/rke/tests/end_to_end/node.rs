//! A RAIDA node in a separate process: from which address it responds, how many sockets it receives with, and what
//! SIGHUP reloads. And preloading to nodes that have several addresses.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Program, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::sched::{CloneFlags, unshare};
use rke_host::wallet::CoinFile;
use rke_proto::challenge::CHALLENGE_LEN;
use rke_proto::coin::{CoinId, CoinStatus};
use rke_proto::command::{Command, Preloading, SHARE_REQUEST_LEN, write_share_request};
use rke_proto::envelope::{self, RequestParts};
use rke_proto::{
    Challenge, ClientSn, ContentServerId, Envelope, EnvelopeKey, KeyContext, KeySetId, RAIDA_COUNT,
    RaidaIndex, Status,
};
use rke_raida::mint::mint;
use rke_raida::split::split;
use rke_secret::{Secret, fill_random};
use rustix::process::{Pid, Signal, kill_process};

use crate::support::{DOMAIN, PATIENCE, again_blocking, network};

const FIRST: CoinId = CoinId { denomination: 0, serial: 7 };
const SECOND: CoinId = CoinId { denomination: 0, serial: 8 };

fn raida() -> RaidaIndex {
    RaidaIndex::new(7).expect("RAIDA 7")
}

/// A node whose settings and coins are in its own folder. Dropping it kills it.
struct RealNode {
    dir: tempfile::TempDir,
    log: Arc<Mutex<String>>,
    address: SocketAddr,
    child: Child,
}

impl RealNode {
    /// A node that knows the first coin.
    fn start(listen: &str) -> Self {
        Self::start_by(&[], listen)
    }

    /// The same, started through another program.
    fn start_by(starter: &[&str], listen: &str) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        fs::create_dir(dir.path().join("coins")).expect("a folder");
        mint_coin(&dir.path().join("coins"), FIRST);
        fs::create_dir(dir.path().join("settings")).expect("a folder");
        fs::write(dir.path().join("settings/raida.toml"), settings(dir.path(), listen, "")).expect("written");
        let words: Vec<&str> = starter.iter().copied().chain([env!("CARGO_BIN_EXE_rke")]).collect();
        let mut program = Program::new(words[0]);
        program.args(&words[1..]).args(["raida", "--config"]).arg(dir.path().join("settings/raida.toml"));
        let mut child = program.stderr(Stdio::piped()).spawn().expect("rke runs");
        let mut lines = BufReader::new(child.stderr.take().expect("a log")).lines();
        let mut log = String::new();
        let address = loop {
            let line = lines.next().unwrap_or_else(|| panic!("it ended: {log}")).expect("a line");
            log += &(line.clone() + "\n");
            if let Some(rest) = line.strip_prefix("RAIDA 7 listens on ") {
                break rest.split(' ').next().and_then(|word| word.parse().ok()).expect("an address");
            }
        };
        let log = Arc::new(Mutex::new(log));
        let rest = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                *rest.lock().expect("unpoisoned") += &(line + "\n");
            }
        });
        Self { dir, log, address, child }
    }

    fn coins(&self) -> PathBuf {
        self.dir.path().join("coins")
    }

    fn log(&self) -> String {
        self.log.lock().expect("unpoisoned").clone()
    }

    /// Replaces the settings by the usual ones and `more`, and makes the node reload them. Returns what the node
    /// logs about it.
    fn reload(&self, more: &str) -> String {
        self.reload_at(&self.address.to_string(), more)
    }

    fn reload_at(&self, listen: &str, more: &str) -> String {
        let before = self.log().len();
        let text = settings(self.dir.path(), listen, more);
        fs::write(self.dir.path().join("settings/new"), text).expect("written");
        fs::rename(self.dir.path().join("settings/new"), self.dir.path().join("settings/raida.toml"))
            .expect("replaced");
        kill_process(Pid::from_child(&self.child), Signal::HUP).expect("a signal");
        self.wait_for(before, |log| log.contains("settings again") || log.contains("not changed"))
    }

    fn wait_for(&self, from: usize, is_there: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let log = self.log()[from..].to_owned();
            if is_there(&log) {
                return log;
            }
            assert!(Instant::now() < deadline, "it does not say so: {log}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn client(&self, coin: CoinId) -> Client {
        let file = CoinFile::open(&self.coins().join(format!("{}.bin", coin.serial))).expect("a coin file");
        Client {
            coin,
            an: file.an(0, raida()).expect("an AN"),
            socket: socket("127.0.0.1"),
            node: self.address,
        }
    }
}

impl Drop for RealNode {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn settings(dir: &Path, listen: &str, more: &str) -> String {
    let dir = dir.display();
    format!("index = 7\nlisten = '{listen}'\ncoins = ['{dir}/coins']\ndata-dir = '{dir}/data'\n{more}")
}

fn mint_coin(folder: &Path, coin: CoinId) {
    let file = folder.join(format!("{}.bin", coin.serial));
    mint(&file, &[coin], [CoinStatus::Passed; RAIDA_COUNT]).expect("a coin");
}

fn socket(own: &str) -> UdpSocket {
    let socket = UdpSocket::bind((own.parse::<IpAddr>().expect("an address"), 0)).expect("a socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    socket
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    fill_random(&mut bytes).expect("random bytes");
    bytes
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

/// A client that sends requests to a node with a coin.
struct Client {
    coin: CoinId,
    an: Secret<16>,
    socket: UdpSocket,
    node: SocketAddr,
}

impl Client {
    fn ask(&self, command: Command, len: usize, write: impl FnOnce(&Challenge, &mut [u8])) -> Status {
        let (challenge, envelope) = (Challenge::new(random()), Envelope::Type4(self.coin));
        let key = EnvelopeKey::of(envelope, &[&self.an]).expect("secret memory");
        let parts = RequestParts { raida: raida(), command: command.to_wire(), envelope, random: random() };
        let (header, mut datagram) = envelope::unsealed_request(&parts, len);
        envelope::seal_request(&header, &key, &mut datagram, |body| write(&challenge, body))
            .expect("secret memory");
        self.socket.send_to(&datagram, self.node).expect("sent");
        let mut answer = [0; 512];
        let (len, _) = self.socket.recv_from(&mut answer).expect("an answer");
        let opened = envelope::open_response(&header, &challenge, &key, &mut answer[..len]);
        opened.expect("a valid answer").status
    }

    fn preload(&self, cs_id: &str, timestamp: u64) -> Status {
        let cs_id = ContentServerId::new(cs_id).expect("an ID");
        let key_set = KeySetId::new(1).expect("a key set");
        let (preloading, master) = (Preloading::Dated(timestamp), Secret::random().expect("secret memory"));
        self.ask(preloading.command(), preloading.body_len(&cs_id, 1), |challenge, body| {
            preloading.write(challenge, &cs_id, &[(key_set, &master)], body);
        })
    }

    fn share(&self, cs_id: &str) -> Status {
        let context = KeyContext {
            cs_id: ContentServerId::new(cs_id).expect("an ID"),
            key_set: KeySetId::new(1).expect("a key set"),
            client_sn: ClientSn(random()),
            timestamp: now(),
        };
        self.ask(Command::GetWideKeyShare, SHARE_REQUEST_LEN, |challenge, body| {
            write_share_request(challenge, &context, body);
        })
    }
}

/// Does something in a separate network namespace, with two addresses of each family on one interface.
fn in_network(work: impl FnOnce() + Send) {
    let in_network = || {
        unshare(CloneFlags::CLONE_NEWNET).expect("a network of its own: it takes root");
        for change in [
            "link set lo up",
            "address add 192.0.2.1/32 dev lo",
            "address add 192.0.2.2/32 dev lo",
            "address add 2001:db8::1/128 dev lo nodad",
            "address add 2001:db8::2/128 dev lo nodad",
        ] {
            assert!(
                Program::new("ip").args(change.split(' ')).status().expect("ip runs").success(),
                "{change}"
            );
        }
        work();
    };
    std::thread::scope(|threads| threads.spawn(in_network).join()).expect("no panic");
}

#[test]
fn an_answer_comes_from_the_address_that_was_asked() {
    in_network(|| {
        let (four, six) = (["192.0.2.1", "192.0.2.2"], ["2001:db8::1", "2001:db8::2"]);
        for (listen, kinds) in
            [("0.0.0.0:0", &[four][..]), ("[::]:0", &[six, four]), ("[2001:db8::2]:0", &[six])]
        {
            let node = RealNode::start(listen);
            for [own, asked] in kinds {
                let socket = socket(own);
                let to = SocketAddr::new(asked.parse().expect("an address"), node.address.port());
                for (command, len) in [(Command::Echo, 32), (Command::Version, 32 + 8 + 2)] {
                    socket.send_to(&in_the_clear(command), to).expect("sent");
                    let mut answer = [0; 256];
                    let (received, from) = socket.recv_from(&mut answer).expect("an answer");
                    assert_eq!((from, received), (to, len), "{listen}");
                    assert_eq!((answer[0], answer[2]), (7, Status::SUCCESS.0), "{listen}");
                }
            }
        }
    });
}

/// The request of public tools that check whether a RAIDA responds, and which version it runs.
fn in_the_clear(command: Command) -> Vec<u8> {
    let command = command.to_wire();
    let parts = RequestParts { raida: raida(), command, envelope: Envelope::Type0, random: random() };
    let (header, mut datagram) = envelope::unsealed_request(&parts, CHALLENGE_LEN);
    let challenge = Challenge::new(random());
    let write = |body: &mut [u8]| body.copy_from_slice(challenge.as_bytes());
    envelope::seal_request(&header, &EnvelopeKey::None, &mut datagram, write).expect("secret memory");
    datagram
}

#[test]
fn a_socket_receives_for_each_processor() {
    let processors = std::thread::available_parallelism().expect("processors").get();
    for (starter, sockets) in [(&[][..], processors), (&["taskset", "--cpu-list", "0"], 1)] {
        let node = RealNode::start_by(starter, "127.0.0.1:0");
        let table = fs::read_to_string(format!("/proc/{}/net/udp", node.child.id())).expect("sockets");
        let own = format!("0100007F:{:04X} ", node.address.port());
        assert_eq!(table.lines().filter(|line| line.contains(&own)).count(), sockets, "{table}");
        // A second node cannot share the address.
        let dir = tempfile::tempdir().expect("a folder");
        let output = Program::new(env!("CARGO_BIN_EXE_rke"))
            .args(["raida", "--index", "7", "--listen", &node.address.to_string(), "--coins"])
            .arg(node.coins())
            .arg("--data-dir")
            .arg(dir.path().join("data"))
            .output();
        let said = String::from_utf8_lossy(&output.expect("rke runs").stderr).into_owned();
        assert!(said.contains("cannot listen on"), "{said}");
    }
}

#[test]
fn sighup_takes_other_coins_preloaders_and_log_and_keeps_the_key_sets() {
    let node = RealNode::start("127.0.0.1:0");
    let first = node.client(FIRST);
    assert_eq!(first.preload("ONE", now()), Status::BAD_PARAMETER, "nobody preloads yet");
    let said = node.reload("preloader = ['0:7=ONE']\n");
    assert!(said.contains("knows 1 coin."), "{said}");
    assert_eq!(first.preload("ONE", now()), Status::SUCCESS);

    mint_coin(&node.coins(), SECOND);
    let second = node.client(SECOND);
    let said = node.reload("preloader = ['0:7=ONE', '0:8=TWO']\n");
    assert!(said.contains("knows 2 coins."), "{said}");
    assert_eq!((second.share("ONE"), second.preload("TWO", now())), (Status::SUCCESS, Status::SUCCESS));
    assert_eq!(first.share("ONE"), Status::SUCCESS);

    // Settings that cannot be used change nothing.
    let bad = node.coins().join("bad.bin");
    fs::write(&bad, "not a coin").expect("written");
    let said = node.reload("preloader = ['0:7=ONE']\n");
    assert!(
        said.contains("not changed") && said.contains("bad.bin") && said.contains("SIGHUP again"),
        "{said}"
    );
    assert_eq!((second.share("TWO"), second.preload("TWO", now() + 1)), (Status::SUCCESS, Status::SUCCESS));
    fs::remove_file(&bad).expect("removed");
    for (wrong, name) in [("log = '=='\n", "=="), ("preloader = ['7']\n", "DENOMINATION:SERIAL")] {
        let said = node.reload(wrong);
        assert!(said.contains("not changed") && said.contains(name), "{said}");
    }
    assert_eq!(second.preload("TWO", now() + 2), Status::SUCCESS);

    node.reload("preloader = ['0:7=ONE', '0:8=TWO']\nlog = 'warn'\n");
    let before = node.log().len();
    assert_eq!(second.preload("TWO", now() + 3), Status::SUCCESS);
    assert!(!node.log()[before..].contains("master secrets preloaded"), "{}", node.log());
    node.reload("preloader = ['0:7=ONE']\nlog = 'info'\n");
    let before = node.log().len();
    assert_eq!(first.preload("ONE", now() + 1), Status::SUCCESS);
    node.wait_for(before, |log| log.contains("master secrets preloaded"));
    assert_eq!(second.preload("TWO", now() + 4), Status::BAD_PARAMETER);
    assert_eq!((first.share("TWO"), second.share("ONE")), (Status::SUCCESS, Status::SUCCESS));
}

#[test]
fn coins_that_are_put_into_the_folder_are_taken_without_a_signal() {
    let node = RealNode::start("127.0.0.1:0");
    let (wallet, split_into) = (node.dir.path().join("wallet"), node.dir.path().join("split"));
    fs::create_dir(&wallet).expect("a folder");
    mint_coin(&wallet, SECOND);
    split(&[wallet.join("8.bin")], &split_into).expect("split");
    let whole = CoinFile::open(&wallet.join("8.bin")).expect("a coin file");
    let second = Client { coin: SECOND, an: whole.an(0, raida()).expect("an AN"), ..node.client(FIRST) };
    assert_eq!(second.share("ONE"), Status::COIN_NOT_FOUND);

    // What the node needs, and no more.
    let before = node.log().len();
    fs::rename(split_into.join("raida-7/coin_0_8.bin"), node.coins().join("second.bin")).expect("moved");
    let said = node.wait_for(before, |log| log.contains("its coins again"));
    assert!(said.contains("knows 2 coins.") && !said.contains("WARN"), "{said}");
    assert_eq!(second.share("ONE"), Status::NO_SUCH_KEY_SET);

    // More than it needs is taken with a warning, and what cannot be used is left out.
    let before = node.log().len();
    mint_coin(&node.coins(), CoinId { denomination: 0, serial: 9 });
    fs::rename(split_into.join("raida-8/coin_0_8.bin"), node.coins().join("wrong.bin")).expect("moved");
    let said = node.wait_for(before, |log| log.contains("wrong.bin") && log.contains("knows 3 coins."));
    assert!(said.contains("only for RAIDA 8") && said.contains("forgets no coin"), "{said}");
    assert!(said.contains("files=2") && said.contains("rke coin split"), "{said}");
    assert_eq!(second.share("ONE"), Status::NO_SUCH_KEY_SET);

    let before = node.log().len();
    fs::remove_file(node.coins().join("wrong.bin")).expect("removed");
    fs::remove_file(node.coins().join("second.bin")).expect("removed");
    let said = node.wait_for(before, |log| log.contains("knows 2 coins."));
    assert!(!said.contains("WARN"), "{said}");
    assert_eq!(second.share("ONE"), Status::COIN_NOT_FOUND);
}

#[test]
fn a_coin_file_names_a_preloader() {
    let node = RealNode::start("127.0.0.1:0");
    let first = node.client(FIRST);
    let of = |file: &Path| format!("preloader = ['{}=ONE']\n", file.display());
    let said = node.reload(&of(&node.coins().join("7.bin")));
    assert!(said.contains("settings again"), "{said}");
    assert_eq!(first.preload("TWO", now()), Status::BAD_PARAMETER);
    assert_eq!(first.preload("ONE", now()), Status::SUCCESS);

    // A file that is missing, or that the sandbox keeps the node from reading, changes nothing.
    let said = node.reload(&of(&node.coins().join("8.bin")));
    assert!(said.contains("not changed") && said.contains("8.bin"), "{said}");
    let elsewhere = tempfile::tempdir().expect("a folder");
    mint_coin(elsewhere.path(), SECOND);
    let said = node.reload(&of(&elsewhere.path().join("8.bin")));
    assert!(
        said.contains("not changed") && said.contains("the sandbox keeps the node from reading"),
        "{said}"
    );
    assert_eq!(first.preload("ONE", now() + 1), Status::SUCCESS);
}

#[test]
fn sighup_names_what_takes_a_new_start() {
    let node = RealNode::start("127.0.0.1:0");
    let said = node.reload_at("127.0.0.1:9", "replay-memory = 64\n");
    assert!(
        said.contains("listen") && said.contains("replay-memory") && said.contains("restart to apply"),
        "{said}"
    );
    let elsewhere = tempfile::tempdir().expect("a folder");
    mint_coin(elsewhere.path(), SECOND);
    let text = settings(node.dir.path(), &node.address.to_string(), "");
    let own = format!("'{}'", node.coins().display());
    let both = text.replace(&own, &format!("{own}, '{}'", elsewhere.path().display()));
    fs::write(node.dir.path().join("settings/raida.toml"), both).expect("written");
    let before = node.log().len();
    kill_process(Pid::from_child(&node.child), Signal::HUP).expect("a signal");
    let said = node.wait_for(before, |log| log.contains("not changed"));
    assert!(
        said.contains("the sandbox keeps the node from reading") && said.contains("restart the node"),
        "{said}"
    );
    assert_eq!(node.client(FIRST).share("ONE"), Status::NO_SUCH_KEY_SET, "it goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_given_by_name_is_preloaded_at_the_first_address_that_answers() {
    let dir = tempfile::tempdir().expect("a folder");
    let network = network(&dir).await;
    // Nothing responds at the first address of each node. At half of these addresses, nothing even listens.
    let silent: Vec<UdpSocket> = (network.node_addresses().iter().step_by(2))
        .map(|address| UdpSocket::bind(("::1", address.port())).expect("a socket"))
        .collect();
    let [hosts, directory] = ["hosts", "raidas"].map(|name| dir.path().join(name));
    fs::write(&hosts, "::1 raidas.test\n127.0.0.1 raidas.test\n").expect("written");
    let lines = network.node_addresses().iter().enumerate();
    let lines: String = lines.map(|(at, address)| format!("raidas.test:{} {at}\n", address.port())).collect();
    fs::write(&directory, lines).expect("written");
    let script = "mount --bind \"$1\" /etc/hosts && shift && getent ahosts raidas.test >&2 && \
                  exec \"$0\" content-server preload \"$@\"";
    let mut preload = Program::new("unshare");
    preload
        .args(["--mount", "sh", "-c", script, env!("CARGO_BIN_EXE_rke")])
        .arg(&hosts)
        .args(["--cs-id", "CONTENT-SERVER09", "--key-set", "3", "--domain", DOMAIN, "--host", "cs.rke.test"])
        .args(["--timeout", "60", "--raida-directory"])
        .arg(&directory)
        .arg("--wallet")
        .arg(network.server_wallet())
        .arg("--data-dir")
        .arg(dir.path().join("preloading"));
    // The command waits only briefly for the addresses of a name.
    let records = again_blocking(|| {
        let output = preload.output().expect("unshare runs");
        let [said, records] =
            [&output.stderr, &output.stdout].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        assert!(said.starts_with("::1 "), "the address that does not answer comes first: {said}");
        if said.contains("25 of 25 RAIDAs hold") { Ok(records) } else { Err(said) }
    });
    for address in network.node_addresses() {
        assert!(records.contains(&format!("\"{address} k3 raida=")), "where it answers: {records}");
    }
    drop(silent);
    network.stop().await;
}
