//! One run: the client's round and confirmation against the network and a Content Server, and
//! everything that must be true of it.

use std::time::Duration;

use rke_proto::derive::ShareWidth;
use rke_proto::round::{Fault, Progress, Round, Rules};
use rke_proto::tunnel::confirm::{ConfirmError, Next};
use rke_proto::tunnel::{ClientKeyId, Confirmation, Handshake, packet};
use rke_proto::{Bitmap, ClientSn, Envelope, KeyContext, RaidaIndex};
use rke_raida::content_server::{Outcome, Reception, Rules as ServerRules, ServedKeySet};
use rke_secret::Secret;

use crate::network::{Event, Network};
use crate::plan::{Plan, behaviour};
use crate::rng::Rng;
use crate::world::{COIN, NOW, OTHER, World, cs_id, key_id, recipient};

pub(crate) const DEADLINE: Duration = Duration::from_secs(5);
const REQUIRED: usize = 13;

/// No run has nearly as many events.
const MAX_STEPS: usize = 100_000;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Both sides have the same key.
    Key,
    /// Too few answered.
    TooFew,
    /// Too few of those that answered told the truth.
    TooManyLiars,
}

/// What a run showed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Report {
    pub(crate) verdict: Verdict,
    /// RAIDAs that were named as liars, which are those that lied and answered.
    pub(crate) named: usize,
    /// Of a round that ended well: its time, over that of its 13th honest answer and the grace.
    pub(crate) latency: Option<f64>,
}

/// Fails with what is not as it must be.
fn check(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}

/// The run of a seed, with the faults of `plan`. To be called in a scope of secret memory.
pub(crate) fn run(world: &mut World, plan: &Plan, mut rng: Rng, seed: u64) -> Result<Report, String> {
    let envelope = if rng.percent(50) { Envelope::Type4(COIN) } else { Envelope::Type5(COIN, OTHER) };
    // Time goes on from seed to seed, so that RAIDAs forget the challenges of the runs before.
    let timestamp = NOW + seed % 1_000_000 * 2000;
    let (client_sn, key_id) = (ClientSn(rng.bytes()), key_id());
    let context = KeyContext { cs_id: cs_id(), key_id, client_sn, timestamp };
    let recipients = RaidaIndex::all().map(|raida| recipient(raida, envelope, rng.bytes())).collect();
    let rules = Rules::new(REQUIRED);
    let mut round =
        Round::collect_shares(recipients, ShareWidth::Wide, &context, rules).expect("secret memory");
    let secrets = std::sync::Arc::clone(&world.secrets);
    let mut network = Network::new(world, plan, rng, envelope, context);
    let first = collect(&mut round, &mut network, Duration::ZERO)?;
    check_time(&round, &network, plan, first.0, first.1)?;
    let served = ServedKeySet { secrets: std::sync::Arc::clone(&secrets), retires_at: None };
    let reception = Reception::new(ServerRules::default(), vec![served]);
    let mut server = Server { reception, now: timestamp };
    let key_of = |bitmap| secrets.session_key(&context, ShareWidth::Wide, bitmap).expect("secret memory");
    let (mut finished, mut is_ready) = first;
    let mut named = Bitmap::default();
    let verdict = loop {
        let good = network.good().without(named);
        let answered = round.answered();
        check(answered == good, || format!("answered {answered:?}, but good answers came from {good:?}"))?;
        let count = good.count();
        check(is_ready == (count >= REQUIRED), || format!("ready: {is_ready}, with {count}"))?;
        if !is_ready {
            let sound = plan.iter().filter(|raida| !raida.is_faulty).count();
            check(sound < REQUIRED, || format!("refused, though {sound} RAIDAs have no fault"))?;
            break if named.count() > 0 { Verdict::TooManyLiars } else { Verdict::TooFew };
        }
        let lied: Bitmap = good.iter().filter(|raida| behaviour(plan, *raida).lies).collect();
        let honest = good.without(lied);
        server.now = timestamp + finished.as_secs();
        let verdict = confirm(&round, &context, &mut server, &mut network.rng, (honest, lied), key_of)?;
        named = named.union(lied);
        if verdict == Verdict::Key {
            break verdict;
        }
        // As the daemon does: the others may still answer.
        round.exclude(lied, finished);
        (finished, is_ready) = collect(&mut round, &mut network, finished)?;
    };
    let thirteenth = thirteenth_honest(&mut network, plan);
    let latency = thirteenth.filter(|_| first.1);
    let latency = latency.map(|at| first.0.as_secs_f64() / (at + rules.grace).as_secs_f64());
    Ok(Report { verdict, named: named.count(), latency })
}

