//! Encryption by GET, compared with nginx that returns the same number of bytes.

use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::load::{Load, Run, run};
use crate::method::{Pace, Side, Triples, triples};
use crate::nginx::{self, Whole};
use crate::process::Server;
use crate::report::{Figure, Goal};
use crate::sessions::{Id, InTurn, Template, fill};
use crate::stage::{Daemon, Stage};

const SESSIONS: usize = 1000;
const ALONE: Load = Load { connections: 1, ..Load::BRIEF };
const PIPELINED: Load = Load { depth: 16, ..Load::BRIEF };

pub(crate) fn rows(stage: &Stage) -> Result<Vec<Figure>> {
    let daemon = stage.daemon(SESSIONS)?;
    let mut ids = Vec::new();
    fill(&daemon, &mut ids, SESSIONS)?;
    let mut rows = Vec::new();
    for (name, len) in [("64 B", 64), ("1 KiB", 1024)] {
        let mut plaintext = vec![0; len];
        getrandom::fill(&mut plaintext)?;
        let template = Template::encrypt(&STANDARD.encode(&plaintext));
        let peer = echo(stage, &daemon, &template.about(&ids[0]))?;
        let sides = Sides { daemon: &daemon, peer: &peer, template: &template, ids: &ids };
        rows.extend(sides.rows(name)?);
    }
    Ok(rows)
}

/// An nginx whose response is as long as the daemon's, with the plaintext in place of the ciphertext.
fn echo(stage: &Stage, daemon: &Daemon, request: &str) -> Result<Server> {
    let like = Whole::of(&daemon.server, request)?;
    let (before, rest) = like.body.split_once("\"ciphertext\":\"").unwrap_or_default();
    let (_, after) = rest.split_once('"').unwrap_or_default();
    let body = format!("{before}\"ciphertext\":\"$arg_plaintext\"{after}");
    nginx::answering(stage.folder(), &body, request, &like)
}

struct Sides<'a> {
    daemon: &'a Daemon,
    peer: &'a Server,
    template: &'a Template,
    ids: &'a [Id],
}

impl Sides<'_> {
    fn rows(&self, len: &str) -> Result<Vec<Figure>> {
        let usual = self.measure(Load::BRIEF, Load::BRIEF, Run::rate)?;
        let alone = self.measure(ALONE, ALONE, Run::p50)?;
        let pipelined = self.measure(PIPELINED, Load::BRIEF, Run::rate)?;
        let row = |name: &str, triples: &Triples<Run>, unit: &str, metric: fn(&Run) -> f64, goal| {
            Figure::compared(format!("encrypt {len}: {name}"), ("nginx echo", unit), triples, metric, goal)
        };
        let rate: fn(&Run) -> f64 = |run| run.rate() / 1e3;
        Ok(vec![
            row("answers a second", &usual, "k/s", rate, Goal::AtLeast(1.0)),
            row("CPU of the server", &usual, "µs", Run::cpu_each, Goal::None),
            row("p99", &usual, "µs", Run::p99, Goal::None),
            row("p50 of one connection", &alone, "µs", Run::p50, Goal::AtMost(1.1)),
            row("16 at a time, nginx one", &pipelined, "k/s", rate, Goal::AtLeast(3.0)),
        ])
    }

    fn measure(&self, ours: Load, peers: Load, speed: fn(&Run) -> f64) -> Result<Triples<Run>> {
        triples(Pace::BRIEF, speed, |side| {
            let mut requests = InTurn::new(self.template, self.ids);
            match side {
                Side::Ours => run(&self.daemon.server, ours, &mut requests),
                Side::Peer => run(self.peer, peers, &mut requests),
            }
        })
    }
}
