//! The recipes of `docs/forward.md`, as they stand there, with the real programs.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::program::Forward;
use crate::dev::Dev;
use crate::documents::blocks_of;
use crate::servers::free_port;
use crate::support::{DOMAIN, again_blocking};

/// A server in a process. Dropping it kills it.
struct Server(Child);

impl Server {
    /// Starts it, and waits until it listens.
    fn start(command: &mut Command, port: u16) -> Self {
        let started = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let name = command.get_program().to_owned();
        let server =
            Self(started.unwrap_or_else(|error| panic!("{name:?} is needed for this test: {error}")));
        again_blocking(|| {
            std::net::TcpStream::connect(("127.0.0.1", port)).map_err(|error| format!("{name:?}: {error}"))
        });
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A network whose Content Server forwards to a port.
struct Stand {
    dev: Dev,
    /// Lines of bash before each block.
    before: String,
    /// What else stands in the blocks, and what to put there.
    replaced: Vec<(&'static str, String)>,
}

impl Stand {
    fn new(port: u16) -> Self {
        let dev = Dev::start_with(&["--listen", "127.0.0.1:0", "--forward", &format!("127.0.0.1:{port}")]);
        Self { dev, before: String::new(), replaced: Vec::new() }
    }

    /// The blocks of a section of the document, with what this test has in place of what stands there.
    fn blocks(&self, section: &str) -> Vec<String> {
        let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/forward.md");
        let text = fs::read_to_string(&document).expect("a document");
        let (_, rest) = text.split_once(&format!("\n## {section}\n")).expect("the section");
        let text = rest.split_once("\n## ").map_or(rest, |(text, _)| text);
        let blocks = blocks_of(&document, text).into_iter().map(|block| self.with_own(block.text));
        let blocks: Vec<String> = blocks.collect();
        assert!(!blocks.is_empty(), "{section}");
        blocks
    }

    fn with_own(&self, mut block: String) -> String {
        let wallet = self.dev.wallet.to_str().expect("UTF-8");
        block = block.replace("content.example.com", DOMAIN).replace("~/wallet", wallet);
        for (written, own) in &self.replaced {
            block = block.replace(written, own);
        }
        block
    }

    /// A block in bash.
    fn bash(&self, block: &str) -> Command {
        let script = format!("{}\n{block}", self.before);
        let mut bash = Command::new("bash");
        bash.args(["-e", "-u", "-o", "pipefail", "-c", &script]).current_dir(self.dev.dir.path());
        let program = Path::new(env!("CARGO_BIN_EXE_rke")).parent().expect("a folder");
        let path = std::env::var("PATH").unwrap_or_default();
        bash.env("PATH", format!("{}:{path}", program.display())).env("HOME", self.dev.dir.path());
        bash.env("RKE_DAEMON", &self.dev.daemon).env("RKE_TIMEOUT", "60").stdin(Stdio::null());
        bash
    }

    /// What a block prints.
    fn run(&self, block: &str) -> String {
        let output = self.bash(block).output().expect("bash runs");
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{block}\n{complaints}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Starts the first block, which is `rke forward`, and returns what the second prints.
    fn run_through_forward(&self, section: &str) -> String {
        let blocks = self.blocks(section);
        let [forward, then] = &blocks[..] else { panic!("{blocks:?}") };
        let _forward = Forward::run(&mut self.bash(&format!("exec {forward}")));
        self.run(then)
    }
}

fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{command:?} is needed for this test: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Makes a repository with a file in it.
fn make_repository(at: &Path) {
    let script = "git init -q -b main work && cd work && echo the code > code && git add code \
                  && git -c user.name=A -c user.email=a@example.com commit -q -m first \
                  && git clone -q --bare . ../project.git && touch ../project.git/git-daemon-export-ok";
    run(Command::new("sh").args(["-c", script]).current_dir(at).env("HOME", at));
}

/// An sshd that lets this user in, and a network in front of it.
fn with_sshd() -> (Stand, Server) {
    let port = free_port();
    let mut stand = Stand::new(port);
    let at = |name: &str| stand.dev.path(name);
    for key in ["host", "user"] {
        run(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(at(key)));
    }
    fs::copy(at("user.pub"), at("authorized")).expect("copied");
    // sshd is started by its whole path, and wants this folder.
    fs::create_dir_all("/run/sshd").expect("a folder");
    let settings = format!(
        "ListenAddress 127.0.0.1:{port}\nHostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\n\
         PermitRootLogin yes\nPidFile none\n",
        at("host").display(),
        at("authorized").display(),
    );
    fs::write(at("sshd_config"), settings).expect("written");
    let server =
        Server::start(Command::new("/usr/sbin/sshd").args(["-D", "-f"]).arg(at("sshd_config")), port);
    let known = format!(
        "IdentityFile {}\nUserKnownHostsFile {}\nStrictHostKeyChecking accept-new\nBatchMode yes\n",
        at("user").display(),
        at("known").display(),
    );
    let program = at("bin");
    fs::write(at("ssh_config"), known).expect("written");
    fs::create_dir(&program).expect("a folder");
    let wrapper = format!("#!/bin/sh\nexec /usr/bin/ssh -F {} \"$@\"\n", at("ssh_config").display());
    fs::write(program.join("ssh"), wrapper).expect("written");
    fs::set_permissions(program.join("ssh"), fs::Permissions::from_mode(0o755)).expect("a program");
    stand.before = format!("PATH={}:$PATH", program.display());
    stand.replaced.push(("alice@", "root@".into()));
    (stand, server)
}

#[test]
fn ssh() {
    let (stand, _server) = with_sshd();
    let blocks = stand.blocks("ssh");
    let name = stand.run(&blocks[0]);
    let own = fs::read_to_string("/proc/sys/kernel/hostname").expect("a name");
    assert_eq!(name, own);
    assert!(stand.dev.rke(&["session", "list"]).text().contains("No sessions"));
}

#[test]
fn git_over_ssh() {
    let (mut stand, _server) = with_sshd();
    make_repository(stand.dev.dir.path());
    stand.replaced.push((":project.git", format!(":{}", stand.dev.path("project.git").display())));
    stand.run(&stand.blocks("git")[0]);
    assert_eq!(fs::read_to_string(stand.dev.path("over-ssh/code")).expect("cloned"), "the code\n");
}

#[test]
fn git_over_ext() {
    let port = free_port();
    let stand = Stand::new(port);
    make_repository(stand.dev.dir.path());
    let mut daemon = Command::new("git");
    daemon.args(["daemon", "--listen=127.0.0.1", &format!("--port={port}")]);
    daemon.arg(format!("--base-path={}", stand.dev.dir.path().display())).env("HOME", stand.dev.dir.path());
    let _server = Server::start(&mut daemon, port);
    stand.run(&stand.blocks("git")[1]);
    assert_eq!(fs::read_to_string(stand.dev.path("over-ext/code")).expect("cloned"), "the code\n");
}

/// The folder with the programs of a PostgreSQL server.
fn postgresql() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL is needed for this test");
    let mut folders: Vec<PathBuf> = versions.flatten().map(|version| version.path().join("bin")).collect();
    folders.retain(|folder| folder.join("initdb").exists());
    folders.sort();
    folders.pop().expect("a version of PostgreSQL")
}

#[test]
fn psql() {
    let (port, own_port, programs) = (free_port(), free_port(), postgresql());
    // PostgreSQL refuses to run as root.
    let nobody = nix::unistd::User::from_name("nobody").expect("users").expect("a user");
    let place = tempfile::tempdir().expect("a folder");
    chown(place.path(), Some(nobody.uid.as_raw()), None).expect("given away");
    let data = place.path().join("data");
    let as_nobody = |program: &str| {
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid", "nobody", "--clear-groups"])
            .arg(programs.join(program))
            .arg("-D")
            .arg(&data);
        command.current_dir(place.path());
        command
    };
    run(as_nobody("initdb").args(["-U", "alice", "-A", "trust", "--no-sync"]));
    let mut postgres = as_nobody("postgres");
    postgres.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-k", ""]);
    let _server = Server::start(&mut postgres, port);
    let mut stand = Stand::new(port);
    stand.replaced = vec![("5433", own_port.to_string())];
    let answer = stand.run_through_forward("psql");
    assert!(answer.contains("42"), "{answer}");
}

#[test]
fn http() {
    let (port, own_port) = (free_port(), free_port());
    let mut stand = Stand::new(port);
    let page = "a page\n".repeat(100_000);
    fs::write(stand.dev.path("page.html"), &page).expect("written");
    let mut server = Command::new("python3");
    server.args(["-m", "http.server", "--bind", "127.0.0.1", &port.to_string(), "--directory"]);
    let _server = Server::start(server.arg(stand.dev.dir.path()), port);
    stand.replaced = vec![("8001", own_port.to_string())];
    assert!(stand.run_through_forward("HTTP") == page);
}
