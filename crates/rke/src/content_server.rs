//! `rke content-server`: makes or opens a key set, preloads it, prints the records to publish.

use std::time::Duration;

use anyhow::{Result, bail};
use rke_host::directory;
use rke_proto::MIN_REQUIRED;
use rke_raida::content_server::ContentServer;

use crate::cli::ContentServerOptions;
use crate::settings::LogFormat;
use crate::{log, protection};

pub(crate) fn run(options: ContentServerOptions) -> Result<()> {
    log::start(&options.log.log, LogFormat::Text)?;
    protection::start_runtime(options.protection, 0)?.block_on(preload(options))
}

async fn preload(options: ContentServerOptions) -> Result<()> {
    let directory = directory::load(&options.raida_directory).await?;
    let server = ContentServer::open(options.cs_id, options.key_id, &options.data_dir)?;
    let wallet = std::path::absolute(&options.wallet)?;
    let report = server.preload(&directory, &wallet, Duration::from_secs(options.timeout)).await?;
    let asked = directory.entries().len();
    eprintln!("{} of {asked} RAIDAs hold the master secrets of {}.", report.done.count(), options.key_id);
    for (raida, fault) in &report.faults {
        eprintln!("  RAIDA {raida}: {fault}");
    }
    if report.done.count() < usize::from(MIN_REQUIRED) {
        bail!("at least {MIN_REQUIRED} RAIDAs must hold them; run this again when the others are reachable");
    }
    eprintln!("Publish these DNS records:");
    let records = server.records(&options.domain, &options.host, options.port, &directory);
    records.zone_lines().iter().for_each(|line| println!("{line}"));
    Ok(())
}
