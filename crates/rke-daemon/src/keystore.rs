//! The key cache: one sealed file for each domain, so that a valid key saves the exchange, also
//! after a restart. In memory only names and expiry times are kept; a file is opened when its key
//! is needed. A file that is damaged, foreign or expired is reported, removed, and never fatal.

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
use rke_proto::derive::ShareWidth;
use rke_proto::tunnel::ClientKeyId;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::Domain;
use crate::clock::unix_seconds;
use crate::confirm::TunnelName;
use crate::exchange::{ExchangedKey, KeyOrigin};
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

/// What stands in clear, and authenticated, before a sealed key.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    domain: String,
    /// Unix seconds.
    expires_at: u64,
    cs_id: String,
    share_bytes: usize,
    envelopes: Vec<u8>,
    raidas: Vec<u8>,
    #[serde(default)]
    liars: Vec<u8>,
    #[serde(default)]
    tunnel: Option<TunnelDescription>,
    /// What the key had encrypted when this was written.
    #[serde(default)]
    messages: u64,
    #[serde(default)]
    bytes: u64,
}

/// A key's description with what the key has encrypted by now.
fn with_usage(description: &[u8], (messages, bytes): (u64, u64)) -> Result<Vec<u8>, SealError> {
    let description: Description = serde_json::from_slice(description).map_err(|_| SealError::Malformed)?;
    let description = Description { messages, bytes, ..description };
    serde_json::to_vec(&description).map_err(|_| SealError::Malformed)
}

/// Under what names the Content Server knows the key, in hex, and where it is.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TunnelDescription {
    key_id: String,
    session: String,
    host: String,
    port: u16,
}

impl TunnelDescription {
    fn new(name: &TunnelName) -> Self {
        let TunnelName { key_id, session, host, port } = name;
        Self { key_id: hex::encode(key_id.0), session: hex::encode(session), host: host.clone(), port: *port }
    }

    fn name(self) -> Option<TunnelName> {
        let (mut key_id, mut session) = ([0; 5], [0; 8]);
        hex::decode_to_slice(self.key_id, &mut key_id).ok()?;
        hex::decode_to_slice(self.session, &mut session).ok()?;
        Some(TunnelName { key_id: ClientKeyId(key_id), session, host: self.host, port: self.port })
    }
}

/// The cache. Its calls block on the file system for as long as a small file takes.
pub struct Keystore {
    data_dir: Arc<DataDir>,
    folder: PathBuf,
    limits: ArcSwap<Limits>,
    index: Mutex<BTreeMap<Domain, Indexed>>,
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

/// What is kept in memory of a key that is there.
struct Indexed {
    /// Unix seconds.
    expires_at: u64,
    /// Shared with the sessions that hold the key, as its usage is.
    origin: Arc<KeyOrigin>,
    usage: Arc<Usage>,
    /// What the file says of it.
    written: (u64, u64),
}

impl Indexed {
    fn new(key: &ExchangedKey, expires_at: u64) -> Self {
        let ExchangedKey { origin, usage, .. } = key;
        Self { expires_at, origin: Arc::clone(origin), usage: Arc::clone(usage), written: usage.so_far() }
    }
}

/// What may be told of a cached key.
#[derive(Debug, Clone)]
pub struct Row {
    /// The domain whose key it is.
    pub domain: Domain,
    /// The Content Server that has the key too.
    pub cs_id: ContentServerId,
    /// How wide its shares were.
    pub width: ShareWidth,
    /// When it is not used any more.
    pub expires_at: Timestamp,
}

impl Keystore {
    /// Opens the cache in a data directory and removes from it what cannot be used any more.
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
                Ok((key, expires_at)) => {
                    keystore.lock().insert(key.domain.clone(), Indexed::new(&key, expires_at));
                }
                Err(reason) => discard(&path, &reason),
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

