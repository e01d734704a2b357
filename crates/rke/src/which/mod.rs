//! Finds the sessions that the user means: each by its id, or by enough of its beginning, as with git and docker. To
//! complete ids, this module requests the list of sessions. All other requests carry whole ids.

use anyhow::{Result, bail};
use rke_client::response::SessionSummary;

use crate::cli::ask::Output;
use crate::terminal::{clean, out_refusal};

/// The number of digits in an id.
const LEN: usize = 32;

/// The least number of digits to show of an id that is not shown whole.
pub(crate) const SHORT: usize = 8;

/// The most sessions that an error names.
const MAX_NAMED: usize = 8;

/// The id of the session that the user means.
///
/// # Errors
/// Several ids match, or the daemon returns no list.
pub(crate) async fn session(output: &Output, given: &str) -> Result<String> {
    Ok(sessions(output, &[given.to_owned()]).await?.remove(0))
}

/// The ids of the sessions that the user means, each once.
///
/// # Errors
/// As for [`session`]. The caller must then leave all of the sessions alone.
pub(crate) async fn sessions(output: &Output, given: &[String]) -> Result<Vec<String>> {
    let rows = match given.iter().all(|given| is_whole(given)) {
        true => Vec::new(),
        false => {
            let listed = output.daemon.client().sessions().await;
            if let (Err(error), true) = (&listed, output.json) {
                out_refusal(error);
            }
            listed?.sessions
        }
    };
    let mut ids: Vec<String> = Vec::new();
    for given in given {
        let id = resolve(given, &rows)?;
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    Ok(ids)
}

/// The beginning of an id: enough to tell sessions apart, and too little to use a session.
pub(crate) fn short(id: &str) -> &str {
    id.get(..SHORT).unwrap_or(id)
}

fn is_whole(given: &str) -> bool {
    given.len() >= LEN
}

/// The id that begins with `given`. If none does, `given` stays as it is, and the daemon reports that no such session
/// exists.
fn resolve(given: &str, rows: &[SessionSummary]) -> Result<String> {
    let mut found: Vec<&SessionSummary> =
        rows.iter().filter(|row| row.session_id.as_str().starts_with(given)).collect();
    if is_whole(given) || given.is_empty() || found.is_empty() {
        return Ok(given.to_owned());
    }
    if let [row] = found[..] {
        return Ok(row.session_id.as_str().to_owned());
    }
    found.sort_by_key(|row| row.session_id.as_str());
    let ids: Vec<&str> = found.iter().map(|row| row.session_id.as_str()).collect();
    let digits = ids.windows(2).map(|pair| common(pair[0], pair[1]) + 1).fold(SHORT, usize::max);
    let name = |row: &&SessionSummary| {
        let id = row.session_id.as_str();
        format!("{} ({})", id.get(..digits).unwrap_or(id), clean(&row.domain))
    };
    let named: Vec<String> = found.iter().take(MAX_NAMED).map(name).collect();
    let more = found.len() - named.len();
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    bail!(
        "the ids of {} sessions begin with {given:?}: {}{more}; give more of the one that is meant",
        found.len(),
        named.join(", ")
    )
}

/// How many digits two ids have in common at the beginning.
fn common(one: &str, other: &str) -> usize {
    one.bytes().zip(other.bytes()).take_while(|(one, other)| one == other).count()
}

#[cfg(test)]
mod tests;
