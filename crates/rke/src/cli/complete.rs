//! Completion in shells: the shell runs this program, which knows its own commands and flags, and which asks the
//! daemon for ids and domains.

use std::env::{args, var, var_os};
use std::io::{self, Write};
use std::time::Duration;

use anyhow::{Context, Result};
use clap_complete::env::Shells;
use clap_complete::{CompleteEnv, CompletionCandidate, Shell};
use rke_client::{Call, Client, call};
use serde::de::DeserializeOwned;

use super::help;

/// A shell sets this variable to request the possible next words.
const ASKED: &str = "RKE_COMPLETE";

/// How long a user who has pressed a key waits for the daemon.
const PATIENCE: Duration = Duration::from_secs(1);

/// If a shell requests completions, prints them and ends the process.
pub(crate) fn answer_shells() {
    CompleteEnv::with_factory(help::command).var(ASKED).complete();
}

/// Writes the script that makes a shell request completions.
pub(crate) fn write_script(shell: Shell, to: &mut impl Write) -> Result<()> {
    let (shells, name) = (Shells::builtins(), shell.to_string());
    let shell = shells.completer(&name).with_context(|| format!("nothing is known of {name}"))?;
    Ok(shell.write_registration(ASKED, "rke", "rke", "rke", to)?)
}

/// The ids of the sessions.
pub(crate) fn sessions() -> Vec<CompletionCandidate> {
    let rows = ask(&call::list()).map(|listed| listed.sessions).unwrap_or_default();
    let candidate = |id: &str, domain: String| CompletionCandidate::new(id).help(Some(domain.into()));
    rows.into_iter().map(|row| candidate(row.session_id.as_str(), row.domain)).collect()
}

/// The ids of the sessions, and the domains.
pub(crate) fn whom() -> Vec<CompletionCandidate> {
    sessions().into_iter().chain(domains()).collect()
}

/// The domains of sessions and cached keys.
pub(crate) fn domains() -> Vec<CompletionCandidate> {
    let sessions = ask(&call::list()).map(|listed| listed.sessions).unwrap_or_default();
    let keys = ask(&call::keys()).map(|cached| cached.keys).unwrap_or_default();
    let domains = sessions.into_iter().map(|row| row.domain).chain(keys.into_iter().map(|key| key.domain));
    let mut domains: Vec<String> = domains.collect();
    domains.sort();
    domains.dedup();
    domains.into_iter().map(CompletionCandidate::new).collect()
}

/// The response of the daemon that the command line typed so far or the environment names.
fn ask<T: DeserializeOwned>(call: &Call<T>) -> Option<T> {
    let words: Vec<String> = args().collect();
    let address = given(&words, "--daemon").or_else(|| var("RKE_DAEMON").ok());
    let client = Client::new(address.as_deref().unwrap_or("127.0.0.1:8080")).with_timeout(PATIENCE);
    let token = given(&words, "--token-file").map(Into::into).or_else(|| var_os("RKE_TOKEN_FILE"));
    let client = match token {
        Some(path) => client.with_token_file(path),
        None => client,
    };
    let runtime: io::Result<_> = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.ok()?.block_on(client.ask(call)).ok()
}

/// The value of a flag among words that may not all be typed yet.
fn given(words: &[String], flag: &str) -> Option<String> {
    let value = |(at, word): (usize, &String)| match word.strip_prefix(flag)? {
        "" => words.get(at + 1).cloned(),
        value => value.strip_prefix('=').map(str::to_owned),
    };
    words.iter().enumerate().find_map(value)
}
