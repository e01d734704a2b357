//! Where recordings are made: a home of its own below `target`, and a network, so that nothing of this machine is seen.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::{DEBUG, target_dir};

/// The domain of the network's Content Server.
const DOMAIN: &str = "content.rke.test";

/// The home, and the network once it was started. It ends with this.
pub(super) struct Stage {
    home: PathBuf,
    network: Option<Child>,
    wallet: String,
}

impl Stage {
    /// Makes an empty home, with the program in it.
    pub(super) fn set() -> Result<Self> {
        let home = target_dir().join("recordings");
        let _ = fs::remove_dir_all(&home);
        fs::create_dir_all(&home).with_context(|| format!("cannot make {}", home.display()))?;
        let home = home.canonicalize().context("cannot find the folder of the recordings")?;
        let program = target_dir().join(DEBUG).canonicalize().context("rke was not built")?;
        symlink(program, home.join("rke")).context("cannot put rke into the folder of the recordings")?;
        Ok(Self { home, network: None, wallet: String::new() })
    }

    /// Starts a network for the commands that are recorded.
    pub(super) fn start_network(&mut self) -> Result<()> {
        let mut command = self.command("rke");
        command.args(["dev", "--data-dir", "network"]).stdout(Stdio::piped()).stderr(Stdio::null());
        let network = self.network.insert(command.spawn().context("cannot run rke")?);
        let output = network.stdout.take().context("rke dev has no output")?;
        let mut lines = BufReader::new(output).lines().map_while(Result::ok);
        let wallet =
            lines.find_map(|line| line.trim().strip_prefix("wallet ").map(|path| path.trim().to_owned()));
        self.wallet = wallet.context("rke dev ended before it had begun; does another one run?")?;
        // A program that writes to a pipe without a reader blocks in the end.
        std::thread::spawn(move || lines.count());
        Ok(())
    }

    /// A program in this home, with nothing of this process's environment.
    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("env");
        let path = format!("PATH={}:/usr/bin:/bin", self.home());
        command.args(["-i", &path, &format!("HOME={}", self.home()), &format!("WALLET={}", self.wallet)]);
        command.args(["LANG=C.UTF-8", "TERM=xterm-256color", "PS1=$ ", program]).current_dir(&self.home);
        command
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.home.join(name)
    }

    pub(super) fn home(&self) -> String {
        self.home.display().to_string()
    }

    /// Opens a session behind the scene. Gives its id.
    pub(super) fn open_session(&self) -> Result<String> {
        self.run(&["session", "create", DOMAIN, "--wallet", &self.wallet])
    }

    pub(super) fn delete_session(&self, id: &str) -> Result<()> {
        self.run(&["session", "delete", id]).map(drop)
    }

    fn run(&self, arguments: &[&str]) -> Result<String> {
        let done = self.command("rke").args(arguments).output().context("cannot run rke")?;
        let why = String::from_utf8_lossy(&done.stderr);
        ensure!(done.status.success(), "rke {} failed: {why}", arguments.join(" "));
        Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(mut network) = self.network.take() {
            let _ = network.kill();
            let _ = network.wait();
        }
    }
}
