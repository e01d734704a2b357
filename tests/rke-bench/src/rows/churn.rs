//! Whether memory stays constant when sessions come and go for an hour: each second some hundred are opened, used,
//! and deleted or left to expire, and one key is exchanged.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::load::{Load, run};
use crate::method::Spread;
use crate::nginx::Whole;
use crate::report::{Figure, Goal};
use crate::sessions::{InTurn, OnceEach, Template, fill_evenly};
use crate::stage::{Daemon, Stage, get};

const HOUR: Duration = Duration::from_secs(3600);
/// By then the number of open sessions has reached its maximum, and freed memory its steady order.
const WARM: Duration = Duration::from_secs(900);
const SECOND: Duration = Duration::from_secs(1);

const SESSION_TTL: Duration = Duration::from_secs(30);
const OPENED_A_SECOND: usize = 500;
const DELETED_A_SECOND: usize = 250;
const MAX_SESSIONS: usize = 20_000;

const MIB: f64 = 1024.0 * 1024.0;

pub(crate) fn rows(stage: &Stage) -> Result<Vec<Figure>> {
    let daemon = stage.daemon(MAX_SESSIONS)?;
    daemon.set_session_ttl(SESSION_TTL)?;
    let (started, mut warm, mut later) = (Instant::now(), Vec::new(), Vec::new());
    for second in 1u32.. {
        churn(&daemon)?;
        let elapsed = started.elapsed();
        let (resident, _) = daemon.server.resident()?;
        if elapsed >= WARM { &mut later } else { &mut warm }.push(resident);
        if second.is_multiple_of(60) {
            eprintln!("rke-bench: after {} s {:.2} MiB", elapsed.as_secs(), resident / MIB);
        }
        if elapsed >= HOUR {
            break;
        }
        std::thread::sleep((second * SECOND).saturating_sub(started.elapsed()));
    }
    let [warm, last] = [&warm, &later].map(|seconds| last_minute(seconds).median);
    Ok(vec![Figure {
        name: "resident after an hour of churn".into(),
        ours: format!("{:.2} MiB", last / MIB),
        peer: format!("after a quarter of an hour {:.2} MiB", warm / MIB),
        value: Spread { median: last / warm, ..Spread::of(later.iter().map(|resident| resident / warm)) },
        goal: Goal::AtMost(1.02),
        steady: true,
        plotted: None,
    }])
}

/// From one second to the next some hundred KiB come and go.
fn last_minute(seconds: &[f64]) -> Spread {
    Spread::of(seconds.iter().rev().take(60).copied())
}

/// The work of one second.
fn churn(daemon: &Daemon) -> Result<()> {
    let mut ids = fill_evenly(daemon, OPENED_A_SECOND, SECOND / 2).context("cannot open sessions")?;
    let encrypt = Template::encrypt(&"QUJD".repeat(85));
    let encryptions = &mut InTurn::new(&encrypt, &ids).take_only(ids.len());
    run(&daemon.server, Load::USUAL, encryptions).context("cannot encrypt")?;
    ids.truncate(DELETED_A_SECOND);
    let deletions = &mut OnceEach { template: &Template::delete(), ids: &mut ids };
    run(&daemon.server, Load::USUAL, deletions).context("cannot delete")?;
    Whole::of(&daemon.server, &get(&format!("{}&fresh=true", daemon.create))).context("no exchange")?;
    Ok(())
}
