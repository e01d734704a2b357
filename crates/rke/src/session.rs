//! `rke session …`: the sessions of a running daemon.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::cli::{Output, SessionCommand};
use crate::client::ask;
use crate::print::{self, answer_or_text, table};

/// What is said of a session whose key has 8 bits.
const WEAK: &str = "WEAK: the key comes from 1-byte shares. Whoever sees the traffic finds it in 256 tries.";

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
    let created = ask(&output.daemon, "/api/rke/session", &parameters).await;
    let id = created.as_ref().ok().and_then(|answer| answer.json["session_id"].as_str().map(str::to_owned));
    answer_or_text(created, output, |answer| {
        let key = if answer["from_cache"] == true { "the cached key" } else { "a new key" };
        println!("{}", text(&answer["session_id"]));
        eprintln!(
            "Session with {} ({}) opened with {key}; it ends at {}.",
            text(&answer["domain"]),
            text(&answer["cs_id"]),
            text(&answer["expires_at"])
        );
    })?;
    match id {
        Some(id) if !output.json => warn_of(&id, output).await,
        _ => Ok(()),
    }
}

/// Says what is wrong with a new session's key, if anything is.
async fn warn_of(id: &str, output: &Output) -> Result<()> {
    let shown = ask(&output.daemon, &path_of(id), &[]).await?.json;
    if shown["key_bits"] == 8 {
        eprintln!("{WEAK}");
    }
    if shown["confirmed"] == false {
        eprintln!("The Content Server has not confirmed the key; `rke connect` will not work with it.");
    }
    for raida in shown["liars"].as_array().into_iter().flatten() {
        eprintln!("RAIDA {raida} gave a wrong share, which was left out.");
    }
    Ok(())
}

fn path_of(id: &str) -> String {
    format!("/api/rke/session/{}", print::path_segment(id))
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
    answer_or_text(ask(&output.daemon, &path_of(id), &[]).await, output, |answer| {
        print::fields(answer);
        if answer["key_bits"] == 8 {
            println!("\n{WEAK}");
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
