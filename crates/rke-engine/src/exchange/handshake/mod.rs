//! Both ends agree on a key by handshake 3, over wide or narrow shares, and open later sessions by resuming it.
//! `docs/protocol.md` section 7.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use rke_proto::coin::{CoinId, Group};
use rke_proto::handshake::agreement::Next;
use rke_proto::handshake::{
    Accepted, Agreed, Agreement, EphemeralKey, ExchangePrologue, Grant, Initiator, Prologue, Response,
    ResumptionId, SessionSecrets,
};
use rke_proto::round::Round;
use rke_proto::{Bitmap, ContentServerId, Form, KeyContext};
use rke_secret::{Secret, SecretError};
use tokio::net::TcpStream;

use super::clock::AskedAt;
use super::error::ExchangeError;
use super::head_start::{HeadStart, Ready};
use super::key::{GiveUp, Kept, KeptSecret, OpenedKey, UnclaimedKey};
use super::raidas::Verdict;
use super::{Ending, Exchange, indexes};
use crate::Domain;
use crate::contact::server::{ContactError, ask_on, confirm, connect};
use crate::contact::{TimeLimits, Unreached, with_each};
use crate::discovery::{Candidate, Discovered};
use crate::model::clock::unix_seconds;
use crate::model::key_origin::KeyOrigin;
use crate::model::server_name::ServerName;
use crate::model::session_key::SessionKey;

/// The longest lifetime that an exchange may grant. `docs/protocol.md` section 7.
const MAX_LIFETIME_SECONDS: u32 = 86_400;

/// The subject of an exchange, while its shares are collected and agreed on.
pub(super) struct Subject<'a> {
    pub(super) domain: &'a Domain,
    pub(super) context: &'a KeyContext,
    pub(super) asked_at: AskedAt,
    pub(super) required: usize,
    pub(super) form: Form,
}

/// The result that both ends have agreed on.
pub(super) struct AgreedKey {
    secrets: SessionSecrets,
    grant: Grant,
    raidas: Bitmap,
    /// The RAIDAs whose shares were proven wrong.
    liars: Bitmap,
    prologue: ExchangePrologue,
}

impl AgreedKey {
    /// Which shares were proven right, and which wrong.
    pub(super) fn verdict(&self) -> Verdict {
        Verdict { right: self.raidas, wrong: self.liars }
    }
}

impl Exchange {
    /// The key that handshake 3 makes from these shares of a round, and which of them were proven right or wrong.
    pub(super) async fn key_of_shares<'a>(
        &'a self,
        discovered: &Discovered,
        shares: (&Round, Bitmap),
        subject: &Subject<'_>,
        head_start: Option<Ready<'a>>,
        limits: TimeLimits,
    ) -> Ending {
        let agreed = async {
            let nowhere = |error| Unreached { server: None, error };
            let head_start = match head_start {
                Some(ready) => ready.map_err(nowhere)?,
                None => self.head_start(discovered).await.map_err(nowhere)?,
            };
            self.agree(head_start, shares, subject, limits).await
        };
        match agreed.await {
            Ok((server, agreed)) => {
                let verdict = agreed.verdict();
                let opened = opened(server, shares.0, subject, agreed, &self.give_up);
                (opened.map_err(|error| io::Error::from(error).into()), verdict)
            }
            Err(Unreached { server, error }) => {
                let server = server.unwrap_or_else(|| discovered.first().clone());
                (Err(ExchangeError::contact(server, error, subject.required)), Verdict::default())
            }
        }
    }

    /// Agrees on a key from these shares of a finished round, with the first of the Content Server's addresses that
    /// succeeds.
    async fn agree(
        &self,
        head_start: HeadStart<'_>,
        shares: (&Round, Bitmap),
        subject: &Subject<'_>,
        limits: TimeLimits,
    ) -> Result<(ServerName, AgreedKey), Unreached> {
        let HeadStart { key, first, dialer } = head_start;
        let ready = Mutex::new(Some(key));
        let work = |candidate, stream| {
            let ready = ready.lock().unwrap_or_else(PoisonError::into_inner).take();
            agree_with(candidate, stream, ready, shares, subject)
        };
        with_each(dialer, first, limits, work).await
    }

    /// Opens a session without the RAIDAs. Nothing new is kept: the resumption stays as it is.
    ///
    /// # Errors
    /// [`ContactError`]; [`ContactError::Refused`] if the Content Server no longer knows the resumption.
    pub async fn resume(
        &self,
        origin: &Arc<KeyOrigin>,
        (id, secret): (ResumptionId, &Secret<32>),
    ) -> Result<OpenedKey, ContactError> {
        let resumption = (origin.cs_id, id, secret);
        let work = |_, stream| resume_on(stream, resumption, &origin.domain);
        let resumed = with_each(self.dialer_at(&origin.server), None, self.time_limits(), work).await;
        let (_, key) = resumed.map_err(|unreached| unreached.error)?;
        let key = UnclaimedKey::new(key, origin.server.clone(), self.give_up.clone());
        Ok(OpenedKey { origin: Arc::clone(origin), key })
    }
}

