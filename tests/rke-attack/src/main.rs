//! Test only, never shipped. Attacks a network of its own: 25 RAIDA nodes, a Content Server, a daemon, and two wide
//! sessions that send a secret, or live sessions with every kind of public server. Each attacker has exactly what its
//! description says. `cargo xtask attack` runs all of them, with the defences and without.

mod attacker;
mod coin_thief;
mod impostor;
mod middle;
mod noise;
mod scene;
mod tap;

use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use scene::Scene;

/// The attacker got plaintext of a wide session, or an AN.
const BROKEN: u8 = 3;

/// The result of an attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The attacker got nothing.
    Kept,
    /// It got plaintext of a wide session, or an AN.
    Broken,
}

impl Outcome {
    fn of(got_it: bool) -> Self {
        if got_it { Self::Broken } else { Self::Kept }
    }
}

fn main() -> ExitCode {
    let name = std::env::args().nth(1).unwrap_or_default();
    match run(&name) {
        Ok(Outcome::Kept) => ExitCode::SUCCESS,
        Ok(Outcome::Broken) => ExitCode::from(BROKEN),
        Err(error) => {
            eprintln!("rke-attack {name}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(name: &str) -> Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let folder = tempfile::tempdir().context("cannot make a folder")?;
    runtime.block_on(async {
        match name {
            "sniffer" => attacker::sniffer(Scene::play(folder.path()).await?).await,
            "thief" => attacker::thief(Scene::play(folder.path()).await?),
            "raida" => attacker::dishonest_raida(Scene::play(folder.path()).await?).await,
            "middle" => middle::attack(folder.path(), middle::Knows::WhatItSees).await,
            "raida-in-the-middle" => middle::attack(folder.path(), middle::Knows::OneRequest).await,
            "impostor" => impostor::attack(folder.path()).await,
            "coin-thief" => coin_thief::attack(folder.path()).await,
            _ => bail!(
                "usage: rke-attack sniffer|thief|raida|middle|raida-in-the-middle|impostor|coin-thief; exit code 0 \
                 where the attacker got nothing, {BROKEN} where it got plaintext or an AN"
            ),
        }
    })
}
