//! One exchange as a value: it takes in datagrams and the time, and says what to send, whether it is finished, or
//! that it can no longer finish. `docs/protocol.md` sections 3 to 6. It owns no socket and no clock, so a plain unit
//! test covers every fault of the network.

mod outcome;
mod pace;
mod packet;
mod probes;
mod recipient;
mod request;
mod sending;

use std::net::SocketAddr;
use std::time::Duration;

use rke_secret::{Secret, SecretError, scoped};
use zeroize::Zeroize;

pub use self::outcome::{Fault, Outcome, Way};
pub use self::pace::Pace;
pub use self::probes::MAX_PROBES;
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

/// The longest response that a round understands is far below this.
pub const MAX_DATAGRAM_LEN: usize = 2048;

/// Far longer than any round: the next resend of a request that has reached its limit.
const NEVER: Duration = Duration::from_secs(24 * 3600);

/// The parameters of a round.
#[derive(Debug, Clone, Copy)]
pub struct RoundConfig {
    /// Responses that make the round succeed.
    pub required: usize,
    /// How long to wait for the remaining responses once the result of the round is decided.
    pub grace: Duration,
    /// How long to keep listening once too many have refused for the required number to be reached: refusals can be
    /// forged.
    pub doubt: Duration,
    /// Longest wait between two resends.
    pub max_resend: Duration,
}

impl RoundConfig {
    /// The parameters for the internet and `required` responses.
    pub fn new(required: usize) -> Self {
        let (grace, doubt) = (Duration::from_millis(50), Duration::from_secs(1));
        Self { required, grace, doubt, max_resend: Duration::from_millis(1600) }
    }

    /// The same if every response is needed: one that cannot come does not end the round for the others.
    pub fn require_all(recipients: usize) -> Self {
        Self { grace: NEVER, ..Self::new(recipients) }
    }
}

/// The state of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Call again with a response, or when this time has come.
    Waiting {
        /// The next time at which the round has work to do, on the caller's clock.
        until: Duration,
    },
    /// Enough have responded, and the others had their time.
    Ready,
    /// Too few responses can still come.
    Hopeless,
}

/// Requests to up to 25 RAIDAs, and their responses.
pub struct Round {
    requests: Vec<Request>,
    command: Command,
    /// The context of the requested shares.
    context: Option<KeyContext>,
    rules: RoundConfig,
    /// The decision how the round ends, and its time.
    decided: Option<(Decision, Duration)>,
}

/// How a round ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decision {
    /// Enough have responded.
    Enough,
    /// Enough responses could come only from RAIDAs that have refused.
    Refused,
    /// Too few responses can still come.
    Hopeless,
}

impl Round {
    /// A round that collects shares of one width for `context`.
    ///
    /// # Errors
    /// [`SecretError`], if secret memory is full.
    pub fn collect_shares(
        recipients: Vec<Recipient>,
        width: ShareWidth,
        context: &KeyContext,
        rules: RoundConfig,
    ) -> Result<Self, SecretError> {
        let command = Command::for_share(width);
        let requests = recipients.into_iter().map(|recipient| Request::for_share(recipient, command));
        let mut requests: Vec<Request> = requests.collect::<Result<_, _>>()?;
        // All in one scope, because each scope costs about as much as the work in it.
        let mut failure = None;
        scoped(|| {
            let sealed = requests.iter_mut().map(|request| request.seal_for_share(context));
            // Written only on an error: the padding of a success would stay on the stack.
            sealed.filter_map(Result::err).for_each(|error| failure = Some(error));
        })?;
        if let Some(error) = failure {
            return Err(error);
        }
        Ok(Self { context: Some(*context), ..Self::new(requests, command, rules) })
    }

