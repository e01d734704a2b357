//! `rke content-server …`: preloading and rotating key sets, serving clients with them, and using the keys of sessions.

mod interfaces;
mod key_sets;
mod serve;
mod session_keys;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};
use rke_host::directory;
use rke_proto::directory::Directory;
use rke_proto::round::Fault;
use rke_proto::{Bitmap, Form, KeySetId, MIN_REQUIRED, RaidaIndex, Status};
use rke_raida::content_server::{KeyRing, MasterSecrets, ServedKeySet};
use tokio::runtime::Runtime;

use crate::cli::content_server::{ContentServerCommand, PreloadOptions, RecordFormatChoice};
use crate::settings::LogFormat;
use crate::status::{self, Program};
use crate::terminal::{out, say};
use crate::{log, protection};

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
        ContentServerCommand::Serve(options) => serve::run(*options),
        ContentServerCommand::Rotate { retire_after, options } => {
            start(&options)?.block_on(rotate(retire_after, &options))
        }
        ContentServerCommand::List { listing, json, api } => session_keys::list(&listing, api.output(json)),
        ContentServerCommand::Status(options) => status::run(Program::ContentServer, &options),
        ContentServerCommand::KeySets { data_dir, json } => key_sets::list(&data_dir, json),
        ContentServerCommand::Seal(options) => session_keys::seal(options.encrypt()),
        ContentServerCommand::Open(options) => session_keys::open(options.decrypt()),
    }
}

fn start(options: &PreloadOptions) -> Result<Runtime> {
    options.records.check()?;
    log::start(&options.log.log, LogFormat::Text)?;
    protection::start_runtime(options.protection, 0, None)
}

async fn preload(
    key_set: Option<KeySetId>,
    form: Form,
    lower_case: LowerCase,
    options: &PreloadOptions,
) -> Result<()> {
    let mut keys = KeyRing::open(options.keys.cs_id, &options.keys.data_dir)?;
    let key_set = chosen(&keys, key_set, form, unix_seconds()?)?;
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

/// The key set to preload: the one that is wanted, or the newest that stays in service and that a failed rotation has not left behind.
/// Records of a retired one would turn all clients away, and those of one left behind would rotate without a word.
fn chosen(keys: &KeyRing, wanted: Option<KeySetId>, form: Form, now: u64) -> Result<KeySetId> {
    let sets = keys.sets();
    let number = |set: &ServedKeySet| set.secrets.key_set();
    let retires_at = |wanted| sets.iter().find(|set| number(set) == wanted).and_then(|set| set.retires_at);
    let of_form = || sets.iter().filter(|set| set.form == form);
    let Some(wanted) = wanted else {
        let in_service = || of_form().filter(|set| set.retires_at.is_none()).map(number);
        let in_use = in_service().rfind(|key_set| keys.was_preloaded(*key_set));
        return match (in_use.or_else(|| in_service().next_back()), KeySetId::new(1)) {
            (Some(newest), _) => Ok(newest),
            (None, Some(first)) if of_form().next().is_none() => Ok(first),
            (None, _) => bail!(
                "every key set is retiring or has retired; `rke content-server rotate` makes the next one"
            ),
        };
    };
    match retires_at(wanted) {
        Some(at) if at <= now => bail!(
            "{wanted} has retired: with its records, no client could open a session. Leave --key-set out for the newest one; \
             `rke content-server key-sets` lists all"
        ),
        Some(at) => {
            let left = at - now;
            say(&format!(
                "{wanted} retires in {left} seconds. Leave --key-set out for the records of the newest key set."
            ));
            Ok(wanted)
        }
        None => Ok(wanted),
    }
}

async fn rotate(retire_after: u64, options: &PreloadOptions) -> Result<()> {
    let mut keys = KeyRing::open(options.keys.cs_id, &options.keys.data_dir)?;
    let secrets = keys.next_key_set()?;
    publish(&keys, &secrets, LowerCase::Not, options).await?;
    keys.retire_below(secrets.key_set(), unix_seconds()?.saturating_add(retire_after))?;
    say(&format!("These records replace the old ones. Older key sets retire in {retire_after} seconds."));
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
    let raidas = give(keys, secrets, &directory, options).await?;
    if lower_case == LowerCase::Too && secrets.cs_id().lower_case() != secrets.cs_id() {
        give(keys, &secrets.lower_case()?, &directory, options).await?;
    }
    keys.note_preloaded(secrets.key_set(), raidas, unix_seconds()?)?;
    say(publishing(options.records.format));
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

fn unix_seconds() -> Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())
}

/// Preloads the master secrets to the RAIDAs, and reports how many hold them. Returns which.
async fn give(
    keys: &KeyRing,
    secrets: &MasterSecrets,
    directory: &Directory,
    options: &PreloadOptions,
) -> Result<Bitmap> {
    let wallet = std::path::absolute(&options.wallet)?;
    let report = keys.preload(secrets, directory, &wallet, Duration::from_secs(options.timeout)).await?;
    let (asked, done) = (directory.entries().len(), report.done.count());
    let (key_set, cs_id) = (secrets.key_set(), secrets.cs_id());
    say(&format!("{done} of {asked} RAIDAs hold the master secrets of {key_set} of {cs_id}."));
    for line in told(&report.faults) {
        say(&format!("  {line}"));
    }
    for (status, meaning) in REFUSALS {
        if report.faults.iter().any(|(_, fault)| *fault == Fault::Refused(status)) {
            say(meaning);
        }
    }
    if done < usize::from(MIN_REQUIRED) {
        bail!("at least {MIN_REQUIRED} RAIDAs must hold them; run this again when the others are reachable");
    }
    Ok(report.done)
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

#[cfg(test)]
mod tests;
