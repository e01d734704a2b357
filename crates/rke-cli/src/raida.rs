//! `rke raida`: one RAIDA node until it is told to stop.

use anyhow::Result;
use rke_raida::node::{Node, NodeConfig};

use crate::cli::RaidaOptions;
use crate::settings::LogFormat;
use crate::{log, protection, signals};

pub(crate) fn run(options: RaidaOptions) -> Result<()> {
    log::start(&options.log.log, LogFormat::Text)?;
    protection::start_runtime(options.protection, 0)?.block_on(serve(options))
}

async fn serve(options: RaidaOptions) -> Result<()> {
    let mut orders = signals::Orders::listen()?;
    let node = Node::start(NodeConfig {
        raida: options.index,
        listen: options.listen,
        coin_folders: options.coins,
        data_dir: options.data_dir,
        preloaders: options.preloader,
    })
    .await?;
    eprintln!("RAIDA {} listens on {} (UDP).", options.index, node.address());
    orders.stop().await;
    node.stop().await;
    Ok(())
}
