//! The last good list: for each RAIDA where guardians last agreed that it is, and when that was. What they no longer agree
//! on stays as it was.

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
    /// Its addresses.
    pub endpoints: Vec<SocketAddr>,
    /// How many guardians agreed on them.
    pub guardians: usize,
    /// When they did last.
    pub agreed_at: Timestamp,
}

/// All that guardians have agreed on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct GoodList(BTreeMap<RaidaIndex, Entry>);

/// What has changed in a list, for people.
pub(super) type Changes = Vec<String>;

impl GoodList {
    /// Takes over what guardians agree on at this time, and gives what differs from before.
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

    /// Leaves out endpoints at which another RAIDA is now.
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

    /// Each RAIDA, in order.
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

/// A list as it lies on the disk.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    /// The guardians that it is of, in the order of their URLs.
    guardians: Vec<String>,
    raidas: Vec<WrittenEntry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenEntry {
    raida: u8,
    endpoints: Vec<SocketAddr>,
    guardians: usize,
    agreed_at: String,
}

/// The text of a list that these guardians have agreed on.
pub(super) fn to_text(list: &GoodList, guardians: Vec<String>) -> serde_json::Result<String> {
    let entry = |(raida, entry): (RaidaIndex, Entry)| WrittenEntry {
        raida: raida.get(),
        endpoints: entry.endpoints,
        guardians: entry.guardians,
        agreed_at: entry.agreed_at.to_string(),
    };
    let raidas = list.rows().into_iter().map(entry).collect();
    Ok(serde_json::to_string_pretty(&Written { guardians, raidas })? + "\n")
}

/// What a text says: the guardians that it is of, and their list as far as addresses may be used. `None` where it is none.
pub(super) fn of_text(text: &[u8], reach: Reach) -> Option<(Vec<String>, GoodList)> {
    let written: Written = serde_json::from_slice(text).ok()?;
    let (mut entries, mut resolved) = (BTreeMap::new(), List::new());
    for WrittenEntry { raida, endpoints, guardians, agreed_at } in written.raidas {
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
mod tests {
    use super::*;

    fn raida(index: u8) -> RaidaIndex {
        RaidaIndex::new(index).expect("an index")
    }

    /// RAIDAs and their ports.
    fn agreed(places: &[(u8, u16)]) -> BTreeMap<RaidaIndex, Agreed> {
        let agreed = |(index, port): &(u8, u16)| {
            let endpoints = vec![SocketAddr::from(([8, 8, 8, 8], *port))];
            (raida(*index), Agreed { endpoints, guardians: 3 })
        };
        places.iter().map(agreed).collect()
    }

    fn time(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    #[test]
    fn what_is_no_longer_agreed_on_stays_and_each_entry_has_its_time() {
        let mut list = GoodList::default();
        assert_eq!(list.take_over(agreed(&[(1, 1), (2, 2)]), time(10)).len(), 2);
        assert!(list.take_over(agreed(&[(2, 2)]), time(20)).is_empty());
        assert!(list.take_over(agreed(&[]), time(30)).is_empty());
        let times: Vec<i64> = list.rows().iter().map(|(_, entry)| entry.agreed_at.as_second()).collect();
        assert_eq!(times, [10, 20]);
        let changes = list.take_over(agreed(&[(2, 9), (3, 3)]), time(40));
        assert_eq!(changes, ["RAIDA 2 was at 8.8.8.8:2, is at 8.8.8.8:9", "RAIDA 3 is new at 8.8.8.8:3"]);
    }

    #[test]
    fn no_endpoint_is_two_raidas_when_one_takes_the_place_of_another() {
        let mut list = GoodList::default();
        list.take_over(agreed(&[(1, 1), (2, 2)]), time(10));
        let changes = list.take_over(agreed(&[(2, 1)]), time(20));
        assert_eq!(
            changes,
            ["RAIDA 1 was at 8.8.8.8:1, where another is now", "RAIDA 2 was at 8.8.8.8:2, is at 8.8.8.8:1"]
        );
        assert_eq!(list.endpoints(), [(SocketAddr::from(([8, 8, 8, 8], 1)), raida(2))]);
    }

    #[test]
    fn a_list_is_read_as_it_was_written() {
        let mut list = GoodList::default();
        list.take_over(agreed(&[(1, 1), (24, 2)]), time(10));
        let text = to_text(&list, vec!["https://a".into()]).expect("a text");
        assert_eq!(of_text(text.as_bytes(), Reach::Public), Some((vec!["https://a".into()], list)));
        let private = text.replace("8.8.8.8:1", "10.0.0.1:1");
        let read = of_text(private.as_bytes(), Reach::Public).expect("a list").1;
        assert_eq!(read.rows().len(), 1, "flags may have changed since");
        for cut in 0..text.trim_end().len() {
            assert_eq!(of_text(&text.as_bytes()[..cut], Reach::Public), None);
        }
        for (from, to) in [("24", "25"), ("8.8.8.8:2", "8.8.8.8"), ("1970", "x"), ("raidas", "others")] {
            assert_eq!(of_text(text.replace(from, to).as_bytes(), Reach::Public), None, "{to}");
        }
    }
}
