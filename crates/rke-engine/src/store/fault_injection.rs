//! The rules that a test build can break on purpose: see [`rke_secret::fault_injection`].

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use rke_secret::Secret;
use rke_secret::fault_injection::{Fault, is_injected};
use zeroize::Zeroizing;

use crate::model::session_id::SessionId;

static KEYS: LazyLock<Mutex<HashMap<SessionId, Zeroizing<[u8; 32]>>>> = LazyLock::new(Mutex::default);

/// Called while a session's key is exposed, after the work. It keeps the key on its stack for a long time, as an
/// operation on much data would. The thread itself sleeps: a new thread would start with a copy of its registers.
pub(crate) fn key_in_use(key: &[u8; 32]) {
    if is_injected(Fault::Unserialised) || is_injected(Fault::SlowOperation) {
        let kept = black_box(*key);
        std::thread::sleep(Duration::from_millis(300));
        black_box(&kept);
    }
}

pub(crate) fn session_inserted(id: SessionId, key: &Secret<32>) {
    if is_injected(Fault::ZeroizingMap) {
        let copy = key.expose(|key| Zeroizing::new(*key));
        KEYS.lock().unwrap_or_else(PoisonError::into_inner).insert(id, copy);
    }
}

pub(crate) fn session_removed(id: SessionId) {
    KEYS.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
}
