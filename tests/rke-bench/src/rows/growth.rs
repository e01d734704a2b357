//! How the cost of one request, and of one expiry, grows with the sessions that there are.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::load::{Generator, Load, Requests};
use crate::method::Spread;
use crate::report::{Goal, Row};
use crate::sessions::{Creations, Id, InTurn, OnceEach, Template, fill};
use crate::stage::{Daemon, Stage};

const LEVELS: [usize; 4] = [16, 1000, 100_000, 1_000_000];
/// Requests that are sent in one piece, on one connection.
const AT_ONCE: usize = 16;
const BATCHES: usize = 500;
/// Sessions that expire at one time, and how long they live. They are opened well before.
const EXPIRING: usize = 50_000;
const SHORT_TTL: Duration = Duration::from_secs(6);
const LONG_TTL: Duration = Duration::from_secs(3600);

/// What is measured at each level.
const NAMES: [&str; 4] = ["create from the cache", "encrypt 64 B", "delete", "expiry (CPU)"];
/// What may hardly grow.
const BOUNDED: [&str; 2] = ["encrypt 64 B", "delete"];

pub(crate) fn rows(stage: &Stage) -> Result<Vec<Row>> {
    let daemon = stage.daemon(LEVELS[3] + EXPIRING)?;
    let mut ids = Vec::with_capacity(LEVELS[3]);
    let mut costs = Vec::new();
    for level in LEVELS {
        fill(&daemon, &mut ids, level)?;
        costs.push(costs_at(&daemon, &mut ids)?);
    }
    let rows = NAMES.iter().enumerate().flat_map(|(what, name)| {
        let costs = &costs;
        LEVELS.iter().zip(costs).map(move |(level, at)| row(name, *level, at[what], costs[0][what].median))
    });
    Ok(rows.collect())
}

fn row(name: &'static str, level: usize, cost: Spread, least: f64) -> Row {
    let Spread { median, min, max } = cost;
    Row {
        name: format!("growth: {name}, {level} sessions"),
        ours: format!("{median:.2} µs"),
        peer: format!("16 sessions {least:.2} µs"),
        value: Spread { median: median / least, min: min / least, max: max / least },
        // What an expiry or a creation may cost is told, and not bounded.
        goal: if level == LEVELS[3] && BOUNDED.contains(&name) { Goal::AtMost(1.3) } else { Goal::None },
        steady: true,
        plotted: Some((name, level as f64)),
    }
}

/// Microseconds for each of [`NAMES`], beside these sessions.
fn costs_at(daemon: &Daemon, ids: &mut [Id]) -> Result<[Spread; 4]> {
    let (delete, encrypt) = (Template::delete(), Template::encrypt(&"QUJD".repeat(21)));
    let mut connection = Generator::connect(&daemon.server, 1)?;
    let mut costs: [Vec<f64>; 3] = Default::default();
    for batch in 0..BATCHES {
        let mut new = Vec::new();
        let mut creations = Creations::new(daemon, AT_ONCE, &mut new);
        creations.begin_at(batch * AT_ONCE);
        costs[0].push(each(&mut connection, &mut creations)?);
        // Those that are used and those that are deleted were both left alone for long, where there are many.
        let first_of = |piece: usize| piece % (ids.len() - AT_ONCE + 1);
        let (used, ended) = (first_of(batch * AT_ONCE), first_of(batch * AT_ONCE + ids.len() / 2));
        let mut uses = InTurn::new(&encrypt, &ids[used..][..AT_ONCE]).take_only(AT_ONCE);
        costs[1].push(each(&mut connection, &mut uses)?);
        ensure!(new.len() == AT_ONCE, "not all sessions were opened");
        new.swap_with_slice(&mut ids[ended..][..AT_ONCE]);
        costs[2].push(each(&mut connection, &mut OnceEach { template: &delete, ids: &mut new })?);
    }
    let [create, encrypt, delete] = costs.map(Spread::of);
    Ok([create, encrypt, delete, expiry(daemon)?])
}

/// Microseconds for each request of a piece.
fn each(connection: &mut Generator, requests: &mut impl Requests) -> Result<f64> {
    let load = Load { connections: 1, depth: AT_ONCE, time: Duration::ZERO };
    Ok(connection.run(load, requests)?.seconds() * 1e6 / AT_ONCE as f64)
}

/// Microseconds of the daemon for each session that expires, while it has nothing else to do.
fn expiry(daemon: &Daemon) -> Result<Spread> {
    daemon.set_session_ttl(SHORT_TTL)?;
    fill(daemon, &mut Vec::new(), EXPIRING)?;
    let before = daemon.server.cpu_time()?;
    std::thread::sleep(SHORT_TTL + Duration::from_secs(1));
    let cpu = daemon.server.cpu_time()? - before;
    daemon.set_session_ttl(LONG_TTL)?;
    Ok(Spread::of([cpu.as_secs_f64() * 1e6 / EXPIRING as f64]))
}
