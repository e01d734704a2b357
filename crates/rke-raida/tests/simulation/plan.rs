//! What goes wrong in a run: how each of the 25 RAIDAs, and the network to it, behaves.

use std::time::Duration;

use rke_proto::{RAIDA_COUNT, RaidaIndex};

use crate::rng::Rng;

/// Something else than the RAIDA's response that arrives.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Forgery {
    /// The response cut short.
    Truncated,
    /// The answer with a bit flipped in what the HMAC covers, or in the HMAC.
    BadHmac,
    /// The answer from another address.
    OtherAddress,
    /// A good answer to an older request, as it is or with the echo of this one.
    OlderRequest,
    /// The answer with another RAIDA's number.
    WrongIndex,
}

const FORGERIES: [Forgery; 5] =
    [Forgery::Truncated, Forgery::BadHmac, Forgery::OtherAddress, Forgery::OlderRequest, Forgery::WrongIndex];

/// One RAIDA and the way to it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Behaviour {
    /// Nothing comes back.
    pub(crate) dead: bool,
    /// From then on it is gone and the machine says so.
    pub(crate) unreachable_at: Option<Duration>,
    /// Each way.
    pub(crate) delay: Duration,
    /// Up to that much is added to each datagram's delay, which reorders them.
    pub(crate) jitter_millis: u64,
    /// Datagrams of 100 that get lost, each way.
    pub(crate) loss: u64,
    /// Each datagram comes twice.
    pub(crate) duplicates: bool,
    /// What arrives in addition to the response, or instead of it.
    pub(crate) forgeries: Vec<Forgery>,
    /// Answers of 100 that are forged.
    pub(crate) forged: u64,
    /// Whether a forged answer comes in place of the good one.
    pub(crate) in_place: bool,
    /// Its clock is an hour wrong, so that it refuses.
    pub(crate) wrong_clock: bool,
    /// It has another master secret.
    pub(crate) lies: bool,
    /// Whether any of the above but the plain delay.
    pub(crate) is_faulty: bool,
}

pub(crate) type Plan = [Behaviour; RAIDA_COUNT];

/// One run in that many has more than 12 faulty RAIDAs.
const BEYOND: u64 = 10;

/// A RAIDA without fault, up to 120 ms away.
fn sound(rng: &mut Rng) -> Behaviour {
    Behaviour { delay: rng.millis(2..60), jitter_millis: 1 + rng.next() % 10, ..Behaviour::default() }
}

fn faulty(rng: &mut Rng, liars: u64) -> Behaviour {
    let mut own = sound(rng);
    own.is_faulty = true;
    own.lies = rng.percent(liars);
    if own.lies && rng.percent(60) {
        return own;
    }
    for _ in 0..=rng.below(3) {
        match rng.below(8) {
            0 => own.dead = true,
            1 => own.unreachable_at = Some(rng.millis(0..3000)),
            2 => own.delay += rng.millis(500..4000),
            3 => own.loss = 30,
            4 => own.duplicates = true,
            5 => own.jitter_millis = 1 + rng.next() % 1500,
            6 => own.wrong_clock = true,
            _ => {
                own.forgeries.push(FORGERIES[rng.below(FORGERIES.len())]);
                own.forged = [50, 100][rng.below(2)];
                own.in_place = rng.percent(50);
            }
        }
    }
    own
}

/// What goes wrong in the run of a seed.
pub(crate) fn draw(seed: u64, rng: &mut Rng) -> Plan {
    let is_beyond = seed % BEYOND == BEYOND - 1;
    let count = if is_beyond { 13 + rng.below(13) } else { rng.below(13) };
    let liars = [0, 20, 50, 90][rng.below(4)];
    let mut order: Vec<usize> = (0..RAIDA_COUNT).collect();
    for at in (1..RAIDA_COUNT).rev() {
        order.swap(at, rng.below(at + 1));
    }
    let mut plan = std::array::from_fn(|_| sound(rng));
    order[..count].iter().for_each(|raida| plan[*raida] = faulty(rng, liars));
    plan
}

/// A plan in which the first `sound` RAIDAs have no fault and the others this one.
pub(crate) fn split(sound: u8, fault: &Behaviour) -> Plan {
    let delay = Duration::from_millis(10);
    let plain = Behaviour { delay, jitter_millis: 1, ..Behaviour::default() };
    let fault = Behaviour { delay, jitter_millis: 1, is_faulty: true, ..fault.clone() };
    std::array::from_fn(|raida| if raida < usize::from(sound) { plain.clone() } else { fault.clone() })
}

pub(crate) fn behaviour(plan: &Plan, raida: RaidaIndex) -> &Behaviour {
    &plan[raida.position()]
}
