//! A network in a folder: what it is, which parts it has, and where each of them is.

use std::fs::{File, TryLockError};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use rke_engine::Domain;
use rke_proto::RaidaIndex;
use serde::{Deserialize, Serialize};

use super::part::Part;
use crate::cli::net::PORTS;
use crate::settings::{default_data_dir, read_file};

const DNS: u16 = 25;
const CONTENT_SERVER: u16 = 26;
const DAEMON: u16 = 27;

/// The file that says what the network is.
pub(super) const ABOUT: &str = "network.toml";

/// A network.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct About {
    pub(super) domain: String,
    pub(super) first_port: u16,
}

impl About {
    pub(super) fn raida(&self, raida: RaidaIndex) -> SocketAddr {
        self.port(u16::from(raida.get()))
    }

    pub(super) fn dns(&self) -> SocketAddr {
        self.port(DNS)
    }

    pub(super) fn content_server(&self) -> SocketAddr {
        self.port(CONTENT_SERVER)
    }

    pub(super) fn daemon(&self) -> SocketAddr {
        self.port(DAEMON)
    }

    fn port(&self, after_first: u16) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.first_port + after_first).into()
    }
}

/// A network and its folder.
pub(super) struct Network {
    pub(super) dir: PathBuf,
    pub(super) about: About,
}

impl Network {
    /// The network in a folder; `None` if the folder has none.
    pub(super) fn find(dir: &Path) -> Result<Option<Self>> {
        let file = dir.join(ABOUT);
        if !file.try_exists().with_context(|| format!("cannot look at {}", file.display()))? {
            return Ok(None);
        }
        let about: About = read_file(&file)?;
        if Domain::new(&about.domain).is_none() || about.first_port > u16::MAX - PORTS {
            bail!("{} names a domain or a port that cannot be", file.display());
        }
        Ok(Some(Self { dir: dir.into(), about }))
    }

    /// The same, where there has to be one.
    pub(super) fn open(dir: &Path) -> Result<Self> {
        let none = || {
            format!(
                "no network is in {}; `rke net up` makes one, and --dir names another folder",
                dir.display()
            )
        };
        Self::find(dir)?.with_context(none)
    }

    /// Keeps other commands from starting and stopping parts, for as long as the file is open.
    pub(super) fn lock(&self) -> Result<File> {
        let path = self.dir.join(ABOUT);
        let file = File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => {
                bail!(
                    "another `rke net` is starting or stopping the network in {}; wait for it",
                    self.dir.display()
                )
            }
            Err(TryLockError::Error(error)) => Err(error).context("cannot lock the network"),
        }
    }

    /// The nodes, RAIDA 0 first.
    pub(super) fn nodes(&self) -> impl Iterator<Item = Part> {
        RaidaIndex::all().map(|raida| self.part(&node_name(raida), self.about.raida(raida)))
    }

    /// What needs the nodes, in the order in which it is started.
    pub(super) fn others(&self) -> [Part; 3] {
        [
            self.part("dns", self.about.dns()),
            self.part("content-server", self.about.content_server()),
            self.part("daemon", self.about.daemon()),
        ]
    }

    /// All parts, in the order in which they are started.
    pub(super) fn parts(&self) -> Vec<Part> {
        self.nodes().chain(self.others()).collect()
    }

    fn part(&self, name: &str, address: SocketAddr) -> Part {
        Part { name: name.into(), folder: self.dir.join(name), address }
    }

    /// The user's wallet.
    pub(super) fn wallet(&self) -> PathBuf {
        self.dir.join("wallet")
    }

    /// The wallet with the coin that preloads.
    pub(super) fn server_wallet(&self) -> PathBuf {
        self.dir.join("content-server/wallet")
    }

    /// The socket of the Content Server's interface for its application.
    pub(super) fn api(&self) -> PathBuf {
        self.dir.join("content-server/api.sock")
    }

    /// The addresses of the nodes, for preloading.
    pub(super) fn raida_directory(&self) -> PathBuf {
        self.dir.join("content-server/raidas.txt")
    }

    /// The DNS records, once the nodes are preloaded.
    pub(super) fn records(&self) -> PathBuf {
        self.dir.join("dns/records.zone")
    }
}

/// The name of a node, and of its folder.
pub(super) fn node_name(raida: RaidaIndex) -> String {
    format!("raida-{raida}")
}

/// The folder of the network.
pub(super) fn folder(named: Option<&Path>) -> Result<PathBuf> {
    let folder = match named {
        Some(dir) => std::path::absolute(dir),
        None => Ok(default_data_dir()?.with_file_name("rke-net")),
    };
    folder.map_err(|error: io::Error| error).context("the folder of --dir has no path")
}
