//! `rke psk` and `rke wireguard`: both ends get the same key, a new one each time, and nobody sets another one's.

mod ipsec;
mod namespaces;
mod refusals;
mod tls;
mod wireguard;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use rke_host::exports::ExportLabels;
use rke_raida::content_server::{Application, KeyCommand, KeyFormat, KeyService, Launcher, ServerConfig};
use rustix::process::{Pid, Signal, kill_process};

use crate::support::{DOMAIN, Stage, again};
use crate::tunnel::rke_code;

/// A launcher of this command, in a process of the program.
fn launcher(command: &str) -> Launcher {
    let mut launcher = Command::new(env!("CARGO_BIN_EXE_rke"));
    launcher.args(["launch-commands", command]);
    Launcher::start(launcher).expect("a launcher")
}

/// A network whose Content Server gives keys, with a daemon that exports them.
async fn stage_with(service: KeyService) -> Stage {
    let allowed = ["rke-psk", "rke-wireguard"].map(Into::into).to_vec();
    let mut stage = Stage::with(|config| config.reloadable.allow_export = ExportLabels::new(allowed)).await;
    serve(&mut stage, service).await;
    stage
}

async fn serve(stage: &mut Stage, service: KeyService) {
    let server = ServerConfig::new(Application::Keys(service));
    stage.network.restart_content_server_with(server).await.expect("a Content Server");
}

fn command(command: &str, format: KeyFormat) -> KeyService {
    KeyService::Command(KeyCommand::new(launcher(command), format))
}

/// The flags that name the daemon, the domain and the wallet.
fn source(stage: &Stage) -> Vec<String> {
    let wallet = stage.network.wallet().display().to_string();
    let daemon = stage.daemon.address().to_string();
    ["--domain", DOMAIN, "--wallet", &wallet, "--daemon", &daemon, "--timeout", "60"].map(Into::into).to_vec()
}

/// Runs `rke psk`. Returns its exit code and what it says.
async fn psk(stage: &Stage, exec: &str, more: &[&str]) -> (i32, String) {
    let mut arguments = vec!["psk".to_owned(), "--exec".into(), exec.into()];
    arguments.extend(more.iter().map(|&flag| flag.to_owned()));
    arguments.extend(source(stage));
    let (code, output, log) = rke_code(arguments, "").await;
    (code, output + &log)
}

/// A command that goes on, and what it says. Dropping it kills it.
struct Running {
    child: Child,
    log: Arc<Mutex<String>>,
}

impl Running {
    fn start(arguments: &[&str], stage: &Stage) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rke"));
        command.args(arguments).args(source(stage)).stdin(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("rke runs");
        let log = Arc::<Mutex<String>>::default();
        let (lines, noted) = (BufReader::new(child.stderr.take().expect("a log")).lines(), Arc::clone(&log));
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                *noted.lock().expect("unpoisoned") += &format!("{line}\n");
            }
        });
        Self { child, log }
    }

    async fn says(&self, text: &str) -> String {
        again(async || match self.log.lock().expect("unpoisoned").clone() {
            log if log.contains(text) => Ok(log),
            log => Err(format!("no {text:?} in {log:?}")),
        })
        .await
    }

    /// Asks it to end, and waits for that.
    async fn stop(mut self) -> Option<i32> {
        kill_process(Pid::from_child(&self.child), Signal::TERM).expect("a signal");
        again(async || self.child.try_wait().expect("a status").ok_or_else(|| "it runs".to_owned()))
            .await
            .code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Commands at both ends that keep what they get.
struct Files {
    dir: tempfile::TempDir,
}

impl Files {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a folder") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes the input to a file as a whole, then the variables about the key.
    fn keep(&self, name: &str) -> String {
        let file = self.path(name);
        let file = file.display();
        format!("cat > {file}.new && mv {file}.new {file} && echo \"$RKE_PSK_NAME $RKE_COIN\" > {file}.name")
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_default()
    }

    fn text(&self, name: &str) -> String {
        String::from_utf8(self.read(name)).expect("text")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_ends_get_the_same_key_and_another_one_each_time() {
    let files = Files::new();
    let stage = stage_with(command(&files.keep("server"), KeyFormat::Base64)).await;
    let mut seen = Vec::new();
    for _ in 0..2 {
        let (code, log) = psk(&stage, &files.keep("client"), &["--name", "vpn-1"]).await;
        assert_eq!(code, 0, "{log}");
        let key = files.text("client");
        assert_eq!(key, files.text("server"));
        assert!(key.len() == 45 && key.ends_with("=\n"), "a line of Base64");
        assert!(!seen.contains(&key), "the same key came twice");
        seen.push(key);
    }
    assert_eq!(
        (files.text("client.name").as_str(), files.text("server.name").as_str()),
        ("vpn-1 \n", "vpn-1 0:1001\n")
    );
    let exported = stage.network.session_keys().expect("a Content Server").exports().total();
    let status = stage.get("/api/rke/status").await.json();
    assert_eq!((exported, &status["exports"]["count"]), (2, &2.into()), "both ends count them");
    let sessions = stage.get("/api/rke/sessions").await.json();
    assert_eq!(sessions["total"], 0, "each key's session is gone: {sessions}");
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_come_again_and_again_until_a_signal() {
    let files = Files::new();
    let stage = stage_with(command(&files.keep("server"), KeyFormat::Hex)).await;
    let running =
        Running::start(&["psk", "--exec", &files.keep("client"), "--every", "1", "--format", "hex"], &stage);
    let mut seen = Vec::new();
    again(async || {
        let key = files.text("client");
        if !key.is_empty() && !seen.contains(&key) {
            seen.push(key);
        }
        (seen.len() > 3).then_some(()).ok_or_else(|| format!("{} keys", seen.len()))
    })
    .await;
    assert_eq!(running.stop().await, Some(0));
    assert_eq!(files.text("client"), files.text("server"), "it ends between two keys");
    stage.stop().await;
}
