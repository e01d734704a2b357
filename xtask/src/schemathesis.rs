//! `cargo xtask schemathesis`: has Schemathesis ask a daemon on a local network for everything that its
//! OpenAPI document describes, right and wrong, and compare what comes back with the document.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::{DEBUG, TESTS, cargo, need, target_dir};

/// Requests take their time on a machine that has other work; longer is a fault.
const MOST_SECONDS: &str = "600";

/// The installer for Schemathesis, if it is missing.
const REPAIR: &str = "sudo apt-get install python3 python3-venv";

/// Each run: its settings, and what of the document it is about.
const RUNS: [(&str, &[&str]); 2] =
    [("data.toml", &["--include-tag", "Data", "--phases", "fuzzing"]), ("api.toml", &[])];

pub(crate) fn schemathesis() -> Result<()> {
    cargo(&TESTS)?;
    ask_built()
}

/// The same with the existing debug build.
pub(crate) fn ask_built() -> Result<()> {
    let program = install()?;
    let work = target_dir().join("schemathesis/work");
    let _ = std::fs::remove_dir_all(&work);
    std::fs::create_dir_all(&work).context("cannot make a folder to work in")?;
    let network = Network::start(&work)?;
    let session = network.open_session()?;
    RUNS.iter().try_for_each(|(settings, about)| {
        let document = format!("{}/openapi.json", network.daemon);
        eprintln!("cargo xtask: schemathesis --config-file {settings} run {document} {}", about.join(" "));
        let mut command = Command::new("timeout");
        command.arg(MOST_SECONDS).arg(&program).arg("--config-file").arg(folder().join(settings));
        command.args(["run", &document, "--header", &format!("Authorization: Bearer {}", network.token)]);
        command.args(*about).current_dir(&work).env("RKE_SESSION", &session);
        command.env("RKE_TOKEN", &network.token).env("RKE_WALLET", &network.wallet);
        let status = command.status().context("cannot run schemathesis")?;
        ensure!(status.success(), "the daemon and its OpenAPI document do not agree, see above ({status})");
        Ok(())
    })
}

/// The folder of its settings and requirements.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/schemathesis")
}

/// The program, in an environment of its own below `target`. It is installed again when the requirements
/// are others.
fn install() -> Result<PathBuf> {
    let requirements = folder().join("requirements.txt");
    let wanted = std::fs::read_to_string(&requirements).context("cannot read the requirements")?;
    let environment = target_dir().join("schemathesis/environment");
    let (program, mark) = (environment.join("bin/schemathesis"), environment.join("installed"));
    if program.exists() && std::fs::read_to_string(&mark).is_ok_and(|installed| installed == wanted) {
        return Ok(program);
    }
    eprintln!("cargo xtask: installing schemathesis into {}", environment.display());
    make_environment(&environment, &requirements)?;
    std::fs::write(mark, wanted).context("cannot note what was installed")?;
    Ok(program)
}

/// Makes a Python environment with what a file of requirements names, each with its hash.
pub(crate) fn make_environment(environment: &Path, requirements: &Path) -> Result<()> {
    need_python()?;
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(environment))?;
    let mut pip = Command::new(environment.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]);
    run(pip.arg("--requirement").arg(requirements))
}

/// Sees to it that there is a Python that can make environments.
pub(crate) fn need_python() -> Result<()> {
    need("python3", "python3")?;
    match has_venv() {
        true => Ok(()),
        false => need_venv(),
    }
}

/// Debian has the part of Python that makes environments in a package of its own.
fn has_venv() -> bool {
    let look = Command::new("python3").args(["-c", "import ensurepip, venv"]).stderr(Stdio::null()).status();
    look.is_ok_and(|status| status.success())
}

fn need_venv() -> Result<()> {
    let install = "apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-venv";
    let _ = Command::new("sh").args(["-c", install]).stdout(Stdio::null()).status();
    ensure!(has_venv(), "the tests need Python's venv; install it with: {REPAIR}");
    Ok(())
}

fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot run {command:?}"))?;
    ensure!(status.success(), "{command:?} failed; if Python is the trouble: {REPAIR}");
    Ok(())
}

/// A whole network with a daemon that requires its access token. It ends when this goes.
struct Network {
    child: Child,
    daemon: String,
    wallet: String,
    token_file: String,
    token: String,
}

impl Network {
    fn start(work: &Path) -> Result<Self> {
        let mut command = Command::new(program());
        command.args([
            "dev",
            "--require-token",
            "--allow-export",
            "*",
            "--listen",
            "127.0.0.1:0",
            "--raida-port",
            "0",
        ]);
        command.args(["--dns-port", "0", "--content-server-port", "0", "--data-dir"]).arg(work);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().context("cannot run rke")?;
        let mut network = Self {
            child,
            daemon: String::new(),
            wallet: String::new(),
            token_file: String::new(),
            token: String::new(),
        };
        network.read_what_it_says()?;
        network.token = std::fs::read_to_string(&network.token_file)?.trim().to_owned();
        Ok(network)
    }

    /// `rke dev` says where everything is, one thing on each line.
    fn read_what_it_says(&mut self) -> Result<()> {
        let output = self.child.stdout.take().context("rke dev has no output")?;
        let mut lines = BufReader::new(output).lines().map_while(Result::ok);
        for line in lines.by_ref() {
            let mut words = line.split_whitespace();
            let place = match words.next() {
                Some("daemon") => &mut self.daemon,
                Some("wallet") => &mut self.wallet,
                Some("token") => &mut self.token_file,
                _ => continue,
            };
            *place = words.next().unwrap_or_default().to_owned();
            if !self.token_file.is_empty() {
                // A program that writes to a pipe without a reader blocks in the end.
                std::thread::spawn(move || lines.count());
                return Ok(());
            }
        }
        bail!("rke dev ended before it had begun")
    }

    fn open_session(&self) -> Result<String> {
        let mut command = Command::new(program());
        command.args(["session", "create", "content.rke.test", "--wallet", &self.wallet]);
        command.args([
            "--daemon",
            self.daemon.trim_start_matches("http://"),
            "--token-file",
            &self.token_file,
        ]);
        let output = command.output().context("cannot run rke")?;
        ensure!(output.status.success(), "no session opens: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program() -> PathBuf {
    target_dir().join(DEBUG)
}
