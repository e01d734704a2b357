//! `rke activity`: the history of a running daemon's sessions and keys, with the proof that deleted keys are gone.

use anyhow::Result;
use comfy_table::Color;
use rke_client::call;
use rke_client::response::{Activity, ErasureReceipt, Happened};

use crate::cli::ask::Output;
use crate::reply::answer;
use crate::terminal::{Cell, clean, from_now, table};

const TITLES: [&str; 7] = ["WHEN", "EVENT", "SESSION", "DOMAIN", "DETAIL", "CONTENT SERVER", "MEMORY SCAN"];

pub(crate) async fn run(output: &Output) -> Result<()> {
    answer(output, &call::activity(), |activity: &Activity| table(&TITLES, activity.events.iter().map(row)))
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
        "forgotten" => Cell::new("wiped it too").fg(Color::DarkGreen),
        "pending" => Cell::new("not confirmed yet").fg(Color::DarkYellow),
        "given_up" => Cell::new("never confirmed").fg(Color::DarkRed),
        _ => Cell::new("cannot be asked"),
    }
}

fn scan(receipt: &ErasureReceipt) -> Cell {
    match receipt.wipe {
        None => Cell::new("-"),
        Some(wipe) if wipe.hits > 0 => Cell::new(format!("{} residues", wipe.hits)).fg(Color::DarkRed),
        Some(wipe) => Cell::new(format!("nothing in {} MB", wipe.scanned_bytes / 1_000_000)),
    }
}
