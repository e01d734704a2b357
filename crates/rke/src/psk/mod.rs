//! `rke psk` and `rke wireguard`: give another program the same key as one at the Content Server, again and again.

mod round;
mod wireguard;

use std::time::Duration;

use anyhow::Result;
use rke_raida::content_server::{KeyCommand, KeyFormat, wireguard_command};
use rke_secret::Secret;
use tokio::time::{MissedTickBehavior, interval};

use self::round::{Renewal, Subject};
use crate::cli::psk::{KeySource, PskOptions, WireGuardOptions};
use crate::launcher::start_launcher;
use crate::protection;
use crate::signals::Orders;
use crate::terminal::{BAD, clean, paint, say};
use crate::words::in_words;

/// The key, a random one in its place, and room for a few more.
const SECRETS: usize = 8;

pub(crate) fn psk(options: PskOptions) -> Result<()> {
    // Before the process is protected: the command has the rights that it has now.
    let command = KeyCommand::new(start_launcher(&options.exec)?, options.format.into());
    let PskOptions { name, every, source, .. } = options;
    run(&source, every, Missed::StaysSet, |source| Renewal::new(source, command, Subject::Named(name), every))
}

pub(crate) fn wireguard(options: WireGuardOptions) -> Result<()> {
    let WireGuardOptions { interface, peer, every, fail_closed, source } = options;
    let own = wireguard::own_key(&interface)?;
    let command = KeyCommand::new(start_launcher(&wireguard_command(&interface))?, KeyFormat::Base64);
    let subject = Subject::WireGuard { interface, own, peer };
    let missed = if fail_closed { Missed::Replaced } else { Missed::StaysSet };
    run(&source, Some(every), missed, |source| Renewal::new(source, command, subject, Some(every)))
}

/// What happens to a key that could not be renewed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Missed {
    StaysSet,
    /// By a random one, which the other end does not have.
    Replaced,
}

fn run(
    source: &KeySource,
    every: Option<u32>,
    missed: Missed,
    renewal: impl FnOnce(&KeySource) -> Result<Renewal>,
) -> Result<()> {
    let runtime = protection::start_runtime(source.protection, SECRETS, None)?;
    runtime.block_on(async {
        let renewal = renewal(source)?;
        match every {
            None => renewal.renew().await,
            Some(every) => keep(&renewal, Duration::from_secs(every.into()), missed).await,
        }
    })
}

/// Renews the key until a signal comes. It ends between two renewals only, so that both ends have the same key.
async fn keep(renewal: &Renewal, every: Duration, missed: Missed) -> Result<()> {
    let mut orders = Orders::listen()?;
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut state = State::New;
    loop {
        tokio::select! {
            biased;
            () = orders.stop() => return Ok(()),
            _ = ticks.tick() => (),
        }
        match renewal.renew().await {
            Ok(()) => {
                if state != State::Good {
                    say(&format!(
                        "Both ends have a new key; the next one follows in {} seconds.",
                        every.as_secs()
                    ));
                }
                state = State::Good;
            }
            Err(error) => {
                state = State::Bad;
                alarm(&format!("the key was not renewed: {}", in_words(&error)));
                if missed == Missed::Replaced {
                    replace(renewal).await;
                }
            }
        }
    }
}

/// How the last renewal ended.
#[derive(PartialEq, Eq)]
enum State {
    New,
    Good,
    Bad,
}

/// Sets a random key, which the other end does not have.
async fn replace(renewal: &Renewal) {
    let replaced = async { anyhow::Ok(renewal.set(&Secret::random()?).await?) };
    match replaced.await {
        Ok(()) => say("A random key has taken its place."),
        Err(error) => {
            alarm(&format!("no random key could be set either, so the old one stays: {}", in_words(&error)))
        }
    }
}

fn alarm(text: &str) {
    say(&format!("{} {}", paint(BAD, "rke: ALARM:"), clean(text)));
}
