//! The key cache. It keeps part of an exchange in one sealed file for each domain and set of coins, and so saves the
//! next exchange, even after a restart. For handshake 3 it keeps a resumption secret, for live sessions the key
//! itself. Memory holds only names and expiry times; a file is opened when it is needed. Expired files are removed,
//! damaged or foreign ones are moved aside, and none of them is fatal. A narrow key is used only by the run of the
//! daemon that cached it, because only that run knows how much the key has encrypted.

mod aside;
mod description;
mod index;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{fs, io};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use rke_host::data_dir::{DataDir, DataDirError};
use rke_host::sealed::{SealError, Sealer};
use rke_proto::coin::CoinId;
use rke_proto::handshake::keys::{forget_proof, forget_token};
use rke_proto::{ContentServerId, Form};
use rke_secret::SecretError;
use sha2::{Digest, Sha256};

use self::aside::{Unusable, discard};
use self::description::Description;
#[cfg(feature = "testing")]
pub use self::description::rewritten as rewritten_description;
use self::index::{Indexed, Loaded, WriteId};
use crate::Domain;
use crate::exchange::{Kept, KeptSecret};
use crate::model::clock::{timestamp, unix_seconds};
use crate::model::remote_deletion::RemoteDeletion;
use crate::model::viewer::Viewer;

const FOLDER: &str = "cache";
const EXTENSION: &str = "cache";

/// The number of cached keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// All keys in the cache.
    pub total: usize,
    /// Those that have not expired.
    pub valid: usize,
}

/// The domain of a key, and the coins that a wallet must hold to use it.
type Whose = (Domain, Vec<CoinId>);

/// The cache. Its calls block on the file system for as long as a small file takes.
pub struct Keystore {
    data_dir: Arc<DataDir>,
    folder: PathBuf,
    limits: ArcSwap<Limits>,
    index: Mutex<BTreeMap<Whose, Indexed>>,
    /// Held while files change, so that a file that is being removed does not reappear.
    files: Mutex<()>,
    /// Drawn at random at each start. It is written into the files of narrow keys, so that they show which run wrote
    /// them.
    run: [u8; 16],
    /// How many files this run has written.
    writes: AtomicU64,
}

/// How long keys are used, and how many are cached.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How long a cached key is used, in hours.
    pub ttl_hours: u64,
    /// The most cached keys.
    pub max: usize,
}

/// What may be shown about a cached key.
#[derive(Debug, Clone)]
pub struct CachedKeyInfo {
    /// The domain that the key was made for.
    pub domain: Domain,
    /// The Content Server that has the key too.
    pub cs_id: ContentServerId,
    /// How sessions are opened with it.
    pub form: Form,
    /// The coins that a wallet must hold to use the key.
    pub coins: Vec<CoinId>,
    /// When it expires.
    pub expires_at: Timestamp,
}

/// The result of removing cached keys on request.
#[derive(Default)]
pub struct Removed {
    /// How many keys were removed.
    pub count: usize,
    /// What is to be wiped at the other end too.
    pub remote: Vec<RemoteDeletion>,
    /// The first error of the system. None of the keys is used from then on in any case.
    pub failed: Option<io::Error>,
}

impl Keystore {
    /// Opens the cache in a data directory and removes what can no longer be used, such as the narrow keys of earlier
    /// runs.
    ///
    /// # Errors
    /// If its folder cannot be created, or the system returns no random bytes.
    pub fn open(data_dir: Arc<DataDir>, limits: Limits) -> Result<Self, DataDirError> {
        let folder = data_dir.folder(FOLDER)?;
        let (index, files) = (Mutex::default(), Mutex::default());
        let (mut run, writes) = ([0; 16], AtomicU64::default());
        getrandom::fill(&mut run).map_err(SecretError::from)?;
        let limits_now = ArcSwap::from_pointee(limits);
        let keystore = Self { data_dir, folder, limits: limits_now, index, files, run, writes };
        let found = fs::read_dir(&keystore.folder).into_iter().flatten().flatten();
        for path in found.map(|entry| entry.path()) {
            match keystore.load(&path) {
                Ok(Loaded { kept, page, expires_at, write_id: None }) => {
                    let origin = Arc::clone(&kept.origin);
                    let indexed = Indexed { expires_at, origin, page, narrow: None };
                    keystore.lock().insert(whose(&kept), indexed);
                }
                Ok(Loaded { write_id: Some(_), .. }) => keystore.put_away(&path, &Unusable::Earlier),
                Err(why) => keystore.put_away(&path, &why),
            }
        }
        keystore.shrink_to(limits.max);
        Ok(keystore)
    }

    /// Applies other limits. Keys that are already cached keep their expiry times.
    pub fn set_limits(&self, limits: Limits) {
        self.limits.store(Arc::new(limits));
        let _files = self.lock_files();
        self.shrink_to(limits.max);
    }

