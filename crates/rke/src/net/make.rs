//! Makes the files of a network: coins, the settings of each part, and the scripts that run them. All paths in them are relative to the
//! part's own folder, so that a folder can be moved to the machine that is to run the part.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context, Result, bail};
use rke_engine::Domain;
use rke_proto::coin::{CoinId, CoinStatus};
use rke_proto::{RAIDA_COUNT, RaidaIndex};
use rke_raida::mint::{file_name, make_wallet, mint};
use rke_raida::split::split;

use super::files::{quoted, script, write, write_script};
use super::layout::{ABOUT, About, Network, node_name};
use super::part::{METRICS, Part};
use super::shared;
use crate::cli::net::Ports;
use crate::local_store::LocalStore;

/// The Content Server ID.
pub(super) const CS_ID: &str = "CONTENT-SERVER";

/// The coins of the user.
const USER_COINS: [CoinId; 2] =
    [CoinId { denomination: 0, serial: 1001 }, CoinId { denomination: 0, serial: 1002 }];

/// The coin that preloads.
const PRELOADER: CoinId = CoinId { denomination: 0, serial: 42 };

/// The first ports to try: below those that systems give to connections.
const FREE_PORTS: std::ops::Range<u16> = 10_000..30_000;

/// What a network is made of.
pub(super) struct Plan<'a> {
    pub(super) domain: &'a Domain,
    pub(super) exec: Option<&'a str>,
    pub(super) daemons: u8,
    pub(super) content_servers: u8,
    pub(super) ports: Ports,
}

/// Makes a network in a folder that is empty or missing: whole or not at all.
pub(super) fn make(dir: &Path, plan: &Plan) -> Result<Network> {
    if fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some()) {
        bail!(
            "{} has other files in it; name an empty folder with --dir, or one that is missing",
            dir.display()
        );
    }
    let about = find_place(plan)?;
    let store = about.store().map(LocalStore::plan).transpose()?;
    let parent = dir.parent().context("a network needs a folder of its own")?;
    fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    let only_owner = Permissions::from_mode(0o700);
    let unfinished = tempfile::Builder::new().prefix(".rke-net-").permissions(only_owner).tempdir_in(parent);
    let unfinished = unfinished.with_context(|| format!("cannot make a folder in {}", parent.display()))?;
    let network = Network { dir: unfinished.path().into(), about };
    fill(&network, plan, store.as_ref())
        .with_context(|| format!("cannot make the network in {}", parent.display()))?;
    fs::rename(unfinished.path(), dir).with_context(|| format!("cannot make {}", dir.display()))?;
    Ok(Network { dir: dir.into(), ..network })
}

fn fill(network: &Network, plan: &Plan, store: Option<&LocalStore>) -> Result<()> {
    let dir = &network.dir;
    make_wallet(&network.wallet())?;
    for part in network.parts() {
        DirBuilder::new().mode(0o700).create(&part.folder)?;
    }
    make_wallet(&network.server_wallet())?;
    let users = USER_COINS.map(|coin| network.wallet().join("Bank").join(file_name(coin)));
    let preloader = network.server_wallet().join("Bank").join(file_name(PRELOADER));
    let [first, second] = &users;
    for (coin, file) in USER_COINS.iter().chain([&PRELOADER]).zip([first, second, &preloader]) {
        mint(file, &[*coin], [CoinStatus::Passed; RAIDA_COUNT])?;
    }
    let parts = dir.join("parts");
    split(&[first.clone(), second.clone(), preloader.clone()], &parts)?;
    for raida in RaidaIndex::all() {
        make_node(network, raida, &parts)?;
    }
    fs::remove_dir(&parts)?;
    let directory: String =
        RaidaIndex::all().map(|raida| format!("{} {raida}\n", network.about.raida(raida))).collect();
    write(&network.raida_directory(), &directory)?;
    make_others(network, plan.exec, store)?;
    if let (Some(store), Some(part)) = (store, network.store()) {
        shared::make(network, store, &part)?;
    }
    write(
        &dir.join(ABOUT),
        &format!("# A network that `rke net up` has made.\n{}", toml::to_string(&network.about)?),
    )?;
    Ok(())
}

