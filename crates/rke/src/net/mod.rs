//! `rke net`: a network of one's own on this machine. Each part is a process of its own, made from plain files that can move to
//! another machine.

mod files;
mod layout;
mod make;
mod overview;
mod part;
mod shared;
mod start;

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use rke_raida::dns::DnsServer;

use self::layout::{Network, folder};
use self::make::{Plan, make};
use self::overview::{metrics, overview};
use crate::cli::net::{NetCommand, Ports, UpOptions};
use crate::protection::{Protection, start_runtime};
use crate::records_file::read_records;
use crate::signals::Orders;
use crate::terminal::Narrow::{Cut, LeftOut, Wraps};
use crate::terminal::{Cell, Narrow, fitted, out, say};
use crate::words::counted;

const COLUMNS: [(&str, Narrow); 3] = [("PART", Cut(17)), ("ADDRESS", LeftOut(1)), ("STATE", Wraps)];

pub(crate) fn run(command: NetCommand) -> Result<()> {
    match command {
        NetCommand::Up(options) => up(&options),
        NetCommand::Status { place } => status(&Network::open(&folder(place.dir.as_deref())?)?),
        NetCommand::Down { place } => down(&Network::open(&folder(place.dir.as_deref())?)?),
        NetCommand::Dns { records, listen, addresses } => dns(&records, listen, &addresses),
    }
}

fn up(options: &UpOptions) -> Result<()> {
    // The process must be protected before it makes ANs.
    let runtime = start_runtime(options.protection, 0, None)?;
    let dir = folder(options.place.dir.as_deref())?;
    let network = match Network::find(&dir)? {
        Some(network) => unchanged(network, options)?,
        None => {
            let domain = options.domain.as_ref();
            let domain = domain.context("a new network needs a domain: --domain content.example.com")?;
            let plan = Plan {
                domain,
                exec: options.exec.as_deref(),
                daemons: options.daemons.unwrap_or(1),
                content_servers: options.content_servers.unwrap_or(1),
                ports: options.ports,
            };
            make(&dir, &plan)?
        }
    };
    let _lock = network.lock()?;
    runtime.block_on(start::start(&network))?;
    out(&overview(&network, options.place.dir.is_some()))
}

/// The network that is there already, unless the options want another one.
fn unchanged(network: Network, options: &UpOptions) -> Result<Network> {
    let (dir, domain) = (network.dir.display(), &network.about.domain);
    if options.domain.as_ref().is_some_and(|wanted| wanted.as_str() != domain) {
        bail!("the network in {dir} is that of {domain}; name another folder with --dir");
    }
    if options.ports != Ports::Auto {
        bail!("the network in {dir} has its ports already: they are in the settings of each part");
    }
    if options.exec.is_some() {
        bail!(
            "the network in {dir} has its command already: it is in the file `run` of each Content Server's folder there"
        );
    }
    for (wanted, has, what) in [
        (options.daemons, network.about.daemons, "daemon"),
        (options.content_servers, network.about.content_servers, "Content Server"),
    ] {
        if wanted.is_some_and(|wanted| wanted != has) {
            let has = counted(has.into(), what);
            bail!("the network in {dir} has {has}, and `up` adds none; name another folder with --dir");
        }
    }
    Ok(network)
}

fn status(network: &Network) -> Result<()> {
    let mut missing = 0;
    let rows = network.parts().into_iter().map(|part| {
        let state = match (part.process_id(), part.is_here()) {
            (Some(id), _) => format!("running, process {id}"),
            (None, false) => "elsewhere: its folder is not here".into(),
            (None, true) => {
                missing += 1;
                "not running".into()
            }
        };
        vec![Cell::new(&part.name), Cell::new(part.address), Cell::new(state)]
    });
    let rows: Vec<_> = rows.collect();
    out(&fitted(&COLUMNS, rows))?;
    out(&format!("Metrics: {}", metrics(network)))?;
    if missing > 0 {
        bail!(
            "{} not running; `rke net up` starts them, and the file `log` in the folder of each, in {}, says why it ended",
            counted(missing, "part"),
            network.dir.display()
        );
    }
    Ok(())
}

fn down(network: &Network) -> Result<()> {
    let _lock = network.lock()?;
    let running = network.parts().iter().filter(|part| part.process_id().is_some()).count();
    let since = Instant::now();
    // The daemons first: a daemon that shares no sessions has the Content Server wipe the keys of its own.
    for stage in network.stages().iter().rev() {
        stage.iter().for_each(part::Part::terminate);
        for part in stage {
            tell_killed(&part.name, part.wait_for_end(since));
        }
    }
    let dir = network.dir.display();
    out(&format!("{} stopped. Coins, keys and settings are still in {dir}.", counted(running, "part")))
}

fn tell_killed(part: &str, killed: bool) {
    if killed {
        say(&format!("{part} did not stop and was killed."));
    }
}

/// Answers DNS queries until it is told to stop.
fn dns(records: &Path, listen: SocketAddr, addresses: &[IpAddr]) -> Result<()> {
    let found = read_records(records)?;
    let runtime = start_runtime(Protection::default(), 0, None)?;
    runtime.block_on(async {
        let mut orders = Orders::listen()?;
        let server = DnsServer::start_for_several(listen, &found, addresses).await?;
        say(&format!("The DNS server listens on {listen} (UDP and TCP)."));
        orders.stop().await;
        server.stop().await;
        Ok(())
    })
}
