//! The last good list: for each RAIDA, where guardians last agreed that it is, and when that was. An entry that they
//! no longer agree on stays unchanged.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use jiff::Timestamp;
use rke_proto::RaidaIndex;
use rke_proto::directory::guardian::usable;
use rke_proto::reach::Reach;
use serde::{Deserialize, Serialize};

use super::agreement::{Agreed, List};

/// Where a RAIDA is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its endpoints.
    pub endpoints: Vec<SocketAddr>,
    /// How many guardians agreed on them.
    pub guardians: usize,
    /// When they last agreed.
    pub agreed_at: Timestamp,
}

/// Everything that guardians have agreed on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct GoodList(BTreeMap<RaidaIndex, Entry>);

/// The changes of a list, in words for people.
pub(super) type Changes = Vec<String>;

impl GoodList {
    /// Takes over what the guardians agree on now, and returns the changes.
    pub(super) fn take_over(&mut self, agreed: BTreeMap<RaidaIndex, Agreed>, now: Timestamp) -> Changes {
        let mut changes = self.give_up(&agreed);
        for (raida, Agreed { endpoints, guardians }) in agreed {
            let after = shown(&endpoints);
            match self.0.insert(raida, Entry { endpoints, guardians, agreed_at: now }) {
                Some(before) if shown(&before.endpoints) == after => (),
                Some(before) => {
                    changes.push(format!("RAIDA {raida} was at {}, is at {after}", shown(&before.endpoints)));
                }
                None => changes.push(format!("RAIDA {raida} is new at {after}")),
            }
        }
        changes
    }

    /// Removes endpoints where another RAIDA is now.
    fn give_up(&mut self, agreed: &BTreeMap<RaidaIndex, Agreed>) -> Changes {
        let taken: Vec<SocketAddr> =
            agreed.values().flat_map(|agreed| agreed.endpoints.iter().copied()).collect();
        let mut changes = Vec::new();
        self.0.retain(|raida, entry| {
            if agreed.contains_key(raida) {
                return true;
            }
            let before = shown(&entry.endpoints);
            entry.endpoints.retain(|endpoint| !taken.contains(endpoint));
            if entry.endpoints.is_empty() {
                changes.push(format!("RAIDA {raida} was at {before}, where another is now"));
            }
            !entry.endpoints.is_empty()
        });
        changes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All entries, ordered by RAIDA.
    pub(super) fn rows(&self) -> Vec<(RaidaIndex, Entry)> {
        self.0.iter().map(|(raida, entry)| (*raida, entry.clone())).collect()
    }

    /// Each endpoint with its RAIDA.
    pub(super) fn endpoints(&self) -> List {
        let of_one = |(raida, entry): (&RaidaIndex, &Entry)| {
            let raida = *raida;
            entry.endpoints.clone().into_iter().map(move |endpoint| (endpoint, raida))
        };
        self.0.iter().flat_map(of_one).collect()
    }
}

fn shown(endpoints: &[SocketAddr]) -> String {
    endpoints.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
}

/// A list as it is stored on disk.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredList {
    /// The URLs of the guardians that agreed on it, sorted.
    guardians: Vec<String>,
    raidas: Vec<StoredEntry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredEntry {
    raida: u8,
    endpoints: Vec<SocketAddr>,
    guardians: usize,
    agreed_at: String,
}

/// The text of a list that these guardians agreed on.
pub(super) fn to_text(list: &GoodList, guardians: Vec<String>) -> serde_json::Result<String> {
    let entry = |(raida, entry): (RaidaIndex, Entry)| StoredEntry {
        raida: raida.get(),
        endpoints: entry.endpoints,
        guardians: entry.guardians,
        agreed_at: entry.agreed_at.to_string(),
    };
    let raidas = list.rows().into_iter().map(entry).collect();
    Ok(serde_json::to_string_pretty(&StoredList { guardians, raidas })? + "\n")
}

/// Parses a text: the guardians of the list, and the list with only the addresses that may be used. `None` if it is
/// not a list.
pub(super) fn of_text(text: &[u8], reach: Reach) -> Option<(Vec<String>, GoodList)> {
    let written: StoredList = serde_json::from_slice(text).ok()?;
    let (mut entries, mut resolved) = (BTreeMap::new(), List::new());
    for StoredEntry { raida, endpoints, guardians, agreed_at } in written.raidas {
        let raida = RaidaIndex::new(raida)?;
        resolved.extend(endpoints.into_iter().map(|endpoint| (endpoint, raida)));
        let agreed_at = agreed_at.parse().ok()?;
        entries.insert(raida, Entry { endpoints: Vec::new(), guardians, agreed_at });
    }
    for (endpoint, raida) in usable(resolved, reach, &mut Vec::new()) {
        entries.get_mut(&raida)?.endpoints.push(endpoint);
    }
    entries.retain(|_, entry| !entry.endpoints.is_empty());
    Some((written.guardians, GoodList(entries)))
}

#[cfg(test)]
mod tests;
