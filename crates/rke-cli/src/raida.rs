//! `rke raida`: one RAIDA node until it is told to stop, and which coin owns which Content Server ID there.

use std::path::Path;

use anyhow::{Context, Result};
use jiff::Timestamp;
use rke_host::data_dir::{Role, claim};
use rke_host::sandbox::{Files, Reading};
use rke_host::wallet::Envelope1;
use rke_proto::ContentServerId;
use rke_proto::coin::CoinId;
use rke_raida::node::{Node, NodeConfig};
use rke_raida::owners::{self, Ownership};
use rke_raida::responder::{Imitation, Rules};
use rke_secret::process::{Inspection, harden};

use crate::cli::{OwnerCommand, RaidaCommand, RaidaOptions, RaidaSubcommand};
use crate::sandbox::Sandbox;
use crate::settings::LogFormat;
use crate::terminal::{Cell, out, table};
use crate::{log, protection, signals};

pub(crate) fn run(command: RaidaCommand) -> Result<()> {
    match command.command {
        Some(RaidaSubcommand::Owner { command }) => owner(command),
        None => run_node(command.options),
    }
}

fn run_node(options: RaidaOptions) -> Result<()> {
    log::start(&options.log.log, LogFormat::Text)?;
    let RaidaOptions { index: Some(raida), listen: Some(listen), data_dir: Some(data_dir), .. } = options
    else {
        unreachable!("without a subcommand they are required")
    };
    // What is to be writable must be there.
    claim(&data_dir, Role::Node(raida))?;
    let files = Files::new(Reading::Limited).write(&data_dir);
    let files = options.coins.iter().map(AsRef::as_ref).fold(files, Files::read);
    let sandbox = Sandbox::new(options.sandbox.sandbox, files);
    let config = NodeConfig {
        raida,
        listen,
        coin_folders: options.coins,
        data_dir,
        rules: Rules {
            preloaders: options.preloader.into_iter().collect(),
            envelope_1: if options.allow_envelope_1 { Envelope1::Allowed } else { Envelope1::Refused },
            replay_places: options.replay_memory,
            imitates: Imitation::Nobody,
        },
    };
    let runtime = protection::start_runtime(options.protection, 0, Some(&sandbox))?;
    runtime.block_on(serve(config, &sandbox))
}

async fn serve(config: NodeConfig, sandbox: &Sandbox) -> Result<()> {
    let mut orders = signals::Orders::listen()?;
    let raida = config.raida;
    let node = Node::start(config).await?;
    sandbox.close();
    eprintln!("RAIDA {raida} listens on {} (UDP).", node.address());
    orders.stop().await;
    node.stop().await;
    Ok(())
}

fn owner(command: OwnerCommand) -> Result<()> {
    harden(Inspection::Refused).context("cannot harden the process")?;
    match command {
        OwnerCommand::List { data_dir } => list(&data_dir),
        OwnerCommand::Move { cs_id, coin, data_dir } => move_to(&data_dir, &cs_id, coin),
    }
}

fn list(data_dir: &Path) -> Result<()> {
    let all = owners::list(data_dir)?;
    if all.is_empty() {
        return out("Nothing has been preloaded at this node.");
    }
    out(&table(&["CS ID", "OWNER", "KEY SETS", "LAST PRELOAD"], all.iter().map(row)))
}

fn row(ownership: &Ownership) -> Vec<Cell> {
    let last = ownership.last_preload.and_then(|at| Timestamp::from_second(at.try_into().ok()?).ok());
    let last = last.map_or_else(|| "-".to_owned(), |at| at.to_string());
    vec![
        Cell::new(ownership.cs_id),
        Cell::new(ownership.owner),
        Cell::new(names_of(ownership)),
        Cell::new(last),
    ]
}

fn names_of(ownership: &Ownership) -> String {
    let names: Vec<String> = ownership.key_sets.iter().map(ToString::to_string).collect();
    if names.is_empty() { "-".into() } else { names.join(", ") }
}

fn move_to(data_dir: &Path, cs_id: &ContentServerId, coin: CoinId) -> Result<()> {
    let before = owners::move_to(data_dir, cs_id, coin)?;
    let removed = match before.key_sets.is_empty() {
        true => "It had no key sets.".to_owned(),
        false => format!("Its key sets are removed: {}.", names_of(&before)),
    };
    out(&format!(
        "{} belonged to coin {} and belongs to coin {coin} now. {removed}",
        before.cs_id, before.owner
    ))
}
