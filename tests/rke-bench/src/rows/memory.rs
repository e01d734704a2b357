//! A daemon's memory: with few sessions, and per session with very many.

use anyhow::Result;

use crate::method::Spread;
use crate::report::{Figure, Goal};
use crate::sessions::fill;
use crate::stage::Stage;

const FEW: usize = 16;
const MANY: usize = 1_000_000;

pub(crate) fn rows(stage: &Stage) -> Result<Vec<Figure>> {
    let (few, own) = resident(stage, FEW)?;
    let (many, _) = resident(stage, MANY)?;
    let each = (many - few) / (MANY - FEW) as f64;
    let row = |name: &str, ours: String, value: f64, goal| Figure {
        name: name.into(),
        ours,
        peer: String::new(),
        value: Spread::of([value]),
        goal,
        steady: true,
        plotted: None,
    };
    let (few_mib, own_mib, many_mib) = (few / MIB, own / MIB, many / MIB);
    Ok(vec![
        row("resident with 16 sessions, MiB", format!("{few_mib:.1} MiB"), few_mib, Goal::AtMost(10.0)),
        row("of it not the program's files, MiB", format!("{own_mib:.1} MiB"), own_mib, Goal::None),
        row(
            "each of 1,000,000 sessions, bytes",
            format!("{many_mib:.0} MiB in all"),
            each,
            Goal::AtMost(512.0),
        ),
    ])
}

const MIB: f64 = 1024.0 * 1024.0;

/// Bytes of a daemon that has as many sessions as it may have, and those that are not of files.
fn resident(stage: &Stage, sessions: usize) -> Result<(f64, f64)> {
    let daemon = stage.daemon(sessions)?;
    fill(&daemon, &mut Vec::with_capacity(sessions), sessions)?;
    daemon.server.resident()
}