    /// The cached key of a domain, if there is one that is valid.
    pub fn get(&self, domain: &Domain) -> Option<ExchangedKey> {
        loop {
            let (domain, origin, usage) = {
                let index = self.lock();
                let (domain, Indexed { origin, usage, .. }) = index.get_key_value(domain)?;
                (domain.clone(), Arc::clone(origin), Arc::clone(usage))
            };
            let path = self.path_of(&domain);
            let loaded = self.load(&path);
            let is_current = |indexed: &Indexed| Arc::ptr_eq(&indexed.usage, &usage);
            match loaded {
                // Another key has taken its place meanwhile.
                _ if !self.lock().get(&domain).is_some_and(is_current) => (),
                Ok((key, _)) if key.origin == origin => {
                    return Some(ExchangedKey { domain, origin, usage, ..key });
                }
                // Somebody has put an older file of this daemon's there.
                Ok((key, _)) => return Some(ExchangedKey { usage, ..key }),
                Err(reason) => {
                    self.lock().remove(&domain);
                    discard(&path, &reason);
                    return None;
                }
            }
        }
    }

    /// Caches a key for its domain, in place of an older one. A full cache gives up the key that
    /// would expire first.
    ///
    /// # Errors
    /// [`SealError`]; an older key of the domain is unchanged.
    pub fn put(&self, key: &ExchangedKey) -> Result<(), SealError> {
        let limits = **self.limits.load();
        if limits.max == 0 {
            return Ok(());
        }
        let _files = self.lock_files();
        if !self.lock().contains_key(&key.domain) {
            self.shrink_to(limits.max - 1);
        }
        let indexed = Indexed::new(key, unix_seconds().saturating_add(limits.ttl_hours.saturating_mul(3600)));
        self.write(key, &indexed)?;
        self.lock().insert(key.domain.clone(), indexed);
        Ok(())
    }

    fn write(&self, key: &ExchangedKey, indexed: &Indexed) -> Result<(), SealError> {
        let description = Description {
            domain: key.domain.to_string(),
            expires_at: indexed.expires_at,
            cs_id: key.origin.cs_id.to_string(),
            share_bytes: key.origin.width.share_len(),
            envelopes: key.origin.envelopes.clone(),
            raidas: key.origin.raidas.clone(),
            liars: key.origin.liars.clone(),
            tunnel: key.origin.tunnel.as_ref().map(TunnelDescription::new),
            messages: indexed.written.0,
            bytes: indexed.written.1,
        };
        let description = serde_json::to_vec(&description).map_err(|_| SealError::Malformed)?;
        self.data_dir.sealer().write(&self.path_of(&key.domain), &description, &key.key)
    }

    /// Writes down what the keys have encrypted since that was last written. No key lies in memory for it.
    pub fn save_usage(&self) {
        let used: Vec<(Domain, (u64, u64))> = {
            let index = self.lock();
            let used =
                index.iter().map(|(domain, indexed)| (domain, indexed.usage.so_far(), indexed.written));
            used.filter(|(_, now, written)| now != written).map(|(of, now, _)| (of.clone(), now)).collect()
        };
        let _files = self.lock_files();
        for (domain, usage) in used {
            // It may have been forgotten meanwhile.
            if !self.lock().contains_key(&domain) {
                continue;
            }
            let change = |description: &[u8]| with_usage(description, usage);
            match self.data_dir.sealer().describe_anew::<32>(&self.path_of(&domain), change) {
                Ok(()) => {
                    if let Some(indexed) = self.lock().get_mut(&domain) {
                        indexed.written = usage;
                    }
                }
                Err(error) => {
                    tracing::warn!(%domain, %error, "cannot write down how much a key was used");
                }
            }
        }
    }