/// Runs the round from `now` on as the daemon does: its end, and whether it is ready then.
fn collect(round: &mut Round, network: &mut Network, mut now: Duration) -> Result<(Duration, bool), String> {
    for _ in 0..MAX_STEPS {
        let due = round.take_due(now).map(|(raida, _, datagram)| (raida, datagram.to_vec()));
        for (raida, datagram) in due.collect::<Vec<_>>() {
            network.send(raida, &datagram, now);
        }
        let until = match round.progress(now) {
            Progress::Ready => return Ok((now, true)),
            Progress::Hopeless => return Ok((now, false)),
            Progress::Waiting { until } => until.min(DEADLINE),
        };
        let Some((at, event)) = network.next(until) else {
            now = until;
            if now >= DEADLINE {
                return Ok((now, round.is_satisfied()));
            }
            continue;
        };
        now = at;
        match event {
            Event::Request(raida, datagram) => network.answer(raida, &datagram, now),
            Event::Unreachable(raida) => round.note_unreachable(raida, now),
            Event::Answer { from, mut datagram, good } => {
                round.receive(from, &mut datagram, now);
                check(datagram.iter().all(|byte| *byte == 0), || "a datagram is not wiped".into())?;
                note(network, good, now);
            }
        }
    }
    Err("the round does not end".into())
}

fn note(network: &mut Network, good: Option<RaidaIndex>, now: Duration) {
    if let Some(raida) = good {
        network.arrived[raida.position()].get_or_insert(now);
    }
}

/// A round ends with the grace after its 13th good answer: not later, and earlier only where nobody
/// is waited for.
fn check_time(
    round: &Round,
    network: &Network,
    plan: &Plan,
    finished: Duration,
    is_ready: bool,
) -> Result<(), String> {
    check(finished <= DEADLINE, || format!("ended at {finished:?}, after the deadline"))?;
    let faulty = plan.iter().filter(|raida| raida.is_faulty).count();
    if !is_ready || faulty > plan.len() - REQUIRED {
        // An unproven refusal may have begun the grace before.
        return Ok(());
    }
    let mut arrivals: Vec<Duration> = network.arrived.iter().flatten().copied().collect();
    arrivals.sort_unstable();
    let grace_ends = arrivals[REQUIRED - 1] + Rules::new(REQUIRED).grace;
    let waits = round.faults().iter().any(|(_, fault)| matches!(fault, Fault::Silent | Fault::Malformed(_)));
    let in_time = if waits { finished == grace_ends } else { finished <= grace_ends };
    check(in_time, || format!("ended at {finished:?}, the grace at {grace_ends:?}"))
}

/// When the 13th RAIDA that tells the truth has answered or would have, without more resends.
fn thirteenth_honest(network: &mut Network, plan: &Plan) -> Option<Duration> {
    while let Some((at, event)) = network.next(DEADLINE) {
        match event {
            Event::Request(raida, datagram) => network.answer(raida, &datagram, at),
            Event::Answer { good, .. } => note(network, good, at),
            Event::Unreachable(_) => (),
        }
    }
    let honest = RaidaIndex::all().filter(|raida| !behaviour(plan, *raida).lies);
    let mut arrivals: Vec<Duration> = honest.filter_map(|raida| network.arrived[raida.position()]).collect();
    arrivals.sort_unstable();
    arrivals.get(REQUIRED - 1).copied()
}

/// The Content Server at the end of a TCP connection.
struct Server {
    reception: Reception,
    now: u64,
}

