//! The keys that DNSSEC validation starts with: the built-in keys of the root, or those in a file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use hickory_resolver::proto::dnssec::TrustAnchors;
use hickory_resolver::proto::rr::Name;
use hickory_resolver::proto::serialize::txt::ParseError;
use hickory_resolver::proto::serialize::txt::trust_anchor::{Entry, Parser};

use super::ResolverError;

/// Which DNS responses are accepted. `docs/known-content-servers.md`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Dnssec {
    /// All responses. Nothing is validated.
    #[default]
    Off,
    /// Validated responses, and those of unsigned zones.
    Try,
    /// Validated responses only.
    Require,
}

/// Which responses to accept, and the keys for validation.
pub struct Validation {
    pub(super) dnssec: Dnssec,
    /// The zones with configured keys, the deepest first.
    pub(super) anchors: Vec<(Name, TrustAnchors)>,
}

impl Validation {
    /// No validation.
    pub fn off() -> Self {
        Self { dnssec: Dnssec::Off, anchors: Vec::new() }
    }

    /// Validation that starts with the DNSKEY records in `file`, or with the keys of the root.
    ///
    /// # Errors
    /// [`ResolverError`] if the file cannot be read, or contains anything else.
    pub fn load(dnssec: Dnssec, file: Option<&Path>) -> Result<Self, ResolverError> {
        let anchors = match (dnssec, file) {
            (Dnssec::Off, _) => Vec::new(),
            (_, None) => vec![(Name::root(), TrustAnchors::default())],
            (_, Some(path)) => read(path)?,
        };
        Ok(Self { dnssec, anchors })
    }
}

/// Keeps the keys of each zone separate. A validator that also had the keys of parent zones would look for a chain
/// through those too, and take the zone for unsigned if one of them says so.
fn read(path: &Path) -> Result<Vec<(Name, TrustAnchors)>, ResolverError> {
    let unreadable = |source: io::Error| ResolverError::Anchors { path: path.into(), source };
    let text = fs::read_to_string(path).map_err(unreadable)?;
    let mut zones: Vec<(Name, TrustAnchors)> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let wrong = |error| wrong_line(path, at + 1, &error);
        for entry in Parser::new(line).parse().map_err(wrong)? {
            let Entry::DNSKEY(record) = entry else { continue };
            let mut name = record.name().to_lowercase();
            name.set_fqdn(true);
            let known = zones.iter().position(|(zone, _)| *zone == name).unwrap_or_else(|| {
                zones.push((name.clone(), TrustAnchors::empty()));
                zones.len() - 1
            });
            zones[known].1.insert_with_name(record.data().public_key(), (&name).into());
        }
    }
    if zones.is_empty() {
        return Err(ResolverError::NoAnchors(path.into()));
    }
    zones.sort_by_key(|(zone, _)| std::cmp::Reverse(zone.num_labels()));
    Ok(zones)
}

fn wrong_line(path: &Path, number: usize, error: &ParseError) -> ResolverError {
    let path = PathBuf::from(path);
    match error {
        ParseError::UnsupportedRecordType(kind) => ResolverError::NotDnskey { path, number, kind: *kind },
        _ => ResolverError::WrongAnchor { path, number },
    }
}
