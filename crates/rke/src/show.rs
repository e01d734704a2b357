//! `rke status`, `rke raidas` and `rke discover`: what a running daemon knows.

use anyhow::Result;
use jiff::Timestamp;
use rke_client::call;
use rke_client::response::{
    DirectoryCounts, Found, KeySet, Raida, RaidaDirectory, Raidas, RemoteDeletions, Sandbox, Status,
};

use crate::cli::ask::{Output, RaidasCommand};
use crate::cli::listing::Format;
use crate::reply::answer;
use crate::state::of_raida;
use crate::terminal::Narrow::{LeftOut, Wraps};
use crate::terminal::{
    BAD, Cell, DOUBTFUL, GOOD, Narrow, clean, fitted, from_now, paint, span, styled, table,
};

const RAIDAS: [(&str, Narrow); 10] = [
    ("RAIDA", Wraps),
    ("ENDPOINT", LeftOut(7)),
    ("STATE", Wraps),
    ("LAST MS", LeftOut(5)),
    ("MEDIAN MS", LeftOut(6)),
    ("ASKED", LeftOut(1)),
    ("ANSWERED", LeftOut(2)),
    ("WRONG SHARES", LeftOut(4)),
    ("FORM", LeftOut(3)),
    ("LAST FAULT", Wraps),
];

pub(crate) async fn discover(domain: &str, output: &Output) -> Result<()> {
    answer(output, &call::discover(domain), |found: &Found| {
        let row = |set: &KeySet| {
            vec![Cell::new(clean(&set.key_id)), Cell::new(clean(&set.cs_id)), Cell::new(set.server_count)]
        };
        let warning = |text: &String| paint(DOUBTFUL, format!("\nWarning: {}", clean(text)));
        format!(
            "The Content Server of {} is {}:{}. At least {} RAIDAs make a key.\n{}{}",
            found.domain,
            clean(&found.target_host),
            found.target_port,
            found.min_raidas_required,
            table(&["KEY SET", "CS ID", "RAIDAS"], found.key_sets.iter().map(row)),
            found.warnings.iter().map(warning).collect::<String>()
        )
    })
    .await?;
    Ok(())
}

pub(crate) async fn status(output: &Output) -> Result<()> {
    answer(output, &call::status(), |status: &Status| {
        let (sessions, keys, memory) = (&status.sessions, &status.keystore, &status.secret_memory);
        let mut text = format!(
            "Sessions: {} of at most {}. Each lives for {}.\n\
             Cached keys: {} valid of at most {}. Each is used for {}.\n\
             Key protection: {} memory; inspection of the process is {}.{}",
            sessions.active,
            sessions.max,
            span(status.config.session_timeout_sec),
            keys.valid,
            keys.max,
            span(keys.default_ttl_hours.saturating_mul(3600)),
            clean(&memory.kind),
            clean(&memory.inspection),
            status.remote_deletions.map(remote).unwrap_or_default(),
        );
        text += &status
            .directory
            .as_ref()
            .map(|directory| format!("\n{}", counted(directory)))
            .unwrap_or_default();
        text += &status
            .sandbox
            .as_ref()
            .map(|sandbox| format!("\nThe daemon {}.", posture(sandbox)))
            .unwrap_or_default();
        for (name, value) in [("DNS", &status.config.dns_server), ("Version", &status.config.version)] {
            text += &value.as_ref().map(|value| format!("\n{name}: {}.", clean(value))).unwrap_or_default();
        }
        if let Some(daemon) = &status.daemon {
            text += &format!("\nUp for {}.", span(daemon.uptime_sec));
        }
        if status.config.last_reload_successful == Some(false) {
            text +=
                &paint(BAD, "\nIt refused its settings when it last read them again, and uses those before.");
        }
        if memory.residues_found > 0 {
            let found = format!(
                "\n{} scratch stacks had not been wiped, and are now: a bug in rke.",
                memory.residues_found
            );
            text += &paint(BAD, found);
        }
        text
    })
    .await?;
    Ok(())
}