    /// The kept exchange for a domain, if it is valid and `holds` accepts its coins.
    pub fn get(&self, domain: &Domain, holds: impl Fn(&[CoinId]) -> bool) -> Option<Kept> {
        let of_domain = |(of, _): &&Whose| of == domain;
        let candidates: Vec<Whose> = self.lock().keys().filter(of_domain).cloned().collect();
        candidates.into_iter().filter(|(_, coins)| holds(coins)).find_map(|whose| self.read(&whose))
    }

    fn read(&self, whose: &Whose) -> Option<Kept> {
        loop {
            let origin = Arc::clone(&self.lock().get(whose)?.origin);
            let path = self.path_of(whose);
            let loaded = self.load(&path);
            let index = self.lock();
            let indexed = index.get(whose).filter(|indexed| Arc::ptr_eq(&indexed.origin, &origin));
            // Another key has replaced it in the meantime.
            let Some(indexed) = indexed else { continue };
            if let Ok(kept) = loaded.and_then(|loaded| indexed.share_with(loaded)) {
                return Some(kept);
            }
            drop(index);
            return self.read_alone(whose);
        }
    }

    /// Reads a file again while no file changes, because a file that is being replaced looks damaged. If it is still
    /// unusable, it is put away.
    fn read_alone(&self, whose: &Whose) -> Option<Kept> {
        let (_files, path) = (self.lock_files(), self.path_of(whose));
        let loaded = self.load(&path);
        let shared = match self.lock().get(whose) {
            Some(indexed) => loaded.and_then(|loaded| indexed.share_with(loaded)),
            None => return None,
        };
        match shared {
            Ok(kept) => Some(kept),
            Err(why) => {
                if !why.may_pass() {
                    self.lock().remove(whose);
                }
                self.put_away(&path, &why);
                None
            }
        }
    }

    /// Keeps an exchange that was made for this viewer, under its domain and coins. It replaces an older one only if
    /// the viewer may see that one. A full cache gives up the key that expires first.
    ///
    /// # Errors
    /// [`SealError`]; an older key stays unchanged.
    pub fn put(&self, kept: &Kept, viewer: &Viewer) -> Result<(), SealError> {
        let limits = **self.limits.load();
        if limits.max == 0 {
            return Ok(());
        }
        let (_files, whose, page) = (self.lock_files(), whose(kept), viewer.page().cloned());
        let is_hidden =
            |indexed: &Indexed| indexed.expires_at > unix_seconds() && !viewer.sees(indexed.page.as_ref());
        if self.lock().get(&whose).is_some_and(is_hidden) {
            return Ok(());
        }
        if !self.lock().contains_key(&whose) {
            self.shrink_to(limits.max - 1);
        }
        let expires_at = unix_seconds().saturating_add(limits.ttl_hours.saturating_mul(3600));
        let (secret, expires_at) = match &kept.secret {
            KeptSecret::Resumption { secret, lives_until, .. } => (secret, expires_at.min(*lives_until)),
            KeptSecret::Narrow { key, .. } => (key, expires_at),
        };
        let write_id = WriteId { run: self.run, number: self.writes.fetch_add(1, Ordering::Relaxed) };
        let description = Description::new(kept, page.as_ref(), expires_at, write_id).to_bytes()?;
        self.data_dir.sealer().write(&self.path_of(&whose), &description, secret)?;
        self.lock().insert(whose, Indexed::new(kept, page, expires_at, write_id));
        Ok(())
    }

    /// Removes a key that proved unusable, unless another key has replaced it.
    pub fn give_up(&self, kept: &Kept) {
        let (_files, whose) = (self.lock_files(), whose(kept));
        let is_it = |indexed: &Indexed| Arc::ptr_eq(&indexed.origin, &kept.origin);
        if self.lock().get(&whose).is_some_and(is_it) {
            self.remove(&whose, "the Content Server does not know it");
        }
    }

    /// Removes the keys that the viewer may see, all of them or those of one domain. Files are overwritten first.
    pub fn forget(&self, domain: Option<&Domain>, viewer: &Viewer) -> Removed {
        let _files = self.lock_files();
        let is_of_domain = |of: &Domain| domain.is_none_or(|domain| domain == of);
        let chosen: Vec<Whose> = {
            let index = self.lock();
            let seen = index.iter().filter(|(_, indexed)| viewer.sees(indexed.page.as_ref()));
            seen.map(|(whose, _)| whose).filter(|(of, _)| is_of_domain(of)).cloned().collect()
        };
        let mut removed = Removed::default();
        for whose in chosen {
            let path = self.path_of(&whose);
            removed.remote.extend(self.load(&path).ok().and_then(|loaded| farewell(&loaded.kept)));
            self.lock().remove(&whose);
            removed.count += 1;
            // Go on after a failure, so that all of them are removed.
            removed.failed = removed.failed.take().or(Sealer::remove(&path).err());
        }
        let earlier = self.remove_earlier(|about| {
            viewer.sees(about.page().as_ref()) && about.domain().is_some_and(|of| is_of_domain(&of))
        });
        removed.failed = removed.failed.or(earlier.err());
        removed
    }

