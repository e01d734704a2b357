//! Which key sets the instances serve. Master secrets stay in the data folders, so an instance that lacks a key set says so.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use rke_shared_store::{Store, StoreError};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::copies::lock;
use crate::content_server::ServedKeySet;

/// How often instances compare.
const EVERY: Duration = Duration::from_secs(5);
/// Seconds after which an instance says again what it serves.
const SAID_AGAIN: u64 = 30;
/// Seconds after which what nobody says any longer is forgotten.
const FORGOTTEN: u64 = 180;

/// What the instances say, by the key sets' names.
type Said = BTreeMap<String, Served>;

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Served {
    /// Of the master secrets. They do not follow from it.
    fingerprint: String,
    /// In Unix seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    retires_at: Option<u64>,
    /// When an instance last said so, in Unix seconds.
    said: u64,
}

/// Compares the key sets of this instance with those of the others.
#[derive(Default)]
pub(super) struct KeySets(Mutex<Compared>);

#[derive(Default)]
struct Compared {
    at: Option<Instant>,
    /// What this instance lacks, in words.
    lacks: Vec<String>,
}

impl KeySets {
    /// Whether another instance serves a key set that this one does not have.
    pub(super) fn lacks_some(&self) -> bool {
        !lock(&self.0).lacks.is_empty()
    }

    /// Says what this instance serves, and logs what it lacks, if that is due.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) async fn compare(
        &self,
        store: &Store,
        sets: &[ServedKeySet],
        now: u64,
    ) -> Result<(), StoreError> {
        let Some(first) = sets.first().filter(|_| self.is_due()) else { return Ok(()) };
        let of = format!("key sets of {}", first.secrets.cs_id());
        let known = store.known_server(&of).await?;
        let mut said: Said =
            known.about.as_deref().and_then(|about| serde_json::from_slice(about).ok()).unwrap_or_default();
        let lacks = lacking(&said, sets, now);
        if add(&mut said, sets, now) {
            let about = serde_json::to_vec(&said).unwrap_or_default();
            // If another instance was quicker, this one says it the next time.
            let _ = store.remember_server(&of, &known, &about).await?;
        }
        self.note(lacks);
        Ok(())
    }

    fn is_due(&self) -> bool {
        let mut compared = lock(&self.0);
        let is_due = compared.at.is_none_or(|at| at.elapsed() >= EVERY);
        if is_due {
            compared.at = Some(Instant::now());
        }
        is_due
    }

    fn note(&self, lacks: Vec<String>) {
        let mut compared = lock(&self.0);
        if compared.lacks != lacks {
            lacks.iter().for_each(|what| tracing::error!("{what}"));
            if lacks.is_empty() {
                tracing::info!("this instance has the key sets of the others");
            }
            compared.lacks = lacks;
        }
    }
}

fn name(set: &ServedKeySet) -> String {
    set.secrets.key_set().to_string()
}

/// What others serve and this instance does not, in words.
fn lacking(said: &Said, sets: &[ServedKeySet], now: u64) -> Vec<String> {
    let is_served = |served: &&Served| {
        served.said.saturating_add(FORGOTTEN) > now && served.retires_at.is_none_or(|at| at > now)
    };
    let mut lacks = Vec::new();
    for (key_set, served) in said.iter().filter(|(_, served)| is_served(served)) {
        let own = sets.iter().find(|set| name(set) == *key_set);
        match own {
            None => lacks.push(format!(
                "another instance serves {key_set}, which is not in this data folder: its clients are refused here. Copy the folder \
                 whose name ends in -{key_set} from that instance's data folder"
            )),
            Some(set) if set.secrets.fingerprint() != served.fingerprint => lacks.push(format!(
                "another instance serves other master secrets as {key_set}: some of its clients are refused here. Instances need the same data \
                 folder, not one that `preload` has made for each"
            )),
            Some(_) => (),
        }
    }
    lacks
}

/// Adds what this instance serves, and drops what nobody says any longer. Whether that changes anything.
fn add(said: &mut Said, sets: &[ServedKeySet], now: u64) -> bool {
    let before = said.len();
    said.retain(|_, served| served.said.saturating_add(FORGOTTEN) > now);
    let mut is_changed = said.len() != before;
    for set in sets.iter().filter(|set| set.retires_at.is_none_or(|at| at > now)) {
        let own = Served { fingerprint: set.secrets.fingerprint(), retires_at: set.retires_at, said: now };
        let is_known = said.get(&name(set)).is_some_and(|served| {
            let is_same = (&served.fingerprint, served.retires_at) == (&own.fingerprint, own.retires_at);
            let is_anothers = served.fingerprint != own.fingerprint;
            is_anothers || (is_same && served.said.saturating_add(SAID_AGAIN) > now)
        });
        if !is_known {
            said.insert(name(set), own);
            is_changed = true;
        }
    }
    is_changed
}
