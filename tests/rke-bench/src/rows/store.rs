//! The store by itself, in this program: a million sessions, of which some are deleted and others opened while
//! 10,000 a second expire on another core.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rke_engine::model::clock::Moment;
use rke_engine::model::key_origin::KeyOrigin;
use rke_engine::model::session_id::SessionId;
use rke_engine::model::usage::UsageLimits;
use rke_engine::store::{SessionLimits, Store};

use crate::method::Spread;
use crate::report::{Figure, Goal};
use crate::stage::{DOMAIN, Stage, made_up_origin, made_up_session};
use crate::times::Times;

const SESSIONS: usize = 1_000_000;
const EXPIRE_A_SECOND: u32 = 10_000;
const LONG_TTL: Duration = Duration::from_secs(3600);
const SHORT_TTL: Duration = Duration::from_secs(1);
/// From when on as many expire as are opened, until all is measured.
const MEASURED: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(6)];

pub(crate) fn rows(stage: &Stage) -> Result<Vec<Figure>> {
    let _in_runtime = stage.runtime.enter();
    let store = Store::new(rules(LONG_TTL), Box::new(|_, ended, _| drop(ended)));
    let key = Arc::new(made_up_origin(DOMAIN)?);
    let (mut inserts, mut deletes) = (Times::new()?, Times::new()?);
    let mut ids = Vec::with_capacity(SESSIONS);
    for _ in 0..SESSIONS {
        ids.push(insert(&store, &key, &mut inserts)?);
    }
    store.set_rules(rules(SHORT_TTL));
    let (started, mut opened) = (Instant::now(), 0);
    while started.elapsed() < MEASURED[1] {
        if started.elapsed() >= Duration::from_secs(1) * opened / EXPIRE_A_SECOND {
            insert(&store, &key, &mut inserts)?;
            opened += 1;
        } else if started.elapsed() >= MEASURED[0]
            && let Some(id) = ids.pop()
        {
            let begun = Instant::now();
            drop(store.remove(id, Moment::now()).context("no such session")?);
            deletes.add(begun.elapsed());
        }
    }
    let row = |name: &str, what: String, micros: f64, most: f64| Figure {
        name: format!("the store alone, 1,000,000 sessions: {name}, µs"),
        ours: what,
        peer: String::new(),
        value: Spread::of([micros]),
        goal: Goal::AtMost(most),
        steady: true,
        plotted: None,
    };
    let (deleted, inserted) = (deletes.count(), inserts.count());
    Ok(vec![
        row(
            "p99 of a deletion while 10,000 a second expire",
            format!("{deleted} deletions"),
            deletes.p99(),
            25.0,
        ),
        row("the slowest of all insertions", format!("{inserted} insertions"), inserts.longest(), 5000.0),
    ])
}

fn rules(ttl: Duration) -> SessionLimits {
    let usage = UsageLimits { messages: u64::MAX, bytes: u64::MAX };
    SessionLimits { max: usize::MAX, ttl, max_lifetime: LONG_TTL, idle: None, usage }
}

fn insert(store: &Store, origin: &Arc<KeyOrigin>, times: &mut Times) -> Result<SessionId> {
    let session = made_up_session(origin)?;
    let id = SessionId::random()?;
    let begun = Instant::now();
    store.insert(id, session)?;
    times.add(begun.elapsed());
    Ok(id)
}