    /// The unexpired keys that the viewer may see.
    pub fn rows(&self, viewer: &Viewer) -> Vec<CachedKeyInfo> {
        let (index, now) = (self.lock(), unix_seconds());
        let valid = index.iter().filter(|(_, indexed)| indexed.is_shown(viewer, now));
        let row = |((domain, coins), indexed): (&Whose, &Indexed)| CachedKeyInfo {
            domain: domain.clone(),
            cs_id: indexed.origin.cs_id,
            form: indexed.origin.form,
            coins: coins.clone(),
            expires_at: timestamp(indexed.expires_at),
        };
        valid.map(row).collect()
    }

    /// How many keys are cached.
    pub fn count(&self) -> Count {
        let index = self.lock();
        let now = unix_seconds();
        Count { total: index.len(), valid: index.values().filter(|indexed| indexed.expires_at > now).count() }
    }

    /// A number that changes when the set of keys that the viewer may see changes.
    pub fn state(&self, viewer: &Viewer) -> u64 {
        let (mut hasher, now) = (DefaultHasher::new(), unix_seconds());
        let index = self.lock();
        let valid = index.iter().filter(|(_, indexed)| indexed.is_shown(viewer, now));
        valid.for_each(|(whose, indexed)| (whose, indexed.expires_at).hash(&mut hasher));
        hasher.finish()
    }

    /// Removes expired keys.
    pub fn sweep(&self) {
        let (_files, now) = (self.lock_files(), unix_seconds());
        let expired: Vec<Whose> = {
            let index = self.lock();
            let expired = index.iter().filter(|(_, indexed)| indexed.expires_at <= now);
            expired.map(|(whose, _)| whose.clone()).collect()
        };
        expired.iter().for_each(|whose| self.remove(whose, "it has expired"));
        if let Err(error) = self.remove_earlier(|about| about.expires_at <= now) {
            tracing::warn!(%error, "cannot remove an expired key of an earlier run");
        }
    }

    fn shrink_to(&self, max: usize) {
        loop {
            let first = {
                let index = self.lock();
                let soonest = index.iter().min_by_key(|(_, indexed)| indexed.expires_at);
                soonest.map(|(whose, _)| whose.clone()).filter(|_| index.len() > max)
            };
            match first {
                Some(whose) => self.remove(&whose, "the cache is full"),
                None => return,
            }
        }
    }

    fn remove(&self, whose: &Whose, reason: &str) {
        self.lock().remove(whose);
        discard(&self.path_of(whose), reason);
    }

    /// Opens a file of the cache, or returns why it cannot be used.
    fn load(&self, path: &Path) -> Result<Loaded, Unusable> {
        let (description, secret) = self.data_dir.sealer().read::<32>(path)?;
        let description = Description::decode(&description)?;
        let (page, expires_at, write_id) =
            (description.page(), description.expires_at, description.write_id()?);
        let kept = description.into_kept(secret).ok_or(SealError::Malformed)?;
        if self.path_of(&whose(&kept)) != path {
            return Err(SealError::Elsewhere.into());
        }
        if expires_at <= unix_seconds() {
            return Err(Unusable::Expired);
        }
        Ok(Loaded { kept, page, expires_at, write_id })
    }

    fn path_of(&self, (domain, coins): &Whose) -> PathBuf {
        self.folder.join(hex::encode(name_of_entry(domain, coins))).with_extension(EXTENSION)
    }

    fn lock_files(&self) -> MutexGuard<'_, ()> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Whose, Indexed>> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The name of the cache's entry for a domain and the coins that a wallet must hold.
pub(crate) fn name_of_entry(domain: &Domain, coins: &[CoinId]) -> [u8; 16] {
    let mut digest = Sha256::new();
    digest.update(domain.as_str());
    // No domain contains a zero byte.
    digest.update([0]);
    coins.iter().for_each(|coin| digest.update(coin.to_bytes()));
    let mut name = [0; 16];
    name.copy_from_slice(&digest.finalize()[..16]);
    name
}

fn whose(kept: &Kept) -> Whose {
    (kept.origin.domain.clone(), kept.origin.coins.clone())
}

/// The data needed to have a resumption wiped at the other end.
fn farewell(kept: &Kept) -> Option<RemoteDeletion> {
    let KeptSecret::Resumption { secret, id, lives_until } = &kept.secret else { return None };
    let (token, proof) = secret.expose(|secret| (forget_token(secret), forget_proof(secret)));
    let lives_until = (*lives_until).try_into().unwrap_or(u32::MAX);
    Some(RemoteDeletion { id: id.0, token, proof, server: kept.origin.server.clone(), lives_until })
}

#[cfg(test)]
mod tests;