    /// Removes a domain's key, if there is one. It is overwritten before. Says how many there were.
    ///
    /// # Errors
    /// What the system said; the key is not used any more in any case.
    pub fn forget(&self, domain: &Domain) -> io::Result<usize> {
        let _files = self.lock_files();
        match self.lock().remove(domain) {
            Some(_) => Sealer::remove(&self.path_of(domain)).map(|()| 1),
            None => Ok(0),
        }
    }

    /// Removes all keys, as [`Keystore::forget`] removes one. Says how many there were.
    ///
    /// # Errors
    /// What the system said first; none of the keys is used any more in any case.
    pub fn forget_all(&self) -> io::Result<usize> {
        let _files = self.lock_files();
        let domains: Vec<Domain> = std::mem::take(&mut *self.lock()).into_keys().collect();
        let removed = domains.iter().map(|domain| Sealer::remove(&self.path_of(domain)));
        // All of them, also after one that failed.
        removed.fold(Ok(()), io::Result::and).map(|()| domains.len())
    }

    /// The keys that have not expired.
    pub fn rows(&self) -> Vec<Row> {
        let (index, now) = (self.lock(), unix_seconds());
        let valid = index.iter().filter(|(_, indexed)| indexed.expires_at > now);
        let row = |(domain, indexed): (&Domain, &Indexed)| Row {
            domain: domain.clone(),
            cs_id: indexed.origin.cs_id,
            width: indexed.origin.width,
            expires_at: indexed
                .expires_at
                .try_into()
                .ok()
                .and_then(|seconds| Timestamp::from_second(seconds).ok())
                .unwrap_or(Timestamp::MAX),
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
        valid.for_each(|(domain, indexed)| (domain, indexed.expires_at).hash(&mut hasher));
        hasher.finish()
    }

    /// Removes what has expired.
    pub fn sweep(&self) {
        let (_files, now) = (self.lock_files(), unix_seconds());
        let expired: Vec<Domain> = {
            let index = self.lock();
            index
                .iter()
                .filter(|(_, indexed)| indexed.expires_at <= now)
                .map(|(domain, _)| domain.clone())
                .collect()
        };
        expired.iter().for_each(|domain| self.remove(domain, "it has expired"));
    }

    fn shrink_to(&self, max: usize) {
        loop {
            let first = {
                let index = self.lock();
                let soonest = index
                    .iter()
                    .min_by_key(|(_, indexed)| indexed.expires_at)
                    .map(|(domain, _)| domain.clone());
                soonest.filter(|_| index.len() > max)
            };
            match first {
                Some(domain) => self.remove(&domain, "the cache is full"),
                None => return,
            }
        }
    }

    fn remove(&self, domain: &Domain, reason: &str) {
        self.lock().remove(domain);
        discard(&self.path_of(domain), reason);
    }

    /// Opens a file of the cache: its key, its expiry; or why it cannot be used.
    fn load(&self, path: &Path) -> Result<(ExchangedKey, u64), String> {
        let (description, key) =
            self.data_dir.sealer().read::<32>(path).map_err(|error| error.to_string())?;
        let description: Description =
            serde_json::from_slice(&description).map_err(|_| "its description is malformed")?;
        let domain = Domain::new(&description.domain).ok_or("its domain is malformed")?;
        if self.path_of(&domain) != path {
            return Err("it is not the file of its domain".into());
        }
        if description.expires_at <= unix_seconds() {
            return Err("it has expired".into());
        }
        let width = match description.share_bytes {
            1 => ShareWidth::Narrow,
            32 => ShareWidth::Wide,
            _ => return Err("its shares have no width that this version knows".into()),
        };
        let cs_id = ContentServerId::new(&description.cs_id).ok_or("its Content Server ID is malformed")?;
        let Description { envelopes, raidas, liars, tunnel, expires_at, messages, bytes, .. } = description;
        let tunnel = tunnel.map(|tunnel| tunnel.name().ok_or("its tunnel is malformed")).transpose()?;
        let origin = Arc::new(KeyOrigin { cs_id, width, envelopes, raidas, liars, tunnel });
        let usage = Arc::new(Usage::new(messages, bytes));
        Ok((ExchangedKey { domain, key, origin, usage }, expires_at))
    }

    fn path_of(&self, domain: &Domain) -> PathBuf {
        let digest = Sha256::digest(domain.as_str());
        self.folder.join(hex::encode(&digest[..16])).with_extension(EXTENSION)
    }

    fn lock_files(&self) -> MutexGuard<'_, ()> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Domain, Indexed>> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn discard(path: &Path, reason: &str) {
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    match Sealer::remove(path) {
        Ok(()) => tracing::warn!(%file, reason, "removed a cached key"),
        Err(error) => tracing::warn!(%file, reason, %error, "cannot remove a cached key"),
    }
}

#[cfg(test)]
mod tests {
    use rke_host::data_dir::Sharing;
    use rke_secret::Secret;

