//! `rke keys …`: the keys that a running daemon caches, to open later sessions without asking the RAIDAs.

use anyhow::Result;
use rke_client::call;
use rke_client::response::Key;

use crate::cli::ask::{KeysCommand, Output};
use crate::cli::listing::Listing;
use crate::reply::answer;
use crate::terminal::Narrow::{LeftOut, Wraps};
use crate::terminal::{Cell, Narrow, clean, fitted, from_now};

const COLUMNS: [(&str, Narrow); 5] = [
    ("DOMAIN", Wraps),
    ("CS ID", LeftOut(2)),
    ("EXPIRES", Wraps),
    ("STRENGTH", Wraps),
    ("COINS", LeftOut(1)),
];

pub(crate) async fn run(command: KeysCommand, output: &Output) -> Result<()> {
    match command {
        KeysCommand::List(listing) => list(&listing, output).await,
        KeysCommand::Forget { domain, .. } => forget(domain.as_deref(), output).await,
    }
}

async fn list(listing: &Listing, output: &Output) -> Result<()> {
    if let (Some(template), false) = (listing.template("domain"), output.json) {
        let listed = output.daemon.client().reply(&call::keys()).await?;
        return template.print(&listed.text, "keys", |_, _| ());
    }
    let row = |key: &Key| {
        let strength =
            if key.key_bits == 8 { "8 bits: WEAK".into() } else { format!("{} bits", key.key_bits) };
        vec![
            Cell::new(clean(&key.domain)),
            Cell::new(clean(&key.cs_id)),
            Cell::new(from_now(key.expires_at)),
            Cell::new(strength),
            Cell::new(coins(&key.coins)),
        ]
    };
    answer(output, &call::keys(), |keys| match keys.keys.as_slice() {
        [] => "No cached keys.".into(),
        keys => fitted(&COLUMNS, keys.iter().map(row)),
    })
    .await?;
    Ok(())
}

async fn forget(domain: Option<&str>, output: &Output) -> Result<()> {
    answer(output, &call::forget_keys(domain), |count| match (count.deleted, domain) {
        (0, Some(domain)) => format!("There is no cached key of {domain}."),
        (0, None) => "There are no cached keys.".into(),
        (1, _) => "1 cached key removed.".into(),
        (count, _) => format!("{count} cached keys removed."),
    })
    .await?;
    Ok(())
}

/// The first coins of a wallet. An exchange may have shown up to 25 to the RAIDAs.
fn coins(coins: &[String]) -> String {
    const SHOWN: usize = 4;
    let mut text: Vec<String> = coins.iter().take(SHOWN).map(|coin| clean(coin)).collect();
    if coins.len() > SHOWN {
        text.push(format!("and {} more", coins.len() - SHOWN));
    }
    text.join(" ")
}

#[cfg(test)]
mod tests;
