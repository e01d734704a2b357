//! `rke content-server key-sets`: the key sets in a data folder, where they are preloaded, since when, and when they
//! retire. It reads no secret, and the Content Server may be running or not.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use jiff::Timestamp;
use rke_proto::{Form, RAIDA_COUNT, RaidaIndex};
use rke_raida::content_server::{ListedKeySet, list_key_sets};
use serde_json::{Value, json};

use crate::terminal::Narrow::{LeftOut, Wraps};
use crate::terminal::{Cell, Narrow, clean, fitted, from_now, out};

const COLUMNS: [(&str, Narrow); 6] = [
    ("CS ID", Wraps),
    ("KEY SET", Wraps),
    ("SHARES", LeftOut(1)),
    ("RAIDAS", Wraps),
    ("PRELOADED", Wraps),
    ("RETIRES", Wraps),
];

pub(super) fn list(data_dir: &Path, as_json: bool) -> Result<()> {
    let sets = list_key_sets(data_dir)?;
    if as_json {
        return out(&Value::from_iter(sets.iter().map(in_json)).to_string());
    }
    match sets.as_slice() {
        [] => out("No key sets."),
        sets => out(&fitted(&COLUMNS, sets.iter().map(row))),
    }
}

fn row(set: &ListedKeySet) -> Vec<Cell> {
    let preloaded = set.preloaded.as_ref();
    let since = preloaded.map(|preloaded| preloaded.since.and_then(time).map_or("yes".into(), from_now));
    let retired = set.retires_at.and_then(time).map(from_now);
    vec![
        Cell::new(clean(set.cs_id.as_str())),
        Cell::new(set.key_set),
        Cell::new(shares(set.form)),
        Cell::new(preloaded.map_or("-".into(), |preloaded| raidas(&preloaded.raidas))),
        Cell::new(since.unwrap_or_else(|| "no".into())),
        Cell::new(retired.unwrap_or_else(|| "-".into())),
    ]
}

/// How many RAIDAs hold it, and which do not.
fn raidas(holding: &BTreeMap<RaidaIndex, u64>) -> String {
    let missing = RaidaIndex::all().filter(|raida| !holding.contains_key(raida));
    let missing: Vec<String> = missing.map(|raida| raida.to_string()).collect();
    match (holding.len(), missing.is_empty()) {
        (0, _) => "unknown".into(),
        (all, true) => format!("all {all}"),
        (some, false) => format!("{some} of {RAIDA_COUNT}, not {}", missing.join(", ")),
    }
}

fn shares(form: Form) -> &'static str {
    match form {
        Form::Wide => "32 bytes",
        Form::Handshake3Narrow => "1 byte",
        Form::Live => "1 byte (live)",
    }
}

fn time(seconds: u64) -> Option<Timestamp> {
    Timestamp::from_second(seconds.try_into().ok()?).ok()
}

fn in_json(set: &ListedKeySet) -> Value {
    let preloaded = set.preloaded.as_ref().map(|preloaded| {
        let raidas = preloaded.raidas.iter();
        let raidas = raidas.map(|(raida, at)| json!({"raida": raida.get(), "confirmed_at": time(*at)}));
        json!({"since": preloaded.since.and_then(time), "raidas": Value::from_iter(raidas)})
    });
    json!({
        "cs_id": set.cs_id.as_str(),
        "key_set": set.key_set.get(),
        "form": set.form.name(),
        "preloaded": preloaded,
        "retires_at": set.retires_at.and_then(time),
    })
}