    use super::*;
    use crate::usage::UsageLimits;

    fn key(of: &str, byte: u8) -> ExchangedKey {
        ExchangedKey {
            domain: domain(of),
            key: Secret::fill(|key| *key = [byte; 32]).expect("a secret"),
            origin: Arc::new(KeyOrigin {
                cs_id: ContentServerId::new("CS").expect("a CSID"),
                width: ShareWidth::Wide,
                envelopes: vec![4, 5],
                raidas: vec![0, 3, 24],
                liars: vec![7],
                tunnel: Some(TunnelName {
                    key_id: ClientKeyId([1, 2, 3, 4, 5]),
                    session: [6; 8],
                    host: "cs.rke.test".into(),
                    port: 443,
                }),
            }),
            usage: Arc::default(),
        }
    }

    fn domain(name: &str) -> Domain {
        Domain::new(name).expect("a domain")
    }

    fn open(dir: &tempfile::TempDir, ttl_hours: u64, max: usize) -> Keystore {
        let data_dir = Arc::new(DataDir::open(dir.path(), Sharing::Alone).expect("a data directory"));
        Keystore::open(data_dir, Limits { ttl_hours, max }).expect("a keystore")
    }

    fn files(dir: &tempfile::TempDir) -> Vec<PathBuf> {
        fs::read_dir(dir.path().join(FOLDER)).expect("a folder").flatten().map(|entry| entry.path()).collect()
    }

    #[test]
    fn a_key_comes_back_after_a_restart() {
        let dir = tempfile::tempdir().expect("a folder");
        open(&dir, 24, 64).put(&key("a.test", 1)).expect("cached");
        let again = open(&dir, 24, 64);
        let cached = again.get(&domain("a.test")).expect("a cached key");
        assert!(cached.key.matches(&key("a.test", 1).key) && cached.origin == key("a.test", 1).origin);
        assert!(again.get(&domain("b.test")).is_none());
        assert_eq!(again.count(), Count { total: 1, valid: 1 });
    }

    #[test]
    fn an_expired_key_is_removed() {
        let dir = tempfile::tempdir().expect("a folder");
        let keystore = open(&dir, 0, 64);
        keystore.put(&key("a.test", 1)).expect("cached");
        assert_eq!(keystore.count(), Count { total: 1, valid: 0 });
        keystore.sweep();
        assert_eq!((keystore.count().total, files(&dir).len()), (0, 0));
        keystore.put(&key("a.test", 1)).expect("cached");
        assert!(keystore.get(&domain("a.test")).is_none());
        assert!(files(&dir).is_empty());
    }

    #[test]
    fn a_full_cache_gives_up_the_first_to_expire() {
        let dir = tempfile::tempdir().expect("a folder");
        let keystore = open(&dir, 24, 2);
        keystore.put(&key("a.test", 1)).expect("cached");
        keystore.lock().insert(domain("a.test"), Indexed::new(&key("a.test", 1), unix_seconds() + 10));
        keystore.put(&key("b.test", 2)).expect("cached");
        keystore.put(&key("b.test", 3)).expect("replaced");
        assert!(keystore.get(&domain("a.test")).is_some());
        keystore.put(&key("c.test", 4)).expect("cached");
        assert!(keystore.get(&domain("a.test")).is_none());
        assert_eq!((keystore.count().total, files(&dir).len()), (2, 2));
    }

