//! `rke keys …`: the keys that a running daemon keeps for new sessions.

use anyhow::Result;
use rke_client::answer::Key;
use rke_client::call;

use crate::cli::ask::{KeysCommand, Output};
use crate::terminal::{Cell, answer, clean, from_now, table};

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
        ]
    };
    answer(output, &call::keys(), |keys| match keys.keys.as_slice() {
        [] => "No cached keys.".into(),
        keys => table(&["DOMAIN", "CS ID", "EXPIRES", "STRENGTH"], keys.iter().map(row)),
    })
    .await?;
    Ok(())
}

async fn forget(domain: Option<&str>, output: &Output) -> Result<()> {
    answer(output, &call::forget_keys(domain), |count| match (count.deleted, domain) {
        (0, Some(domain)) => format!("There is no cached key of {domain}."),
        (0, None) => "There are no cached keys.".into(),
        (1, _) => "1 cached key forgotten.".into(),
        (count, _) => format!("{count} cached keys forgotten."),
    })
    .await?;
    Ok(())
}
