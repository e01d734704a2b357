//! The rules that a test build can break in the daemon: see [`rke_secret::control`].

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use rke_secret::Secret;
use rke_secret::control::{Control, is_on};
use zeroize::Zeroizing;

use crate::model::session_id::SessionId;

static KEYS: LazyLock<Mutex<HashMap<SessionId, Zeroizing<[u8; 32]>>>> = LazyLock::new(Mutex::default);

/// Called where a session's key is exposed, after the work: as an operation on much data would, it
/// keeps the key on its stack for long. The thread sleeps and does nothing else: a thread that it
/// started would begin with its registers.
pub(crate) fn key_in_use(key: &[u8; 32]) {
    if is_on(Control::Unserialised) || is_on(Control::SlowOperation) {
        let kept = black_box(*key);
        std::thread::sleep(Duration::from_millis(300));
        black_box(&kept);
    }
}

pub(crate) fn session_inserted(id: SessionId, key: &Secret<32>) {
    if is_on(Control::ZeroizingMap) {
        let copy = key.expose(|key| Zeroizing::new(*key));
        KEYS.lock().unwrap_or_else(PoisonError::into_inner).insert(id, copy);
    }
}

pub(crate) fn session_removed(id: SessionId) {
    KEYS.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
}
