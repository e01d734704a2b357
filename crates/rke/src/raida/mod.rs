//! `rke raida`: one RAIDA node until it is told to stop, with other coins and settings when it is told so.

mod owner;

use std::thread::available_parallelism;

use anyhow::Result;
use rke_host::data_dir::{Role, claim};
use rke_raida::node::{Node, NodeConfig};

use crate::cli::{RaidaCommand, RaidaSubcommand};
use crate::log::{self, LogFilter};
use crate::protection;
use crate::sandbox::Sandbox;
use crate::settings::raida::{RaidaOptions, RaidaSettings};
use crate::settings::{LogFormat, WrongSettings};
use crate::signals::{Order, Orders};
use crate::words::in_words;

pub(crate) fn run(command: RaidaCommand) -> Result<()> {
    match command.command {
        Some(RaidaSubcommand::Owner { command }) => owner::run(command),
        None => run_node(command.options),
    }
}

fn run_node(options: RaidaOptions) -> Result<()> {
    let settings = options.clone().settle()?;
    let log_filter = log::start(&settings.log, LogFormat::Text).map_err(WrongSettings)?;
    // What is to be writable must be there.
    claim(&settings.data_dir, Role::Node(settings.raida))?;
    let sandbox = settings.sandbox();
    // What says how many there are may be closed to it later.
    let receivers = available_parallelism().map_or(1, usize::from);
    let runtime = protection::start_runtime(settings.protection, 0, Some(&sandbox))?;
    runtime.block_on(async {
        let mut orders = Orders::listen()?;
        let node = Node::start(NodeConfig {
            raida: settings.raida,
            listen: settings.listen,
            receivers,
            coin_folders: settings.coins.clone(),
            data_dir: settings.data_dir.clone(),
            rules: settings.rules.clone(),
        });
        let node = node.await?;
        sandbox.close();
        eprintln!("RAIDA {} listens on {} (UDP).", settings.raida, node.address());
        let running = Running { options, settings, sandbox, log_filter, node };
        running.obey(&mut orders).await;
        running.node.stop().await;
        Ok(())
    })
}

/// The node, and what it was started with.
struct Running {
    options: RaidaOptions,
    settings: RaidaSettings,
    sandbox: Sandbox,
    log_filter: LogFilter,
    node: Node,
}

impl Running {
    /// Does what signals ask for until one asks to stop.
    async fn obey(&self, orders: &mut Orders) {
        loop {
            match orders.next().await {
                Order::Stop => return,
                // It has no sessions.
                Order::DropEverything => (),
                Order::Reload => {
                    if let Err(error) = self.reload() {
                        tracing::error!("coins and settings are not changed: {}", in_words(&error));
                    }
                }
            }
        }
    }

    /// Takes flags, environment and file as they are now, and the coins: all, or nothing.
    fn reload(&self) -> Result<()> {
        let wanted = self.options.clone().settle()?;
        self.sandbox.expect_readable(&wanted.sandbox(), "node")?;
        let filter = log::parse(&wanted.log)?;
        let coins = self.node.reload(&wanted.coins, wanted.rules.clone())?;
        self.log_filter.change(filter)?;
        for setting in self.settings.fixed(&wanted) {
            tracing::warn!(setting, "has changed, which takes a new start");
        }
        let coins = if coins == 1 { "1 coin".to_owned() } else { format!("{coins} coins") };
        eprintln!("RAIDA {} has read its settings again, and knows {coins}.", self.settings.raida);
        Ok(())
    }
}
