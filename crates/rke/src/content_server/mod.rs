//! `rke content-server …`: preloading and rotating key sets, serving clients with them, and using the keys of sessions.

mod session_keys;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};
use rke_daemon::OtherEndListen;
use rke_host::data_dir::{Role, claim};
use rke_host::directory;
use rke_host::usage::UsageLimits;
use rke_proto::directory::Directory;
use rke_proto::round::Fault;
use rke_proto::{Form, KeySetId, MIN_REQUIRED, RaidaIndex, Status};
use rke_raida::content_server::{
    Application, ContentServer, KeyRing, MasterSecrets, ReceptionPolicy, ServedKeySet, ServerConfig,
};
use tokio::runtime::Runtime;

use crate::cli::content_server::{
    ContentServerCommand, ContentServerOptions, PreloadOptions, RecordFormatChoice,
};
use crate::launcher::application;
use crate::sandbox::{Sandbox, files_of_content_server};
use crate::settings::LogFormat;
use crate::terminal::out;
use crate::{log, protection, signals};

/// Why nodes refuse a preload, by status.
const REFUSALS: [(Status, &str); 2] = [
    (
        Status::BAD_PARAMETER,
        "A node refuses with 198 where its operator has not listed the wallet's first coin for this Content Server ID \
         (`rke raida --preloader`), or where its clock and this one differ by more than five minutes.",
    ),
    (
        Status::OWNED_BY_ANOTHER,
        "A node refuses with 213 where this Content Server ID belongs to another coin. Its operator can move it to yours \
         (`rke raida owner move`).",
    ),
];

pub(crate) fn run(command: ContentServerCommand) -> Result<()> {
    match command {
        ContentServerCommand::Preload { key_set, narrow, live, lower_case_too, options } => {
            let form = match (narrow, live) {
                (true, _) => Form::Handshake3Narrow,
                (_, true) => Form::Live,
                _ => Form::Wide,
            };
            let lower_case = if lower_case_too { LowerCase::Too } else { LowerCase::Not };
            start(&options)?.block_on(preload(key_set, form, lower_case, &options))
        }
        ContentServerCommand::Serve(options) => run_server(options),
        ContentServerCommand::Rotate { retire_after, options } => {
            start(&options)?.block_on(rotate(retire_after, &options))
        }
        ContentServerCommand::List { listing, json, api } => session_keys::list(&listing, api.output(json)),
        ContentServerCommand::Seal(options) => session_keys::seal(options.encrypt()),
        ContentServerCommand::Open(options) => session_keys::open(options.decrypt()),
    }
}

fn start(options: &PreloadOptions) -> Result<Runtime> {
    options.records.check()?;
    log::start(&options.log.log, LogFormat::Text)?;
    protection::start_runtime(options.protection, 0, None)
}

fn run_server(options: ContentServerOptions) -> Result<()> {
    log::start(&options.log.log, LogFormat::Text)?;
    // Until this point the process still has all its rights. Commands keep them.
    let application = application(options.exec.as_deref(), options.forward.as_deref())?;
    // The sandbox can only make a folder writable that exists.
    claim(&options.keys.data_dir, Role::ContentServer)?;
    let api = session_keys::place(&options.api)?;
    let files = files_of_content_server(&options.keys.data_dir, &application);
    let files = match &api {
        Some(OtherEndListen::Unix(socket)) => files.socket(&socket.path),
        _ => files,
    };
    let sandbox = Sandbox::new(options.sandbox.sandbox, files);
    let runtime = protection::start_runtime(options.protection, secrets_of(&options), Some(&sandbox))?;
    runtime.block_on(serve(options, application, api.as_ref(), &sandbox))
}

async fn preload(
    key_set: KeySetId,
    form: Form,
    lower_case: LowerCase,
    options: &PreloadOptions,
) -> Result<()> {
    let mut keys = KeyRing::open(options.keys.cs_id, &options.keys.data_dir)?;
    if let Some(set) = keys.sets().iter().find(|set| set.secrets.key_set() == key_set && set.form != form) {
        bail!(
            "{key_set} exists already, {}; choose another number with --key-set",
            match set.form {
                Form::Wide => "for 32-byte shares",
                Form::Handshake3Narrow => "for 1-byte shares (--narrow)",
                Form::Live => "for live sessions (--live)",
            }
        );
    }
    let secrets = keys.open_or_make(key_set, form)?;
    publish(&keys, &secrets, lower_case, options).await
}

async fn rotate(retire_after: u64, options: &PreloadOptions) -> Result<()> {
    let mut keys = KeyRing::open(options.keys.cs_id, &options.keys.data_dir)?;
    let secrets = keys.next_key_set()?;
    publish(&keys, &secrets, LowerCase::Not, options).await?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    keys.retire_below(secrets.key_set(), now.saturating_add(retire_after))?;
    eprintln!("These records replace the old ones. Older key sets retire in {retire_after} seconds.");
    Ok(())
}

/// Whether to preload under the Content Server ID in lower case as well.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LowerCase {
    Not,
    Too,
}

/// Preloads the master secrets to the RAIDAs and prints the records.
async fn publish(
    keys: &KeyRing,
    secrets: &MasterSecrets,
    lower_case: LowerCase,
    options: &PreloadOptions,
) -> Result<()> {
    let directory = directory::load_responding(&options.raida_directory).await?;
    give(keys, secrets, &directory, options).await?;
    if lower_case == LowerCase::Too && secrets.cs_id().lower_case() != secrets.cs_id() {
        give(keys, &secrets.lower_case()?, &directory, options).await?;
    }
    keys.note_preloaded(secrets.key_set())?;
    eprintln!("{}", publishing(options.records.format));
    let form = keys.form(secrets.key_set());
    let server = (options.host.as_str(), options.port);
    let records = secrets.records(form, options.domain.as_str(), server, &directory);
    out(&records.write(options.records.format.into(), options.records.ttl()))
}

