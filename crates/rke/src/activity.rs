//! `rke activity`: the history of a running daemon's sessions and keys, with the proof that deleted keys are gone.

use anyhow::Result;
use rke_client::call;
use rke_client::response::{Activity, ErasureReceipt, Happened};

use crate::cli::ask::Output;
use crate::reply::answer;
use crate::terminal::Narrow::{LeftOut, Wraps};
use crate::terminal::{BAD, Cell, DOUBTFUL, GOOD, Narrow, clean, fitted, from_now, styled};

const COLUMNS: [(&str, Narrow); 7] = [
    ("WHEN", Wraps),
    ("EVENT", Wraps),
    ("SESSION", LeftOut(3)),
    ("DOMAIN", Wraps),
    ("DETAIL", LeftOut(4)),
    ("CONTENT SERVER", LeftOut(2)),
    ("MEMORY SCAN", LeftOut(1)),
];

pub(crate) async fn run(output: &Output) -> Result<()> {
    answer(output, &call::activity(), |activity: &Activity| {
        fitted(&COLUMNS, activity.events.iter().map(row))
    })
    .await?;
    Ok(())
}

fn row(happened: &Happened) -> Vec<Cell> {
    let text = |text: &Option<String>| Cell::new(text.as_deref().map_or("-".into(), clean));
    vec![
        Cell::new(from_now(happened.at)),
        Cell::new(clean(&happened.event).replace('_', " ")),
        text(&happened.session),
        text(&happened.domain),
        Cell::new(detail(happened)),
        happened.receipt.as_ref().map_or_else(|| Cell::new("-"), other_end),
        happened.receipt.as_ref().map_or_else(|| Cell::new("-"), scan),
    ]
}

fn detail(happened: &Happened) -> String {
    let word = happened.detail.as_ref().or(happened.receipt.as_ref().map(|receipt| &receipt.how));
    match (word.map(|word| clean(word).replace('_', " ")), happened.count) {
        (word, 1) => word.unwrap_or_else(|| "-".into()),
        (Some(word), count) => format!("{word}, {count} times"),
        (None, count) => count.to_string(),
    }
}

/// Whether the Content Server has wiped the key too.
fn other_end(receipt: &ErasureReceipt) -> Cell {
    match receipt.remote.as_str() {
        "forgotten" => styled(GOOD, "wiped it too"),
        "pending" => styled(DOUBTFUL, "not confirmed yet"),
        "given_up" => styled(BAD, "never confirmed"),
        _ => Cell::new("cannot be asked"),
    }
}

fn scan(receipt: &ErasureReceipt) -> Cell {
    match receipt.wipe {
        None => Cell::new("-"),
        Some(wipe) if wipe.hits > 0 => styled(BAD, format!("{} residues", wipe.hits)),
        Some(wipe) => Cell::new(format!("nothing in {} MB", wipe.scanned_bytes / 1_000_000)),
    }
}
