//! Known Content Servers, which all nodes share, so that an impostor is refused by a node that has never seen the real one.
//!
//! What is known has no end and no incarnation: if the store brings back what was replaced, a node refuses a Content Server that an
//! operator has accepted, which is safe, and the operator accepts it again. A store that starts empty learns it from the nodes' own files.

use super::{Shared, Store, unintelligible};
use crate::error::StoreError;
use crate::name::{DomainTag, Incarnation, KeyTag, Kind, Name, TAG_LEN};
use crate::sealing::{Binding, Part, StoreKey};

/// What is known about a domain's Content Server, and which version of it that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    pub about: Option<Vec<u8>>,
    /// As the store has it.
    raw: Vec<u8>,
}

impl Store {
    /// What is known about a domain's Content Server. Under an older key it is sealed again, so that the key can leave.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn known_server(&self, domain: &str) -> Result<Known, StoreError> {
        let (_, known) = self.exchange_known(domain, b"", b"").await?;
        let is_old = !known.raw.is_empty() && !known.raw.starts_with(&self.shared.keys().sealing().tag().0);
        match &known.about {
            Some(about) if is_old => match self.remember_server(domain, &known, about).await? {
                Ok(()) => self.exchange_known(domain, b"", b"").await.map(|(_, known)| known),
                Err(newer) => Ok(newer),
            },
            _ => Ok(known),
        }
    }

    /// Remembers something about a domain's Content Server, if `before` is still what is known. Otherwise returns what is, as an error in
    /// the inner result.
    ///
    /// # Errors
    /// [`StoreError`]; then it may be remembered or not.
    pub async fn remember_server(
        &self,
        domain: &str,
        before: &Known,
        about: &[u8],
    ) -> Result<Result<(), Known>, StoreError> {
        let keys = self.shared.keys();
        let key = keys.sealing();
        let to = binding(key, domain);
        let raw = [&key.tag().0[..], &key.seal_data(&to, about)?].concat();
        let (is_written, known) = self.exchange_known(domain, &before.raw, &raw).await?;
        Ok(if is_written { Ok(()) } else { Err(known) })
    }

    async fn exchange_known(
        &self,
        domain: &str,
        before: &[u8],
        after: &[u8],
    ) -> Result<(bool, Known), StoreError> {
        let shared = &self.shared;
        let tags: Vec<DomainTag> = shared.keys().domain_tags(domain);
        let mut args = vec![before, after];
        args.extend(tags.iter().map(|tag| tag.0.as_slice()));
        let mut reply = shared.run(&shared.scripts.known, shared.partition_of(domain), &args).await?;
        let raw = reply.rest.bytes()?;
        let keys = shared.keys();
        if reply.rest.arrays()?.iter().any(|tag| keys.opening(KeyTag(*tag)).is_none()) {
            return Err(StoreError::OtherKeys);
        }
        let is_written = match reply.status.as_str() {
            "ok" => true,
            "changed" => false,
            _ => return Err(unintelligible()),
        };
        let about = self.open_known(domain, &raw)?;
        Ok((is_written, Known { about, raw }))
    }

    fn open_known(&self, domain: &str, raw: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        if raw.is_empty() {
            return Ok(None);
        }
        let (tag, sealed) = raw.split_first_chunk::<TAG_LEN>().ok_or(StoreError::Damaged)?;
        let keys = self.shared.keys();
        let key = keys.opening(KeyTag(*tag)).ok_or(StoreError::OtherKeys)?;
        Ok(Some(key.open_data(&binding(key, domain), sealed)?))
    }
}

impl Shared {
    /// The keys under which something is known in a partition.
    pub(super) async fn keys_of_known(&self, partition: u16) -> Result<Vec<KeyTag>, StoreError> {
        // No domain has a tag of this length, so nothing is found.
        let mut reply = self.run(&self.scripts.known, partition, &[b"", b"", b"none"]).await?;
        reply.rest.bytes()?;
        Ok(reply.rest.arrays()?.into_iter().map(KeyTag).collect())
    }
}

/// Bound to the domain by its tag.
fn binding(key: &StoreKey, domain: &str) -> Binding {
    let mut name = [0; 16];
    name[..TAG_LEN].copy_from_slice(&key.domain_tag(domain).0);
    Binding::of_name(Kind::Known, Part::Description, Name(name), 0, Incarnation([0; Incarnation::LEN]))
}