    /// A round that sends each RAIDA its own master secret of a key set. With [`Preloading::Dated`] the responses
    /// prove that the RAIDAs have stored it; with command 1 they are only a status. `docs/protocol.md` section 5.
    ///
    /// # Errors
    /// [`SecretError`], if secret memory is full.
    pub fn preload(
        recipients: Vec<(Recipient, &Secret<SECRET_LEN>)>,
        cs_id: &ContentServerId,
        key_set: KeySetId,
        preloading: Preloading,
        rules: RoundConfig,
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

    fn new(requests: Vec<Request>, command: Command, rules: RoundConfig) -> Self {
        Self { requests, command, context: None, rules, decided: None }
    }

    /// The datagrams to send at `now`. Each is returned once, and again at its next resend; the waits between resends
    /// grow.
    pub fn take_due(&mut self, now: Duration) -> impl Iterator<Item = (RaidaIndex, SocketAddr, &[u8])> {
        let (longest, context) = (self.rules.max_resend, self.context);
        self.requests.iter_mut().flat_map(move |request| request.take_due(now, longest, context.as_ref()))
    }

    /// Records that the machine cannot send to a RAIDA at all.
    pub fn note_unreachable(&mut self, raida: RaidaIndex, now: Duration) {
        let unsettled = self.requests.iter_mut().filter(|request| request.is_pending());
        unsettled
            .filter(|request| request.raida == raida)
            .for_each(|request| request.state = State::Unreachable);
        self.decide(now);
    }

    /// Records that ICMP reports a closed port, and returns the RAIDA. ICMP can be forged, so it counts only if it
    /// quotes a request including the nonce, which only machines on the path know. `docs/protocol.md` section 4. The
    /// RAIDA still gets resends as long as the round lasts: it may only have been restarted.
    pub fn note_closed(&mut self, endpoint: SocketAddr, quoted: &[u8], now: Duration) -> Option<RaidaIndex> {
        let quoted = |request: &&mut Request| {
            same_endpoint(request.endpoint, endpoint) && request.matches_quote(quoted)
        };
        let request = self.requests.iter_mut().find(quoted).filter(|request| request.is_pending())?;
        request.state = State::Closed;
        let raida = request.raida;
        self.decide(now);
        Some(raida)
    }

    /// Handles a datagram. Anything that does not verify is ignored. A share is then in the clear in place of the
    /// datagram, so call this on a scratch stack ([`rke_secret::scoped`]) with the datagram on it. The datagram is
    /// wiped. Returns the RAIDA if the datagram has changed its [`Round::outcome`].
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

    /// Raises the number of required responses, because too few shares were right. The round goes on with the RAIDAs
    /// that have not responded yet.
    pub fn require(&mut self, answers: usize, now: Duration) {
        self.rules.required = answers;
        self.decide(now);
    }

    /// Decides how the round ends, and records the time. A valid response after an unproven refusal can reopen the
    /// decision.
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

    /// The state of the round at `now`. After a decision it still waits for responses on their way: they add shares
    /// to the key, or make the report of failures more accurate.
    pub fn progress(&self, now: Duration) -> Progress {
        let next_send = self.requests.iter().filter_map(Request::next_send).min();
        let is_one_waiting = self.requests.iter().any(Request::is_waiting);
        let Some(decision) = self.decision() else {
            return next_send.map_or(Progress::Hopeless, |until| Progress::Waiting { until });
        };
        let RoundConfig { grace, doubt, .. } = self.rules;
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

    /// Whether enough have responded, regardless of the grace period.
    pub fn is_satisfied(&self) -> bool {
        self.answered().count() >= self.rules.required
    }

    /// The RAIDAs that have responded with success.
    pub fn answered(&self) -> Bitmap {
        let answered = self.requests.iter().filter(|request| request.has_answered());
        answered.map(|request| request.raida).collect()
    }

    /// Why each of the others has no share.
    pub fn faults(&self) -> Vec<(RaidaIndex, Fault)> {
        self.requests.iter().filter_map(|request| Some((request.raida, request.fault()?))).collect()
    }

    /// The outcome of one RAIDA so far. `None` if it is not part of the round.
    pub fn outcome(&self, raida: RaidaIndex) -> Option<Outcome> {
        self.requests.iter().find(|request| request.raida == raida).map(Request::outcome)
    }

    /// The outcome of each RAIDA that was sent a request.
    pub fn outcomes(&self) -> impl Iterator<Item = Outcome> {
        self.requests.iter().filter(|request| request.was_sent()).map(Request::outcome)
    }

    /// The coin of the first request with a response.
    pub fn coin(&self) -> Option<CoinId> {
        let answered = self.requests.iter().find(|request| request.has_answered());
        answered?.envelope().coins().next()
    }

    /// The RAIDAs of a set that have responded, grouped by the coins whose ANs authenticated the request; the group
    /// of the lowest RAIDA first. Wide shares are bound to these coins. `docs/protocol.md` section 6.
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

    /// The envelope types of the requests with a response, each once, in order.
    pub fn envelopes(&self) -> Vec<u8> {
        let answered = self.requests.iter().filter(|request| request.has_answered());
        let mut types: Vec<u8> = answered.map(|request| request.envelope().wire_type()).collect();
        types.sort_unstable();
        types.dedup();
        types
    }

    /// The shares from the RAIDAs of a set, in no particular order.
    pub fn shares(&self, of: Bitmap) -> impl Iterator<Item = (RaidaIndex, &Secret<SECRET_LEN>)> {
        let answered = self.requests.iter().filter(|request| request.has_answered());
        answered
            .filter(move |request| of.contains(request.raida))
            .map(|request| (request.raida, &request.share))
    }

    /// The key for the narrow shares of all RAIDAs that have responded. `None` before enough have, and if the round
    /// does not collect narrow shares.
    ///
    /// # Errors
    /// [`SecretError`], if secret memory is full.
    pub fn narrow_key(&self, context: &KeyContext) -> Result<Option<Secret<SECRET_LEN>>, SecretError> {
        if self.share_width() != Some(ShareWidth::Narrow) || !self.is_satisfied() {
            return Ok(None);
        }
        let shares = self.shares(self.answered()).map(|(_, share)| share);
        derive::narrow_key_from_shares(shares, context).map(Some)
    }

    /// The width of the shares. `None` if the round does not collect any.
    pub fn share_width(&self) -> Option<ShareWidth> {
        self.command.share_width()
    }
}

/// IPv6 sockets report scope ids and flow labels that records lack.
fn same_endpoint(expected: SocketAddr, from: SocketAddr) -> bool {
    expected.ip() == from.ip() && expected.port() == from.port()
}

#[cfg(test)]
mod tests;
