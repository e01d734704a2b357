//! DNS servers from Debian, each at a port of its own on loopback.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::servers::free_port;
use crate::support::{DOMAIN, PATIENCE};

/// What a zone has apart from the records of a Content Server.
const ZONE: &str = "\
$ORIGIN content.rke.test.
@ 60 IN SOA ns admin 1 3600 600 86400 60
@ 60 IN NS ns
ns 60 IN A 127.0.0.1
";

/// A server in a process. Dropping it kills it.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    child: Child,
}

impl Server {
    /// dnsmasq with these lines in its configuration. It has no name of the domain but those.
    pub(super) fn dnsmasq(dir: &Path, lines: &str) -> Self {
        let (port, file) = (free_port(), dir.join("dnsmasq.conf"));
        fs::write(&file, format!("{lines}\nlocal=/{DOMAIN}/\n")).expect("written");
        let mut command = Command::new("dnsmasq");
        command.args([
            "--keep-in-foreground",
            "--no-resolv",
            "--no-hosts",
            "--bind-interfaces",
            "--pid-file=",
        ]);
        command.args(["--user=root", "--listen-address=127.0.0.1"]).arg(format!("--port={port}"));
        command.arg(format!("--conf-file={}", file.display()));
        Self::start(&mut command, port)
    }

    /// Knot with these lines in its zone, which accepts updates.
    pub(super) fn knot(dir: &Path, lines: &str) -> Self {
        let port = free_port();
        let dir = dir.join(format!("knot-{port}"));
        fs::create_dir_all(dir.join("journal")).expect("a folder");
        fs::write(dir.join("zone"), format!("{ZONE}{lines}\n")).expect("written");
        let (shown, file) = (dir.display(), dir.join("knot.conf"));
        let text = format!(
            "server:\n  listen: 127.0.0.1@{port}\n  rundir: {shown}\ndatabase:\n  storage: {shown}/journal\n\
             log:\n  - target: stderr\n    any: critical\nacl:\n  - id: here\n    address: 127.0.0.1\n    \
             action: update\nzone:\n  - domain: {DOMAIN}\n    file: {shown}/zone\n    acl: here\n"
        );
        fs::write(&file, text).expect("written");
        Self::start(Command::new("knotd").arg("-c").arg(file), port)
    }

    fn start(command: &mut Command, port: u16) -> Self {
        let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let program = quiet.get_program().to_owned();
        let child =
            quiet.spawn().unwrap_or_else(|error| panic!("{program:?}, which the tests need: {error}"));
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < deadline, "{program:?} does not start");
            std::thread::sleep(Duration::from_millis(10));
        }
        Self { address, child }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
