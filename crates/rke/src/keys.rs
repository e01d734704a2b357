//! `rke keys …`: what a running daemon keeps to open later sessions without asking the RAIDAs.

use anyhow::Result;
use rke_client::answer::Key;
use rke_client::call;

use crate::cli::ask::{KeysCommand, Output};
use crate::reply::answer;
use crate::terminal::{Cell, clean, from_now, table};

pub(crate) async fn run(command: KeysCommand, output: &Output) -> Result<()> {
    match command {
        KeysCommand::List => list(output).await,
        KeysCommand::Forget { domain, .. } => forget(domain.as_deref(), output).await,
    }
}

async fn list(output: &Output) -> Result<()> {
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
        keys => table(&["DOMAIN", "CS ID", "EXPIRES", "STRENGTH", "COINS"], keys.iter().map(row)),
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

/// The first coins of a wallet that is served: up to 25 have been shown to the RAIDAs.
fn coins(coins: &[String]) -> String {
    const SHOWN: usize = 4;
    let mut text: Vec<String> = coins.iter().take(SHOWN).map(|coin| clean(coin)).collect();
    if coins.len() > SHOWN {
        text.push(format!("and {} more", coins.len() - SHOWN));
    }
    text.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_coins_the_first_are_named_and_the_others_counted() {
        let named = |count: u32| coins(&(0..count).map(|serial| format!("0:{serial}")).collect::<Vec<_>>());
        assert_eq!((named(0), named(1)), (String::new(), "0:0".into()));
        assert_eq!(named(4), "0:0 0:1 0:2 0:3");
        assert_eq!(named(25), "0:0 0:1 0:2 0:3 and 21 more");
    }
}
