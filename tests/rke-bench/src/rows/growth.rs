//! How the cost of one request, and of one expiry, grows with the sessions that there are.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::load::{Generator, Load, Requests};
use crate::method::Spread;
use crate::report::{Figure, Goal};
use crate::sessions::{Creations, Id, InTurn, OnceEach, Template, fill};
use crate::stage::{Daemon, Stage};

const LEVELS: [usize; 4] = [16, 1000, 100_000, 1_000_000];
/// Requests that are sent in one piece, on one connection.
const AT_ONCE: usize = 16;
/// How many rounds there are through all levels, up and down, and the pieces of a round. Within a round the machine's
/// speed seldom changes.
const ROUNDS: usize = 15;
const BATCHES: usize = 100;
/// Sessions that expire at one time, and how long they live. They are opened well before.
const EXPIRING: usize = 50_000;
const SHORT_TTL: Duration = Duration::from_secs(6);
const LONG_TTL: Duration = Duration::from_secs(3600);
/// Expiries have fewer turns, for each takes as long as the sessions live.
const EXPIRY_ROUNDS: usize = 5;

/// The requests measured at each level, and whether they are bounded: those may hardly grow. The costs of creations
/// and expiries are only reported.
const REQUESTS: [(&str, bool); 3] =
    [("create from the cache", false), ("encrypt 64 B", true), ("delete", true)];
const EXPIRY: (&str, bool) = ("expiry (CPU)", false);

pub(crate) fn rows(stage: &Stage) -> Result<Vec<Figure>> {
    let levels = LEVELS.map(|sessions| Level::fill(stage, sessions));
    let mut levels = levels.into_iter().collect::<Result<Vec<_>>>()?;
    let mut rounds = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        // In either order by turns.
        let there = levels.iter_mut().map(Level::requests).collect::<Result<Vec<_>>>()?;
        let mut back = levels.iter_mut().rev().map(Level::requests).collect::<Result<Vec<_>>>()?;
        back.reverse();
        rounds.extend([there, back]);
    }
    let mut rows = Vec::new();
    for (what, name) in REQUESTS.into_iter().enumerate() {
        let costs = |round: &Vec<[f64; 3]>| round.iter().map(|level| level[what]).collect();
        rows.extend(rows_of(name, &rounds.iter().map(costs).collect::<Vec<_>>()));
    }
    let mut rounds = Vec::with_capacity(EXPIRY_ROUNDS);
    for _ in 0..EXPIRY_ROUNDS {
        rounds.push(levels.iter().map(|level| expiry(&level.daemon)).collect::<Result<_>>()?);
    }
    rows.extend(rows_of(EXPIRY, &rounds));
    Ok(rows)
}

/// A row for each level, of what something cost there in each round.
fn rows_of((name, is_bounded): (&'static str, bool), rounds: &[Vec<f64>]) -> Vec<Figure> {
    let cost = |at: usize| Spread::of(rounds.iter().map(|round| round[at])).median;
    // The first level has nobody but itself to be compared with.
    let least = |at: usize, round: &[f64]| if at == 0 { cost(0) } else { round[0] };
    let row = |(at, sessions): (usize, usize)| Figure {
        name: format!("growth: {name}, {sessions} sessions"),
        ours: format!("{:.2} µs", cost(at)),
        peer: format!("{} sessions {:.2} µs", LEVELS[0], cost(0)),
        value: Spread::of(rounds.iter().map(|round| round[at] / least(at, round))),
        goal: if is_bounded && at == LEVELS.len() - 1 { Goal::AtMost(1.3) } else { Goal::None },
        steady: true,
        plotted: Some((name, sessions as f64)),
    };
    LEVELS.into_iter().enumerate().map(row).collect()
}

/// A daemon with that many sessions.
struct Level {
    daemon: Daemon,
    ids: Vec<Id>,
    /// Requests of each kind that were sent so far.
    sent: usize,
}

impl Level {
    fn fill(stage: &Stage, sessions: usize) -> Result<Self> {
        let daemon = stage.daemon_in(&format!("with-{sessions}"), sessions + EXPIRING)?;
        let mut ids = Vec::with_capacity(sessions);
        fill(&daemon, &mut ids, sessions)?;
        Ok(Self { daemon, ids, sent: 0 })
    }

    /// Microseconds for each of [`REQUESTS`] in one turn.
    fn requests(&mut self) -> Result<[f64; 3]> {
        let (delete, encrypt) = (Template::delete(), Template::encrypt(&"QUJD".repeat(21)));
        let mut connection = Generator::connect(&self.daemon.server, 1)?;
        let mut costs: [Vec<f64>; 3] = Default::default();
        for _ in 0..BATCHES {
            self.sent += AT_ONCE;
            let mut new = Vec::new();
            let mut creations = Creations::new(&self.daemon, AT_ONCE, &mut new);
            creations.begin_at(self.sent);
            costs[0].push(each(&mut connection, &mut creations)?);
            // At high levels, the sessions that are used and those that are deleted have both been idle for long.
            let first_of = |piece: usize| piece % (self.ids.len() - AT_ONCE + 1);
            let (used, ended) = (first_of(self.sent), first_of(self.sent + self.ids.len() / 2));
            let mut uses = InTurn::new(&encrypt, &self.ids[used..][..AT_ONCE]).take_only(AT_ONCE);
            costs[1].push(each(&mut connection, &mut uses)?);
            ensure!(new.len() == AT_ONCE, "not all sessions were opened");
            new.swap_with_slice(&mut self.ids[ended..][..AT_ONCE]);
            costs[2].push(each(&mut connection, &mut OnceEach { template: &delete, ids: &mut new })?);
        }
        Ok(costs.map(|costs| Spread::of(costs).median))
    }
}

/// Microseconds for each request of a piece.
fn each(connection: &mut Generator, requests: &mut impl Requests) -> Result<f64> {
    let load = Load { connections: 1, depth: AT_ONCE, time: Duration::ZERO };
    Ok(connection.run(load, requests)?.seconds() * 1e6 / AT_ONCE as f64)
}

/// Microseconds of the daemon for each session that expires, while it has nothing else to do.
fn expiry(daemon: &Daemon) -> Result<f64> {
    daemon.set_session_ttl(SHORT_TTL)?;
    let started = Instant::now();
    fill(daemon, &mut Vec::new(), EXPIRING)?;
    ensure!(started.elapsed() < SHORT_TTL, "the first sessions expire before the last are opened");
    let before = daemon.server.cpu_time()?;
    std::thread::sleep(SHORT_TTL + Duration::from_secs(1));
    let cpu = daemon.server.cpu_time()? - before;
    daemon.set_session_ttl(LONG_TTL)?;
    Ok(cpu.as_secs_f64() * 1e6 / EXPIRING as f64)
}
