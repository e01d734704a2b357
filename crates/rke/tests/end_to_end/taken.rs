//! An address that another program uses. A daemon, a node and a Content Server open all of their addresses before they say that they
//! listen: a script that waits for that line, and systemd, would otherwise go on with a program that ends in the next moment.

use std::fs;
use std::io::ErrorKind;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{DOMAIN, network};

/// What the programs say when they listen.
const ANNOUNCEMENTS: [&str; 10] = [
    "listening",
    "is at this URL",
    "keys are served by",
    "node listens",
    "RAIDA 7 listens",
    "Server listens",
    "CONTENT-SERVER01 listens",
    "It serves keys by",
    "Its metrics are at",
    "Its application can",
];

const FREE: &str = "127.0.0.1:0";

/// Addresses that this test uses, and the folder of the program that finds them taken.
struct Taken {
    dir: tempfile::TempDir,
    tcp: TcpListener,
    udp: UdpSocket,
    _unix: UnixListener,
    notify: UnixDatagram,
}

impl Taken {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let notify = UnixDatagram::bind(dir.path().join("notify")).expect("a socket");
        notify.set_nonblocking(true).expect("a mode");
        Self {
            tcp: TcpListener::bind(FREE).expect("a port"),
            udp: UdpSocket::bind(FREE).expect("a port"),
            _unix: UnixListener::bind(dir.path().join("taken.sock")).expect("a socket"),
            notify,
            dir,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn tcp(&self) -> String {
        self.tcp.local_addr().expect("an address").to_string()
    }

    fn udp(&self) -> String {
        self.udp.local_addr().expect("an address").to_string()
    }

    fn unix(&self) -> String {
        format!("unix:{}", self.text("taken.sock"))
    }

    /// Starts the program once for each of these addresses, with free ones for its other interfaces.
    fn check(&self, program: &[&str], interfaces: &[(&str, &str)], taken: &[(&str, String)]) {
        for (option, address) in taken {
            let given = interfaces.iter().flat_map(|(name, free)| {
                let address = if name == option { address.as_str() } else { *free };
                [*name, address]
            });
            let given: Vec<&str> = given.collect();
            let place = address.trim_start_matches("unix:");
            self.fails_unannounced(&[program, &given].concat(), option, place);
        }
    }

    fn fails_unannounced(&self, arguments: &[&str], option: &str, place: &str) {
        let audit_log = self.path("audit.log");
        // A program that starts all the same would run for ever.
        let mut rke = Command::new("timeout");
        rke.args(["60", env!("CARGO_BIN_EXE_rke")]).args(arguments).args(["--log", "info", "--audit-log"]);
        rke.arg(&audit_log).env("NOTIFY_SOCKET", self.path("notify"));
        let output = rke.output().expect("rke runs");
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(said.contains(option) && said.contains(place), "{arguments:?}: {said}");
        let announced = ANNOUNCEMENTS.into_iter().find(|announcement| said.contains(*announcement));
        assert_eq!(announced, None, "{arguments:?}: {said}");
        let told = self.notify.recv(&mut [0; 100]).map_err(|error| error.kind());
        assert_eq!(told, Err(ErrorKind::WouldBlock), "{arguments:?}: systemd got a message");
        assert!(!audit_log.exists(), "{arguments:?}: it has begun to record");
        assert!(self.path("taken.sock").exists(), "{arguments:?}: it has removed the socket of another");
        assert!(!self.path("free.sock").exists(), "{arguments:?}: it has left its socket behind");
    }
}

fn utf8(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[test]
fn a_daemon_says_nothing_before_all_of_its_addresses_are_open() {
    let taken = Taken::new();
    let (data, free) = (taken.text("data"), taken.text("free.sock"));
    let program = ["serve", "--data-dir", &data, "--etsi-sae", "alice"];
    let interfaces = [("--listen", FREE), ("--unix-socket", free.as_str()), ("--etsi", FREE)];
    let socket = taken.text("taken.sock");
    taken.check(
        &program,
        &interfaces,
        &[("--listen", taken.tcp()), ("--unix-socket", socket), ("--etsi", taken.tcp())],
    );
}

#[test]
fn a_node_says_nothing_before_all_of_its_addresses_are_open() {
    let taken = Taken::new();
    let (data, wallet, coins) = (taken.text("data"), taken.text("wallet"), taken.text("wallet/Bank"));
    let made = Command::new(env!("CARGO_BIN_EXE_rke")).args(["wallet", "new", &wallet, "0:2001"]).output();
    assert!(made.expect("rke runs").status.success());
    let program = ["raida", "--index", "7", "--data-dir", &data, "--coins", &coins];
    for free in [FREE, &format!("unix:{}", taken.text("free.sock"))] {
        let interfaces = [("--listen", FREE), ("--metrics", free)];
        let rows = [("--listen", taken.udp()), ("--metrics", taken.tcp()), ("--metrics", taken.unix())];
        taken.check(&program, &interfaces, &rows);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_content_server_says_nothing_before_all_of_its_addresses_are_open() {
    let (dir, taken) = (tempfile::tempdir().expect("a folder"), Taken::new());
    let network = network(&dir).await;
    let data = network.server_data_dir();
    network.stop().await;
    // That of another instance with the same folder.
    let token = data.join("token");
    fs::write(&token, "another's").expect("written");
    let server = ["content-server", "serve", "--cs-id", "CONTENT-SERVER01", "--domain", DOMAIN];
    let program = [&server[..], &["--data-dir", utf8(&data), "--etsi-sae", "bob"]].concat();
    let free = format!("unix:{}", taken.text("free.sock"));
    for (api, metrics) in [(FREE, free.as_str()), (free.as_str(), FREE)] {
        let interfaces = [("--listen", FREE), ("--etsi", FREE), ("--metrics", metrics), ("--api", api)];
        let rows = [
            ("--listen", taken.tcp()),
            ("--etsi", taken.tcp()),
            ("--metrics", taken.tcp()),
            ("--metrics", taken.unix()),
            ("--api", taken.tcp()),
            ("--api", taken.unix()),
        ];
        taken.check(&program, &interfaces, &rows);
    }
    assert_eq!(fs::read_to_string(&token).expect("a token"), "another's", "it has replaced a token");
}
