//! The actions on a daemon before its memory is scanned. Each scenario drives real exchanges over HTTP, ends its
//! sessions in one way, and expects none of their secrets to remain.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use rke_secret::trace::signal_thread;

use crate::exports::export;
use crate::handshakes::{cut_short, resumed, tunnelled, wait_for};
use crate::needles::Secret;
use crate::network::{Behaviour, random};
use crate::process::{Scan, scan_at_exit, threads_of};
use crate::report::{Expected, Report};
use crate::stream::use_streams;
use crate::subject::{PAINT, Plan, Subject, delete, in_parallel, use_session};

/// Signals every thread of a process every 200 microseconds for as long as it exists and is on.
struct Storm<'a> {
    on: &'a AtomicBool,
    over: &'a AtomicBool,
}

impl Storm<'_> {
    fn rage(&self, process: i32) {
        while !self.over.load(Ordering::Relaxed) {
            if self.on.load(Ordering::Relaxed) {
                for thread in threads_of(process).unwrap_or_default() {
                    for signal in [Signal::SIGUSR2, Signal::SIGURG] {
                        let _ = signal_thread(process, thread.as_raw(), signal);
                    }
                }
            }
            thread::sleep(Duration::from_micros(200));
        }
    }
}

type Scenario = fn(&mut Subject, usize) -> Result<(Scan, Scan)>;

/// Seconds for an exchange: more than enough on a busy machine, and few where it is to fail.
const ENOUGH: &str = "20";
const FEW: &str = "1";

/// The scenarios that one daemon goes through many times, under signals every other time.
const IN_ONE_DAEMON: [(&str, Scenario, &str); 10] = [
    ("single", single, ENOUGH),
    ("mix", mix, ENOUGH),
    ("burst of 16", burst, ENOUGH),
    ("delete under load", under_load, ENOUGH),
    ("failed exchange", failed, FEW),
    ("abandoned exchange", abandoned, FEW),
    ("from the cache", resumed, ENOUGH),
    ("tunnel", tunnelled, ENOUGH),
    ("handshake cut short", cut_short, ENOUGH),
    ("SIGUSR1", all_dropped, ENOUGH),
];

/// Runs every scenario.
pub(crate) fn run_all(plan: &Plan<'_>, report: &mut Report) -> Result<()> {
    let is_left_out = |(name, ..): &(&str, Scenario, &str)| plan.from.is_some_and(|from| from != *name);
    for (name, scenario, seconds) in IN_ONE_DAEMON.into_iter().skip_while(is_left_out) {
        let mut subject = Subject::start(plan, &["--exchange-timeout", seconds])?;
        take_signals(&mut subject)?;
        let (on, over, process) = (AtomicBool::new(false), AtomicBool::new(false), subject.program.process());
        let storm = Storm { on: &on, over: &over };
        let result = thread::scope(|threads| {
            threads.spawn(|| storm.rage(process));
            let mut repeat = || {
                for at in 0..plan.repetitions {
                    // A signal in the middle of painting would put the paint on another stack, with the registers.
                    on.store(at % 2 == 1 && plan.fault != Some(PAINT), Ordering::Relaxed);
                    let (before, after) = scenario(&mut subject, at)?;
                    report.add(plan, name, "alive", plan.memory.alive(), &before);
                    report.add(plan, name, "gone", Expected::Nothing, &after);
                }
                Ok(())
            };
            let result: Result<()> = repeat();
            over.store(true, Ordering::Relaxed);
            result
        });
        result.with_context(|| format!("{name}: {}", subject.last_words()))?;
        subject.check_told(report, name).context(name)?;
        plan.runtime.block_on(subject.network.stop());
    }
    expiry(plan, report).context("expiry")?;
    for at in 0..plan.repetitions {
        sigterm(plan, report, at).context("SIGTERM")?;
    }
    Ok(())
}

/// A first receipt: from then on the daemon's threads take the signal that is for receipts, in storms as well.
fn take_signals(subject: &mut Subject) -> Result<()> {
    let wallet = subject.network.renew()?;
    let id = subject.create(&wallet)?;
    subject.learn()?;
    delete(subject.api, &id, true)
}

