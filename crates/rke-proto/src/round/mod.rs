//! One exchange as a value: it hears what arrived and what time it is, and says what to send,
//! whether it is finished, or that it can no longer finish. `docs/protocol.md` sections 3 to 6.
//! It owns no socket and no clock, so every fault of the network is a plain unit test.

mod outcome;
mod pace;
mod packet;
mod questions;
mod recipient;
mod request;
mod sending;

use std::net::SocketAddr;
use std::time::Duration;

use rke_secret::{Secret, SecretError, scoped};
use zeroize::Zeroize;

pub use self::outcome::{Fault, Outcome, Way};
pub use self::pace::Pace;
pub use self::questions::MOST_QUESTIONS;
pub use self::recipient::{Fallback, Recipient};
use self::request::{Request, State};
use crate::challenge::RANDOM_LEN;
use crate::coin::{CoinId, Group};
use crate::command::{Command, Preloading};
use crate::derive::{self, SECRET_LEN, ShareWidth};
use crate::header::NONCE_LEN;
use crate::{Bitmap, ContentServerId, KeyContext, KeySetId, RaidaIndex};

/// Random bytes that each request consumes: those of its challenge, then those of its nonce.
pub const REQUEST_RANDOM_LEN: usize = RANDOM_LEN + NONCE_LEN;

/// The largest answer that a round understands is far below this.
pub const MAX_DATAGRAM_LEN: usize = 2048;

/// After this, who was asked often enough would be asked again: no round takes so long.
const NOT_AGAIN: Duration = Duration::from_secs(24 * 3600);

/// How a round goes about it.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// Answers that make the round succeed.
    pub required: usize,
    /// How long to wait for the others once it is decided how the round ends.
    pub grace: Duration,
    /// How long to listen on once too many have refused for the required number to be reached:
    /// anyone can say so in a RAIDA's name.
    pub doubt: Duration,
    /// Longest wait between two resends.
    pub max_resend: Duration,
}

impl Rules {
    /// The rules that suit the internet, for `required` answers.
    pub fn new(required: usize) -> Self {
        let (grace, doubt) = (Duration::from_millis(50), Duration::from_secs(1));
        Self { required, grace, doubt, max_resend: Duration::from_millis(1600) }
    }

    /// The same where every answer is wanted: none that cannot come ends the round for those that still can.
    pub fn for_all(recipients: usize) -> Self {
        Self { grace: NOT_AGAIN, ..Self::new(recipients) }
    }
}

/// Where a round stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Call again with an answer, or when this time has come.
    Waiting {
        /// The next time at which something is to be done, on the caller's clock.
        until: Duration,
    },
    /// Enough have answered, and the others had their time.
    Ready,
    /// Enough answers can no longer come.
    Hopeless,
}

/// Requests to up to 25 RAIDAs and what has come back.
pub struct Round {
    requests: Vec<Request>,
    command: Command,
    /// What shares are asked for.
    context: Option<KeyContext>,
    rules: Rules,
    /// How it is decided that the round ends, and since when.
    decided: Option<(Decision, Duration)>,
}

/// How it is decided that a round ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decision {
    /// Enough have answered.
    Enough,
    /// Enough answers could come only from those who have refused.
    Refused,
    /// Enough answers cannot come.
    Hopeless,
}

impl Round {
    /// A round that collects shares of one width for `context`.
    ///
    /// # Errors
    /// [`SecretError`] when there is no secret memory left.
    pub fn collect_shares(
        recipients: Vec<Recipient>,
        width: ShareWidth,
        context: &KeyContext,
        rules: Rules,
    ) -> Result<Self, SecretError> {
        let command = Command::for_share(width);
        let requests = recipients.into_iter().map(|recipient| Request::for_share(recipient, command));
        let mut requests: Vec<Request> = requests.collect::<Result<_, _>>()?;
        // All in one scope, of which each costs as much as what is done in it.
        let mut failure = None;
        scoped(|| {
            let sealed = requests.iter_mut().map(|request| request.seal_for_share(context));
            // It is written where there is one: what fills up a success stays on the stack.
            sealed.filter_map(Result::err).for_each(|error| failure = Some(error));
        })?;
        if let Some(error) = failure {
            return Err(error);
        }
        Ok(Self { context: Some(*context), ..Self::new(requests, command, rules) })
    }

