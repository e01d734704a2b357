//! The network of a run: datagrams on their way, in virtual time, and what happens to them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use rke_proto::derive::ShareWidth;
use rke_proto::round::{Round, RoundConfig};
use rke_proto::{Bitmap, Envelope, KeyContext, RAIDA_COUNT, RaidaIndex, Status};

use crate::plan::{Behaviour, Forgery, Plan, behaviour};
use crate::rng::Rng;
use crate::world::{World, endpoint, recipient};

/// Something that happens at a time.
pub(crate) enum Event {
    /// A datagram reaches a RAIDA.
    Request(RaidaIndex, Vec<u8>),
    /// A datagram reaches the client, and whose good answer it is, if it is one.
    Answer { from: SocketAddr, datagram: Vec<u8>, good: Option<RaidaIndex> },
    /// The client's machine learns that a RAIDA is unreachable.
    Unreachable(RaidaIndex),
}

pub(crate) struct Network<'a> {
    world: &'a mut World,
    plan: &'a Plan,
    pub(crate) rng: Rng,
    envelopes: [Envelope; RAIDA_COUNT],
    context: KeyContext,
    events: BTreeMap<(Duration, u64), Event>,
    count: u64,
    /// When the first good response of each RAIDA arrived.
    pub(crate) arrived: [Option<Duration>; RAIDA_COUNT],
}

impl<'a> Network<'a> {
    pub(crate) fn new(
        world: &'a mut World,
        plan: &'a Plan,
        rng: Rng,
        envelopes: [Envelope; RAIDA_COUNT],
        context: KeyContext,
    ) -> Self {
        let (events, arrived) = (BTreeMap::new(), [None; RAIDA_COUNT]);
        let mut own = Self { world, plan, rng, envelopes, context, events, count: 0, arrived };
        for raida in RaidaIndex::all() {
            if let Some(at) = behaviour(plan, raida).unreachable_at {
                own.put(at, Event::Unreachable(raida));
            }
        }
        own
    }

    /// The next event, if it is not after `until`.
    pub(crate) fn next(&mut self, until: Duration) -> Option<(Duration, Event)> {
        let (at, _) = *self.events.first_key_value()?.0;
        if at > until {
            return None;
        }
        self.events.pop_first().map(|((at, _), event)| (at, event))
    }

    /// The RAIDAs whose good responses have arrived.
    pub(crate) fn good(&self) -> Bitmap {
        RaidaIndex::all().filter(|raida| self.arrived[raida.position()].is_some()).collect()
    }

    /// The client sends a datagram.
    pub(crate) fn send(&mut self, raida: RaidaIndex, datagram: &[u8], now: Duration) {
        self.carry(raida, now, |_| Event::Request(raida, datagram.to_vec()));
    }

    /// A RAIDA takes in a datagram; its response goes on its way.
    pub(crate) fn respond(&mut self, raida: RaidaIndex, request: &[u8], now: Duration) {
        let plan = self.plan;
        let own = behaviour(plan, raida);
        if own.dead || own.unreachable_at.is_some_and(|at| now >= at) {
            return;
        }
        let clock = self.context.timestamp + now.as_secs() + if own.wrong_clock { 3600 } else { 0 };
        let random = self.rng.bytes();
        let Some(answer) = self.world.respond(raida, own.lies, clock, random, request) else { return };
        let is_success = answer[2] == Status::SUCCESS.0;
        let mut is_replaced = false;
        if is_success && !own.forgeries.is_empty() && self.rng.percent(own.forged) {
            is_replaced = own.in_place;
            let (from, datagram) = self.forge(raida, own, request, &answer);
            self.carry(raida, now, |_| Event::Answer { from, datagram: datagram.clone(), good: None });
        }
        if !is_replaced {
            let (from, good) = (endpoint(raida), is_success.then_some(raida));
            self.carry(raida, now, |_| Event::Answer { from, datagram: answer.clone(), good });
        }
    }

    fn forge(
        &mut self,
        raida: RaidaIndex,
        own: &Behaviour,
        request: &[u8],
        answer: &[u8],
    ) -> (SocketAddr, Vec<u8>) {
        let mut datagram = answer.to_vec();
        let mut from = endpoint(raida);
        let another = (raida.get() + 1 + self.rng.below(RAIDA_COUNT - 1) as u8) % RAIDA_COUNT as u8;
        match own.forgeries[self.rng.below(own.forgeries.len())] {
            Forgery::Truncated => datagram.truncate(self.rng.below(answer.len())),
            Forgery::BadHmac => {
                let at = 48 + self.rng.below(answer.len() - 48 - 2);
                datagram[at] ^= 1 << self.rng.below(8);
            }
            Forgery::OtherAddress if self.rng.percent(50) => {
                from = SocketAddr::from(([127, 0, 0, 2], from.port()))
            }
            Forgery::OtherAddress => from.set_port(50000 + u16::from(another)),
            Forgery::OlderRequest => {
                datagram = self.answer_to_an_older_request(raida, own.lies);
                if self.rng.percent(50) {
                    datagram[46..48].copy_from_slice(&request[46..48]);
                }
            }
            Forgery::WrongIndex => datagram[0] = another,
        }
        (from, datagram)
    }

    fn answer_to_an_older_request(&mut self, raida: RaidaIndex, lies: bool) -> Vec<u8> {
        let older = recipient(raida, self.envelopes[raida.position()], self.rng.bytes());
        let round = Round::collect_shares(vec![older], ShareWidth::Wide, &self.context, RoundConfig::new(1));
        let mut round = round.expect("secret memory");
        let request = round.take_due(Duration::ZERO).next().expect("a request").2.to_vec();
        let random = self.rng.bytes();
        let answer = self.world.respond(raida, lies, self.context.timestamp, random, &request);
        answer.expect("an answer")
    }

    /// Puts an event on its way between the client and a RAIDA: late, twice or never.
    fn carry(&mut self, raida: RaidaIndex, now: Duration, event: impl Fn(()) -> Event) {
        let plan = self.plan;
        let own = behaviour(plan, raida);
        for _ in 0..=u8::from(own.duplicates) {
            let jitter = self.rng.millis(0..own.jitter_millis);
            if !self.rng.percent(own.loss) {
                self.put(now + own.delay + jitter, event(()));
            }
        }
    }

    fn put(&mut self, at: Duration, event: Event) {
        self.count += 1;
        self.events.insert((at, self.count), event);
    }
}
