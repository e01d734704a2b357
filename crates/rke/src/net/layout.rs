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
use crate::cli::net::INSTANCES;
use crate::settings::{default_data_dir, read_file};

const DNS: u16 = 25;
const CONTENT_SERVERS: u16 = 26;
const DAEMONS: u16 = 27;

/// The kind of part that may have several instances.
const CONTENT_SERVER: &str = "content-server";

/// The file that says what the network is.
pub(super) const ABOUT: &str = "network.toml";

/// A network.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct About {
    pub(super) domain: String,
    pub(super) first_port: u16,
    #[serde(default = "one")]
    pub(super) daemons: u8,
    #[serde(default = "one")]
    pub(super) content_servers: u8,
}

fn one() -> u8 {
    1
}

impl About {
    pub(super) fn raida(&self, raida: RaidaIndex) -> SocketAddr {
        self.port(u16::from(raida.get()))
    }

    pub(super) fn dns(&self) -> SocketAddr {
        self.port(DNS)
    }

    /// All have one port, which their DNS record names, and each an address of its own.
    pub(super) fn content_servers(&self) -> impl Iterator<Item = SocketAddr> {
        let port = self.content_server_port();
        (1..=self.content_servers).map(move |last| (Ipv4Addr::new(127, 0, 0, last), port).into())
    }

    pub(super) fn content_server_port(&self) -> u16 {
        self.first_port + CONTENT_SERVERS
    }

    pub(super) fn daemons(&self) -> impl Iterator<Item = SocketAddr> {
        (0..u16::from(self.daemons)).map(|daemon| self.port(DAEMONS + daemon))
    }

    /// The store that they share, if there are several of either.
    pub(super) fn store(&self) -> Option<SocketAddr> {
        let is_shared = self.daemons > 1 || self.content_servers > 1;
        is_shared.then(|| self.port(DAEMONS + u16::from(self.daemons)))
    }

    /// Where its parts listen.
    pub(super) fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        let nodes = RaidaIndex::all().map(|raida| self.raida(raida));
        nodes.chain([self.dns()]).chain(self.content_servers()).chain(self.daemons()).chain(self.store())
    }

    /// How many ports it has, one after the other.
    pub(super) fn ports(&self) -> u16 {
        DAEMONS + u16::from(self.daemons) + u16::from(self.store().is_some())
    }

    fn port(&self, after_first: u16) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.first_port + after_first).into()
    }

    /// Whether it can be: the file may have been changed.
    pub(super) fn is_possible(&self) -> bool {
        let are_possible = |count: u8| INSTANCES.contains(&i64::from(count));
        Domain::new(&self.domain).is_some()
            && are_possible(self.daemons)
            && are_possible(self.content_servers)
            && self.first_port.checked_add(DAEMONS + u16::from(self.daemons)).is_some()
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
        if !about.is_possible() {
            bail!("{} names a domain, a port or a number that cannot be", file.display());
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

    /// The store, where there is one.
    pub(super) fn store(&self) -> Option<Part> {
        self.about.store().map(|address| self.part("store", address))
    }

    pub(super) fn dns(&self) -> Part {
        self.part("dns", self.about.dns())
    }

    /// The instances of the Content Server. The first has what preloads.
    pub(super) fn content_servers(&self) -> Vec<Part> {
        self.instances(CONTENT_SERVER, self.about.content_servers())
    }

    pub(super) fn daemons(&self) -> Vec<Part> {
        self.instances("daemon", self.about.daemons())
    }

    /// All parts, in the order in which they are started: each stage needs those before it.
    pub(super) fn stages(&self) -> [Vec<Part>; 3] {
        let base = self.nodes().chain(self.store()).chain([self.dns()]).collect();
        [base, self.content_servers(), self.daemons()]
    }

    /// All parts, in the order in which they are started.
    pub(super) fn parts(&self) -> Vec<Part> {
        self.stages().into_iter().flatten().collect()
    }

    fn part(&self, name: &str, address: SocketAddr) -> Part {
        Part { name: name.into(), folder: self.dir.join(name), address }
    }

    /// Parts of one kind. They have numbers if there are several.
    fn instances(&self, kind: &str, addresses: impl Iterator<Item = SocketAddr>) -> Vec<Part> {
        let addresses: Vec<SocketAddr> = addresses.collect();
        match addresses[..] {
            [only] => vec![self.part(kind, only)],
            _ => {
                let numbered = (1..).zip(addresses);
                numbered.map(|(number, address)| self.part(&format!("{kind}-{number}"), address)).collect()
            }
        }
    }

    /// The folder of the Content Server that preloads.
    fn preloading(&self) -> PathBuf {
        let first = self.content_servers().into_iter().next();
        first.map_or_else(|| self.dir.join(CONTENT_SERVER), |part| part.folder)
    }

    /// The user's wallet.
    pub(super) fn wallet(&self) -> PathBuf {
        self.dir.join("wallet")
    }

    /// The wallet with the coin that preloads.
    pub(super) fn server_wallet(&self) -> PathBuf {
        self.preloading().join("wallet")
    }

    /// The data folder with the master secrets that were preloaded.
    pub(super) fn preloaded(&self) -> PathBuf {
        self.preloading().join("data")
    }

    /// The addresses of the nodes, for preloading.
    pub(super) fn raida_directory(&self) -> PathBuf {
        self.preloading().join("raidas.txt")
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
