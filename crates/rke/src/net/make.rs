//! Makes the files of a network: coins, the settings of each part, and the scripts that run them. All paths in them are relative to the
//! part's own folder, so that a folder can be moved to the machine that is to run the part.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context, Result, bail};
use rke_engine::Domain;
use rke_host::durable::write_new;
use rke_proto::coin::{CoinId, CoinStatus};
use rke_proto::{RAIDA_COUNT, RaidaIndex};
use rke_raida::mint::{file_name, make_wallet, mint};
use rke_raida::split::split;

use super::layout::{ABOUT, About, Network, node_name};
use super::part::RUN;
use crate::cli::net::{PORTS, Ports};

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
    let first_port = first_port(plan.ports)?;
    let parent = dir.parent().context("a network needs a folder of its own")?;
    fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    let only_owner = Permissions::from_mode(0o700);
    let unfinished = tempfile::Builder::new().prefix(".rke-net-").permissions(only_owner).tempdir_in(parent);
    let unfinished = unfinished.with_context(|| format!("cannot make a folder in {}", parent.display()))?;
    let about = About { domain: plan.domain.to_string(), first_port };
    let network = Network { dir: unfinished.path().into(), about };
    fill(&network, plan).with_context(|| format!("cannot make the network in {}", parent.display()))?;
    fs::rename(unfinished.path(), dir).with_context(|| format!("cannot make {}", dir.display()))?;
    Ok(Network { dir: dir.into(), ..network })
}

fn fill(network: &Network, plan: &Plan) -> Result<()> {
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
    make_others(network, plan.exec)?;
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
    write_script(&folder, &script("raida --config raida.toml"))
}

fn make_others(network: &Network, exec: Option<&str>) -> io::Result<()> {
    let About { domain, .. } = &network.about;
    let [dns, content_server, daemon] = network.others();
    write_script(&dns.folder, &script(&format!("net dns --records records.zone --listen {}", dns.address)))?;
    let exec = exec.map(|command| format!(" \\\n    --exec {}", quoted(command))).unwrap_or_default();
    let serve = format!(
        "content-server serve --cs-id {CS_ID} --data-dir data --domain {domain} --listen {} \\\n    --api unix:api.sock{exec}",
        content_server.address
    );
    write_script(&content_server.folder, &script(&serve))?;
    let settings = format!(
        "# The daemon. Paths are relative to the folder of this file.\nlisten = \"{}\"\ndata-dir = \"data\"\n\
         # The DNS server of this network; without this line, the system's.\ndns-server = \"{}\"\n\
         # RAIDA nodes on loopback.\nallow-private-raidas = true\n",
        daemon.address, dns.address
    );
    write(&daemon.folder.join("rke.toml"), &settings)?;
    write_script(&daemon.folder, &script("serve --config rke.toml"))
}

/// A script that runs this program in its own folder. The variable `RKE` names another program than `rke`.
fn script(arguments: &str) -> String {
    format!("#!/bin/sh\ncd \"$(dirname \"$0\")\" && exec \"${{RKE:-rke}}\" {arguments}\n")
}

/// A text as one word of a shell.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Writes a script that only its owner can change and run.
fn write_script(folder: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o700).open(folder.join(RUN))?;
    file.write_all(text.as_bytes())
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    write_new(folder, path, |file| file.write_all(text.as_bytes()))
}

/// The first of as many ports as a network needs, one after the other, all free.
fn first_port(ports: Ports) -> Result<u16> {
    let is_free =
        |first: u16| (first..first + PORTS).find(|port| !is_port_free(*port)).map_or(Ok(first), Err);
    match ports {
        Ports::From(first) => is_free(first).map_err(|port| {
            anyhow::anyhow!("port {port} is in use; name another first port with --ports, or leave it out")
        }),
        Ports::Auto => {
            let count = usize::from(FREE_PORTS.end - FREE_PORTS.start) / usize::from(PORTS);
            // Two networks that are made at the same time begin to look at different places.
            let start = std::process::id() as usize % count;
            let firsts = (0..count).map(|at| FREE_PORTS.start + ((start + at) % count) as u16 * PORTS);
            let free = firsts.filter_map(|first| is_free(first).ok()).next();
            free.with_context(|| format!("no {PORTS} free ports are in a row; name the first with --ports"))
        }
    }
}

fn is_port_free(port: u16) -> bool {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_text_is_one_word_of_a_shell() {
        let text = "printf '%s' \"$HOME\" `date` \\";
        let echo = format!("printf %s {}", quoted(text));
        let said = std::process::Command::new("sh").args(["-c", &echo]).output().expect("sh runs");
        assert_eq!(String::from_utf8_lossy(&said.stdout), text);
    }
}