fn single(subject: &mut Subject, at: usize) -> Result<(Scan, Scan)> {
    let wallet = subject.network.renew()?;
    let id = subject.create(&wallet)?;
    use_session(subject.api, &id, 30_000)?;
    let stream = use_streams(subject.api, &id, 100_000)?;
    subject.needles.add(Secret::ExportedKey, &export(subject.api, &id)?);
    let living = subject.learn_with(&[stream])?;
    let before = subject.scan_living(&living.sessions)?;
    delete(subject.api, &id, at.is_multiple_of(8))?;
    Ok((before, subject.scan()?))
}

/// Up to three uses of odd sizes, each as data and as a stream; with no use at all the scan covers the exchange
/// itself.
fn mix(subject: &mut Subject, at: usize) -> Result<(Scan, Scan)> {
    const SIZES: [usize; 10] = [1, 16, 17, 48, 64, 100, 1024, 4100, 16_384, 30_000];
    let wallet = subject.network.renew()?;
    let id = subject.create(&wallet)?;
    let (choices, mut streams) = (random::<3>()?, Vec::new());
    for choice in &choices[..at % 4] {
        let size = SIZES[usize::from(*choice) % SIZES.len()];
        use_session(subject.api, &id, size)?;
        streams.push(use_streams(subject.api, &id, 20 * size)?);
    }
    let living = subject.learn_with(&streams)?;
    let before = subject.scan_living(&living.sessions)?;
    delete(subject.api, &id, false)?;
    Ok((before, subject.scan()?))
}

fn burst(subject: &mut Subject, _: usize) -> Result<(Scan, Scan)> {
    let wallet = subject.network.renew()?;
    let api = subject.api;
    let ids: Vec<String> = {
        let subject = &*subject;
        let create = || subject.create(&wallet);
        in_parallel((0..16).map(|_| create).collect())?
    };
    in_parallel(ids.iter().map(|id| move || (0..6).try_for_each(|_| use_session(api, id, 5000))).collect())?;
    let (exchanges, living) = (subject.network.exchanges(), subject.learn()?);
    ensure!((exchanges, living.roots.len()) == (16, 16), "{exchanges} exchanges instead of 16");
    let before = subject.scan_living(&living.sessions)?;
    in_parallel(ids.iter().map(|id| move || delete(api, id, false)).collect())?;
    Ok((before, subject.scan()?))
}

/// Deletes while two clients encrypt as fast as they can, and scans at once.
fn under_load(subject: &mut Subject, _: usize) -> Result<(Scan, Scan)> {
    let wallet = subject.network.renew()?;
    let id = subject.create(&wallet)?;
    let living = subject.learn()?;
    let before = subject.scan_living(&living.sessions)?;
    let (api, over, used) = (subject.api, AtomicBool::new(false), AtomicUsize::new(0));
    let load = || {
        while use_session(api, &id, 30_000).is_ok() && use_streams(api, &id, 300_000).is_ok() {
            used.fetch_add(1, Ordering::Relaxed);
        }
        // From here on the session is dead, and it is tried all the same.
        while !over.load(Ordering::Relaxed) {
            let _ = use_session(api, &id, 30_000);
        }
    };
    let after = thread::scope(|threads| {
        threads.spawn(load);
        threads.spawn(load);
        // However slow the build: the key is in use when it goes.
        let deadline = Instant::now() + Duration::from_secs(20);
        while used.load(Ordering::Relaxed) < 2 && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
        let after = delete(api, &id, false).and_then(|()| subject.scan());
        over.store(true, Ordering::Relaxed);
        after
    });
    ensure!(used.load(Ordering::Relaxed) > 0, "there was no load");
    Ok((before, after?))
}

/// Twelve shares come, the thirteenth does not.
fn failed(subject: &mut Subject, _: usize) -> Result<(Scan, Scan)> {
    let wallet = subject.network.renew()?;
    subject.network.let_answer(12, Behaviour::KeepsSilent);
    let mut stream = subject.api.send(&subject.create_target(&wallet))?;
    wait_for_shares(subject)?;
    let living = subject.learn()?;
    let before = subject.scan_living(&[living.shares, living.unanswered].concat())?;
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut stream, &mut answer)?;
    subject.network.let_answer(25, Behaviour::Answers);
    ensure!(
        answer.contains("Only 12 of 13 required RAIDAs answered"),
        "not the failure that was made: {answer}"
    );
    Ok((before, subject.scan()?))
}

