//! Sessions that machines share in a store, compared with those of a daemon of its own: what is used where it is held, and what each
//! operation asks of the store. Daemons and store share the server's core.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::load::{Generator, Load, Requests, Run, run};
use crate::method::{Pace, Side, Spread, triples};
use crate::process::{Server, free_address};
use crate::report::{Figure, Goal};
use crate::sessions::{Id, InTurn, OnceEach, Template, fill};
use crate::stage::{Daemon, Stage};

/// Sessions for each count.
const SESSIONS: usize = 100;

/// One request after the other.
const ONE_BY_ONE: Load = Load { connections: 1, depth: 1, time: Duration::MAX };

/// What the sweeps of the daemons may add to the calls of an operation.
const SWEEPS: f64 = 0.2;

/// The greatest size of a session in the store, in bytes.
const MOST_BYTES: f64 = 1024.0;

pub(crate) fn rows(stage: &Stage) -> Result<Vec<Figure>> {
    let alone = stage.real_daemon("alone", &[])?;
    let store = Store::start(stage)?;
    let daemon = |name: &str| stage.real_daemon(name, &store.flags(stage));
    let (one, two, three) = (daemon("one")?, daemon("two")?, daemon("three")?);
    let mut rows = held(&one, &alone)?;
    rows.extend(store.calls(&one, &[&two, &three])?);
    for (count, others) in [&[][..], &[&two], &[&two, &three]].into_iter().enumerate() {
        rows.push(deletions(&one, others, &alone, count + 1)?);
    }
    rows.push(store.bytes(&one)?);
    Ok(rows)
}

fn encrypt() -> Template {
    Template::encrypt(&STANDARD.encode([7; 64]))
}

/// What is held is used as if nobody shared it.
fn held(shared: &Daemon, alone: &Daemon) -> Result<Vec<Figure>> {
    let [ours, peers] = [shared, alone].map(|daemon| {
        let mut ids = Vec::new();
        fill(daemon, &mut ids, SESSIONS).map(|()| ids)
    });
    let (ours, peers, template) = (ours?, peers?, encrypt());
    let measured = triples(Pace::BRIEF, Run::rate, |side| match side {
        Side::Ours => run(&shared.server, Load::BRIEF, &mut InTurn::new(&template, &ours)),
        Side::Peer => run(&alone.server, Load::BRIEF, &mut InTurn::new(&template, &peers)),
    })?;
    delete_each(shared, ours)?;
    delete_each(alone, peers)?;
    let row = |name: &str, unit: &str, metric: fn(&Run) -> f64, goal| {
        Figure::compared(
            format!("shared, held, encrypt 64 B: {name}"),
            ("alone", unit),
            &measured,
            metric,
            goal,
        )
    };
    Ok(vec![
        row("answers a second", "k/s", |run| run.rate() / 1e3, Goal::AtLeast(0.9)),
        row("p99", "µs", Run::p99, Goal::None),
    ])
}

/// Deletions where this many daemons have the key, each of which wipes it before the response.
fn deletions(shared: &Daemon, others: &[&Daemon], alone: &Daemon, count: usize) -> Result<Figure> {
    let (encrypt, delete) = (encrypt(), Template::delete());
    let measured = triples(Pace::LONG, Run::p50, |side| {
        let (daemon, users) = match side {
            Side::Ours => (shared, others),
            Side::Peer => (alone, &[][..]),
        };
        let mut ids = Vec::new();
        fill(daemon, &mut ids, SESSIONS)?;
        for user in [&[daemon], users].concat() {
            one_by_one(user, &mut InTurn::new(&encrypt, &ids).take_only(SESSIONS))?;
        }
        one_by_one(daemon, &mut OnceEach { template: &delete, ids: &mut ids })
    })?;
    let name = format!("shared, delete where {count} of 3 daemons had it: p50");
    Ok(Figure::compared(name, ("alone", "µs"), &measured, Run::p50, Goal::None))
}

fn one_by_one(daemon: &Daemon, requests: &mut impl Requests) -> Result<Run> {
    Generator::connect(&daemon.server, 1)?.run(ONE_BY_ONE, requests)
}

fn delete_each(daemon: &Daemon, mut ids: Vec<Id>) -> Result<()> {
    one_by_one(daemon, &mut OnceEach { template: &Template::delete(), ids: &mut ids }).map(drop)
}

/// A redis-server, which keeps nothing on disk.
struct Store(Server);