    #[test]
    fn damaged_and_foreign_files_are_removed_and_not_fatal() {
        let dir = tempfile::tempdir().expect("a folder");
        let keystore = open(&dir, 24, 64);
        keystore.put(&key("good.test", 1)).expect("cached");
        keystore.put(&key("bad.test", 2)).expect("cached");
        let bad = keystore.path_of(&domain("bad.test"));
        let good = keystore.path_of(&domain("good.test"));
        let mut bytes = fs::read(&bad).expect("read");
        *bytes.last_mut().expect("not empty") ^= 1;
        fs::write(&bad, bytes).expect("written");
        fs::copy(&good, good.with_file_name("renamed.key")).expect("copied");
        fs::write(good.with_file_name("garbage"), b"garbage").expect("written");
        assert!(keystore.get(&domain("bad.test")).is_none());
        drop(keystore);
        let keystore = open(&dir, 24, 64);
        assert_eq!(keystore.count().total, 1);
        assert_eq!(files(&dir), [good]);
    }

    #[test]
    fn a_forgotten_key_is_gone_from_memory_and_disk() {
        let dir = tempfile::tempdir().expect("a folder");
        let keystore = open(&dir, 24, 64);
        keystore.put(&key("a.test", 1)).expect("cached");
        keystore.put(&key("b.test", 2)).expect("cached");
        assert_eq!(keystore.forget(&domain("a.test")).expect("forgotten"), 1);
        assert_eq!(keystore.forget(&domain("c.test")).expect("nothing to forget"), 0);
        assert!(keystore.get(&domain("a.test")).is_none() && keystore.get(&domain("b.test")).is_some());
        assert_eq!(files(&dir).len(), 1);
    }

    #[test]
    fn all_keys_are_forgotten_at_once() {
        let dir = tempfile::tempdir().expect("a folder");
        let keystore = open(&dir, 24, 64);
        keystore.put(&key("a.test", 1)).expect("cached");
        keystore.put(&key("b.test", 2)).expect("cached");
        assert_eq!(keystore.rows().len(), 2);
        assert_eq!(keystore.forget_all().expect("forgotten"), 2);
        assert!(keystore.rows().is_empty() && files(&dir).is_empty());
    }

    #[test]
    fn what_a_key_has_encrypted_is_known_after_a_restart() {
        let dir = tempfile::tempdir().expect("a folder");
        let keystore = open(&dir, 24, 64);
        keystore.put(&key("a.test", 1)).expect("cached");
        let limits = UsageLimits::default();
        let usage = keystore.get(&domain("a.test")).expect("a key").usage;
        usage.add(3, 500, limits).expect("within the limits");
        assert_eq!(keystore.get(&domain("a.test")).expect("a key").usage.so_far(), (3, 500));
        keystore.save_usage();
        usage.add(1, 1, limits).expect("within the limits");
        assert_eq!(keystore.get(&domain("a.test")).expect("a key").usage.so_far(), (4, 501));
        drop(keystore);
        let again = open(&dir, 24, 64).get(&domain("a.test")).expect("a key");
        assert_eq!(again.usage.so_far(), (3, 500));
        assert!(again.key.matches(&key("a.test", 1).key));
    }

    #[test]
    fn a_cache_of_no_keys_keeps_none() {
        let dir = tempfile::tempdir().expect("a folder");
        let keystore = open(&dir, 24, 0);
        keystore.put(&key("a.test", 1)).expect("not an error");
        assert!(keystore.get(&domain("a.test")).is_none() && files(&dir).is_empty());
    }
}
