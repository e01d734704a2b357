//! The daemons of `rke dev`: one, or several that share their sessions in a store. The store is a process of its own that ends with this
//! one, however it ends.

use std::fs::{self, File};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use rke_daemon::{Daemon, Inherited};
use rke_engine::settings::Config;
use rke_engine::settings::access::TokenRule;
use rke_engine::settings::listen::Listen;
use rke_host::durable::write_atomically;
use rke_shared_store::key_file::add_key;
use rke_shared_store::{Addresses, Deployment, Sharing};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::local_store::{CONFIGURATION, LocalStore};

/// Runs the store until the standard input ends, which it does with the process that has started it.
const UNTIL_THE_INPUT_ENDS: &str = "\"$0\" \"$1\" & read -r _; kill $!; wait";

const LOG: &str = "log";

/// How long it may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(10);
const BETWEEN_TRIES: Duration = Duration::from_millis(20);

const HOLD: Duration = Duration::from_secs(1);

/// The running daemons.
pub(super) struct Daemons {
    pub(super) first: Daemon,
    pub(super) others: Vec<Daemon>,
}

impl Daemons {
    /// Starts the first one with these settings, and with a store `others` more, on free ports. `give_up_rights` is called when all of
    /// them listen.
    pub(super) async fn start(
        mut config: Config,
        store: Option<&Store>,
        others: u8,
        give_up_rights: impl FnOnce(),
    ) -> Result<Self> {
        let Some(store) = store else {
            let first = Daemon::start_on(config, Inherited::default(), give_up_rights).await?;
            return Ok(Self { first, others: Vec::new() });
        };
        config.fixed.store = Some(store.ready().await?);
        let mut daemons = Self { first: Daemon::start(config.clone()).await?, others: Vec::new() };
        config.fixed.listen = vec![Listen::Address((Ipv4Addr::LOCALHOST, 0).into())];
        config.fixed.unix_socket = None;
        config.fixed.token =
            daemons.first.token_file().map_or(TokenRule::None, |file| TokenRule::Shared(file.into()));
        for number in 0..others {
            config.fixed.data_dir.set_file_name(format!("daemon-{}", number + 2));
            daemons.others.push(Daemon::start(config.clone()).await?);
        }
        give_up_rights();
        Ok(daemons)
    }

    pub(super) async fn stop(self) {
        for daemon in self.others {
            daemon.stop().await;
        }
        self.first.stop().await;
    }
}

/// A running store. Dropping it stops it.
pub(super) struct Store {
    process: Child,
    sharing: Sharing,
    pub(super) address: SocketAddr,
}

impl Store {
    /// Starts a store with its files in this folder. Call this before the process is protected: the store has the rights that the process
    /// has at that time.
    pub(super) fn start(folder: &Path) -> Result<Self> {
        Self::start_in(folder).with_context(|| format!("cannot start a store in {}", folder.display()))
    }

    fn start_in(folder: &Path) -> Result<Self> {
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let store = LocalStore::plan(address)?;
        fs::create_dir_all(folder)?;
        let configuration = store.configuration();
        write_atomically(folder, &folder.join(CONFIGURATION), |file| {
            file.write_all(configuration.as_bytes())
        })?;
        let log = File::create(folder.join(LOG))?;
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", UNTIL_THE_INPUT_ENDS, store.program, CONFIGURATION]).current_dir(folder);
        // Ctrl-C is for this process alone: the daemons need the store until they have stopped.
        shell.stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log).process_group(0);
        let process = shell.spawn()?;
        let addresses = Addresses { urls: vec![store.url()], deployment: Deployment::Single };
        let sharing = Sharing { addresses, key_file: folder.join("store.key"), hold: HOLD };
        Ok(Self { process, sharing, address })
    }

    /// Waits until it can be used. Returns what the daemons need to know. Call this when the process is protected: it makes the key.
    async fn ready(&self) -> Result<Sharing> {
        if !self.sharing.key_file.exists() {
            add_key(&self.sharing.key_file)?;
        }
        let connected = timeout(START_TIMEOUT, async {
            while TcpStream::connect(self.address).await.is_err() {
                sleep(BETWEEN_TRIES).await;
            }
        });
        let log = self.sharing.key_file.with_file_name(LOG);
        connected.await.with_context(|| format!("the store does not start; its log is {}", log.display()))?;
        Ok(self.sharing.clone())
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}