/// What an attacker who has taken over the daemon can do, as the end of a sentence that begins with the daemon.
pub(crate) fn posture(sandbox: &Sandbox) -> String {
    let files = match sandbox.landlock.as_str() {
        "reads_and_writes" => "reads and writes only in folders of its own",
        "writes" => {
            "writes only in folders of its own, and reads everywhere: without --wallet-root any folder may be a wallet"
        }
        _ => "reads and writes everywhere",
    };
    let calls = if sandbox.seccomp { "cannot start programs" } else { "can make all system calls" };
    let privileges = if sandbox.no_new_privs { "cannot gain privileges" } else { "can gain privileges" };
    format!("{files}; it {calls}, and {privileges}")
}

fn remote(RemoteDeletions { pending, confirmed }: RemoteDeletions) -> String {
    format!("\nDeleted keys at Content Servers: {confirmed} wiped there too, {pending} not confirmed yet.")
}

pub(crate) async fn raidas(command: Option<RaidasCommand>, format: &Format, output: &Output) -> Result<()> {
    let call = match command {
        None => call::raidas(),
        Some(RaidasCommand::Refresh) => call::refresh_raidas(),
    };
    if let (Some(template), false) = (&format.format, output.json) {
        let known = output.daemon.client().reply(&call).await?;
        return template.print(&known.text, "raidas", |_, _| ());
    }
    answer(output, &call, |known: &Raidas| {
        let directory = known.directory.as_ref().map(|known| format!("\n{}", directory(known)));
        let rows = fitted(&RAIDAS, known.raidas.iter().map(raida));
        format!("{rows}\n{}{}", margin(known), directory.unwrap_or_default())
    })
    .await?;
    Ok(())
}

/// A sentence on the directory that the guardians agree on.
pub(crate) fn counted(directory: &DirectoryCounts) -> String {
    let DirectoryCounts { guardians, needed, raidas, agreed_at } = directory;
    let when = |at: &Timestamp| format!("RAIDA directory: {raidas} of 25 RAIDAs, as of {}", from_now(*at));
    let what = agreed_at.as_ref().map_or_else(|| "RAIDA directory: empty".into(), when);
    format!("{what}; at least {needed} of {guardians} guardians have to agree.")
}

/// The same, with outdated entries and with the guardians that returned no usable list.
fn directory(known: &RaidaDirectory) -> String {
    let mut text = counted(&known.counts());
    if let (Some(answered), Some(at)) = (known.answered, known.asked_at) {
        text += &format!(" When they were asked {}, {answered} gave a list.", from_now(at));
    }
    for row in known.raidas.iter().filter(|row| Some(row.agreed_at) != known.agreed_at) {
        text += &paint(DOUBTFUL, format!("\nRAIDA {} is as of {}.", row.raida, from_now(row.agreed_at)));
    }
    for fault in &known.faults {
        text += &paint(DOUBTFUL, format!("\n{}: {}", clean(&fault.guardian), clean(&fault.fault)));
    }
    text
}

fn raida(raida: &Raida) -> Vec<Cell> {
    let text = |text: &Option<String>| text.as_deref().map_or("-".into(), clean);
    let number = |number: Option<f64>| number.map_or("-".into(), |number| format!("{number:.1}"));
    let (style, state) = of_raida(&raida.state);
    vec![
        Cell::new(raida.raida),
        Cell::new(text(&raida.endpoint)),
        styled(style, state),
        Cell::new(number(raida.last_ms)),
        Cell::new(number(raida.median_ms)),
        Cell::new(raida.asked),
        Cell::new(raida.answered),
        Cell::new(raida.lies),
        Cell::new(text(&raida.form)),
        Cell::new(text(&raida.last_fault)),
    ]
}

fn margin(known: &Raidas) -> String {
    let Some(margin) = known.margin else {
        return "spare RAIDAs: unknown, no exchange has been made yet".into();
    };
    let style = match margin {
        0 => BAD,
        1..4 => DOUBTFUL,
        _ => GOOD,
    };
    paint(style, format!("spare RAIDAs: {margin} (at least {} must respond)", known.required))
}