/// What to do with the records.
fn publishing(format: RecordFormatChoice) -> &'static str {
    match format {
        RecordFormatChoice::Zone | RecordFormatChoice::Json => "Publish these DNS records:",
        RecordFormatChoice::Nsupdate => "Publish these DNS records with nsupdate:",
        RecordFormatChoice::Dnsmasq => {
            "Publish these DNS records in dnsmasq's configuration, and restart it. Without local-ttl=SECONDS there, clients \
             may not keep them:"
        }
    }
}

/// Preloads the master secrets to the RAIDAs, and reports how many hold them.
async fn give(
    keys: &KeyRing,
    secrets: &MasterSecrets,
    directory: &Directory,
    options: &PreloadOptions,
) -> Result<()> {
    let wallet = std::path::absolute(&options.wallet)?;
    let report = keys.preload(secrets, directory, &wallet, Duration::from_secs(options.timeout)).await?;
    let (asked, done) = (directory.entries().len(), report.done.count());
    let (key_set, cs_id) = (secrets.key_set(), secrets.cs_id());
    eprintln!("{done} of {asked} RAIDAs hold the master secrets of {key_set} of {cs_id}.");
    for line in told(&report.faults) {
        eprintln!("  {line}");
    }
    for (status, meaning) in REFUSALS {
        if report.faults.iter().any(|(_, fault)| *fault == Fault::Refused(status)) {
            eprintln!("{meaning}");
        }
    }
    if done < usize::from(MIN_REQUIRED) {
        bail!("at least {MIN_REQUIRED} RAIDAs must hold them; run this again when the others are reachable");
    }
    Ok(())
}

/// The failures, with one line for all RAIDAs that have the same fault.
fn told(faults: &[(RaidaIndex, Fault)]) -> Vec<String> {
    let mut equal: Vec<(Fault, Vec<RaidaIndex>)> = Vec::new();
    for (raida, fault) in faults {
        match equal.iter_mut().find(|(known, _)| known == fault) {
            Some((_, raidas)) => raidas.push(*raida),
            None => equal.push((*fault, vec![*raida])),
        }
    }
    let line = |(fault, raidas): (Fault, Vec<RaidaIndex>)| match &raidas[..] {
        [raida] => format!("RAIDA {raida}: {fault}"),
        raidas => {
            let names: Vec<String> = raidas.iter().map(ToString::to_string).collect();
            format!("RAIDAs {}: {fault}", names.join(", "))
        }
    };
    equal.into_iter().map(line).collect()
}

/// The most secrets that a Content Server holds: a key and a resumption for each session, and the keys of both
/// directions for each connection.
fn secrets_of(options: &ContentServerOptions) -> usize {
    2 * (options.max_keys + options.max_connections)
}

async fn serve(
    options: ContentServerOptions,
    application: Application,
    api: Option<&OtherEndListen>,
    sandbox: &Sandbox,
) -> Result<()> {
    let mut orders = signals::Orders::listen()?;
    let keys = KeyRing::open(options.keys.cs_id, &options.keys.data_dir)?;
    if keys.sets().is_empty() {
        bail!(
            "{} has no key set of {}; make one with `rke content-server preload`",
            options.keys.data_dir.display(),
            options.keys.cs_id
        );
    }
    let is_served = |set: &&ServedKeySet| set.form == Form::Wide || options.allow_weak_shares;
    let (served, unserved): (Vec<_>, Vec<_>) = keys.sets().iter().partition(is_served);
    let names = |sets: &[&ServedKeySet]| {
        sets.iter().map(|set| set.secrets.key_set().to_string()).collect::<Vec<_>>().join(", ")
    };
    if !unserved.is_empty() {
        eprintln!("Not served without --allow-weak-shares: {} (1-byte shares)", names(&unserved));
    }
    let sets = names(&served);
    let rules = ReceptionPolicy {
        lifetime_seconds: options.key_lifetime,
        max_keys: options.max_keys,
        keys_per_coin: options.keys_per_coin,
        unproven_keys: options.unproven_keys,
        replay_memory: options.replay_memory,
        domains: options.domains.iter().map(ToString::to_string).collect(),
        allow_narrow: options.allow_weak_shares,
        usage: UsageLimits { messages: options.api.key_max_messages, bytes: options.api.key_max_bytes },
        ..ReceptionPolicy::default()
    };
    let config = ServerConfig {
        listen: options.listen,
        application,
        rules,
        idle_timeout: Duration::from_secs(options.idle_timeout),
        max_connections: options.max_connections,
        max_commands: options.max_commands,
    };
    let server = ContentServer::start(config, keys).await?;
    let api = match api {
        Some(listen) => Some(session_keys::serve(listen, &server, &options.keys.data_dir).await?),
        None => None,
    };
    sandbox.close();
    eprintln!(
        "Content Server {} listens on {} with {}",
        options.keys.cs_id,
        server.address(),
        if sets.is_empty() { "no key set" } else { &sets }
    );
    if let Some(api) = &api {
        session_keys::tell_where(api);
    }
    let ended = tokio::select! {
        () = orders.stop() => Ok(()),
        lost = server.wait_for_failure() => Err(lost.into()),
    };
    // First, so that no request finds the keys gone.
    if let Some(api) = api {
        api.stop().await;
    }
    server.stop().await;
    ended
}

#[cfg(test)]
mod tests;