/// Waits until those RAIDAs that answer have done so, and their responses are taken in.
fn wait_for_shares(subject: &Subject) -> Result<()> {
    wait_for("12 RAIDAs have answered", || Ok(subject.network.shares_given() == 12))?;
    thread::sleep(Duration::from_millis(100));
    Ok(())
}

/// The client hangs up in the middle of an exchange. The daemon cannot tell that from a slow reader, so the exchange
/// completes.
fn abandoned(subject: &mut Subject, _: usize) -> Result<(Scan, Scan)> {
    let wallet = subject.network.renew()?;
    subject.network.let_answer(12, Behaviour::KeepsSilent);
    let stream = subject.api.send(&subject.create_target(&wallet))?;
    wait_for_shares(subject)?;
    let failures = subject.failures();
    let living = subject.learn()?;
    let before = subject.scan_living(&[living.shares, living.unanswered].concat())?;
    drop(stream);
    wait_for("the exchange has ended", || Ok(subject.failures() > failures))?;
    let after = subject.scan()?;
    subject.network.let_answer(25, Behaviour::Answers);
    Ok((before, after))
}

/// The signal that drops every session and every cached key.
fn all_dropped(subject: &mut Subject, _: usize) -> Result<(Scan, Scan)> {
    let wallet = subject.network.renew()?;
    for _ in 0..3 {
        let id = subject.create(&wallet)?;
        use_session(subject.api, &id, 5000)?;
    }
    let living = subject.learn()?;
    let before = subject.scan_living(&living.sessions)?;
    subject.program.signal(Signal::SIGUSR1)?;
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let status = subject.api.expect("status")?;
        if status["sessions"]["total"] == 0 && status["keystore"]["total"] == 0 {
            return Ok((before, subject.scan()?));
        }
        ensure!(Instant::now() < deadline, "the signal did not drop everything: {status}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Sessions that nobody deletes, four at a time, which live for longer than it takes to open and scan them.
fn expiry(plan: &Plan<'_>, report: &mut Report) -> Result<()> {
    let mut subject = Subject::start(plan, &["--session-ttl", "3"])?;
    for _ in 0..plan.repetitions.div_ceil(4) {
        let wallet = subject.network.renew()?;
        for _ in 0..4 {
            let id = subject.create(&wallet)?;
            use_session(subject.api, &id, 1000)?;
        }
        let living = subject.learn()?;
        report.add(plan, "expiry", "alive", plan.memory.alive(), &subject.scan_living(&living.sessions)?);
        wait_for("they are swept", || Ok(subject.api.expect("status")?["sessions"]["total"] == 0))?;
        report.add(plan, "expiry", "gone", Expected::Nothing, &subject.scan()?);
    }
    plan.runtime.block_on(subject.network.stop());
    Ok(())
}

/// The daemon exits with a session open; its memory is read just before it is gone.
fn sigterm(plan: &Plan<'_>, report: &mut Report, at: usize) -> Result<()> {
    let mut subject = Subject::start(plan, &[])?;
    let wallet = subject.network.renew()?;
    let id = subject.create(&wallet)?;
    if at.is_multiple_of(2) {
        use_session(subject.api, &id, 1000)?;
    }
    let living = subject.learn()?;
    report.add(plan, "SIGTERM", "alive", plan.memory.alive(), &subject.scan_living(&living.sessions)?);
    let Subject { program, network, needles, .. } = subject;
    let scan = scan_at_exit(program.process(), || Ok(needles), || program.terminate())?;
    report.add(plan, "SIGTERM", "gone", Expected::Nothing, &scan);
    let (status, lines) = program.wait_with_lines()?;
    ensure!(status.success(), "rke ended with {status}: {lines}");
    plan.runtime.block_on(network.stop());
    Ok(())
}
