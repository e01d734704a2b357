//! Live sessions: narrow shares make a key of 8 bits, which the Content Server may confirm. `docs/protocol.md`
//! sections 6 and 8.

use std::io;
use std::sync::Arc;

use rke_proto::Form;
use rke_proto::round::Round;
use rke_secret::Secret;

use super::confirm::{ConfirmedKey, Unconfirmed, confirm};
use super::error::ExchangeError;
use super::handshake::{Subject, coins_of};
use super::key::{GiveUp, Kept, KeptSecret, OpenedKey, UnclaimedKey};
use super::{Discovered, Exchange, indexes};
use crate::model::key_origin::{KeyOrigin, TunnelName};
use crate::model::server_name::ServerName;
use crate::model::session_key::SessionKey;
use crate::model::usage::Usage;
use crate::settings::Confirm;

impl Exchange {
    /// The key of a finished round, confirmed by the Content Server if the rules require it or try it.
    pub(super) async fn narrow_key(
        &self,
        discovered: &Discovered,
        round: &Round,
        subject: &Subject<'_>,
    ) -> Result<(OpenedKey, Option<Kept>), ExchangeError> {
        let wanted = self.rules.load().confirm;
        let confirmed = match wanted {
            Confirm::Off => None,
            Confirm::Require | Confirm::Try => match self.confirm(discovered, round, subject).await {
                Ok(key) => Some(key),
                Err(reason) if wanted == Confirm::Require => {
                    return Err(ExchangeError::Unconfirmed(reason.to_string()));
                }
                Err(reason) => {
                    tracing::warn!(server = %discovered.first(), %reason, "the key is not confirmed");
                    None
                }
            },
        };
        match confirmed {
            Some((server, ConfirmedKey { key, name })) => opened(server, round, subject, key, Some(name)),
            None => {
                let key = unconfirmed_key(round, subject)?;
                opened(discovered.first().clone(), round, subject, key, None)
            }
        }
    }

    async fn confirm(
        &self,
        discovered: &Discovered,
        round: &Round,
        subject: &Subject<'_>,
    ) -> Result<(ServerName, ConfirmedKey), Unconfirmed> {
        let dialer = self.dialer(self.discovery.candidates(&discovered.targets));
        confirm(round, subject.context, dialer, self.time_limits()).await
    }
}

fn unconfirmed_key(round: &Round, subject: &Subject<'_>) -> Result<Secret<32>, ExchangeError> {
    let key = round.narrow_key(subject.context).map_err(io::Error::from)?;
    Ok(key.ok_or_else(|| io::Error::other("there are too few shares"))?)
}

/// Gives the session and the cache each a copy of the key.
fn opened(
    server: ServerName,
    round: &Round,
    subject: &Subject<'_>,
    key: Secret<32>,
    tunnel: Option<TunnelName>,
) -> Result<(OpenedKey, Option<Kept>), ExchangeError> {
    let origin = Arc::new(KeyOrigin {
        domain: subject.domain.clone(),
        cs_id: subject.context.cs_id,
        form: Form::Live,
        envelopes: round.envelopes(),
        raidas: indexes(round.answered()),
        liars: Vec::new(),
        coins: coins_of(&round.groups(round.answered())),
        proven: None,
        server,
        tunnel,
    });
    let usage: Arc<Usage> = Arc::default();
    let kept = Kept {
        origin: Arc::clone(&origin),
        secret: KeptSecret::Narrow {
            key: key.duplicate().map_err(io::Error::from)?,
            usage: Arc::clone(&usage),
        },
    };
    // The other end has no message for wiping it.
    let key = UnclaimedKey::new(SessionKey::Narrow { key, usage }, origin.server.clone(), GiveUp::default());
    Ok((OpenedKey { origin, key }, Some(kept)))
}