impl Store {
    fn start(stage: &Stage) -> Result<Self> {
        let address = free_address()?;
        let port = address.port().to_string();
        let arguments = ["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
        let log = stage.folder().join("redis.log");
        let server = Server::start(Path::new("redis-server"), &arguments.map(str::to_owned), address, &log);
        let key_file = stage.folder().join("store.key");
        let made = Command::new(stage.program()).args(["store", "key"]).arg(&key_file).output()?;
        ensure!(made.status.success(), "no key for the store: {}", String::from_utf8_lossy(&made.stderr));
        server.map(Self)
    }

    /// The flags of a daemon that shares it.
    fn flags(&self, stage: &Stage) -> Vec<String> {
        let (url, key_file) = (format!("redis://{}", self.0.address()), stage.folder().join("store.key"));
        ["--store", &url, "--store-key-file", &key_file.display().to_string()].map(str::to_owned).into()
    }

    /// How often an operation asks the store, and how long that keeps the store busy.
    fn calls(&self, one: &Daemon, others: &[&Daemon]) -> Result<Vec<Figure>> {
        let (encrypt, delete, mut ids) = (encrypt(), Template::delete(), Vec::new());
        let use_on = |daemon: &Daemon, ids: &[Id]| {
            one_by_one(daemon, &mut InTurn::new(&encrypt, ids).take_only(ids.len())).map(drop)
        };
        // The first exchange, from which the others come.
        fill(one, &mut ids, 1)?;
        // The cached secret, the known Content Server, and the record.
        let mut rows =
            vec![self.count("create from the cache", SESSIONS, 3.0, || fill(one, &mut ids, SESSIONS + 1))?];
        rows.push(self.count("first use", ids.len(), 1.0, || use_on(one, &ids))?);
        rows.push(self.count("held use", ids.len(), 0.0, || use_on(one, &ids))?);
        let held_elsewhere = ids.split_off(SESSIONS / 2);
        for other in others {
            use_on(other, &held_elsewhere)?;
        }
        let delete_all = |name: &str, mut ids: Vec<Id>| {
            let count = ids.len();
            let deletions = || one_by_one(one, &mut OnceEach { template: &delete, ids: &mut ids }).map(drop);
            // The record, and later that the Content Server has proven its deletion.
            self.count(name, count, 2.0, deletions)
        };
        rows.push(delete_all("delete", ids)?);
        rows.push(delete_all("delete of what others hold", held_elsewhere)?);
        Ok(rows)
    }

    fn count(
        &self,
        name: &str,
        count: usize,
        wanted: f64,
        operation: impl FnOnce() -> Result<()>,
    ) -> Result<Figure> {
        let before = (self.scripts()?, self.0.cpu_time()?);
        operation()?;
        let (scripts, cpu) = (self.scripts()? - before.0, self.0.cpu_time()? - before.1);
        Ok(Figure {
            name: format!("shared, {name}: calls of the store"),
            ours: format!("{:.0} µs of its CPU", cpu.as_secs_f64() * 1e6 / count as f64),
            peer: String::new(),
            value: Spread::of([scripts / count as f64]),
            goal: Goal::AtMost(wanted + SWEEPS),
            steady: true,
            plotted: None,
        })
    }

    /// The memory that the store takes for a session.
    fn bytes(&self, one: &Daemon) -> Result<Figure> {
        let before = self.told("memory", "used_memory:")?;
        let mut ids = Vec::new();
        fill(one, &mut ids, 10 * SESSIONS)?;
        let bytes = (self.told("memory", "used_memory:")? - before) / ids.len() as f64;
        Ok(Figure {
            name: "shared, a session in the store: bytes".into(),
            ours: format!("{bytes:.0} B"),
            peer: String::new(),
            value: Spread::of([bytes]),
            goal: Goal::AtMost(MOST_BYTES),
            steady: true,
            plotted: None,
        })
    }

    /// How many scripts have run so far.
    fn scripts(&self) -> Result<f64> {
        self.told("commandstats", "cmdstat_evalsha:calls=")
    }

    /// The number behind `name` in a section of what the store reports about itself.
    fn told(&self, section: &str, name: &str) -> Result<f64> {
        let port = self.0.address().port().to_string();
        let output = Command::new("redis-cli").args(["-p", &port, "INFO", section]).output();
        let text = String::from_utf8(output.context("redis-cli does not run")?.stdout)?;
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let digits = line.and_then(|line| line.split(|letter: char| !letter.is_ascii_digit()).next());
        digits.and_then(|digits| digits.parse().ok()).with_context(|| format!("the store tells no {name}"))
    }
}
