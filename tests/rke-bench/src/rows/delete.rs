//! Deletions among a million sessions, compared with nginx with the same response; and while other sessions expire.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::load::{Load, Run, run};
use crate::method::{Pace, Side, Triples, triples};
use crate::nginx::{self, Whole};
use crate::process::Server;
use crate::report::{Figure, Goal};
use crate::sessions::{Id, InTurn, OnceEach, Template, fill, fill_evenly};
use crate::stage::{Daemon, Stage};

const LIVE: usize = 1_000_000;
/// Sessions that expire in a second, in addition to the live ones, and for how long.
const EXPIRE_A_SECOND: usize = 10_000;
const EXPIRE_FOR: Duration = Duration::from_secs(2);
/// How long they live.
const SHORT_TTL: Duration = Duration::from_secs(5);
const LONG_TTL: Duration = Duration::from_secs(3600);

pub(crate) fn rows(stage: &Stage) -> Result<Vec<Figure>> {
    let expiring = EXPIRE_A_SECOND * EXPIRE_FOR.as_secs() as usize;
    let daemon = stage.daemon(LIVE + 2 * expiring)?;
    let mut ids = Vec::with_capacity(LIVE);
    let started = Instant::now();
    fill(&daemon, &mut ids, LIVE)?;
    eprintln!("rke-bench: {LIVE} sessions were opened in {:.0} s", started.elapsed().as_secs_f64());
    let template = Template::delete();
    let request = template.about(&ids.pop().unwrap_or_default());
    let like = Whole::of(&daemon.server, &request)?;
    let peer = nginx::answering(stage.folder(), &like.body, &request, &like)?;
    let mut quiet = Deletions { daemon: &daemon, peer: &peer, template: &template, ids };
    let plain = triples(Pace::BRIEF, Run::rate, |side| {
        quiet.fill_up()?;
        quiet.measure(side, Load::BRIEF)
    })?;
    let under = triples(Pace::LONG, Run::rate, |side| quiet.measure_under_the_sweeper(side))?;
    Ok(table(&plain, &under))
}

fn table(plain: &Triples<Run>, under: &Triples<Run>) -> Vec<Figure> {
    let row = |name: &str, triples: &Triples<Run>, unit: &str, metric: fn(&Run) -> f64, goal| {
        Figure::compared(format!("delete among 1,000,000: {name}"), ("nginx", unit), triples, metric, goal)
    };
    vec![
        row("answers a second", plain, "k/s", |run| run.rate() / 1e3, Goal::AtLeast(0.9)),
        row("CPU of the server", plain, "µs", Run::cpu_each, Goal::None),
        row("p50", plain, "µs", Run::p50, Goal::None),
        row("p99", plain, "µs", Run::p99, Goal::None),
        row("p99 while 10,000 a second expire", under, "µs", Run::p99, Goal::AtMost(2.0)),
    ]
}

/// Both sides, and the sessions that are still to be deleted.
struct Deletions<'a> {
    daemon: &'a Daemon,
    peer: &'a Server,
    template: &'a Template,
    ids: Vec<Id>,
}

impl Deletions<'_> {
    /// Opens the missing sessions. They are deleted last, because sessions that were just opened are in the
    /// processor's caches.
    fn fill_up(&mut self) -> Result<()> {
        let before = self.ids.len();
        fill(self.daemon, &mut self.ids, LIVE)?;
        self.ids.rotate_left(before);
        Ok(())
    }

    fn measure(&mut self, side: Side, load: Load) -> Result<Run> {
        match side {
            Side::Peer => run(self.peer, load, &mut InTurn::new(self.template, &self.ids)),
            Side::Ours => {
                let mut once = OnceEach { template: self.template, ids: &mut self.ids };
                run(&self.daemon.server, load, &mut once)
            }
        }
    }

    /// The peer is measured while nothing expires: the sweeper would occupy its core.
    fn measure_under_the_sweeper(&mut self, side: Side) -> Result<Run> {
        if side == Side::Peer {
            return self.measure(side, Load::USUAL);
        }
        self.daemon.set_session_ttl(LONG_TTL)?;
        self.fill_up()?;
        // Filling up has used the page's burst allowance, which recovers with time.
        std::thread::sleep(Duration::from_secs(2));
        self.daemon.set_session_ttl(SHORT_TTL)?;
        let first_opened = Instant::now();
        let count = EXPIRE_A_SECOND * EXPIRE_FOR.as_secs() as usize;
        fill_evenly(self.daemon, count, EXPIRE_FOR)?;
        let middle = SHORT_TTL + EXPIRE_FOR / 4;
        std::thread::sleep(middle.saturating_sub(first_opened.elapsed()));
        let run = self.measure(side, Load::USUAL)?;
        std::thread::sleep((SHORT_TTL + 2 * EXPIRE_FOR).saturating_sub(first_opened.elapsed()));
        Ok(run)
    }
}
