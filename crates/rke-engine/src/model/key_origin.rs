//! Where a session's key comes from: everything about the key that is not secret.

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
    /// The types of the envelopes that the shares came in.
    pub envelopes: Vec<u8>,
    /// The RAIDAs whose shares made it, in order.
    pub raidas: Vec<u8>,
    /// The RAIDAs whose shares were proven wrong, in order.
    pub liars: Vec<u8>,
    /// The coins that the RAIDAs were shown, in order.
    pub coins: Vec<CoinId>,
    /// The coin that was proven to the Content Server. `None` over narrow shares.
    pub proven: Option<CoinId>,
    /// Where the Content Server is.
    pub server: ServerName,
    /// The names of a narrow key at the Content Server. `None` if the Content Server has not confirmed it, and for
    /// handshake 3, where each session has a name of its own.
    pub tunnel: Option<TunnelName>,
}

/// How well the two ends of a session authenticate each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authenticated {
    /// By wide shares.
    Strong,
    /// By narrow shares: anyone in the middle who has a coin can pose as either end.
    Weak,
    /// Not at all: the key has 8 bits.
    No,
}

impl Authenticated {
    /// How well a session of this form authenticates its ends.
    pub fn by(form: Form) -> Self {
        match form {
            Form::Wide => Self::Strong,
            Form::Handshake3Narrow => Self::Weak,
            Form::Live => Self::No,
        }
    }

    /// Its name in responses and in the audit log.
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

    /// Whether the key stays secret even if everything that the two ends and the RAIDAs keep is stolen later.
    pub fn is_forward_secret(&self) -> bool {
        self.form.is_handshake_3()
    }

    /// How well the two ends authenticate each other.
    pub fn authenticated(&self) -> Authenticated {
        Authenticated::by(self.form)
    }
}

/// The names under which a Content Server knows a narrow key that it has confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TunnelName {
    /// The client's name for the key.
    pub key_id: ClientKeyId,
    /// The session identifier in every packet.
    pub session: SessionIdentifier,
}

/// The host of a Content Server that does not exist. Cache entries for it open sessions with keys drawn at random.
/// For benches only.
#[cfg(feature = "made-up-sessions")]
pub const MADE_UP_HOST: &str = "made-up.invalid";

/// Whether sessions of this origin are made up.
#[cfg(feature = "made-up-sessions")]
pub(crate) fn is_made_up(origin: &KeyOrigin) -> bool {
    origin.server.host == MADE_UP_HOST
}

#[cfg(any(test, feature = "testing"))]
pub mod samples {
    use super::*;

    /// The origin of a key for sessions of this form.
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