fn make_node(network: &Network, raida: RaidaIndex, parts: &Path) -> io::Result<()> {
    let name = node_name(raida);
    let folder = network.dir.join(&name);
    fs::rename(parts.join(&name), folder.join("coins"))?;
    let listen = network.about.raida(raida);
    let settings = format!(
        "# RAIDA {raida}. Paths are relative to the folder of this file.\nindex = {raida}\nlisten = \"{listen}\"\n\
         coins = [\"coins\"]\ndata-dir = \"data\"\npreloader = [\"{PRELOADER}={CS_ID}\"]\n"
    );
    write(&folder.join("raida.toml"), &settings)?;
    write_script(&folder, &own_script(&format!("raida --config raida.toml --metrics unix:{METRICS}")))
}

fn make_others(network: &Network, exec: Option<&str>, store: Option<&LocalStore>) -> io::Result<()> {
    let dns = network.dns();
    let addresses: String =
        network.about.content_servers().map(|server| format!(" --host-address {}", server.ip())).collect();
    let serve = format!("net dns --records records.zone --listen {}{addresses}", dns.address);
    write_script(&dns.folder, &own_script(&serve))?;
    for server in network.content_servers() {
        make_content_server(network, &server, exec, store)?;
    }
    for daemon in network.daemons() {
        let settings = format!(
            "# The daemon. Paths are relative to the folder of this file.\nlisten = \"{}\"\ndata-dir = \"data\"\n\
             # The DNS server of this network; without this line, the system's.\ndns-server = \"{}\"\n\
             # RAIDA nodes on loopback.\nallow-private-raidas = true\n{}",
            daemon.address,
            dns.address,
            store.map(shared::settings_of_daemon).unwrap_or_default()
        );
        write(&daemon.folder.join("rke.toml"), &settings)?;
        write_script(&daemon.folder, &own_script("serve --config rke.toml"))?;
    }
    Ok(())
}

fn make_content_server(
    network: &Network,
    server: &Part,
    exec: Option<&str>,
    store: Option<&LocalStore>,
) -> io::Result<()> {
    let mut serve = format!(
        "content-server serve --cs-id {CS_ID} --data-dir data --domain {} --listen {} \\\n    --api unix:api.sock --metrics unix:{METRICS}",
        network.about.domain, server.address
    );
    if let Some(store) = store {
        let name = "content-server.toml";
        let settings = format!(
            "# The Content Server. Paths are relative to the folder of this file.\n{}",
            shared::settings(store)
        );
        write(&server.folder.join(name), &settings)?;
        serve += &format!(" --config {name}");
    }
    if let Some(command) = exec {
        serve += &format!(" \\\n    --exec {}", quoted(command));
    }
    write_script(&server.folder, &own_script(&serve))
}

/// A script that runs this program in its own folder. The variable `RKE` names another program than `rke`.
fn own_script(arguments: &str) -> String {
    script(&format!("\"${{RKE:-rke}}\" {arguments}"))
}

/// Finds ports for a network, one after the other, all free.
fn find_place(plan: &Plan) -> Result<About> {
    let at = |first_port| About {
        domain: plan.domain.to_string(),
        first_port,
        daemons: plan.daemons,
        content_servers: plan.content_servers,
    };
    let ports = at(0).ports();
    let taken = |about: &About| about.addresses().find(|address| !is_free(*address));
    match plan.ports {
        Ports::From(first) => {
            let about = at(first);
            if !about.is_possible() {
                bail!(
                    "the network needs {ports} ports, and fewer come after {first}; name a lower one with --ports"
                );
            }
            match taken(&about) {
                None => Ok(about),
                Some(address) => {
                    bail!("{address} is in use; name another first port with --ports, or leave it out")
                }
            }
        }
        Ports::Auto => {
            let count = usize::from(FREE_PORTS.end - FREE_PORTS.start) / usize::from(ports);
            // Two networks that are made at the same time begin to look at different places.
            let start = std::process::id() as usize % count;
            let places =
                (0..count).map(|place| at(FREE_PORTS.start + ((start + place) % count) as u16 * ports));
            let free = places.into_iter().find(|about| taken(about).is_none());
            free.with_context(|| format!("no {ports} free ports are in a row; name the first with --ports"))
        }
    }
}

fn is_free(address: SocketAddr) -> bool {
    TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok()
}
