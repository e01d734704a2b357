//! `rke dev --once`: the whole life of a session over the HTTP API, each step printed and checked.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rke_client::call::target;
use rke_client::{Call, Client, Method, Raw};
use serde_json::Value;
use tokio::time::{sleep, timeout};

use super::DOMAIN;
use crate::terminal::out;

/// `Hello World!` in Base64.
const PLAINTEXT: &str = "SGVsbG8gV29ybGQh";

/// How long a new store may not know what it had, and some time more.
const SETTLING: Duration = Duration::from_secs(30);
const BETWEEN_TRIES: Duration = Duration::from_millis(200);

/// Runs the tour against the daemon of `client`, and a part of it against a second one that shares its sessions.
///
/// # Errors
/// Names the step that failed.
pub(crate) async fn make(client: &Client, second: Option<&Client>, wallet: &Path) -> Result<()> {
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
    tour.is_gone("use after delete", id).await?;
    if let Some(second) = second {
        tour.share(&Tour { client: second }, wallet).await?;
    }
    out("\nThe tour is complete: every step did what it should.")
}

struct Tour<'a> {
    client: &'a Client,
}

impl Tour<'_> {
    /// A session of this daemon is used through the second and deleted through the first, and then both do not know it.
    async fn share(&self, second: &Self, wallet: &str) -> Result<()> {
        let parameters = [("domain", DOMAIN), ("wallet_path", wallet)];
        let created = self.step("create for both daemons", "/api/rke/session", &parameters, 200).await?;
        let id = created["session_id"].as_str().context("create: the response has no session_id")?;
        let parameters = [("session_id", id), ("plaintext", PLAINTEXT)];
        second.step("use through the second daemon", "/api/rke/encrypt", &parameters, 200).await?;
        let parameters = [("session_id", id)];
        self.step("delete through the first", "/api/rke/session/delete", &parameters, 200).await?;
        second.is_gone("use through the second after that", id).await?;
        self.is_gone("use through the first after that", id).await
    }

    /// A step that uses a session which has ended. While a store is new, it is not known whether it ever had the session: then the
    /// response is "try again".
    async fn is_gone(&self, name: &str, id: &str) -> Result<()> {
        let target = target("/api/rke/encrypt", &[("session_id", id), ("plaintext", PLAINTEXT)]);
        let settled = timeout(SETTLING, async {
            while self.request(name, &target).await.is_ok_and(|answer| answer.status == 503) {
                sleep(BETWEEN_TRIES).await;
            }
        });
        // If it still says so, the step fails.
        let _ = settled.await;
        self.step_at(name, target, 404).await.map(drop)
    }

    async fn step(&self, name: &str, path: &str, parameters: &[(&str, &str)], status: u16) -> Result<Value> {
        self.step_at(name, target(path, parameters), status).await
    }

    async fn step_at(&self, name: &str, target: String, status: u16) -> Result<Value> {
        out(&format!("\n== {name}\nGET {target}"))?;
        let answer = self.request(name, &target).await?;
        out(&format!("{} {}", answer.status, answer.text))?;
        ensure!(
            answer.status == status,
            "step `{name}` failed: status {} instead of {status}",
            answer.status
        );
        serde_json::from_str(&answer.text).with_context(|| format!("step `{name}` failed: not JSON"))
    }

    async fn request(&self, name: &str, target: &str) -> Result<Raw> {
        let answer = self.client.raw(&Call::<Value>::new(Method::GET, target, None)).await;
        answer.with_context(|| format!("step `{name}` failed"))
    }
}

fn expect(step: &str, fulfilled: bool, what: &str) -> Result<()> {
    ensure!(fulfilled, "step `{step}` failed: the response does not show {what}");
    Ok(())
}
