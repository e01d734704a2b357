//! `rke dev --once`: the whole life of a session over the HTTP API, each step printed and checked.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::cli::DaemonOptions;
use crate::client::{Answer, get, target};
use crate::dev::DOMAIN;

/// `Hello World!` in Base64.
const PLAINTEXT: &str = "SGVsbG8gV29ybGQh";

/// Makes the tour against the daemon at `daemon`.
///
/// # Errors
/// Names the step that failed.
pub(crate) async fn make(daemon: &DaemonOptions, wallet: &Path) -> Result<()> {
    let tour = Tour { daemon };
    let wallet = wallet.to_str().context("the wallet path is not UTF-8")?;
    let found = tour.step("discover", "/api/rke/discover", &[("domain", DOMAIN)], 200).await?;
    expect("discover", found.json["key_sets"][0]["server_count"] == 25, "25 servers")?;
    let parameters = [("domain", DOMAIN), ("wallet_path", wallet)];
    let created = tour.step("create", "/api/rke/session", &parameters, 200).await?;
    let id = created.json["session_id"].as_str().context("create: the answer has no session_id")?;
    let parameters = [("session_id", id), ("plaintext", PLAINTEXT)];
    let encrypted = tour.step("encrypt", "/api/rke/encrypt", &parameters, 200).await?;
    let (ciphertext, nonce) = (&encrypted.json["ciphertext"], &encrypted.json["nonce"]);
    let (ciphertext, nonce) = (ciphertext.as_str().unwrap_or_default(), nonce.as_str().unwrap_or_default());
    expect("encrypt", ciphertext != PLAINTEXT, "a ciphertext that differs from the plaintext")?;
    let parameters = [("session_id", id), ("ciphertext", ciphertext), ("nonce", nonce)];
    let decrypted = tour.step("decrypt", "/api/rke/decrypt", &parameters, 200).await?;
    expect("decrypt", decrypted.json["plaintext"] == PLAINTEXT, "the plaintext again")?;
    let listed = tour.step("list", "/api/rke/sessions", &[], 200).await?;
    expect("list", listed.json["active"] == 1, "one session")?;
    tour.step("delete", "/api/rke/session/delete", &[("session_id", id)], 200).await?;
    let parameters = [("session_id", id), ("plaintext", PLAINTEXT)];
    tour.step("use after delete", "/api/rke/encrypt", &parameters, 404).await?;
    println!("\nThe tour is complete: every step did what it should.");
    Ok(())
}

struct Tour<'a> {
    daemon: &'a DaemonOptions,
}

impl Tour<'_> {
    async fn step(&self, name: &str, path: &str, parameters: &[(&str, &str)], status: u16) -> Result<Answer> {
        println!("\n== {name}\nGET {}", target(path, parameters));
        let answer = get(self.daemon, path, parameters).await;
        let answer = answer.with_context(|| format!("step `{name}` failed"))?;
        println!("{} {}", answer.status, answer.text);
        ensure!(
            answer.status == status,
            "step `{name}` failed: status {} instead of {status}",
            answer.status
        );
        Ok(answer)
    }
}

fn expect(step: &str, fulfilled: bool, what: &str) -> Result<()> {
    ensure!(fulfilled, "step `{step}` failed: the answer does not show {what}");
    Ok(())
}
