//! `cargo xtask networks`: other people's networks. Each row of the table is a network namespace with a `resolv.conf`, DNS
//! servers and records of its own, in which a daemon opens a session with a Content Server. The table is the one in
//! `docs/testing.md`.

mod cases;
mod place;
mod scripted;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use self::cases::{CASES, NetworkCase};
use self::place::Place;
use crate::{DEBUG, TESTS, cargo, need, target_dir};

/// Programs that rows run, and the Debian packages that hold them.
pub(crate) const NEEDED: [(&str, &str); 5] = [
    ("knotd", "knot"),
    ("kdig", "knot-dnsutils"),
    ("dnsmasq", "dnsmasq-base"),
    ("unbound", "unbound"),
    ("ip", "iproute2"),
];

const DOCUMENT: &str = "docs/testing.md";

/// Between these lines of it is the table.
const MARKS: [&str; 2] = ["<!-- cargo xtask networks --write -->\n", "<!-- end -->\n"];

/// The use of the table.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Table {
    Print,
    Write,
}

/// Goes through all rows. Fails where one does not end as it should, or takes too long.
pub(crate) fn networks(table: Table) -> Result<()> {
    for (program, package) in NEEDED {
        need(program, package)?;
    }
    cargo(&TESTS)?;
    let mut lines =
        vec!["| network | outcome | first session after |".to_owned(), "|---|---|---:|".to_owned()];
    let mut failed = Vec::new();
    for (at, row) in CASES.iter().enumerate() {
        let (outcome, took) = in_namespace(at).with_context(|| format!("the row \"{}\"", row.name))?;
        let line = format!("| {} | {outcome} | {:.2} s |", row.name, took.as_secs_f64());
        println!("{line}");
        lines.push(line);
        if outcome != row.outcome() || took > row.limit() {
            failed.push(row.name);
        }
    }
    ensure!(failed.is_empty(), "these networks are too slow, or end otherwise than they should: {failed:#?}");
    match table {
        Table::Print => Ok(()),
        Table::Write => write(&(lines.join("\n") + "\n")),
    }
}

/// Runs this program again in a network of its own, which ends with it.
fn in_namespace(at: usize) -> Result<(String, Duration)> {
    let mut command = Command::new("unshare");
    command.args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"]);
    command.arg(std::env::current_exe()?).arg("network-row").arg(at.to_string());
    let output = command.stderr(Stdio::inherit()).output().context("cannot run unshare")?;
    ensure!(output.status.success(), "it ended with {}", output.status);
    let text = String::from_utf8(output.stdout)?;
    let (millis, outcome) = text.trim().split_once(' ').context("it said nothing")?;
    Ok((outcome.into(), Duration::from_millis(millis.parse()?)))
}

/// The command inside a network: prints how long the first session took, and its result.
pub(crate) fn network_row(at: &str) -> Result<()> {
    let row: &NetworkCase =
        at.parse::<usize>().ok().and_then(|at| CASES.get(at)).context("there is no such row")?;
    let place = Place::make(&target_dir().join(DEBUG), row)?;
    let (outcome, took) = place.open_session()?;
    println!("{} {outcome}", took.as_millis());
    Ok(())
}

fn write(table: &str) -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(DOCUMENT);
    let text = std::fs::read_to_string(&path)?;
    let [begin, end] = MARKS.map(|mark| text.find(mark).map(|at| (at, at + mark.len())));
    let (Some((_, from)), Some((to, _))) = (begin, end) else {
        bail!("{DOCUMENT} has no place for the table")
    };
    Ok(std::fs::write(&path, format!("{}{table}{}", &text[..from], &text[to..]))?)
}
