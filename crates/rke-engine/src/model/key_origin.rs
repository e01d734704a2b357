//! Where a session's key comes from: everything about it that is not secret.

use rke_proto::coin::CoinId;
use rke_proto::tunnel::{ClientKeyId, SessionIdentifier};
use rke_proto::{ContentServerId, Form};

use super::server_name::ServerName;
use crate::Domain;

/// Where a key comes from: everything about it that is not secret. All sessions of one exchange share it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyOrigin {
    /// The domain that it was made for.
    pub domain: Domain,
    /// The Content Server that has the key too.
    pub cs_id: ContentServerId,
    /// How sessions with it are opened.
    pub form: Form,
    /// Types of the envelopes that the shares came in.
    pub envelopes: Vec<u8>,
    /// The RAIDAs whose shares made it, in order.
    pub raidas: Vec<u8>,
    /// The RAIDAs whose shares were proven wrong, in order.
    pub liars: Vec<u8>,
    /// The coins that the RAIDAs were shown, in order.
    pub coins: Vec<CoinId>,
    /// The coin that the Content Server has seen proven. `None` over narrow shares.
    pub proven: Option<CoinId>,
    /// Where the Content Server is.
    pub server: ServerName,
    /// Under what names the Content Server knows a narrow key. `None` where it has not confirmed it, and by handshake 3,
    /// where each session has a name of its own.
    pub tunnel: Option<TunnelName>,
}

/// How well the two ends of a session know each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authenticated {
    /// By wide shares.
    Strong,
    /// By narrow shares: anyone who has a coin and is in the middle can be either.
    Weak,
    /// Not at all: the key has 8 bits.
    No,
}

impl Authenticated {
    /// Its name in answers and in the audit log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Strong => "strong",
            Self::Weak => "weak",
            Self::No => "no",
        }
    }
}

impl KeyOrigin {
    /// Whether the Content Server has shown that it has the same key.
    pub fn is_confirmed(&self) -> bool {
        self.form.is_handshake_3() || self.tunnel.is_some()
    }

    /// Whether the key stays secret when everything that the ends and the RAIDAs keep is stolen later.
    pub fn is_forward_secret(&self) -> bool {
        self.form.is_handshake_3()
    }

    /// How well the two ends know each other.
    pub fn authenticated(&self) -> Authenticated {
        match self.form {
            Form::Wide => Authenticated::Strong,
            Form::Handshake3Narrow => Authenticated::Weak,
            Form::Live => Authenticated::No,
        }
    }
}

/// The names under which a Content Server knows a narrow key that it has confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TunnelName {
    /// The client's name for the key.
    pub key_id: ClientKeyId,
    /// What stands in every packet.
    pub session: SessionIdentifier,
}

/// The host of a Content Server that does not exist: what the cache keeps for it opens sessions with keys drawn at random.
/// For benches only.
#[cfg(feature = "made-up-sessions")]
pub const MADE_UP_HOST: &str = "made-up.invalid";

/// Whether sessions of this origin are made up.
#[cfg(feature = "made-up-sessions")]
pub(crate) fn is_made_up(origin: &KeyOrigin) -> bool {
    origin.server.host == MADE_UP_HOST
}

#[cfg(any(test, feature = "testing"))]
#[allow(missing_docs, reason = "for tests")]
pub mod samples {
    use super::*;

    /// Where the key of sessions of this form comes from.
    pub fn origin(form: Form) -> KeyOrigin {
        let coin = |serial| CoinId { denomination: 0, serial };
        KeyOrigin {
            domain: Domain::new("content.rke.test").unwrap_or_else(|| unreachable!("a domain")),
            cs_id: ContentServerId::new("CS").unwrap_or_else(|| unreachable!("an ID")),
            form,
            envelopes: vec![4, 5],
            raidas: vec![0, 3, 24],
            liars: vec![7],
            coins: vec![coin(7), coin(42)],
            proven: (form == Form::Wide).then(|| coin(42)),
            server: ServerName { host: "cs.rke.test".into(), port: 443 },
            tunnel: None,
        }
    }
}
