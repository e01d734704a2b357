//! `rke content-server …`: preloading and rotating key sets, and serving clients with them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};
use rke_host::directory;
use rke_proto::derive::ShareWidth;
use rke_proto::{KeyId, MIN_REQUIRED};
use rke_raida::content_server::{Application, ContentServer, KeyRing, MasterSecrets, Rules, ServerConfig};

use crate::cli::{ContentServerCommand, ContentServerOptions, PreloadOptions};
use crate::settings::LogFormat;
use crate::terminal::out;
use crate::{log, protection, signals};

pub(crate) fn run(command: ContentServerCommand) -> Result<()> {
    let (protection, log) = match &command {
        ContentServerCommand::Preload { options, .. } | ContentServerCommand::Rotate { options, .. } => {
            (options.protection, &options.log)
        }
        ContentServerCommand::Serve(options) => (options.protection, &options.log),
    };
    log::start(&log.log, LogFormat::Text)?;
    let keys = if let ContentServerCommand::Serve(options) = &command { options.max_keys } else { 0 };
    protection::start_runtime(protection, keys)?.block_on(async {
        match command {
            ContentServerCommand::Preload { key_id, options } => preload(key_id, &options).await,
            ContentServerCommand::Serve(options) => serve(options).await,
            ContentServerCommand::Rotate { retire_after, options } => rotate(retire_after, &options).await,
        }
    })
}

async fn preload(key_id: KeyId, options: &PreloadOptions) -> Result<()> {
    let mut keys = KeyRing::open(options.keys.cs_id, &options.keys.data_dir)?;
    let secrets = keys.open_or_make(key_id)?;
    publish(&keys, &secrets, options).await
}

async fn rotate(retire_after: u64, options: &PreloadOptions) -> Result<()> {
    let mut keys = KeyRing::open(options.keys.cs_id, &options.keys.data_dir)?;
    let secrets = keys.next_key_set()?;
    publish(&keys, &secrets, options).await?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    keys.retire_below(secrets.key_id(), now.saturating_add(retire_after))?;
    eprintln!("These records replace the old ones. Older key sets retire in {retire_after} seconds.");
    Ok(())
}

/// Gives the RAIDAs their master secrets and prints the records.
async fn publish(keys: &KeyRing, secrets: &MasterSecrets, options: &PreloadOptions) -> Result<()> {
    let directory = directory::load(&options.raida_directory).await?;
    let wallet = std::path::absolute(&options.wallet)?;
    let report = secrets.preload(&directory, &wallet, Duration::from_secs(options.timeout)).await?;
    let (asked, done) = (directory.entries().len(), report.done.count());
    eprintln!("{done} of {asked} RAIDAs hold the master secrets of {}.", secrets.key_id());
    for (raida, fault) in &report.faults {
        eprintln!("  RAIDA {raida}: {fault}");
    }
    if done < usize::from(MIN_REQUIRED) {
        bail!("at least {MIN_REQUIRED} RAIDAs must hold them; run this again when the others are reachable");
    }
    keys.note_preloaded(secrets.key_id())?;
    eprintln!("Publish these DNS records:");
    let records = secrets.records(&options.domain, &options.host, options.port, &directory);
    out(&records.zone_lines().join("\n"))
}

async fn serve(options: ContentServerOptions) -> Result<()> {
    let mut orders = signals::Orders::listen()?;
    let keys = KeyRing::open(options.keys.cs_id, &options.keys.data_dir)?;
    if keys.sets().is_empty() {
        bail!(
            "{} has no key set of {}; make one with `rke content-server preload`",
            options.keys.data_dir.display(),
            options.keys.cs_id
        );
    }
    let sets: Vec<String> = keys.sets().iter().map(|set| set.secrets.key_id().to_string()).collect();
    let rules = Rules {
        lifetime_seconds: options.key_lifetime,
        max_keys: options.max_keys,
        narrowest: if options.allow_weak_shares { ShareWidth::Narrow } else { ShareWidth::Wide },
        ..Rules::default()
    };
    let config = ServerConfig {
        listen: options.listen,
        application: options.exec.map_or(Application::Echo, Application::Exec),
        rules,
        idle_timeout: Duration::from_secs(options.idle_timeout),
        max_connections: options.max_connections,
    };
    let server = ContentServer::start(config, keys).await?;
    eprintln!(
        "Content Server {} listens on {} with {}",
        options.keys.cs_id,
        server.address(),
        sets.join(", ")
    );
    orders.stop().await;
    server.stop().await;
    Ok(())
}
