//! The daemons that the clients' tests talk to, and the file with their addresses: `clients/conformance/README.md`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rke_engine::model::usage::UsageLimits;
use rke_raida::content_server::ServerConfig;
use serde_json::{Value, json};

use crate::console::Program;
use crate::faults::through_within;
use crate::liars::with_liars;
use crate::other_end::Ends;
use crate::records::Detour;
use crate::relay::Fault;
use crate::servers::refusing_port;
use crate::support::{DOMAIN, Stage, running};

/// All daemons of the tests.
pub(super) struct Cast {
    dir: tempfile::TempDir,
    dev: Program,
    guarded: Program,
    silent: Detour,
    lying: Detour,
    two_messages: Stage,
    failing_command: Stage,
    other_end: Ends,
}

impl Cast {
    pub(super) async fn start() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let of = |name: &str| dir.path().join(name);
        let socket = dir.path().join("socket");
        let dev = Program::dev(&of("dev"), &["--unix-socket", utf8(&socket), "--allow-export", "test*"]);
        let root = of("guarded");
        let guarded = Program::dev(&root, &["--require-token", "--wallet-root", utf8(&root)]);
        let dead = (0..25).map(|at| if at < 13 { Fault::Dead } else { Fault::None }).collect();
        let limits = UsageLimits { messages: 2, ..UsageLimits::default() };
        let cast = Self {
            dev,
            guarded,
            silent: through_within(dead, 0, Duration::from_secs(5)).await,
            lying: with_liars(13).await,
            two_messages: Stage::with(|config| config.reloadable.key_limits = limits).await,
            failing_command: failing_command().await,
            other_end: Ends::over_tcp().await,
            dir,
        };
        std::fs::write(cast.file(), cast.description().to_string()).expect("written");
        cast
    }

    /// The address of the ordinary daemon.
    pub(super) fn dev(&self) -> SocketAddr {
        self.dev.daemon
    }

    /// The path of the description.
    pub(super) fn file(&self) -> PathBuf {
        self.dir.path().join("daemons.json")
    }

    /// The content of the file.
    pub(super) fn description(&self) -> Value {
        let guarded = self.dir.path().join("guarded");
        let token = std::fs::read_to_string(guarded.join("daemon/token")).expect("a token");
        let there = |address: SocketAddr, wallet: &Path| json!({"url": format!("http://{address}"), "wallet": utf8(wallet)});
        let with = |mut daemon: Value, field: &str, value: &str| {
            daemon[field] = value.into();
            daemon
        };
        let dev = there(self.dev.daemon, &self.dir.path().join("dev/wallet"));
        let guarded = there(self.guarded.daemon, &guarded.join("wallet"));
        let other_end = there(self.other_end.address(), self.other_end.stage.network.wallet());
        let daemons = json!({
            "dev": with(dev, "unix", utf8(&self.dir.path().join("socket"))),
            "token": with(guarded.clone(), "token", token.trim()),
            "wrong token": with(guarded.clone(), "token", &"0".repeat(64)),
            "no token": guarded,
            "silent": there(self.silent.daemon.address(), self.silent.network.wallet()),
            "lying": there(self.lying.daemon.address(), self.lying.network.wallet()),
            "two messages": there(self.two_messages.daemon.address(), self.two_messages.network.wallet()),
            "failing command": there(self.failing_command.daemon.address(), self.failing_command.network.wallet()),
            "other end": with(with(other_end, "token", &self.other_end.token), "key", &self.other_end.key_id),
            "nobody": there(nobody(), Path::new("/nowhere")),
        });
        json!({"domain": DOMAIN, "daemons": daemons})
    }

    pub(super) async fn stop(self) {
        self.silent.stop().await;
        self.lying.stop().await;
        self.two_messages.stop().await;
        self.failing_command.stop().await;
        self.other_end.stop().await;
    }
}

/// A daemon whose Content Server runs a command that fails after some output.
async fn failing_command() -> Stage {
    let mut stage = Stage::new().await;
    let command = running("printf half; exit 3");
    stage.network.restart_content_server_with(ServerConfig::new(command)).await.expect("a Content Server");
    stage
}

/// An address where nobody listens.
fn nobody() -> SocketAddr {
    ([127, 0, 0, 1], refusing_port()).into()
}

fn utf8(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}
