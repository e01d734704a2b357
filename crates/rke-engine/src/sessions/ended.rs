//! What is known about a session that has ended.

use rke_proto::handshake::KeyId;

use crate::Domain;

/// A session that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// `None` if an earlier request has ended it without knowing so, and its key is wiped at the other end too.
    pub domain: Option<Domain>,
    /// The name of its key at the other end. `None` for a narrow key.
    pub key_id: Option<KeyId>,
}
