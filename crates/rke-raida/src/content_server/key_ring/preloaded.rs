//! The file `preloaded` of a key set: since when the RAIDAs hold it, and when each of them last confirmed that. An empty
//! file, as earlier versions wrote it, says only that enough of them do.

use std::collections::BTreeMap;
use std::fmt::Write;

use rke_proto::{Bitmap, RaidaIndex};

/// Where a key set is preloaded. All times are in Unix seconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preloaded {
    /// Since when enough RAIDAs have held it, if that is known.
    pub since: Option<u64>,
    /// The RAIDAs that hold it, and when each last confirmed that. Empty if that is not known.
    pub raidas: BTreeMap<RaidaIndex, u64>,
}

impl Preloaded {
    /// Reads the file. `None` if it is not such a file.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut preloaded = Self::default();
        for line in text.lines() {
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["since", at] => preloaded.since = Some(at.parse().ok()?),
                ["raida", raida, at] => {
                    let raida = raida.parse().ok().and_then(RaidaIndex::new)?;
                    preloaded.raidas.insert(raida, at.parse().ok()?);
                }
                _ => return None,
            }
        }
        Some(preloaded)
    }

    /// Notes that these RAIDAs have confirmed it at `now`.
    pub(super) fn note(&mut self, raidas: Bitmap, now: u64) {
        self.since.get_or_insert(now);
        self.raidas.extend(raidas.iter().map(|raida| (raida, now)));
    }

    pub(super) fn to_text(&self) -> String {
        let mut text = self.since.map(|since| format!("since {since}\n")).unwrap_or_default();
        for (raida, at) in &self.raidas {
            // Writing to a text cannot fail.
            let _ = writeln!(text, "raida {raida} {at}");
        }
        text
    }
}
