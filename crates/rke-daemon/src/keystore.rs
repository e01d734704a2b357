//! The key cache: what is kept of an exchange in one sealed file for each domain and set of coins, so that it saves
//! the next exchange, also after a restart. Over wide shares that is a resumption secret, over narrow ones the key.
//! In memory only names and expiry times are kept; a file is opened when it is needed. A file that has expired is
//! removed, one that is damaged or foreign is moved aside, and none of them is fatal.

mod aside;
mod description;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{fs, io};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use rke_host::data_dir::{DataDir, DataDirError};
use rke_host::sealed::{SealError, Sealer};
use rke_proto::ContentServerId;
use rke_proto::coin::CoinId;
use rke_proto::derive::ShareWidth;
use rke_proto::handshake::keys::{forget_proof, forget_token};
use sha2::{Digest, Sha256};

use self::aside::{Unusable, discard};
use self::description::Description;
use crate::Domain;
use crate::clock::unix_seconds;
use crate::exchange::{Kept, KeptSecret, KeyOrigin};
use crate::remote_deletions::RemoteDeletion;
use crate::usage::Usage;

const FOLDER: &str = "keys";
const EXTENSION: &str = "key";

/// How many keys are cached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// In the cache.
    pub total: usize,
    /// Of these, not expired.
    pub valid: usize,
}

/// Whose it is: a domain's, for those who have these coins.
type Whose = (Domain, Vec<CoinId>);

/// The cache. Its calls block on the file system for as long as a small file takes.
pub struct Keystore {
    data_dir: Arc<DataDir>,
    folder: PathBuf,
    limits: ArcSwap<Limits>,
    index: Mutex<BTreeMap<Whose, Indexed>>,
    /// Held while files change, so that none comes back that is being removed.
    files: Mutex<()>,
}

/// How long keys are used, and how many there are.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How long a cached key is used, in hours.
    pub ttl_hours: u64,
    /// Most cached keys.
    pub max: usize,
}

/// What is kept in memory of an existing file.
struct Indexed {
    /// Unix seconds.
    expires_at: u64,
    /// Shared with the sessions that come from it.
    origin: Arc<KeyOrigin>,
    /// Of a narrow key.
    usage: Option<IndexedUsage>,
}

/// What a narrow key has encrypted, shared with the sessions that hold it, and what the file says of that.
struct IndexedUsage {
    usage: Arc<Usage>,
    written: (u64, u64),
}

impl Indexed {
    fn new(kept: &Kept, expires_at: u64) -> Self {
        let usage = match &kept.secret {
            KeptSecret::Resumption { .. } => None,
            KeptSecret::Narrow { usage, .. } => {
                Some(IndexedUsage { usage: Arc::clone(usage), written: usage.so_far() })
            }
        };
        Self { expires_at, origin: Arc::clone(&kept.origin), usage }
    }

    /// What was read from the file, with what is shared in memory in place of its own.
    fn share_with(&self, kept: Kept) -> Kept {
        let Kept { domain, origin, secret } = kept;
        match (secret, &self.usage) {
            (KeptSecret::Narrow { key, .. }, Some(IndexedUsage { usage, .. })) => {
                let secret = KeptSecret::Narrow { key, usage: Arc::clone(usage) };
                Kept { domain, origin: self.shared(origin), secret }
            }
            (secret, _) => Kept { domain, origin: self.shared(origin), secret },
        }
    }

    /// Where somebody has put an older file of this daemon there, what that file says counts.
    fn shared(&self, read: Arc<KeyOrigin>) -> Arc<KeyOrigin> {
        if read == self.origin { Arc::clone(&self.origin) } else { read }
    }
}

/// What may be shown of a cached key.
#[derive(Debug, Clone)]
pub struct Row {
    /// The domain whose key it is.
    pub domain: Domain,
    /// The Content Server that has the key too.
    pub cs_id: ContentServerId,
    /// How wide its shares were.
    pub width: ShareWidth,
    /// The coins that a wallet must hold for it to be used.
    pub coins: Vec<CoinId>,
    /// When it is no longer used.
    pub expires_at: Timestamp,
}

/// What became of cached keys that were removed on request.
#[derive(Default)]
pub struct Removed {
    /// How many there were.
    pub count: usize,
    /// What is to be wiped at the other end too.
    pub remote: Vec<RemoteDeletion>,
    /// The first error of the system. None of the keys is used from then on in any case.
    pub failed: Option<io::Error>,
}

