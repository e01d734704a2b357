//! TXT records. Nothing in them is an error, so any text gives key sets. These must follow their rules for every
//! text, and read the same when they are written out as a record.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use rke_fuzz::memory;
use rke_proto::directory::Directory;
use rke_proto::reach::Reach;
use rke_proto::records::{KeySets, Records};
use rke_proto::{MIN_REQUIRED, RaidaIndex};

rke_fuzz::target!(txt_records, check);

/// Bytes allocated for each byte of text: a short line becomes a warning that describes the mistake, twice.
const WORTH: u64 = 256;

/// Bytes allocated for a text of any length.
const FIXED: u64 = 4096;

/// Takes the bytes as the texts of records, divided by zero bytes. Good is what gives no warning.
fn check(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let directory = directory();
    let read = || Records::parse(text.split('\0')).key_sets(&directory, Reach::Everywhere);
    let (sets, allocated) = memory::peak(read);
    let most = FIXED + WORTH * text.len() as u64;
    assert!(allocated <= most, "{allocated} bytes allocated for {} bytes of text", text.len());
    check_rules(&sets);
    check_warnings(&sets.warnings);
    let again = Records::parse([to_text(&sets).as_str()]).key_sets(&Directory::default(), Reach::Everywhere);
    assert_eq!(
        again,
        KeySets { warnings: Vec::new(), left_out: 0, unclear: None, unindexed: 0, ..sets.clone() }
    );
    sets.warnings.is_empty()
}

/// Two servers at addresses that the corpus uses without an index.
fn directory() -> Directory {
    let entries = [("192.0.2.7:50007", 7), ("[2001:db8::8]:50008", 8)].into_iter();
    let entries = entries.filter_map(|(at, index)| Some((at.parse().ok()?, RaidaIndex::new(index)?)));
    Directory::new(entries.collect())
}

fn check_rules(sets: &KeySets) {
    assert!(sets.required >= MIN_REQUIRED);
    assert!(sets.all.is_sorted_by(|one, next| one.key_set < next.key_set));
    for set in &sets.all {
        assert!(set.servers.is_sorted_by(|(one, _), (next, _)| one < next), "one server for each RAIDA");
        assert!(!set.cs_id.as_str().is_empty());
    }
    let mut raida_of = BTreeMap::new();
    for (raida, endpoint) in sets.all.iter().flat_map(|set| &set.servers) {
        assert_eq!(raida_of.insert(endpoint, raida).unwrap_or(raida), raida, "one RAIDA at each endpoint");
    }
    let enough = sets.all.iter().find(|set| set.servers.len() >= usize::from(sets.required));
    assert_eq!(sets.choose(), enough);
}

/// Warnings reach logs and pages: printable, and not endless.
fn check_warnings(warnings: &[String]) {
    for warning in warnings {
        assert!(!warning.chars().any(char::is_control), "{warning:?}");
        assert!(warning.chars().count() <= 100 + 80 * "\\u{10ffff}".len());
    }
}

/// The key sets as a record that says everything about them.
fn to_text(sets: &KeySets) -> String {
    let mut text = format!("required raidas>={}\n", sets.required);
    let requirement = match sets.form {
        Some(form) => form.requirement().unwrap_or_default(),
        None => "required share-bytes>=33",
    };
    let _ = writeln!(text, "{requirement}");
    for set in &sets.all {
        let _ = writeln!(text, "{} = {}", set.key_set, set.cs_id);
        for (raida, endpoint) in &set.servers {
            let _ = writeln!(text, "{endpoint} {} raida={raida}", set.key_set);
        }
    }
    text
}
