//! Handshake 3 over narrow shares where some of them are wrong. Nobody can show which: a tag of a 1-byte share would give
//! the share away. So where the Content Server refuses them, other sets of RAIDAs are tried. `docs/protocol.md` section 6.2.

use std::io;

use rke_proto::handshake::Reason;
use rke_proto::round::Round;
use rke_proto::{Bitmap, RAIDA_COUNT, RaidaIndex};

use super::handshake::Subject;
use super::head_start::Ready;
use super::raidas::Verdict;
use super::{Discovered, Ending, Exchange, ExchangeError};
use crate::contact::server::ContactError;

/// Most sets of one exchange, the first among them.
const MOST_SETS: usize = 5;

/// The sets of RAIDAs that an exchange has tried.
#[derive(Default)]
pub(super) struct ShareSets {
    tried: usize,
    /// How many of the sets have left a RAIDA out.
    left_out: [usize; RAIDA_COUNT],
}

impl ShareSets {
    /// How many were tried.
    pub(super) fn tried(&self) -> usize {
        self.tried
    }

    /// Whether another may be tried, should more RAIDAs answer.
    pub(super) fn may_have_more(&self) -> bool {
        self.tried < MOST_SETS
    }

    /// The next set of those that have answered: at first all, then as few as are required. What is left out of these are
    /// the RAIDAs that were left out least so far, so no single liar is in all of them for long, and among equals it is
    /// `chance` that says which. `None` where there is no other set, or enough were tried.
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
    /// The key of the first set of RAIDAs that the Content Server has the shares of.
    pub(super) async fn key_of_any_set<'a>(
        &'a self,
        discovered: &Discovered,
        round: &Round,
        subject: &Subject<'_>,
        mut head_start: Option<Ready<'a>>,
        sets: &mut ShareSets,
    ) -> Ending {
        let (patience, mut server) = (self.patience(), discovered.first().clone());
        while let Some(raidas) = sets.next(round.answered(), subject.required, chance) {
            let shares = (round, raidas);
            let ended = self.key_of_shares(discovered, shares, subject, head_start.take(), patience).await;
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

/// Drawn at random, so that liars cannot arrange themselves. `None` where the system has no random bytes.
fn chance() -> Option<u64> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).ok()?;
    Some(u64::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUIRED: usize = 13;

    fn first(count: usize) -> Bitmap {
        RaidaIndex::all().take(count).collect()
    }

    /// All sets that are tried where this many answer and none is right.
    fn all_sets(answered: Bitmap) -> Vec<Bitmap> {
        let mut sets = ShareSets::default();
        std::iter::from_fn(|| sets.next(answered, REQUIRED, chance)).collect()
    }

    #[test]
    fn five_sets_are_tried_all_first_and_then_as_few_as_are_required() {
        for count in [14, 20, 25] {
            let sets = all_sets(first(count));
            assert_eq!((sets.len(), sets[0]), (MOST_SETS, first(count)));
            for set in &sets[1..] {
                assert!(set.count() == REQUIRED && set.is_within(first(count)), "{set:?}");
            }
        }
        assert_eq!(all_sets(first(REQUIRED)), [first(REQUIRED)], "there is no other");
    }

    #[test]
    fn a_liar_among_all_is_left_out_whoever_it_is() {
        for _ in 0..100 {
            let sets = all_sets(first(25));
            for liar in RaidaIndex::all() {
                assert!(sets.iter().any(|set| !set.contains(liar)), "{liar} is in all of {sets:?}");
            }
        }
    }

    #[test]
    fn two_liars_are_left_out_more_often_than_not() {
        let is_clean = |set: &Bitmap| first(2).iter().all(|liar| !set.contains(liar));
        let clean = (0..1000).filter(|_| all_sets(first(25)).iter().any(is_clean)).count();
        assert!((500..1000).contains(&clean), "{clean} of 1000");
    }

    #[test]
    fn with_more_that_answer_there_is_another_set() {
        let mut sets = ShareSets::default();
        assert!(sets.next(first(13), REQUIRED, chance).is_some());
        assert!(sets.next(first(13), REQUIRED, chance).is_none() && sets.may_have_more());
        let other = sets.next(first(14), REQUIRED, chance).expect("another set");
        assert!(other.count() == REQUIRED && other.is_within(first(14)));
        while sets.next(first(25), REQUIRED, chance).is_some() {}
        assert_eq!((sets.tried(), sets.may_have_more()), (MOST_SETS, false));
    }

    #[test]
    fn without_random_bytes_no_set_is_tried() {
        let mut sets = ShareSets::default();
        assert!(sets.next(first(25), REQUIRED, || None).is_none());
        assert_eq!(sets.tried(), 0);
    }
}
