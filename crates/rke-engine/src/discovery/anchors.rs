//! The keys that validation of DNS begins with: those of the root, which are built in, or those of a file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use hickory_resolver::proto::dnssec::TrustAnchors;
use hickory_resolver::proto::rr::Name;
use hickory_resolver::proto::serialize::txt::ParseError;
use hickory_resolver::proto::serialize::txt::trust_anchor::{Entry, Parser};

use super::ResolverError;

/// Which responses of DNS are accepted. `docs/known-content-servers.md`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Dnssec {
    /// All. Nothing is validated.
    #[default]
    Off,
    /// Those that are validated, and those of zones that are not signed.
    Try,
    /// Those that are validated.
    Require,
}

/// What validation is to be done, and with which keys.
pub struct Validation {
    pub(super) dnssec: Dnssec,
    /// The zones that have keys here, the deepest first.
    pub(super) anchors: Vec<(Name, TrustAnchors)>,
}

impl Validation {
    /// None.
    pub fn off() -> Self {
        Self { dnssec: Dnssec::Off, anchors: Vec::new() }
    }

    /// Validation that begins with the DNSKEY records in `file`, or with the keys of the root.
    ///
    /// # Errors
    /// [`ResolverError`], where the file cannot be read, or has something else in it.
    pub fn load(dnssec: Dnssec, file: Option<&Path>) -> Result<Self, ResolverError> {
        let anchors = match (dnssec, file) {
            (Dnssec::Off, _) => Vec::new(),
            (_, None) => vec![(Name::root(), TrustAnchors::default())],
            (_, Some(path)) => read(path)?,
        };
        Ok(Self { dnssec, anchors })
    }
}

/// Each zone has its keys for itself. With those of zones above it, the validator would look for a way
/// through them too, and take the zone for an unsigned one where one of them says so.
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
