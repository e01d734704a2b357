//! `rke net`: a network whose parts are processes of their own, from plain files.

mod shared;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::dev::{Done, rke};

/// A network in a folder. Dropping it stops it.
struct Net {
    dir: tempfile::TempDir,
}

impl Net {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a folder") }
    }

    fn folder(&self) -> PathBuf {
        self.dir.path().join("net")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let arguments = [&["net"], arguments, &["--dir", "net"]].concat();
        let mut command = rke(&arguments, self.dir.path());
        // Variables for another daemon must not reach the parts.
        command.env("RKE_LISTEN", "127.0.0.1:1");
        command
    }

    fn net(&self, arguments: &[&str]) -> Done {
        self.command(arguments).output().expect("rke runs").into()
    }

    fn ok(&self, arguments: &[&str]) -> String {
        let done = self.net(arguments);
        assert_eq!(done.code, Some(0), "{arguments:?}: {}", done.err);
        done.text()
    }

    /// The lines of `rke net status` that have this in them.
    fn status(&self, code: i32, with: &str) -> Vec<String> {
        let done = self.net(&["status"]);
        assert_eq!(done.code, Some(code), "{} {}", done.text(), done.err);
        done.text().lines().filter(|line| line.contains(with)).map(str::to_owned).collect()
    }

    fn process(&self, part: &str) -> i32 {
        let text = fs::read_to_string(self.folder().join(part).join("pid")).expect("a process");
        text.split(' ').next().and_then(|id| id.parse().ok()).expect("an id")
    }

    fn kill(&self, part: &str) {
        kill_process(Pid::from_raw(self.process(part)).expect("an id"), Signal::KILL).expect("a signal");
        while !self.status_of(part).contains("not running") {}
    }

    fn status_of(&self, part: &str) -> String {
        let text = self.net(&["status"]).text();
        text.lines().find(|line| line.starts_with(&format!("{part} "))).expect("a line").to_owned()
    }

    /// Runs the lines that `up` prints, and then `line`, in a shell.
    fn shell(&self, overview: &str, line: &str) -> String {
        let export = overview.lines().find(|line| line.contains("export ")).expect("a line to paste");
        let script = format!("{}\n{line}", export.trim());
        let mut shell = Command::new("sh");
        let path = Path::new(env!("CARGO_BIN_EXE_rke")).parent().expect("a folder").display();
        let path = format!("{path}:{}", std::env::var("PATH").expect("a path"));
        shell.args(["-ec", &script]).env("PATH", path).current_dir(self.dir.path());
        let done = shell.output().expect("sh runs");
        assert!(done.status.success(), "{script}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).into_owned()
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        let _ = self.net(&["down"]);
    }
}

/// Opens a session, uses it, and lists it at the other end.
const CONNECT: &str = "SESSION_ID=$(rke session create content.test --wallet \"$WALLET\")\n\
    echo hello | rke connect $SESSION_ID\nrke content-server list --api unix:net/content-server/api.sock";

#[test]
fn a_network_is_made_used_stopped_and_started_again() {
    let net = Net::new();
    let up = net.ok(&["up", "--domain", "content.test", "--exec", "tr 'a-z' A-Z"]);
    assert!(net.shell(&up, CONNECT).starts_with("HELLO\n"), "{up}");
    assert_eq!(net.status(0, "running").len(), 28);
    assert_eq!(net.folder().metadata().expect("a folder").permissions().mode() & 0o777, 0o700);
    let secret = fs::read(net.folder().join("content-server/data/master.key")).expect("a key");
    let metrics = "/net/PART/metrics.sock of each node and Content Server; http://127.0.0.1:";
    assert!(up.contains(metrics) && net.ok(&["status"]).contains(metrics), "{up}");
    let shown = net.shell(
        &up,
        "rke raida status --metrics unix:net/raida-7/metrics.sock
        rke content-server status --metrics unix:net/content-server/metrics.sock",
    );
    assert_eq!(shown.matches("Ready.").count(), 2, "{shown}");
    assert!(shown.contains("Master secrets: 1, of 1 Content Server IDs."), "{shown}");

    let other = net.net(&["up", "--domain", "another.test"]);
    assert!(other.code == Some(1) && other.err.contains("is that of content.test"), "{}", other.err);
    let processes = [net.process("raida-7"), net.process("daemon")];
    net.ok(&["up"]);
    assert_eq!([net.process("raida-7"), net.process("daemon")], processes, "what runs stays");

    net.kill("raida-7");
    net.kill("daemon");
    assert_eq!(net.status(1, "not running").len(), 2);
    let up = net.ok(&["up"]);
    assert_eq!(net.status(0, "running").len(), 28);
    assert!(net.shell(&up, CONNECT).starts_with("HELLO\n"), "{up}");

    assert!(net.ok(&["down"]).starts_with("28 parts stopped."));
    assert_eq!(net.status(1, "not running").len(), 28);
    assert!(net.ok(&["down"]).starts_with("0 parts stopped."));
    let up = net.ok(&["up"]);
    assert!(net.shell(&up, CONNECT).starts_with("HELLO\n"), "{up}");
    assert_eq!(fs::read(net.folder().join("content-server/data/master.key")).expect("a key"), secret);
}

/// A process that its drop kills.
struct Moved(Child);

