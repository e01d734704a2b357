//! `rke session list`: a table with the details of each session, or lines for scripts.

use std::collections::HashMap;

use anyhow::Result;
use rke_client::response::{SessionSummary, Sessions, Shown};
use rke_client::{Client, Error, call};
use tokio::task::JoinSet;

use crate::cli::ask::Output;
use crate::cli::listing::Listing;
use crate::reply::answer;
use crate::state::state;
use crate::terminal::Narrow::{Cut, LeftOut, Wraps};
use crate::terminal::{Cell, Narrow, clean, fitted, from_now, out, styled};
use crate::which;

/// The number of sessions to request at the same time.
const AT_ONCE: usize = 16;

/// A field for templates that is not in the daemon's list.
const STATE: &str = "state";

const COLUMNS: [(&str, Narrow); 8] = [
    ("SESSION", Cut(which::SHORT)),
    ("DOMAIN", Wraps),
    ("CS ID", LeftOut(4)),
    ("OPENED", LeftOut(3)),
    ("EXPIRES", LeftOut(5)),
    ("ENCRYPTED", LeftOut(2)),
    ("DECRYPTED", LeftOut(1)),
    ("STATE", Wraps),
];

/// How each session's key was made, by session id.
pub(crate) type Details = HashMap<String, Shown>;

pub(super) async fn run(listing: &Listing, output: &Output) -> Result<()> {
    if output.json {
        return answer(output, &call::list(), |_| String::new()).await.map(drop);
    }
    let client = output.daemon.client();
    let listed = client.reply(&call::list()).await?;
    let rows = &listed.value.sessions;
    match listing.template("session_id") {
        Some(template) => {
            let details = match template.names(STATE) {
                true => learn(&client, rows).await?,
                false => Details::new(),
            };
            template.print(&listed.text, "sessions", |at, fields| {
                let shown = rows.get(at).and_then(|row| details.get(row.session_id.as_str()));
                let state = rows.get(at).map_or_else(String::new, |row| state(row, shown).1);
                fields.insert(STATE.into(), state.into());
            })
        }
        None => out(&in_table(&listed.value, &learn(&client, rows).await?)),
    }
}

/// Requests how each key was made.
pub(crate) async fn learn(client: &Client, rows: &[SessionSummary]) -> Result<Details, Error> {
    let (mut details, mut asked) = (Details::new(), JoinSet::new());
    let mut ids = rows.iter().map(|row| row.session_id.as_str().to_owned());
    loop {
        for id in ids.by_ref().take(AT_ONCE.saturating_sub(asked.len())) {
            let client = client.clone();
            asked.spawn(async move { (client.ask(&call::show(&id)).await, id) });
        }
        match asked.join_next().await {
            None => return Ok(details),
            Some(Ok((Ok(shown), id))) => _ = details.insert(id, shown),
            // The session has ended since it was listed.
            Some(Ok((Err(Error::SessionGone(_)), _)) | Err(_)) => (),
            Some(Ok((Err(error), _))) => return Err(error),
        }
    }
}

fn in_table(listed: &Sessions, details: &Details) -> String {
    match listed.sessions.as_slice() {
        [] => "No sessions.".into(),
        sessions => fitted(&COLUMNS, cells(sessions, details)),
    }
}

fn cells(sessions: &[SessionSummary], details: &Details) -> Vec<Vec<Cell>> {
    let row = |row: &SessionSummary| {
        let (style, state) = state(row, details.get(row.session_id.as_str()));
        vec![
            Cell::new(row.session_id.as_str()),
            Cell::new(clean(&row.domain)),
            Cell::new(clean(&row.cs_id)),
            Cell::new(from_now(row.created_at)),
            Cell::new(from_now(row.expires_at)),
            Cell::new(row.encrypt_count),
            Cell::new(row.decrypt_count),
            styled(style, state),
        ]
    };
    sessions.iter().map(row).collect()
}

#[cfg(test)]
mod tests;
