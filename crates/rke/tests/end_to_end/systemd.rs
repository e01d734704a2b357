//! The daemon from systemd's side: systemd passes it sockets as file descriptors, and the daemon reports over a
//! socket that it is ready, alive and stopping.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{PATIENCE, get};

/// A daemon that is started as systemd starts one. Dropping it kills it.
struct Service(Child);

impl Service {
    /// Starts a daemon with these sockets as descriptors 3 and 4, and with the socket `notify` for its reports.
    fn start(dir: &Path, tcp: TcpListener, unix: UnixListener, notify: &Path) -> Self {
        let script = "exec 3<&0 4>&1 0</dev/null 1>&2; LISTEN_PID=$$ exec \"$0\" \"$@\"";
        let mut command = Command::new("sh");
        command.args(["-c", script, env!("CARGO_BIN_EXE_rke"), "serve", "--data-dir"]).arg(dir.join("data"));
        command.env("LISTEN_FDS", "2").env("NOTIFY_SOCKET", notify).env("WATCHDOG_USEC", "600000");
        command.stdin(Stdio::from(OwnedFd::from(tcp))).stdout(Stdio::from(OwnedFd::from(unix)));
        let log = File::create(dir.join("log")).expect("a file");
        Self(command.stderr(log).spawn().expect("sh runs"))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn told(socket: &UnixDatagram) -> String {
    let mut message = [0; 1000];
    let len = socket.recv(&mut message).expect("the daemon says something");
    String::from_utf8_lossy(&message[..len]).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn takes_over_sockets_and_says_that_it_is_ready_alive_and_stopping() {
    let dir = tempfile::tempdir().expect("a folder");
    let tcp = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
    let address = tcp.local_addr().expect("an address");
    let unix_path = dir.path().join("rke.sock");
    let unix = UnixListener::bind(&unix_path).expect("a unix socket");
    let notify_path = dir.path().join("notify");
    let notify = UnixDatagram::bind(&notify_path).expect("a socket");
    notify.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    // A client that connects before the daemon is running waits for it.
    let early = tokio::spawn(get(address, "/api/rke/status"));
    let mut service = Service::start(dir.path(), tcp, unix, &notify_path);
    assert_eq!(told(&notify).trim(), "READY=1");
    for _ in 0..3 {
        assert_eq!(told(&notify).trim(), "WATCHDOG=1");
    }
    assert_eq!(early.await.expect("no panic").status, 200);
    let mut by_unix = Command::new(env!("CARGO_BIN_EXE_rke"));
    let status = by_unix.args(["status", "--daemon"]).arg(format!("unix:{}", unix_path.display())).status();
    assert!(status.expect("rke runs").success());
    kill_process(Pid::from_child(&service.0), Signal::TERM).expect("a signal");
    let mut last = told(&notify);
    while last.trim() == "WATCHDOG=1" {
        last = told(&notify);
    }
    assert_eq!(last.trim(), "STOPPING=1");
    assert!(service.0.wait().expect("a status").success());
    assert!(unix_path.exists(), "the socket is systemd's to remove");
}

#[test]
fn a_socket_beyond_loopback_is_refused_as_the_address_would_be() {
    let dir = tempfile::tempdir().expect("a folder");
    let tcp = TcpListener::bind("0.0.0.0:0").expect("a port");
    let unix = UnixListener::bind(dir.path().join("rke.sock")).expect("a unix socket");
    let mut service = Service::start(dir.path(), tcp, unix, &dir.path().join("nobody"));
    assert!(!service.0.wait().expect("a status").success());
    let log = std::fs::read_to_string(dir.path().join("log")).expect("a log");
    assert!(log.contains("--require-token"), "{log}");
}

/// The system is read-only for the units: without a log folder of its own, none could write its audit log.
#[test]
fn each_unit_has_a_data_folder_and_a_log_folder_that_the_package_removes() {
    let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging");
    let removed = fs::read_to_string(packaging.join("debian/postrm")).expect("a script");
    for (unit, folder) in [
        ("rke.service", "rke"),
        ("rke-raida@.service", "rke-raida/%i"),
        ("rke-content-server.service", "rke-content-server"),
    ] {
        let text = fs::read_to_string(packaging.join("systemd").join(unit)).expect("a unit");
        for kind in ["State", "Logs"] {
            assert!(text.contains(&format!("\n{kind}Directory={folder}\n")), "{unit}: {kind}");
            assert!(text.contains(&format!("\n{kind}DirectoryMode=0700\n")), "{unit}: {kind}");
        }
        let log = format!("`audit-log = \"/var/log/{}/audit.log\"`", folder.replace("%i", "7"));
        assert!(text.contains(&log), "{unit} does not name {log}");
        let whole = folder.trim_end_matches("/%i");
        for path in [format!("/var/lib/{whole}"), format!("/var/log/{whole}")] {
            assert!(removed.split_whitespace().any(|word| word == path), "{path}");
        }
    }
}

/// systemd's own check finds nothing wrong with the shipped units, with the program where it is here.
#[test]
fn systemd_understands_the_units() {
    let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/systemd");
    for (folder, manager) in [("", "--system"), ("user", "--user")] {
        let dir = tempfile::tempdir().expect("a folder");
        let entries = fs::read_dir(packaging.join(folder)).expect("the units").flatten();
        let units = entries.map(|entry| entry.path()).filter(|path| path.is_file()).map(|path| {
            let text = fs::read_to_string(&path).expect("a unit");
            let unit = dir.path().join(path.file_name().expect("a name"));
            fs::write(&unit, text.replace("/usr/bin/rke", env!("CARGO_BIN_EXE_rke"))).expect("written");
            unit
        });
        let mut analyze = Command::new("systemd-analyze");
        analyze.args(["verify", "--man=no", manager]).args(units).env("XDG_RUNTIME_DIR", dir.path());
        let checked = analyze.output().expect("systemd-analyze runs");
        let said = String::from_utf8_lossy(&checked.stderr);
        assert!(checked.status.success() && said.is_empty(), "{manager}: {said}");
    }
}
