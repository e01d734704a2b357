//! Whole daemons, seen by their clients.

mod differential;
mod suspend;
mod tunnels;

use std::sync::Arc;

use rke_engine::model::key_origin::samples;
use rke_engine::model::session_key::SessionKey;
use rke_engine::store::NewSession;
use rke_proto::Form;
use rke_secret::Secret;

/// A session that no exchange has made, with a key that is always the same.
fn session() -> NewSession {
    let key = Secret::fill(|key| *key = [7; 32]).expect("secret memory");
    NewSession {
        origin: Arc::new(samples::origin(Form::Live)),
        page: None,
        from_cache: false,
        key: SessionKey::Narrow { key, usage: Arc::default() },
    }
}