impl Keystore {
    /// Opens the cache in a data directory and removes from it what can no longer be used.
    ///
    /// # Errors
    /// When its folder cannot be made.
    pub fn open(data_dir: Arc<DataDir>, limits: Limits) -> Result<Self, DataDirError> {
        let folder = data_dir.folder(FOLDER)?;
        let (index, files) = (Mutex::default(), Mutex::default());
        let keystore = Self { data_dir, folder, limits: ArcSwap::from_pointee(limits), index, files };
        let found = fs::read_dir(&keystore.folder).into_iter().flatten().flatten();
        for path in found.map(|entry| entry.path()) {
            match keystore.load(&path) {
                Ok((kept, expires_at)) => {
                    keystore.lock().insert(whose(&kept), Indexed::new(&kept, expires_at));
                }
                Err(why) => keystore.put_away(&path, &why),
            }
        }
        keystore.shrink_to(limits.max);
        Ok(keystore)
    }

    /// Goes on within other limits. Keys that are cached already keep their time.
    pub fn set_limits(&self, limits: Limits) {
        self.limits.store(Arc::new(limits));
        let _files = self.lock_files();
        self.shrink_to(limits.max);
    }

    /// What is kept of a valid exchange for a domain whose coins `holds` says yes to.
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
            match (indexed, loaded) {
                // Another one has taken its place meanwhile.
                (None, _) => (),
                (Some(indexed), Ok((kept, _))) => return Some(indexed.share_with(kept)),
                (Some(_), Err(_)) => {
                    drop(index);
                    return self.read_alone(whose);
                }
            }
        }
    }

    /// Reads a file again while no file changes: one that is being replaced looks damaged. What is still of no use then
    /// is put away.
    fn read_alone(&self, whose: &Whose) -> Option<Kept> {
        let (_files, path) = (self.lock_files(), self.path_of(whose));
        match self.load(&path) {
            Ok((kept, _)) => self.lock().get(whose).map(|indexed| indexed.share_with(kept)),
            Err(why) => {
                if !why.may_pass() {
                    self.lock().remove(whose);
                }
                self.put_away(&path, &why);
                None
            }
        }
    }

    /// Keeps an exchange for its domain and coins, in place of an older one. A full cache gives up what would expire
    /// first.
    ///
    /// # Errors
    /// [`SealError`]; an older one is unchanged.
    pub fn put(&self, kept: &Kept) -> Result<(), SealError> {
        let limits = **self.limits.load();
        if limits.max == 0 {
            return Ok(());
        }
        let (_files, whose) = (self.lock_files(), whose(kept));
        if !self.lock().contains_key(&whose) {
            self.shrink_to(limits.max - 1);
        }
        let expires_at = unix_seconds().saturating_add(limits.ttl_hours.saturating_mul(3600));
        let (secret, expires_at) = match &kept.secret {
            KeptSecret::Resumption { secret, lives_until, .. } => (secret, expires_at.min(*lives_until)),
            KeptSecret::Narrow { key, .. } => (key, expires_at),
        };
        let description = Description::new(kept, expires_at).to_bytes()?;
        self.data_dir.sealer().write(&self.path_of(&whose), &description, secret)?;
        self.lock().insert(whose, Indexed::new(kept, expires_at));
        Ok(())
    }

    /// Removes what has turned out to be of no use, unless something else has taken its place.
    pub fn give_up(&self, kept: &Kept) {
        let (_files, whose) = (self.lock_files(), whose(kept));
        let is_it = |indexed: &Indexed| Arc::ptr_eq(&indexed.origin, &kept.origin);
        if self.lock().get(&whose).is_some_and(is_it) {
            self.remove(&whose, "the Content Server does not know it");
        }
    }

    /// Writes down what the narrow keys have encrypted since that was last written. No key lies in memory for it.
    pub fn save_usage(&self) {
        let changed = |indexed: &Indexed| {
            let IndexedUsage { usage, written } = indexed.usage.as_ref()?;
            let now = usage.so_far();
            (now != *written).then_some(now)
        };
        let used: Vec<(Whose, (u64, u64))> = {
            let index = self.lock();
            index.iter().filter_map(|(whose, indexed)| Some((whose.clone(), changed(indexed)?))).collect()
        };
        let _files = self.lock_files();
        for (whose, now) in used {
            // It may have been removed meanwhile.
            if !self.lock().contains_key(&whose) {
                continue;
            }
            let change = |description: &[u8]| Description::decode(description)?.with_usage(now).to_bytes();
            match self.data_dir.sealer().describe_anew::<32>(&self.path_of(&whose), change) {
                Ok(()) => {
                    let mut index = self.lock();
                    let usage = index.get_mut(&whose).and_then(|indexed| indexed.usage.as_mut());
                    usage.into_iter().for_each(|usage| usage.written = now);
                }
                Err(error) => {
                    tracing::warn!(domain = %whose.0, %error, "cannot write down how much a key was used");
                }
            }
        }
    }

    /// Removes what is kept for a domain, or all there is. Files are overwritten before.
    pub fn forget(&self, domain: Option<&Domain>) -> Removed {
        let _files = self.lock_files();
        let chosen: Vec<Whose> = {
            let index = self.lock();
            let wanted = index.keys().filter(|(of, _)| domain.is_none_or(|domain| domain == of));
            wanted.cloned().collect()
        };
        let mut removed = Removed::default();
        for whose in chosen {
            let path = self.path_of(&whose);
            removed.remote.extend(self.load(&path).ok().and_then(|(kept, _)| farewell(&kept)));
            self.lock().remove(&whose);
            removed.count += 1;
            // All of them, also after one that failed.
            removed.failed = removed.failed.take().or(Sealer::remove(&path).err());
        }
        removed
    }

    /// The keys that have not expired.
    pub fn rows(&self) -> Vec<Row> {
        let (index, now) = (self.lock(), unix_seconds());
        let valid = index.iter().filter(|(_, indexed)| indexed.expires_at > now);
        let timestamp = |seconds: u64| {
            let seconds = seconds.try_into().ok();
            seconds.and_then(|seconds| Timestamp::from_second(seconds).ok()).unwrap_or(Timestamp::MAX)
        };
        let row = |((domain, coins), indexed): (&Whose, &Indexed)| Row {
            domain: domain.clone(),
            cs_id: indexed.origin.cs_id,
            width: indexed.origin.width,
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

    /// A number that is another one when other keys are cached.
    pub fn state(&self) -> u64 {
        let (mut hasher, now) = (DefaultHasher::new(), unix_seconds());
        let index = self.lock();
        let valid = index.iter().filter(|(_, indexed)| indexed.expires_at > now);
        valid.for_each(|(whose, indexed)| (whose, indexed.expires_at).hash(&mut hasher));
        hasher.finish()
    }

    /// Removes what has expired.
    pub fn sweep(&self) {
        let (_files, now) = (self.lock_files(), unix_seconds());
        let expired: Vec<Whose> = {
            let index = self.lock();
            let expired = index.iter().filter(|(_, indexed)| indexed.expires_at <= now);
            expired.map(|(whose, _)| whose.clone()).collect()
        };
        expired.iter().for_each(|whose| self.remove(whose, "it has expired"));
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

    /// Opens a file of the cache: what is kept in it, and its expiry; or why it cannot be used.
    fn load(&self, path: &Path) -> Result<(Kept, u64), Unusable> {
        let (description, secret) = self.data_dir.sealer().read::<32>(path)?;
        let description = Description::decode(&description)?;
        let expires_at = description.expires_at;
        let kept = description.into_kept(secret).ok_or(SealError::Malformed)?;
        if self.path_of(&whose(&kept)) != path {
            return Err(SealError::Elsewhere.into());
        }
        if expires_at <= unix_seconds() {
            return Err(Unusable::Expired);
        }
        Ok((kept, expires_at))
    }

    fn path_of(&self, (domain, coins): &Whose) -> PathBuf {
        let mut digest = Sha256::new();
        digest.update(domain.as_str());
        // No domain has a zero byte in it.
        digest.update([0]);
        coins.iter().for_each(|coin| digest.update(coin.to_bytes()));
        self.folder.join(hex::encode(&digest.finalize()[..16])).with_extension(EXTENSION)
    }

    fn lock_files(&self) -> MutexGuard<'_, ()> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Whose, Indexed>> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn whose(kept: &Kept) -> Whose {
    (kept.domain.clone(), kept.origin.coins.clone())
}

/// What it takes to have a resumption wiped at the other end.
fn farewell(kept: &Kept) -> Option<RemoteDeletion> {
    let KeptSecret::Resumption { secret, id, lives_until } = &kept.secret else { return None };
    let (token, proof) = secret.expose(|secret| (forget_token(secret), forget_proof(secret)));
    let lives_until = (*lives_until).try_into().unwrap_or(u32::MAX);
    Some(RemoteDeletion { id: id.0, token, proof, server: kept.origin.server.clone(), lives_until })
}

#[cfg(test)]
mod tests;