    /// A round that gives each RAIDA its own master secret of a key set. RAIDAs prove to have taken it where that was
    /// [`Preloading::Dated`]; of command 1 there is only a status. `docs/protocol.md` section 5.
    ///
    /// # Errors
    /// [`SecretError`] when there is no secret memory left.
    pub fn preload(
        recipients: Vec<(Recipient, &Secret<SECRET_LEN>)>,
        cs_id: &ContentServerId,
        key_set: KeySetId,
        preloading: Preloading,
        rules: Rules,
    ) -> Result<Self, SecretError> {
        let (command, body_len) = (preloading.command(), preloading.body_len(cs_id, 1));
        let requests = recipients.into_iter().map(|(recipient, master)| {
            let mut request = Request::new(recipient, command, body_len)?;
            let write = |challenge: &_, body: &mut _| {
                preloading.write(challenge, cs_id, &[(key_set, master)], body);
            };
            request.seal(write).map(|()| request)
        });
        Ok(Self::new(requests.collect::<Result<_, _>>()?, command, rules))
    }

    fn new(requests: Vec<Request>, command: Command, rules: Rules) -> Self {
        Self { requests, command, context: None, rules, decided: None }
    }

    /// What has to be sent at `now`. Each datagram is given out once and comes back at its next
    /// resend; the waits between resends grow.
    pub fn take_due(&mut self, now: Duration) -> impl Iterator<Item = (RaidaIndex, SocketAddr, &[u8])> {
        let (longest, context) = (self.rules.max_resend, self.context);
        self.requests.iter_mut().flat_map(move |request| request.take_due(now, longest, context.as_ref()))
    }

    /// Notes that the machine cannot send to a RAIDA at all.
    pub fn note_unreachable(&mut self, raida: RaidaIndex, now: Duration) {
        let unsettled = self.requests.iter_mut().filter(|request| request.is_unsettled());
        unsettled
            .filter(|request| request.raida == raida)
            .for_each(|request| request.state = State::Unreachable);
        self.decide(now);
    }

    /// Notes that ICMP calls a port closed, and gives the RAIDA whose it is. Anyone can send that in the name of any
    /// machine, so it counts only where it quotes a request with its nonce, which nobody knows who has not seen it.
    /// `docs/protocol.md` section 4. The RAIDA is asked on as long as the round goes on: it may only have been restarted.
    pub fn note_closed(&mut self, endpoint: SocketAddr, quoted: &[u8], now: Duration) -> Option<RaidaIndex> {
        let quoted =
            |request: &&mut Request| same_endpoint(request.endpoint, endpoint) && request.is_quoted(quoted);
        let request = self.requests.iter_mut().find(quoted).filter(|request| request.is_unsettled())?;
        request.state = State::Closed;
        let raida = request.raida;
        self.decide(now);
        Some(raida)
    }

    /// Takes in a datagram. Whatever does not verify is dropped as if it had never come. A share
    /// then lies in the clear where the datagram lay, so this is to be called on a scratch stack
    /// ([`rke_secret::scoped`]) with the datagram on it. The datagram is wiped. Gives the RAIDA where the
    /// datagram has changed its [`Round::outcome`].
    pub fn receive(&mut self, from: SocketAddr, datagram: &mut [u8], now: Duration) -> Option<RaidaIndex> {
        let sender = datagram.first().copied();
        let request = self
            .requests
            .iter_mut()
            .find(|request| Some(request.raida.get()) == sender && same_endpoint(request.endpoint, from));
        let settled = request.and_then(|request| request.receive(datagram, now).then_some(request.raida));
        datagram.zeroize();
        self.decide(now);
        settled
    }

    /// Needs this many answers from here on: of those that came, too few were right. The round goes on with the RAIDAs that
    /// have not answered yet.
    pub fn require(&mut self, answers: usize, now: Duration) {
        self.rules.required = answers;
        self.decide(now);
    }

    /// Notes how the round ends and since when that is decided. A valid answer after an unproven refusal can
    /// open the question again.
    fn decide(&mut self, now: Duration) {
        let decision = self.decision();
        if decision != self.decided.map(|(earlier, _)| earlier) {
            self.decided = decision.map(|decision| (decision, now));
        }
    }

    fn decision(&self) -> Option<Decision> {
        let count =
            |state: fn(&State) -> bool| self.requests.iter().filter(|request| state(&request.state)).count();
        let answered = count(|state| matches!(state, State::Answered));
        let waiting = count(|state| matches!(state, State::Waiting(_)));
        let refused = count(|state| matches!(state, State::Refused(_)));
        let required = self.rules.required;
        match () {
            () if answered >= required => Some(Decision::Enough),
            () if answered + waiting >= required => None,
            () if answered + waiting + refused >= required => Some(Decision::Refused),
            () => Some(Decision::Hopeless),
        }
    }