impl Server {
    fn receive(&mut self, rng: &mut Rng, packet: &[u8]) -> Result<Outcome, String> {
        let mut packet = packet.to_vec();
        let (header, payload) = packet::split(&mut packet).map_err(|error| error.to_string())?;
        Ok(self.reception.receive(&header, payload, self.now, &rng.bytes()))
    }
}

/// Confirms the key; it must be that of the honest, and the liars named, or refused with their names.
fn confirm(
    round: &Round,
    context: &KeyContext,
    server: &mut Server,
    rng: &mut Rng,
    (honest, lied): (Bitmap, Bitmap),
    key_of: impl Fn(Bitmap) -> Secret<32>,
) -> Result<Verdict, String> {
    let [first, rest @ ..] = rng.bytes::<5>();
    let key_id = ClientKeyId([first & 0x7F, rest[0], rest[1], rest[2], rest[3]]);
    let handshake = Handshake { coin: COIN, session: rng.bytes() };
    let client = Confirmation::begin(round, context, key_id, handshake).expect("secret memory");
    let mut client = client.ok_or("no key from a ready round")?;
    loop {
        let (Outcome::Answer(sent) | Outcome::Refuse(sent)) = server.receive(rng, client.packet())? else {
            return Err("a handshake is taken for data".into());
        };
        match take(&mut client, round, &mut sent.clone()) {
            Ok(Next::Send) => (),
            Ok(Next::Confirmed) => {
                let again = server.receive(rng, client.packet())?;
                check(again == Outcome::Answer(sent), || "a resent handshake gets another answer".into())?;
                break;
            }
            Err(ConfirmError::TooManyLiars { honest: found, liars }) => {
                check((found, liars) == (honest, lied), || {
                    format!("refused, naming {liars:?}, not {lied:?}")
                })?;
                check(honest.count() < REQUIRED, || format!("refused, with {} honest", honest.count()))?;
                check(server.reception.is_empty(), || "refused, but the server has a key".into())?;
                return Ok(Verdict::TooManyLiars);
            }
            Err(error) => return Err(format!("not confirmed: {error}")),
        }
    }
    let named = client.liars();
    check(named == lied, || format!("named {named:?}, but {lied:?} lied"))?;
    let (key, bitmap) = client.into_key();
    check(bitmap == honest, || format!("the key is of {bitmap:?}, honest are {honest:?}"))?;
    check(bitmap.count() >= REQUIRED, || format!("a key of {} shares", bitmap.count()))?;
    check(key.matches(&key_of(bitmap)), || "the key is not the master secrets'".into())?;
    exchange_data(&key, key_id, handshake.session, server, rng)?;
    Ok(Verdict::Key)
}

/// Hands a whole packet to the client.
fn take(client: &mut Confirmation, round: &Round, packet: &mut [u8]) -> Result<Next, ConfirmError> {
    let (header, payload) = packet::split(packet)?;
    client.receive(round, &header, payload)
}

/// The Content Server opens what the client seals, and the other way round.
fn exchange_data(
    key: &Secret<32>,
    key_id: ClientKeyId,
    session: [u8; 8],
    server: &mut Server,
    rng: &mut Rng,
) -> Result<(), String> {
    let sealed = key.expose(|key| packet::seal_data(key, key_id, &session, rng.bytes(), b"ping"));
    let sealed = sealed.map_err(|error| error.to_string())?;
    let received = server.receive(rng, &sealed)?;
    check(received == Outcome::Data(key_id, b"ping".to_vec()), || {
        "the server cannot read the client".into()
    })?;
    let mut reply = server.reception.seal(key_id, rng.bytes(), b"pong").ok_or("the server has no key")?;
    let (header, payload) = packet::split(&mut reply).map_err(|error| error.to_string())?;
    let opened =
        key.expose(|key| packet::open_data(key, &header, &session, payload).map(|data| data.to_vec()));
    check(opened.as_deref() == Ok(b"pong".as_slice()), || "the client cannot read the server".into())
}
