//! The exchange under simulated faults: 25 RAIDAs, a client and a Content Server as pure values, in
//! virtual time, many thousand times. Every run is drawn from its seed, and a run that fails says
//! which: `SIM_SEED=… cargo test -p rke-raida --test simulation` repeats that one.
//!
//! Every run collects shares and has them checked: the share check must name the liars, all of them and nobody else. One
//! run in [`HANDSHAKES`] goes on to sessions: handshakes over lost connections, resumptions, data, replays, wrong keys.
//! Key encapsulations take long without optimisation; `SIM_HANDSHAKES=all` makes them in every run. `SIM_RUNS=2300` makes
//! fewer runs.

#![allow(clippy::expect_used, clippy::panic, reason = "these are tests")]

mod network;
mod plan;
mod rng;
mod run;
mod server;
mod world;

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::plan::{Behaviour, Plan};
use crate::rng::Rng;
use crate::run::{Depth, Report, Verdict};
use crate::world::World;

/// Nine of ten have at most 12 faulty RAIDAs.
const RUNS: u64 = 23_000;

/// One run in this many makes handshakes. It shares no factor with the seeds of those that have more faulty RAIDAs.
const HANDSHAKES: u64 = 23;

fn depth(seed: u64) -> Depth {
    let are_all_wanted = std::env::var("SIM_HANDSHAKES").is_ok_and(|which| which == "all");
    match are_all_wanted || seed.is_multiple_of(HANDSHAKES) {
        true => Depth::Handshakes,
        false => Depth::ShareCheck,
    }
}

fn run_plan(world: &mut World, plan: &Plan, seed: u64, rng: Rng, depth: Depth) -> Result<Report, String> {
    // One scope for all of it: the core is under test here, not what it leaves behind.
    rke_secret::scoped(|| run::run(world, plan, rng, seed, depth)).map_err(|error| error.to_string())?
}

fn run_seed(world: &mut World, seed: u64) -> Report {
    let mut rng = Rng::new(seed);
    let plan = plan::draw(seed, &mut rng);
    run_plan(world, &plan, seed, rng, depth(seed)).unwrap_or_else(|what| {
        panic!(
            "seed {seed}: {what}\nagain: SIM_SEED={seed} cargo test -p rke-raida --test simulation\n{plan:#?}"
        )
    })
}

fn runs() -> u64 {
    std::env::var("SIM_RUNS").map_or(RUNS, |runs| runs.parse().expect("SIM_RUNS is a number"))
}

fn run_all(runs: u64) -> Vec<Report> {
    let next = AtomicU64::new(0);
    let work = || {
        let mut world = World::new();
        let mut reports = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= runs {
                return reports;
            }
            reports.push(run_seed(&mut world, seed));
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let reports = running.into_iter().map(|thread| thread.join().expect("the runs hold"));
        reports.collect::<Vec<_>>().concat()
    })
}

#[test]
fn every_run_ends_in_one_key_or_a_clean_refusal() {
    if let Ok(seed) = std::env::var("SIM_SEED") {
        let seed = seed.parse().expect("SIM_SEED is a number");
        println!("seed {seed}: {:?}", run_seed(&mut World::new(), seed));
        return;
    }
    let started = Instant::now();
    let runs = runs();
    let reports = run_all(runs);
    let count = |verdict| reports.iter().filter(|report| report.verdict == verdict).count();
    let (keys, too_few, too_many_liars) =
        (count(Verdict::Key), count(Verdict::TooFew), count(Verdict::TooManyLiars));
    let with_liars = reports.iter().filter(|report| report.named > 0).count();
    let named: usize = reports.iter().map(|report| report.named).sum();
    let mut latencies: Vec<f64> = reports.iter().filter_map(|report| report.latency).collect();
    latencies.sort_unstable_by(f64::total_cmp);
    let median = latencies[latencies.len() / 2];
    println!(
        "{} runs in {:.1?}: {keys} keys, {too_few} with too few answers, {too_many_liars} with too many liars\n\
         {named} liars named in {with_liars} runs\n\
         median latency {median:.4} of that of the 13th honest answer and the grace, over {} rounds",
        reports.len(),
        started.elapsed(),
        latencies.len()
    );
    assert_eq!(reports.len() as u64, runs);
    // Otherwise the checks above have not checked much.
    assert!(keys > 0 && too_few > 0 && too_many_liars > 0 && with_liars as u64 > runs / 23);
    assert!(median <= 1.1, "median latency {median}");
}

/// How a run ends, which is the same however far it goes.
fn verdict_of(sound: u8, fault: &Behaviour) -> Verdict {
    let plan = plan::split(sound, fault);
    let [checked, agreed] = [Depth::ShareCheck, Depth::Handshakes].map(|depth| {
        let report = run_plan(&mut World::new(), &plan, 0, Rng::new(u64::from(sound)), depth);
        report.unwrap_or_else(|what| panic!("{sound} sound, the others {fault:?}: {what}"))
    });
    assert_eq!((checked.verdict, checked.named), (agreed.verdict, agreed.named));
    let liars =
        if fault.lies && agreed.verdict == Verdict::Key { plan.len() - usize::from(sound) } else { 0 };
    assert_eq!(agreed.named, liars, "all liars or nobody");
    agreed.verdict
}

#[test]
fn exactly_thirteen_honest_answers_make_a_key_and_one_below_do_not() {
    let none = Behaviour::default();
    let unreachable_at = Some(Duration::from_millis(5));
    for fault in [
        Behaviour { dead: true, ..none.clone() },
        Behaviour { wrong_clock: true, ..none.clone() },
        Behaviour { loss: 100, ..none.clone() },
        Behaviour { unreachable_at, ..none.clone() },
    ] {
        assert_eq!(verdict_of(13, &fault), Verdict::Key, "{fault:?}");
        assert_eq!(verdict_of(12, &fault), Verdict::TooFew, "{fault:?}");
    }
    let lies = Behaviour { lies: true, ..none };
    assert_eq!(verdict_of(13, &lies), Verdict::Key);
    assert_eq!(verdict_of(12, &lies), Verdict::TooManyLiars);
}
