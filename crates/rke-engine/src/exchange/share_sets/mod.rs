//! Handshake 3 over narrow shares when some of them are wrong. It cannot be proven which: a tag of a 1-byte share
//! would give the share away. So if the Content Server refuses them, other sets of RAIDAs are tried.
//! `docs/protocol.md` section 6.2.

use std::io;

use rke_proto::handshake::Reason;
use rke_proto::round::Round;
use rke_proto::{Bitmap, RAIDA_COUNT, RaidaIndex};

use super::handshake::Subject;
use super::head_start::Ready;
use super::raidas::Verdict;
use super::{Discovered, Ending, Exchange, ExchangeError};
use crate::contact::server::ContactError;

/// The most sets that one exchange tries, including the first.
const MOST_SETS: usize = 5;

/// The sets of RAIDAs that an exchange has tried.
#[derive(Default)]
pub(super) struct ShareSets {
    tried: usize,
    /// How many of the sets have left each RAIDA out.
    left_out: [usize; RAIDA_COUNT],
}

impl ShareSets {
    /// How many were tried.
    pub(super) fn tried(&self) -> usize {
        self.tried
    }

    /// Whether another set may be tried if more RAIDAs answer.
    pub(super) fn may_have_more(&self) -> bool {
        self.tried < MOST_SETS
    }

    /// The next set of the RAIDAs that have answered: first all, then only as many as are required. It leaves out the
    /// RAIDAs that were left out least so far, so no single RAIDA with a wrong share stays in for long; `chance`
    /// decides among equals. `None` if no other set exists, or enough were tried.
    fn next(
        &mut self,
        answered: Bitmap,
        required: usize,
        mut chance: impl FnMut() -> Option<u64>,
    ) -> Option<Bitmap> {
        let spare = match self.tried {
            0 => 0,
            _ => answered.count().checked_sub(required).filter(|spare| *spare > 0)?,
        };
        if !self.may_have_more() {
            return None;
        }
        let place = |raida: RaidaIndex| Some((self.left_out[raida.position()], chance()?, raida));
        let mut places = answered.iter().map(place).collect::<Option<Vec<_>>>()?;
        places.sort_unstable();
        for (_, _, raida) in &places[..spare] {
            self.left_out[raida.position()] += 1;
        }
        self.tried += 1;
        Some(places[spare..].iter().map(|(_, _, raida)| *raida).collect())
    }
}

impl Exchange {
    /// The key of the first set of RAIDAs whose shares the Content Server accepts.
    pub(super) async fn key_of_any_set<'a>(
        &'a self,
        discovered: &Discovered,
        round: &Round,
        subject: &Subject<'_>,
        mut head_start: Option<Ready<'a>>,
        sets: &mut ShareSets,
    ) -> Ending {
        let (limits, mut server) = (self.time_limits(), discovered.first().clone());
        while let Some(raidas) = sets.next(round.answered(), subject.required, chance) {
            let shares = (round, raidas);
            let ended = self.key_of_shares(discovered, shares, subject, head_start.take(), limits).await;
            match ended.0 {
                Err(ExchangeError::ContentServer {
                    server: refusing,
                    reason: ContactError::Refused(Reason::WrongShares),
                }) => server = refusing,
                _ => return ended,
            }
            tracing::info!(domain = %subject.domain, tried = sets.tried(), "the Content Server refused 1-byte shares");
        }
        let error = match sets.tried() {
            0 => io::Error::other("there are no random bytes for the choice of RAIDAs").into(),
            tried => ExchangeError::NoSetRight { server, tried },
        };
        (Err(error), Verdict::default())
    }
}

/// Random, so that RAIDAs with wrong shares cannot plan around it. `None` if the system has no random bytes.
fn chance() -> Option<u64> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).ok()?;
    Some(u64::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests;
