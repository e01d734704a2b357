//! The first step of every command that holds secrets: it hardens the process, sets up secret memory and keeps
//! signals off its threads. Only then does it start a runtime.

use std::thread::available_parallelism;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use rke_engine::settings::MAX_PLACES;
use rke_host::sandbox::raise_open_files;
use rke_secret::process::{Inspection, block_signals, harden, return_freed_memory};
use rke_secret::{SecretMemory, start};
use serde::Deserialize;
use tokio::runtime::{Builder, Runtime};

use crate::sandbox::Sandbox;
use crate::switch::Switch;
use crate::terminal::say;

/// Room for the secrets of a few exchanges at once, on top of the secrets requested. More is allocated when needed.
const SECRETS_BESIDE: usize = 1024;

/// The number of secrets in a session: the key for `encrypt`, and the key from which all others are derived.
pub(crate) const SECRETS_OF_A_SESSION: usize = 2;

/// The environment variable that sets the number of tokio's threads.
const WORKERS: &str = "TOKIO_WORKER_THREADS";

/// Parses the number of keys to make room for.
pub(crate) fn parse_places(text: &str) -> Result<usize, String> {
    let places = text.parse().ok().filter(|places| (1..=MAX_PLACES).contains(places));
    places.ok_or_else(|| format!("it must be a number from 1 to {MAX_PLACES}"))
}

/// How secrets are held.
#[derive(Args, Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Protection {
    /// The memory to hold secrets in.
    #[arg(long, value_name = "KIND", env = "RKE_SECRET_MEMORY", default_value = "auto")]
    pub(crate) secret_memory: SecretMemoryChoice,
    /// Let debuggers and core dumps see everything, keys included. For debugging rke only.
    #[arg(long, env = "RKE_INSECURE_DEBUG", value_parser = Switch)]
    pub(crate) insecure_debug: bool,
}

/// The memory to hold secrets in.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SecretMemoryChoice {
    /// secretmem if the system has it, else locked.
    #[default]
    Auto,
    /// memfd_secret, which not even root can read from outside; without it, do not start.
    Secretmem,
    /// Locked: never swapped, not in core dumps, but readable by root.
    Locked,
}

/// Protects the process, with room for `secrets` secrets and with as many open files as the system allows, and
/// starts the runtime. A sandbox limits which files its threads can use.
pub(crate) fn start_runtime(
    protection: Protection,
    secrets: usize,
    sandbox: Option<&Sandbox>,
) -> Result<Runtime> {
    return_freed_memory();
    raise_open_files();
    protect(protection, secrets)?;
    let mut builder = Builder::new_multi_thread();
    if let Some(sandbox) = sandbox {
        // Without this number, the runtime would read it from files that the sandbox has closed by then.
        if std::env::var_os(WORKERS).is_none()
            && let Ok(processors) = available_parallelism()
        {
            builder.worker_threads(processors.get());
        }
        sandbox.limit_files();
    }
    builder.enable_all().build().context("cannot start the runtime")
}

fn protect(protection: Protection, secrets: usize) -> Result<()> {
    let inspection = if protection.insecure_debug { Inspection::Allowed } else { Inspection::Refused };
    let missing = harden(inspection).context("cannot harden the process")?;
    missing.iter().for_each(|what| tracing::warn!("this kernel cannot do all: {what}"));
    let choice = match protection.secret_memory {
        SecretMemoryChoice::Auto => SecretMemory::Auto,
        SecretMemoryChoice::Secretmem => SecretMemory::Secretmem,
        SecretMemoryChoice::Locked => SecretMemory::Locked,
    };
    let report = start(choice, secrets + SECRETS_BESIDE).context("cannot hold secrets")?;
    tracing::info!(kind = report.kind, bytes = report.bytes, slots = report.slots, "secret memory is ready");
    if report.kind == "locked" {
        tracing::warn!(
            "secrets are in locked memory, which root can read: this system has no memfd_secret, or locked memory was asked for"
        );
    }
    if protection.insecure_debug {
        tracing::error!(
            "INSECURE: --insecure-debug is on. Keys can be read with a debugger and end up in core dumps"
        );
        say(
            "rke: INSECURE: --insecure-debug is on. Keys can be read with a debugger and end up in core dumps.",
        );
    }
    Ok(block_signals()?)
}
