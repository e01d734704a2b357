//! `rke raida owner`: which coin owns which Content Server ID at a node.

use std::path::Path;

use anyhow::{Context, Result};
use jiff::Timestamp;
use rke_proto::ContentServerId;
use rke_proto::coin::CoinId;
use rke_raida::owners::{self, Ownership};
use rke_secret::process::{Inspection, harden};

use crate::cli::OwnerCommand;
use crate::terminal::Narrow::{LeftOut, Wraps};
use crate::terminal::{Cell, Narrow, fitted, out, out_text};

const COLUMNS: [(&str, Narrow); 4] =
    [("CS ID", Wraps), ("OWNER", Wraps), ("KEY SETS", Wraps), ("LAST PRELOAD", LeftOut(1))];

pub(super) fn run(command: OwnerCommand) -> Result<()> {
    harden(Inspection::Refused).context("cannot harden the process")?;
    match command {
        OwnerCommand::List { data_dir } => list(&data_dir),
        OwnerCommand::Move { cs_id, coin, data_dir, audit_log } => {
            move_to(&data_dir, &cs_id, coin, audit_log.as_deref())
        }
    }
}

fn list(data_dir: &Path) -> Result<()> {
    let all = owners::list(data_dir)?;
    if all.is_empty() {
        return out("Nothing has been preloaded at this node.");
    }
    out(&fitted(&COLUMNS, all.iter().map(row)))
}

fn row(ownership: &Ownership) -> Vec<Cell> {
    let last = ownership.last_preload.and_then(|at| Timestamp::from_second(at.try_into().ok()?).ok());
    let last = last.map_or_else(|| "-".to_owned(), |at| at.to_string());
    vec![
        Cell::new(ownership.cs_id),
        Cell::new(ownership.owner),
        Cell::new(names_of(ownership)),
        Cell::new(last),
    ]
}

fn names_of(ownership: &Ownership) -> String {
    let names: Vec<String> = ownership.key_sets.iter().map(ToString::to_string).collect();
    if names.is_empty() { "-".into() } else { names.join(", ") }
}

fn move_to(data_dir: &Path, cs_id: &ContentServerId, coin: CoinId, audit_log: Option<&Path>) -> Result<()> {
    let before = owners::move_to(data_dir, cs_id, coin, audit_log)?;
    let removed = match before.key_sets.is_empty() {
        true => "It had no key sets.".to_owned(),
        false => format!("Its key sets are removed: {}.", names_of(&before)),
    };
    out_text(&format!(
        "{} belonged to coin {} and belongs to coin {coin} now. {removed}",
        before.cs_id, before.owner
    ))
}
