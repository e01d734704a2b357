//! `rke raida`: runs one RAIDA node until a signal stops it. SIGHUP reloads its coins and settings.

mod owner;

use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use anyhow::Result;
use rke_host::data_dir::{Role, claim};
use rke_host::monitored::LastReload;
use rke_raida::node::{CoinCount, CoinWatch, Node, NodeConfig};
use tokio::time::{MissedTickBehavior, interval};

use crate::cli::{RaidaCommand, RaidaSubcommand};
use crate::log::{self, LogFilter};
use crate::monitor;
use crate::protection;
use crate::sandbox::Sandbox;
use crate::settings::raida::{RaidaOptions, RaidaSettings};
use crate::settings::{Settle, WrongSettings, check};
use crate::signals::{Order, Orders};
use crate::status::{self, Program};
use crate::terminal::say;
use crate::words::{counted, in_words};

/// How often a node looks whether its coin files have changed. It reads them at the second look that finds the same.
const LOOK_AT_COINS: Duration = Duration::from_secs(2);

pub(crate) fn run(command: RaidaCommand) -> Result<()> {
    match command.command {
        Some(RaidaSubcommand::Owner { command }) => owner::run(command),
        Some(RaidaSubcommand::Status(options)) => status::run(Program::Node, &options),
        None => run_node(command.options),
    }
}

fn run_node(options: RaidaOptions) -> Result<()> {
    let settings = options.clone().settle()?;
    if options.check_config {
        return check(options.config.as_deref(), || look(&settings));
    }
    let rules = settings.rules()?;
    monitor::check(settings.metrics.as_ref())?;
    let log_filter = log::start(&settings.process.log, settings.process.log_format).map_err(WrongSettings)?;
    // The sandbox can only make a folder writable that exists.
    claim(&settings.data_dir, Role::Node(settings.raida))?;
    let sandbox = settings.sandbox();
    // The sandbox may close the files that this number comes from.
    let receivers = available_parallelism().map_or(1, usize::from);
    let runtime = protection::start_runtime(settings.process.protection, 0, Some(&sandbox))?;
    runtime.block_on(async {
        let mut orders = Orders::listen()?;
        // Before the node starts, so that nothing can fail once it has said that it listens.
        let metrics = monitor::listen(settings.metrics.as_ref()).await?;
        let watch = CoinWatch::new(settings.coins.clone());
        let node = Node::start(NodeConfig {
            raida: settings.raida,
            listen: settings.listen,
            receivers,
            coin_folders: settings.coins.clone(),
            data_dir: settings.data_dir.clone(),
            rules,
            audit_log: settings.process.audit_log.clone(),
        });
        let node = node.await?;
        let last_reload = Arc::default();
        let monitor = monitor::start(metrics, &node.monitored(), &last_reload);
        sandbox.close();
        let with_others = warn_of_others(0, node.coins());
        monitor::tell_where(monitor.as_ref());
        say(&format!("RAIDA {} listens on {} (UDP).", settings.raida, node.address()));
        let mut running =
            Running { options, settings, sandbox, log_filter, node, watch, with_others, last_reload };
        running.obey(&mut orders).await;
        monitor::stop(monitor).await;
        running.node.stop().await;
        Ok(())
    })
}

/// Reads everything that the settings name, coins included, as a start would.
fn look(settings: &RaidaSettings) -> Result<()> {
    log::parse(&settings.process.log)?;
    settings.rules()?;
    monitor::check(settings.metrics.as_ref())?;
    Ok(Node::check_coins(settings.raida, &settings.coins)?)
}

/// The node, and the options and settings that it was started with.
struct Running {
    options: RaidaOptions,
    settings: RaidaSettings,
    sandbox: Sandbox,
    log_filter: LogFilter,
    node: Node,
    /// Its coin files.
    watch: CoinWatch,
    /// How many of them have the ANs of other RAIDAs too.
    with_others: usize,
    last_reload: Arc<LastReload>,
}

impl Running {
    /// Obeys signals until one of them stops the node, and takes the coins that are put into its folders meanwhile.
    async fn obey(&mut self, orders: &mut Orders) {
        let mut looks = interval(LOOK_AT_COINS);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let order = tokio::select! {
                order = orders.next() => order,
                _ = looks.tick() => {
                    self.look_at_coins();
                    continue;
                }
            };
            match order {
                Order::Stop => return,
                // A node has no sessions.
                Order::DropEverything => (),
                Order::Reload => {
                    self.node.reopen_audit_log();
                    let reloaded = self.reload();
                    self.last_reload.note(&reloaded);
                    if let Err(error) = reloaded {
                        tracing::error!("coins and settings are not changed: {}", in_words(&error));
                    }
                }
            }
        }
    }

    /// Reloads flags, environment, file and coins: all of them, or none if one is wrong.
    fn reload(&mut self) -> Result<()> {
        let wanted = self.options.clone().settle()?;
        self.sandbox.expect_readable(&wanted.sandbox(), "node")?;
        let filter = log::parse(&wanted.process.log)?;
        // Files that change while they are read are read again.
        let watch = CoinWatch::new(wanted.coins.clone());
        let count = self.node.reload(&wanted.coins, wanted.rules()?)?;
        self.watch = watch;
        self.log_filter.change(filter)?;
        for setting in self.settings.fixed(&wanted) {
            tracing::warn!(setting, "has changed; restart to apply it");
        }
        self.knows(count, "settings");
        Ok(())
    }

    /// Reads the coin files again if they have changed.
    fn look_at_coins(&mut self) {
        if !self.watch.has_changed() {
            return;
        }
        match self.node.reload_coins(self.watch.folders()) {
            Ok(count) => self.knows(count, "coins"),
            Err(error) => tracing::error!("coins are not changed: {error}"),
        }
    }

    /// Says what the node knows now that it has read its `settings` or `coins` again.
    fn knows(&mut self, count: CoinCount, read: &str) {
        self.with_others = warn_of_others(self.with_others, count);
        let coins = counted(count.coins, "coin");
        say(&format!("RAIDA {} has read its {read} again, and knows {coins}.", self.settings.raida));
    }
}

/// Warns of files with the ANs of other RAIDAs, if there are more than before. Returns how many there are.
fn warn_of_others(before: usize, now: CoinCount) -> usize {
    let files = now.files_with_others;
    if files > before {
        tracing::warn!(
            files,
            "coin files have the ANs of other RAIDAs too, with which anyone who reads them can pose as the coins' owners; \
             `rke coin split` writes files that have one RAIDA's only"
        );
    }
    files
}
