//! `rke dev` in a separate process, and `rke` commands for it, as a person would type them.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::DOMAIN;

/// A whole network in a process. Dropping this value kills it.
pub(crate) struct Dev {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) daemon: String,
    /// The address of its DNS server.
    pub(crate) dns: String,
    pub(crate) wallet: PathBuf,
    /// The lines to try that the process printed.
    pub(crate) to_try: Vec<String>,
    child: Child,
}

/// The result of a command.
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) out: Vec<u8>,
    pub(crate) err: String,
}

impl Done {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.out).into_owned()
    }
}

impl From<Output> for Done {
    fn from(output: Output) -> Self {
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        Self { code: output.status.code(), out: output.stdout, err }
    }
}

impl Dev {
    pub(crate) fn start() -> Self {
        Self::start_at("127.0.0.1:0")
    }

    pub(crate) fn start_at(listen: &str) -> Self {
        Self::start_with(&["--listen", listen])
    }

    pub(crate) fn start_with(more: &[&str]) -> Self {
        Self::start_in(&mut Command::new(env!("CARGO_BIN_EXE_rke")), more)
    }

    /// Like `start`, by a program with its own environment.
    pub(crate) fn start_in(program: &mut Command, more: &[&str]) -> Self {
        Self::start_on(tempfile::tempdir().expect("a folder"), program, more)
    }

    /// Starts the same network again, with these flags.
    pub(crate) fn again(mut self, more: &[&str]) -> Self {
        self.kill();
        let dir = std::mem::replace(&mut self.dir, tempfile::tempdir().expect("a folder"));
        Self::start_on(dir, &mut Command::new(env!("CARGO_BIN_EXE_rke")), more)
    }

    fn start_on(dir: tempfile::TempDir, program: &mut Command, more: &[&str]) -> Self {
        let mut child = program
            .args(["dev", "--ports", "auto", "--data-dir"])
            .arg(dir.path().join("dev"))
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("rke runs");
        let lines = BufReader::new(child.stdout.as_mut().expect("an output")).lines();
        let lines: Vec<String> =
            lines.map_while(Result::ok).take_while(|line| !line.contains("Ctrl-C")).collect();
        let value = |name: &str| {
            let line = lines.iter().find_map(|line| line.trim().strip_prefix(name));
            line.unwrap_or_else(|| panic!("no {name} in {lines:?}")).trim().to_owned()
        };
        let daemon = value("daemon").trim_start_matches("http://").to_owned();
        let dns = value("DNS").split(' ').next().unwrap_or_default().to_owned();
        let to_try = lines.iter().skip_while(|line| !line.starts_with("Paste")).skip(1);
        let to_try = to_try.take_while(|line| !line.is_empty()).cloned().collect();
        Self { dir, daemon, dns, wallet: value("wallet").into(), to_try, child }
    }

    /// The path of a file of the test.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A command in the folder of the test's files, without the settings of this process.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = rke(arguments, self.dir.path());
        command.env("RKE_DAEMON", &self.daemon).env("RKE_TIMEOUT", "60");
        command
    }

    pub(crate) fn rke(&self, arguments: &[&str]) -> Done {
        self.command(arguments).output().expect("rke runs").into()
    }

    /// Like `rke`, with something on standard input.
    pub(crate) fn pipe(&self, arguments: &[&str], input: &[u8]) -> Done {
        let mut child = self.command(arguments).stdin(Stdio::piped()).spawn().expect("rke runs");
        let (mut stdin, input) = (child.stdin.take().expect("an input"), input.to_vec());
        let writer = std::thread::spawn(move || {
            let _ = stdin.write_all(&input);
        });
        let done = child.wait_with_output().expect("rke ends").into();
        writer.join().expect("written");
        done
    }

    /// Opens a session and returns its id.
    pub(crate) fn create_id(&self) -> String {
        self.create_id_with(DOMAIN)
    }

    pub(crate) fn create_id_with(&self, domain: &str) -> String {
        let wallet = self.wallet.to_str().expect("UTF-8");
        let created = self.rke(&["session", "create", domain, "--wallet", wallet]);
        assert_eq!(created.code, Some(0), "{}", created.err);
        created.text().trim().to_owned()
    }

    /// Sends the process a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("a signal");
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("an end");
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `rke` with these arguments, in this folder, in a clean environment.
pub(crate) fn rke(arguments: &[&str], dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rke"));
    command.args(arguments).current_dir(dir).env_clear().env("HOME", dir).env("PATH", "/usr/bin:/bin");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The processes that work in a folder, and their programs.
pub(crate) fn processes_in(folder: &Path) -> Vec<(i32, String)> {
    let processes = std::fs::read_dir("/proc").expect("processes").flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_inside =
        |id: &i32| std::fs::read_link(format!("/proc/{id}/cwd")).is_ok_and(|place| place.starts_with(folder));
    let program = |id| std::fs::read_to_string(format!("/proc/{id}/comm")).unwrap_or_default();
    ids.filter(is_inside).map(|id| (id, program(id).trim().to_owned())).collect()
}