/// The result of an agreement: the key of the session that it was made for, and what later ones are opened with.
pub(super) fn opened(
    server: ServerName,
    round: &Round,
    subject: &Subject<'_>,
    agreed: AgreedKey,
    give_up: &GiveUp,
) -> Result<(OpenedKey, Option<Kept>), SecretError> {
    let AgreedKey { secrets, grant, raidas, liars, prologue } = agreed;
    let is_proof = subject.form == Form::Wide;
    let proven = is_proof.then(|| prologue.proven_coins(subject.required).first().copied());
    let origin = Arc::new(KeyOrigin {
        domain: subject.domain.clone(),
        cs_id: subject.context.cs_id,
        form: subject.form,
        envelopes: round.envelopes(),
        raidas: indexes(raidas),
        liars: indexes(liars),
        coins: coins_of(prologue.groups()),
        // Anyone can get narrow shares with any coin, so they prove none.
        proven: proven.flatten(),
        server,
        tunnel: None,
    });
    let Grant { resumption, lifetime } = grant;
    let lives_until = lives_until(lifetime);
    let (key, secret) = SessionKey::of_handshake(secrets, lives_until)?;
    let kept = resumption.map(|id| Kept {
        origin: Arc::clone(&origin),
        secret: KeptSecret::Resumption { secret, id, lives_until },
    });
    let key = UnclaimedKey::new(key, origin.server.clone(), give_up.clone());
    Ok((OpenedKey { origin, key }, kept))
}

/// The coins in these groups, each once, in order.
pub(super) fn coins_of(groups: &[Group]) -> Vec<CoinId> {
    let mut coins: Vec<CoinId> = groups.iter().flat_map(|group| group.coins.coins()).collect();
    coins.sort_unstable();
    coins.dedup();
    coins
}

/// When a grant of this many seconds, made now, expires, in Unix seconds. The lifetime is capped, so that a Content
/// Server that grants more than it may cannot make the daemon keep the deletions of its keys for years.
fn lives_until(lifetime: u32) -> u64 {
    unix_seconds().saturating_add(lifetime.min(MAX_LIFETIME_SECONDS).into())
}

async fn agree_with(
    candidate: Candidate,
    mut stream: TcpStream,
    ready: Option<EphemeralKey>,
    (round, raidas): (&Round, Bitmap),
    subject: &Subject<'_>,
) -> Result<AgreedKey, ContactError> {
    let key = ready.map_or_else(EphemeralKey::random, Ok)?;
    let (domain, required) = (subject.domain.as_str(), subject.required);
    let begun = Agreement::begin((round, raidas), subject.context, domain, required, key)?;
    let mut agreement = begun.ok_or(ContactError::Unproven { right: raidas.count() })?;
    loop {
        let response = ask_on(&mut stream, agreement.packet()).await?;
        match agreement.receive(round, &response, Secret::random()?)? {
            Next::Send => stream = connect(candidate.address).await?,
            Next::Agreed(agreed) => {
                let Agreed { accepted, raidas, liars, prologue } = *agreed;
                let Accepted { secrets, grant, transport } = accepted;
                confirm(stream, transport).await?;
                return Ok(AgreedKey { secrets, grant, raidas, liars, prologue });
            }
        }
    }
}

async fn resume_on(
    mut stream: TcpStream,
    (cs_id, id, secret): (ContentServerId, ResumptionId, &Secret<32>),
    domain: &Domain,
) -> Result<SessionKey, ContactError> {
    let prologue = Prologue::Resume { cs_id, id };
    let (initiator, packet) = Initiator::begin(&prologue, secret, EphemeralKey::random()?, domain.as_str())?;
    let response = ask_on(&mut stream, &packet).await?;
    let message = match response {
        Response::Accepted(message) => message,
        Response::Refused(reason) => return Err(ContactError::Refused(reason)),
        Response::Checked { .. } | Response::Forgotten { .. } => return Err(ContactError::AnotherProgram),
    };
    let Accepted { secrets, grant, transport } = initiator.receive(&message)?;
    confirm(stream, transport).await?;
    // The new resumption secret is dropped: the resumption that this session came from stays valid.
    let (key, _) = SessionKey::of_handshake(secrets, lives_until(grant.lifetime))?;
    Ok(key)
}

#[cfg(test)]
mod tests;
