//! `rke session …`: the sessions of a running daemon.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::cli::{Output, SessionCommand};
use crate::client::ask;
use crate::print::{self, answer_or_text, table};

pub(crate) async fn run(command: SessionCommand, output: &Output) -> Result<()> {
    match command {
        SessionCommand::Create { domain, wallet } => create(&domain, &wallet, output).await,
        SessionCommand::List => list(output).await,
        SessionCommand::Show { id } => show(&id, output).await,
        SessionCommand::Delete { id: Some(id), .. } => delete(&id, output).await,
        SessionCommand::Delete { id: None, .. } => delete_all(output).await,
    }
}

async fn create(domain: &str, wallet: &Path, output: &Output) -> Result<()> {
    let wallet = std::path::absolute(wallet).context("cannot make the wallet path absolute")?;
    let wallet = wallet.to_str().context("the wallet path is not UTF-8")?;
    let parameters = [("domain", domain), ("wallet_path", wallet)];
    answer_or_text(ask(&output.daemon, "/api/rke/session", &parameters).await, output, |answer| {
        let key = if answer["from_cache"] == true { "the cached key" } else { "a new key" };
        println!("{}", text(&answer["session_id"]));
        eprintln!(
            "Session with {} ({}) opened with {key}; it ends at {}.",
            text(&answer["domain"]),
            text(&answer["cs_id"]),
            text(&answer["expires_at"])
        );
    })
}

async fn list(output: &Output) -> Result<()> {
    answer_or_text(ask(&output.daemon, "/api/rke/sessions", &[]).await, output, |answer| {
        let sessions = answer["sessions"].as_array().map_or(&[][..], Vec::as_slice);
        if sessions.is_empty() {
            println!("No sessions.");
            return;
        }
        let columns =
            ["session_id", "domain", "cs_id", "created_at", "expires_at", "encrypt_count", "decrypt_count"];
        table(
            &["SESSION", "DOMAIN", "CS ID", "CREATED", "EXPIRES", "ENCRYPTED", "DECRYPTED"],
            sessions,
            &columns,
        );
    })
}

async fn show(id: &str, output: &Output) -> Result<()> {
    let path = format!("/api/rke/session/{}", print::path_segment(id));
    answer_or_text(ask(&output.daemon, &path, &[]).await, output, |answer| {
        print::fields(answer);
        if answer["key_bits"] == 8 {
            println!(
                "\nWEAK: the key comes from 1-byte shares. Whoever sees the traffic finds it in 256 tries."
            );
        }
    })
}

async fn delete(id: &str, output: &Output) -> Result<()> {
    let deleted = ask(&output.daemon, "/api/rke/session/delete", &[("session_id", id)]).await;
    answer_or_text(deleted, output, |_| println!("Session ended, its key is wiped."))
}

async fn delete_all(output: &Output) -> Result<()> {
    let listed = ask(&output.daemon, "/api/rke/sessions", &[]).await?.json;
    let ids = listed["sessions"].as_array().into_iter().flatten().map(|row| text(&row["session_id"]));
    let mut ended = 0;
    for id in ids {
        match ask(&output.daemon, "/api/rke/session/delete", &[("session_id", id)]).await {
            Ok(answer) if output.json => println!("{}", answer.text),
            Ok(_) => (),
            // It expired, or somebody else ended it, meanwhile: gone is gone.
            Err(crate::client::ClientError::Refused { answer, .. }) if answer["code"] == 404 => continue,
            Err(error) => return Err(error.into()),
        }
        ended += 1;
    }
    if !output.json {
        println!("{ended} sessions ended, their keys are wiped.");
    }
    Ok(())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}