impl Drop for Moved {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_folder_of_a_part_runs_at_another_place() {
    let net = Net::new();
    let up = net.ok(&["up", "--domain", "content.test"]);
    net.kill("raida-7");
    let elsewhere = net.dir.path().join("another-machine");
    fs::rename(net.folder().join("raida-7"), &elsewhere).expect("moved");
    assert_eq!(net.status(0, "elsewhere"), [net.status_of("raida-7")]);
    let mut run = Command::new(elsewhere.join("run"));
    run.env("RKE", env!("CARGO_BIN_EXE_rke")).stderr(Stdio::null());
    let _moved = Moved(run.spawn().expect("it runs"));
    let responding = "rke ping content.test --json | grep -o '\"raida\":7,[^}]*\"fault\":null'";
    let pinged = net.shell(&up, &format!("until {responding}; do sleep 0.1; done"));
    assert!(pinged.starts_with("\"raida\":7,"), "{pinged}");
}

#[test]
fn what_cannot_be_a_network_is_refused_and_nothing_is_left() {
    let net = Net::new();
    let folder = net.folder();
    for (arguments, told) in [
        (&["up"][..], "a new network needs a domain"),
        (&["status"], "no network is in"),
        (&["down"], "no network is in"),
        (&["up", "--domain", "content.test", "--ports", "0"], "the first port"),
    ] {
        let done = net.net(arguments);
        assert!(done.code != Some(0) && done.err.contains(told), "{arguments:?}: {}", done.err);
        assert!(!folder.exists(), "{arguments:?}");
    }
    fs::create_dir(&folder).and_then(|()| fs::write(folder.join("file"), "mine")).expect("written");
    let done = net.net(&["up", "--domain", "content.test"]);
    assert!(done.code == Some(1) && done.err.contains("has other files in it"), "{}", done.err);
    let names = fs::read_dir(net.dir.path()).expect("a folder").flatten().map(|entry| entry.file_name());
    assert_eq!(names.collect::<Vec<_>>(), ["net"]);
}

#[test]
fn a_part_that_ends_is_named_with_its_reason() {
    let net = Net::new();
    net.ok(&["up", "--domain", "content.test"]);
    net.ok(&["down"]);
    fs::remove_dir_all(net.folder().join("raida-3/coins")).expect("removed");
    let done = net.net(&["up"]);
    assert!(done.code == Some(1) && done.err.contains("raida-3 has ended: "), "{}", done.err);
    assert!(done.err.contains("raida-3/log"), "{}", done.err);
}

/// The value of `RKE_DATA_DIR` in all services of `packaging/compose.yaml`, and their names and commands.
fn services() -> (String, Vec<(String, Vec<String>)>) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/compose.yaml");
    let text = fs::read_to_string(file).expect("a file");
    let (part, services) = text.split_once("\nservices:\n").expect("services");
    let data = part.lines().find_map(|line| line.strip_prefix("  environment: { RKE_DATA_DIR: "));
    // The image has a value, which goes before those of the files. Its folder is not in the test.
    let data = data.map_or("/proc/the-folder-of-the-image", |line| line.trim_end_matches(" }")).to_owned();
    let (mut found, mut name) = (Vec::new(), "");
    for line in services.lines() {
        if let Some(own) = line.strip_prefix("  ").filter(|own| !own.starts_with(' ')) {
            name = own.trim_end_matches(':');
        } else if let Some(list) = line.trim_start().strip_prefix("command: [") {
            let words = list.trim_end_matches(']').split(", ").map(|word| word.trim_matches('"').to_owned());
            found.push((name.to_owned(), words.collect()));
        } else if let Some(volumes) = line.trim_start().strip_prefix("volumes: ") {
            assert!(volumes.starts_with(&format!("[\"./net/{name}:/part\"")), "{name}: {volumes}");
        }
    }
    (data, found)
}

#[test]
fn the_services_of_the_compose_file_are_the_parts_of_a_network() {
    let net = Net::new();
    let up = net.ok(&["up", "--domain", "content.test"]);
    net.ok(&["down"]);
    let about = fs::read_to_string(net.folder().join("network.toml")).expect("a file");
    let first = about.lines().find_map(|line| line.strip_prefix("first-port = ")).expect("a port");
    let first: u16 = first.parse().expect("a number");
    let (data, services) = services();
    assert_eq!(services.len(), 28);
    let _parts: Vec<Moved> = services
        .iter()
        .map(|(name, command)| {
            let mut part = Command::new(env!("CARGO_BIN_EXE_rke"));
            // The file is for a network of the ports 20000 to 20027.
            part.args(command.iter().map(|word| match word.strip_prefix("127.0.0.1:20") {
                Some(port) => format!("127.0.0.1:{}", first + port.parse::<u16>().expect("a number")),
                None => word.clone(),
            }));
            part.current_dir(net.folder().join(name)).env("RKE_DATA_DIR", &data);
            part.stdout(Stdio::null()).stderr(Stdio::null());
            Moved(part.spawn().expect("it runs"))
        })
        .collect();
    // Up to a minute for the parts to start, and the last error if they do not.
    let waiting =
        "for attempt in $(seq 600); do rke session create content.test --wallet \"$WALLET\" 2>error && exit
        sleep 0.1; done; cat error >&2; exit 1";
    let session = net.shell(&up, waiting);
    assert_eq!(session.trim().len(), 32, "{session}");
}
