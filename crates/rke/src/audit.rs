//! `rke audit …`: checks that an audit log is as the program that keeps it wrote it, and prints the tag that stands for a session
//! in it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use rke_engine::model::session_id::SessionId;
use rke_host::audit::{AuditTags, Check, Finding, Report, Wrong, verify};
use rke_secret::process::{Inspection, harden};
use rke_shared_store::key_file;

use crate::cli::AuditCommand;
use crate::terminal::{out, out_text};
use crate::words::{counted, hex, in_words};

/// The most findings to print.
const MAX_PRINTED: usize = 20;

/// The audit log is not what was written. This is a result of the check, not a failure to check.
#[derive(Debug, thiserror::Error)]
#[error("the audit log is BROKEN")]
pub(crate) struct Broken;

/// The check could not be done.
#[derive(Debug, thiserror::Error)]
#[error("{}", in_words(.0))]
pub(crate) struct Unknown(anyhow::Error);

pub(crate) fn run(command: AuditCommand) -> Result<()> {
    harden(Inspection::Refused).context("cannot harden the process")?;
    match command {
        AuditCommand::Verify { files, data_dir } => {
            let report = look(&files, data_dir.as_deref()).map_err(Unknown)?;
            print(&report, &files, data_dir.as_deref())
        }
        AuditCommand::Tag { session, data_dir, store_key_file } => {
            out(&tags(&session, data_dir.as_deref(), store_key_file.as_deref()).map_err(Unknown)?)
        }
    }
}

fn look(files: &[PathBuf], data_dir: Option<&Path>) -> Result<Report> {
    let check = match data_dir {
        Some(path) => Check::with_data_dir(path).map_err(no_key)?,
        None => Check::Hashes,
    };
    verify(files, &check)
        .map_err(|(path, error)| anyhow!("cannot read the audit log {}: {error}", path.display()))
}

fn no_key(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!(
        "{error}; --data-dir must name the data folder of the program that keeps the log; run this command as its user"
    )
}

fn tags(session: &str, data_dir: Option<&Path>, store_key_file: Option<&Path>) -> Result<String> {
    let session = SessionId::parse(session).context("a session's id, or a key's, has 32 hex digits")?;
    let mut tags = match store_key_file {
        Some(file) => key_file::read(file)?.audit_tags_of_all()?,
        None => Vec::new(),
    };
    // Either may come from the environment, so neither hides the other.
    if let Some(data_dir) = data_dir {
        tags.push(AuditTags::at(data_dir).map_err(no_key)?);
    }
    if tags.is_empty() {
        bail!("--data-dir or --store-key-file must name what has the key");
    }
    Ok(tags.iter().map(|tags| tags.tag(session.as_bytes())).collect::<Vec<_>>().join("\n"))
}

fn print(report: &Report, files: &[PathBuf], data_dir: Option<&Path>) -> Result<()> {
    let told = out_text(&text(report, files, data_dir));
    // The findings decide the exit code, even if nobody reads the output to its end.
    if report.findings.is_empty() { told } else { Err(Broken.into()) }
}

fn text(report: &Report, files: &[PathBuf], data_dir: Option<&Path>) -> String {
    let mut lines: Vec<String> = mistake(report, files, data_dir).into_iter().collect();
    let found = report.findings.iter().take(MAX_PRINTED);
    lines.extend(
        found.map(|Finding { file, line, wrong }| format!("{}: line {line}: {wrong}", file.display())),
    );
    if report.findings.len() > MAX_PRINTED {
        lines.push(format!("… and {} more.", report.findings.len() - MAX_PRINTED));
    }
    if let (Some(first @ 2..), true) = (report.first, report.findings.is_empty()) {
        lines.push(format!(
            "Begins with line number {first}; those before it are in earlier files, which were not given."
        ));
    }
    if report.goes_on {
        let later =
            "Ends where its file was moved away; later lines are in later files, which were not given.";
        lines.push(later.into());
    }
    if report.torn > 0 {
        let torn = torn(report.torn);
        lines.push(format!(
            "{torn} torn, by a program that was killed or a disk that was full; the log itself reports that."
        ));
    }
    if report.lost > 0 {
        let lost = counted(report.lost as usize, "event");
        lines.push(format!(
            "{lost} without a line, because the log could not be written then; the log itself reports that."
        ));
    }
    lines.push(checked(data_dir).into());
    match report.last {
        _ if !report.findings.is_empty() => (),
        Some(last) => lines.push(format!(
            "Whole: {} lines, up to number {} ({}).",
            report.lines,
            last.number,
            hex(&last.hash)
        )),
        None => lines.push("Whole: no lines.".into()),
    }
    lines.join("\n")
}

/// The likely mistake of the person who runs the check, if it explains the findings better than a changed log does.
fn mistake(report: &Report, files: &[PathBuf], data_dir: Option<&Path>) -> Option<String> {
    let none_is_sealed =
        report.last.is_none() && report.findings.iter().any(|found| found.wrong == Wrong::Forged);
    if let (true, Some(folder)) = (none_is_sealed, data_dir) {
        let folder = folder.display();
        return Some(format!(
            "Not one line is sealed with the key in {folder}: --data-dir may be the wrong one. It must name the folder of the \
             program that wrote this log."
        ));
    }
    let goes_back = |found: &Finding| {
        found.line == 1 && matches!(found.wrong, Wrong::OutOfPlace(..)) && files.first() != Some(&found.file)
    };
    report.findings.iter().any(goes_back).then(|| {
        "The files may be in the wrong order, or one of them is given twice: name each once, the oldest first.".into()
    })
}

fn torn(count: u64) -> String {
    if count == 1 { "1 line was".into() } else { format!("{count} lines were") }
}

fn checked(data_dir: Option<&Path>) -> &'static str {
    match data_dir {
        Some(_) => "Checked: hashes, seals, and the end against the data directory.",
        None => {
            "Checked: hashes only. A log that was rewritten as a whole, or cut at its end, would pass; \
             --data-dir finds that too."
        }
    }
}
