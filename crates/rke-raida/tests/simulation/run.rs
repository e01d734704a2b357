//! One run: the client's round against the network, what it agrees on with the Content Server, and everything that must
//! be true of it.

use std::time::Duration;

use rke_proto::derive::ShareWidth;
use rke_proto::round::{Fault, Progress, Round, RoundConfig};
use rke_proto::{Bitmap, ClientSn, Envelope, KeyContext, RAIDA_COUNT, RaidaIndex};

use crate::network::{Event, Network};
use crate::plan::{Plan, behaviour};
use crate::rng::Rng;
use crate::server::{Meeting, Server};
use crate::world::{COIN, NOW, OTHER, World, cs_id, key_set, recipient};

pub(crate) const DEADLINE: Duration = Duration::from_secs(5);
pub(crate) const REQUIRED: usize = 13;

/// No run has nearly as many events.
const MAX_STEPS: usize = 100_000;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The Content Server has shown that it has enough of the client's shares; where handshakes are made, both sides have
    /// the same key.
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
pub(crate) fn check(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}

/// How far a run goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// To the share check.
    ShareCheck,
    /// To a session, and what it is used for.
    Handshakes,
}

/// The run of a seed, with the faults of `plan`. To be called in a scope of secret memory.
pub(crate) fn run(
    world: &mut World,
    plan: &Plan,
    mut rng: Rng,
    seed: u64,
    depth: Depth,
) -> Result<Report, String> {
    let envelopes = draw_envelopes(&mut rng);
    // Time goes on from seed to seed, so that RAIDAs forget the challenges of the runs before.
    let timestamp = NOW + seed % 1_000_000 * 2000;
    let (client_sn, key_set) = (ClientSn(rng.bytes()), key_set());
    let context = KeyContext { cs_id: cs_id(), key_set, client_sn, timestamp };
    let recipients =
        RaidaIndex::all().map(|raida| recipient(raida, envelopes[raida.position()], rng.bytes()));
    let rules = RoundConfig::new(REQUIRED);
    let mut round = Round::collect_shares(recipients.collect(), ShareWidth::Wide, &context, rules)
        .expect("secret memory");
    let secrets = std::sync::Arc::clone(&world.secrets);
    let mut server = Server::new(secrets, timestamp, Rng::new(rng.next()));
    let mut network = Network::new(world, plan, rng, envelopes, context);
    let first = collect(&mut round, &mut network, Duration::ZERO)?;
    check_time(&round, &network, plan, first.0, first.1)?;
    let (mut finished, mut is_ready) = first;
    let (mut wanted, mut named) = (REQUIRED, Bitmap::default());
    let verdict = loop {
        let good = network.good();
        let answered = round.answered();
        check(answered == good, || format!("answered {answered:?}, but good answers came from {good:?}"))?;
        let count = good.count();
        check(is_ready == (count >= wanted), || format!("ready: {is_ready}, with {count} of {wanted}"))?;
        if !is_ready {
            let sound = plan.iter().filter(|raida| !raida.is_faulty).count();
            check(sound < REQUIRED, || format!("refused, though {sound} RAIDAs have no fault"))?;
            break if wanted > REQUIRED { Verdict::TooManyLiars } else { Verdict::TooFew };
        }
        let lied: Bitmap = good.iter().filter(|raida| behaviour(plan, *raida).lies).collect();
        let honest = good.without(lied);
        server.now = timestamp + finished.as_secs();
        let meeting = Meeting { round: &round, context: &context, envelopes: &envelopes, honest, lied };
        let is_agreed = match depth {
            Depth::ShareCheck => server.name_liars(&meeting)?,
            Depth::Handshakes => server.agree(&meeting)?,
        };
        if is_agreed {
            named = lied;
            break Verdict::Key;
        }
        // As the daemon does: the others may still answer.
        wanted = count + REQUIRED - honest.count();
        round.require(wanted, finished);
        (finished, is_ready) = collect(&mut round, &mut network, finished)?;
    };
    let thirteenth = thirteenth_honest(&mut network, plan);
    let latency = thirteenth.filter(|_| first.1);
    let latency = latency.map(|at| first.0.as_secs_f64() / (at + rules.grace).as_secs_f64());
    Ok(Report { verdict, named: named.count(), latency })
}

/// With which coins each RAIDA is asked: the same everywhere, or several groups, in which no coin may be proven.
fn draw_envelopes(rng: &mut Rng) -> [Envelope; RAIDA_COUNT] {
    let kinds = [
        Envelope::Type4(COIN),
        Envelope::Type5(COIN, OTHER),
        Envelope::Type4(OTHER),
        Envelope::Type5(OTHER, COIN),
    ];
    match rng.below(3) {
        one @ (0 | 1) => [kinds[one]; RAIDA_COUNT],
        _ => std::array::from_fn(|_| kinds[rng.below(kinds.len())]),
    }
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
            Event::Request(raida, datagram) => network.respond(raida, &datagram, now),
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

/// A round ends with the grace after its 13th good response: not later, and earlier only where nobody
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
    let grace_ends = arrivals[REQUIRED - 1] + RoundConfig::new(REQUIRED).grace;
    let waits = round.faults().iter().any(|(_, fault)| matches!(fault, Fault::Silent | Fault::Malformed(_)));
    let in_time = if waits { finished == grace_ends } else { finished <= grace_ends };
    check(in_time, || format!("ended at {finished:?}, the grace at {grace_ends:?}"))
}

/// When the 13th RAIDA that tells the truth has answered or would have, without more resends.
fn thirteenth_honest(network: &mut Network, plan: &Plan) -> Option<Duration> {
    while let Some((at, event)) = network.next(DEADLINE) {
        match event {
            Event::Request(raida, datagram) => network.respond(raida, &datagram, at),
            Event::Answer { good, .. } => note(network, good, at),
            Event::Unreachable(_) => (),
        }
    }
    let honest = RaidaIndex::all().filter(|raida| !behaviour(plan, *raida).lies);
    let mut arrivals: Vec<Duration> = honest.filter_map(|raida| network.arrived[raida.position()]).collect();
    arrivals.sort_unstable();
    arrivals.get(REQUIRED - 1).copied()
}
