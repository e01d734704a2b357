//! `rke dev --once`: the whole life of a session over the HTTP API, each step printed and checked.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use rke_client::call::target;
use rke_client::{Call, Client, Method};
use serde_json::Value;

use super::DOMAIN;
use crate::terminal::out;

/// `Hello World!` in Base64.
const PLAINTEXT: &str = "SGVsbG8gV29ybGQh";

/// Runs the tour against the daemon of `client`.
///
/// # Errors
/// Names the step that failed.
pub(crate) async fn make(client: &Client, wallet: &Path) -> Result<()> {
    let tour = Tour { client };
    let wallet = wallet.to_str().context("the wallet path is not UTF-8")?;
    let found = tour.step("discover", "/api/rke/discover", &[("domain", DOMAIN)], 200).await?;
    expect("discover", found["key_sets"][0]["server_count"] == 25, "25 servers")?;
    let parameters = [("domain", DOMAIN), ("wallet_path", wallet)];
    let created = tour.step("create", "/api/rke/session", &parameters, 200).await?;
    let id = created["session_id"].as_str().context("create: the response has no session_id")?;
    let parameters = [("session_id", id), ("plaintext", PLAINTEXT)];
    let encrypted = tour.step("encrypt", "/api/rke/encrypt", &parameters, 200).await?;
    let (ciphertext, nonce) = (&encrypted["ciphertext"], &encrypted["nonce"]);
    let (ciphertext, nonce) = (ciphertext.as_str().unwrap_or_default(), nonce.as_str().unwrap_or_default());
    expect("encrypt", ciphertext != PLAINTEXT, "a ciphertext that differs from the plaintext")?;
    let parameters = [("session_id", id), ("ciphertext", ciphertext), ("nonce", nonce)];
    let decrypted = tour.step("decrypt", "/api/rke/decrypt", &parameters, 200).await?;
    expect("decrypt", decrypted["plaintext"] == PLAINTEXT, "the plaintext again")?;
    let listed = tour.step("list", "/api/rke/sessions", &[], 200).await?;
    expect("list", listed["active"] == 1, "one session")?;
    tour.step("delete", "/api/rke/session/delete", &[("session_id", id)], 200).await?;
    let parameters = [("session_id", id), ("plaintext", PLAINTEXT)];
    tour.step("use after delete", "/api/rke/encrypt", &parameters, 404).await?;
    out("\nThe tour is complete: every step did what it should.")
}

struct Tour<'a> {
    client: &'a Client,
}

impl Tour<'_> {
    async fn step(&self, name: &str, path: &str, parameters: &[(&str, &str)], status: u16) -> Result<Value> {
        let target = target(path, parameters);
        out(&format!("\n== {name}\nGET {target}"))?;
        let answer = self.client.raw(&Call::<Value>::new(Method::GET, target, None)).await;
        let answer = answer.with_context(|| format!("step `{name}` failed"))?;
        out(&format!("{} {}", answer.status, answer.text))?;
        ensure!(
            answer.status == status,
            "step `{name}` failed: status {} instead of {status}",
            answer.status
        );
        serde_json::from_str(&answer.text).with_context(|| format!("step `{name}` failed: not JSON"))
    }
}

fn expect(step: &str, fulfilled: bool, what: &str) -> Result<()> {
    ensure!(fulfilled, "step `{step}` failed: the response does not show {what}");
    Ok(())
}