    /// Where the round stands at `now`. What is decided still has its time, for answers that are on their
    /// way: they make a key of more shares, or a truer report of who failed.
    pub fn progress(&self, now: Duration) -> Progress {
        let next_send = self.requests.iter().filter_map(Request::next_send).min();
        let is_one_waiting = self.requests.iter().any(Request::is_waiting);
        let Some(decision) = self.decision() else {
            return next_send.map_or(Progress::Hopeless, |until| Progress::Waiting { until });
        };
        let Rules { grace, doubt, .. } = self.rules;
        let time = match decision {
            Decision::Refused if is_one_waiting => grace.max(doubt),
            Decision::Refused => doubt,
            Decision::Enough | Decision::Hopeless if is_one_waiting => grace,
            Decision::Enough | Decision::Hopeless => Duration::ZERO,
        };
        let end = self.decided.map(|(_, since)| since + time).filter(|end| *end > now);
        let until = end.map(|end| next_send.map_or(end, |next| next.min(end)));
        match until {
            Some(until) => Progress::Waiting { until },
            None if decision == Decision::Enough => Progress::Ready,
            None => Progress::Hopeless,
        }
    }

    /// Whether enough have answered, whatever the grace says.
    pub fn is_satisfied(&self) -> bool {
        self.answered().count() >= self.rules.required
    }

    /// The RAIDAs that have answered with success.
    pub fn answered(&self) -> Bitmap {
        let answered = self.requests.iter().filter(|request| request.has_answered());
        answered.map(|request| request.raida).collect()
    }

    /// What kept each of the others.
    pub fn faults(&self) -> Vec<(RaidaIndex, Fault)> {
        self.requests.iter().filter_map(|request| Some((request.raida, request.fault()?))).collect()
    }

    /// What has become of one RAIDA so far. `None` where it is not one of those to be asked.
    pub fn outcome(&self, raida: RaidaIndex) -> Option<Outcome> {
        self.requests.iter().find(|request| request.raida == raida).map(Request::outcome)
    }

    /// What became of each RAIDA that was asked.
    pub fn outcomes(&self) -> impl Iterator<Item = Outcome> {
        self.requests.iter().filter(|request| request.was_asked()).map(Request::outcome)
    }

    /// The coin that the first answered request names.
    pub fn coin(&self) -> Option<CoinId> {
        let answered = self.requests.iter().find(|request| request.has_answered());
        answered?.envelope().coins().next()
    }

    /// Those of a set that have answered, grouped by the coins whose ANs authenticated the request; the
    /// group of the lowest RAIDA first. Wide shares are bound to these coins. `docs/protocol.md` section 6.
    pub fn groups(&self, of: Bitmap) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::new();
        for raida in of.iter() {
            let answered = |request: &&Request| request.raida == raida && request.has_answered();
            let request = self.requests.iter().find(answered);
            let Some(coins) = request.and_then(|request| request.envelope().coin_pair()) else {
                continue;
            };
            match groups.iter_mut().find(|group| group.coins == coins) {
                Some(group) => group.raidas.insert(raida),
                None => groups.push(Group { raidas: Bitmap::from_iter([raida]), coins }),
            }
        }
        groups
    }

    /// The envelope types of the requests that were answered, each once, in order.
    pub fn envelopes(&self) -> Vec<u8> {
        let answered = self.requests.iter().filter(|request| request.has_answered());
        let mut types: Vec<u8> = answered.map(|request| request.envelope().wire_type()).collect();
        types.sort_unstable();
        types.dedup();
        types
    }

    /// The shares that the RAIDAs of a set gave, in no particular order.
    pub fn shares(&self, of: Bitmap) -> impl Iterator<Item = (RaidaIndex, &Secret<SECRET_LEN>)> {
        let answered = self.requests.iter().filter(|request| request.has_answered());
        answered
            .filter(move |request| of.contains(request.raida))
            .map(|request| (request.raida, &request.share))
    }

    /// The key that narrow shares give, of all RAIDAs that have answered. `None` before enough have, and where the round
    /// did not collect narrow shares.
    ///
    /// # Errors
    /// [`SecretError`] when there is no secret memory left.
    pub fn narrow_key(&self, context: &KeyContext) -> Result<Option<Secret<SECRET_LEN>>, SecretError> {
        if self.share_width() != Some(ShareWidth::Narrow) || !self.is_satisfied() {
            return Ok(None);
        }
        let shares = self.shares(self.answered()).map(|(_, share)| share);
        derive::narrow_key_from_shares(shares, context).map(Some)
    }

    /// How wide the shares are. `None` where the round does not collect any.
    pub fn share_width(&self) -> Option<ShareWidth> {
        self.command.share_width()
    }
}

/// IPv6 sockets report scope ids and flow labels that a record does not have.
fn same_endpoint(expected: SocketAddr, from: SocketAddr) -> bool {
    expected.ip() == from.ip() && expected.port() == from.port()
}

#[cfg(test)]
mod tests;
