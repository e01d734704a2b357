//! The network of `rke dev` next to other networks: on free ports, and with another Content Server in its DNS.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::dev::{Dev, Done, processes_in, rke};
use crate::everywhere::until;
use crate::support::{DOMAIN, again_blocking};

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The first of 25 UDP ports in a row that are free. They are below those that the system hands out, and where to begin
/// depends on the process, so that tests that run at once rarely try the same.
fn ports_in_a_row() -> u16 {
    const RAIDAS: u16 = 25;
    let places = 200;
    let begin = std::process::id() as u16 % places;
    let is_free = |port| std::net::UdpSocket::bind(("127.0.0.1", port)).is_ok();
    let mut firsts = (0..places).map(|at| 27_000 + (begin + at) % places * RAIDAS);
    firsts.find(|first| (*first..first + RAIDAS).all(is_free)).expect("free ports")
}

#[test]
fn two_networks_find_ports_of_their_own() {
    let networks = [0, 1].map(|_| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rke"));
        let mut child =
            command.args(["dev", "--ports", "auto"]).stdout(Stdio::piped()).spawn().expect("rke runs");
        let lines = BufReader::new(child.stdout.take().expect("an output")).lines().map_while(Result::ok);
        let lines: Vec<String> = lines.take_while(|line| !line.contains("Ctrl-C")).collect();
        (Killed(child), lines)
    });
    for (_, lines) in &networks {
        let url = lines[0].strip_prefix("The console is at ").expect("the console first");
        assert!(
            url.starts_with("http://127.0.0.1:") && url.ends_with('/') && !url.contains(":8080"),
            "{url}"
        );
        assert_eq!(lines.iter().filter(|line| line.contains("console")).count(), 1, "{lines:#?}");
        for port in [":25000", ":25053", ":25443"] {
            assert!(!lines.iter().any(|line| line.contains(port)), "{port}: {lines:#?}");
        }
    }
}

#[test]
fn a_port_of_its_own_flag_goes_before_free_ones() {
    again_blocking(|| {
        let free =
            std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
        let mut command = Command::new(env!("CARGO_BIN_EXE_rke"));
        command.args(["dev", "--ports", "auto", "--listen", &free.to_string()]);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("rke runs");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("an output")).read_line(&mut line).expect("a line");
        drop(Killed(child));
        // Another process may have taken the port meanwhile.
        if line.is_empty() {
            return Err(format!("nothing starts at {free}"));
        }
        assert_eq!(line, format!("The console is at http://{free}/\n"));
        Ok(())
    });
}

#[test]
fn the_records_of_another_content_server_are_published() {
    let other = "shop.example.com";
    let dir = tempfile::tempdir().expect("a folder");
    let path = |name: &str| dir.path().join(name).to_str().expect("UTF-8").to_owned();
    let (keys, records) = (path("keys"), path("records.txt"));
    // The nodes must have the same ports after a restart, because the records name them.
    let first_port = ports_in_a_row().to_string();
    let nodes = ["--raida-port", first_port.as_str()];
    let first = Dev::start_with(&nodes);
    let in_dev = |name: &str| first.path(name).to_str().expect("UTF-8").to_owned();
    let port =
        std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    let cs = ["--cs-id", "SHOP", "--data-dir", &keys];
    let (directory, wallet) = (in_dev("dev/raida-directory.txt"), in_dev("dev/content-server/wallet"));
    let preload = [
        "content-server",
        "preload",
        "--domain",
        other,
        "--host",
        "cs.example.net",
        "--port",
        &port.to_string(),
        "--raida-directory",
        &directory,
        "--wallet",
        &wallet,
        "--timeout",
        "60",
    ];
    let printed: Done = rke(&[&preload[..], &cs].concat(), dir.path()).output().expect("rke runs").into();
    assert_eq!(printed.code, Some(0), "{}", printed.err);
    fs::write(&records, printed.text()).expect("written");
    let listen = format!("127.0.0.1:{port}");
    let serve = [&["content-server", "serve", "--listen", &listen, "--exec", "tr a-z A-Z"][..], &cs].concat();
    let _server = Killed(rke(&serve, dir.path()).stderr(Stdio::null()).spawn().expect("rke runs"));
    until("the Content Server listens", || std::net::TcpStream::connect(&listen).is_ok());
    let again = first.again(&[&nodes[..], &["--records", &records]].concat());
    let found = again.rke(&["discover", other]);
    assert!(found.text().contains(&format!("is cs.example.net:{port}")), "{}{}", found.text(), found.err);
    let id = again.create_id_with(other);
    assert_eq!(again.pipe(&["connect", &id], b"hello\n").text(), "HELLO\n");
    assert_eq!(again.pipe(&["connect", &again.create_id()], b"hello\n").text(), "hello\n");
}

#[test]
fn records_that_cannot_be_published_are_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let own = format!("_rke._udp.{DOMAIN}. 3600 IN SRV 0 0 1 cs.{DOMAIN}.\n");
    for (text, expected) in [
        (Some("hello\n"), "line 1 is not one of the records"),
        (Some(""), "no records are in"),
        (Some(own.as_str()), "already"),
        (None, "cannot read the records in"),
    ] {
        let file = dir.path().join("records.txt");
        let _ = fs::remove_file(&file);
        text.iter().for_each(|text| fs::write(&file, text).expect("written"));
        let arguments = ["dev", "--once", "--ports", "auto", "--records", "records.txt"];
        let done: Done = rke(&arguments, dir.path()).output().expect("rke runs").into();
        assert!(done.code == Some(2) && done.err.contains(expected), "{text:?}: {}", done.err);
    }
}

#[test]
fn the_tour_of_several_daemons_uses_a_session_through_the_second() {
    let dir = tempfile::tempdir().expect("a folder");
    let arguments =
        ["dev", "--once", "--ports", "auto", "--daemons", "2", "--require-token", "--data-dir", "dev"];
    let done: Done = rke(&arguments, dir.path()).output().expect("rke runs").into();
    assert_eq!(done.code, Some(0), "{}{}", done.text(), done.err);
    let steps =
        ["use through the second daemon", "delete through the first", "use through the first after that"];
    let places: Vec<_> = steps.iter().map(|step| done.text().find(&format!("== {step}\n"))).collect();
    assert!(places.is_sorted() && places[0].is_some(), "{}", done.text());
    assert_eq!(processes_in(dir.path()), [], "the store ends with it");
}

#[test]
fn the_daemons_of_a_network_share_its_sessions_and_their_store_ends_with_it_however_it_ends() {
    let mut dev = Dev::start_with(&["--daemons", "2", "--require-token"]);
    let running = processes_in(dev.dir.path());
    assert!(running.iter().any(|(_, program)| program == "redis-server"), "{running:?}");
    let (export, line) = (dev.to_try.first().expect("a line"), dev.to_try.last().expect("a line"));
    let shell = Command::new("sh").args(["-ec", &format!("{export}\n{line}")]).output().expect("sh runs");
    let printed = String::from_utf8_lossy(&shell.stdout).into_owned();
    assert!(printed.contains("\"ciphertext\"") && !printed.contains("\"error\":true"), "{line}: {printed}");
    assert_eq!(printed.matches("\"success\":true").count(), 2, "{line}: {printed}");
    dev.kill();
    until("the store has ended", || processes_in(dev.dir.path()).is_empty());
}
