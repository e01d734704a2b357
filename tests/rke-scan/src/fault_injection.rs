//! Breaks one rule at a time, in a program built with the feature `fault-injection`. The scanner must find each fault, or
//! a clean scan proves nothing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::exports::export;
use crate::needles::Secret;
use crate::process::Scan;
use crate::report::{Expected, Report};
use crate::subject::{Plan, Subject, use_session};

/// How long an operation takes in a program that was told to be slow.
const SLOW: Duration = Duration::from_millis(300);

/// The daemon's message when it finds a key of its own where none may be.
const COPY_FOUND: &str = "a secret that should be gone still lies in this process's memory";

/// The leftovers of handshakes if stacks are not wiped, by kind and form. Each proves that the program's libraries
/// use a form. Later code on the same stack overwrites the rest.
const LEFT_ON_STACKS: [&str; 11] = [
    "Seed/Plain",
    "ExpandedSeed/Plain",
    "MlKemKey/Plain",
    "MlKemKey/Coefficients",
    "MlKemMessage/Coefficients",
    "X25519Shared/Limbs",
    "SharedSecret/Plain",
    "HandshakeKey/Schedule",
    "TransportKey/Schedule",
    "GhashKey/Plain",
    "SessionKey/HmacState",
];

/// Runs every fault.
pub(crate) fn run_all(plan: &Plan<'_>, report: &mut Report) -> Result<()> {
    for (fault, expected) in [
        ("none", Expected::Nothing),
        ("keep-registers", Expected::Something),
        ("keep-stack", Expected::Something),
        ("zeroizing-map", Expected::Something),
    ] {
        let plan = &Plan { fault: Some(fault), ..*plan };
        let mut subject = Subject::start(plan, &[]).context(fault)?;
        for at in 0..plan.repetitions {
            let scan = after_delete(&mut subject, at).context(fault)?;
            report.add(plan, &format!("fault {fault}"), "gone", expected, &scan);
        }
        check_receipt(&mut subject, fault, expected, report).context(fault)?;
        plan.runtime.block_on(subject.network.stop());
    }
    for (fault, expected) in [("none", Expected::Nothing), ("keep-responses", Expected::Something)] {
        let plan = &Plan { fault: Some(fault), ..*plan };
        let mut subject = Subject::start(plan, &[]).context(fault)?;
        for _ in 0..plan.repetitions {
            let scan = after_export(&mut subject).context(fault)?;
            report.add(plan, &format!("fault {fault}"), "handed", expected, &scan);
        }
        plan.runtime.block_on(subject.network.stop());
    }
    let missed = LEFT_ON_STACKS.into_iter().filter(|what| !report.has_hit("fault keep-stack", what));
    for what in missed.collect::<Vec<_>>() {
        report.fail(format!("fault keep-stack: no {what}, which is left on a stack that is not wiped"));
    }
    for (fault, expected) in [("slow-operation", Expected::Nothing), ("unserialised", Expected::Something)] {
        let plan = &Plan { fault: Some(fault), ..*plan };
        let mut subject = Subject::start(plan, &[]).context(fault)?;
        for _ in 0..plan.repetitions.div_ceil(4) {
            let scan = after_delete_in_operation(&mut subject, expected).context(fault)?;
            report.add(plan, &format!("fault {fault}"), "gone", expected, &scan);
        }
        plan.runtime.block_on(subject.network.stop());
    }
    Ok(())
}

fn after_delete(subject: &mut Subject, at: usize) -> Result<Scan> {
    let wallet = subject.network.renew()?;
    let id = subject.create(&wallet)?;
    for _ in 0..at % 3 {
        use_session(subject.api, &id, 64)?;
    }
    subject.learn()?;
    subject.api.expect(&format!("session/delete?session_id={id}"))?;
    subject.scan()
}

/// While the session lives, so that only the exported key is looked for.
fn after_export(subject: &mut Subject) -> Result<Scan> {
    let wallet = subject.network.renew()?;
    let id = subject.create(&wallet)?;
    let exported = export(subject.api, &id)?;
    subject.needles.add(Secret::ExportedKey, &exported);
    let scan = subject.scan()?;
    subject.api.expect(&format!("session/delete?session_id={id}"))?;
    Ok(scan)
}

/// What the daemon finds in its own memory: stacks, which it wipes, or a copied key elsewhere, for which it aborts. A
/// broken rule may escape it by chance, so the test repeats until it is found; with no rule broken nothing may be
/// found.
fn check_receipt(subject: &mut Subject, fault: &str, expected: Expected, report: &mut Report) -> Result<()> {
    let mut hits = 0;
    for _ in 0..60 {
        let wallet = subject.network.renew()?;
        let id = subject.create(&wallet)?;
        use_session(subject.api, &id, 64)?;
        let deleted = match subject.api.expect(&format!("session/delete?session_id={id}&verify=true")) {
            Ok(deleted) => deleted,
            Err(_) if expected == Expected::Something && subject.program.has_aborted_over(COPY_FOUND)? => {
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        hits += deleted["wipe"]["hits"].as_u64().context("no receipt")?;
        if hits > 0 {
            break;
        }
        // Within the rate of receipts.
        thread::sleep(Duration::from_millis(210));
    }
    let status = subject.api.expect("status")?;
    ensure!(status["secret_memory"]["residues_found"] == hits, "not counted: {status}");
    if (hits > 0) != (expected == Expected::Something) {
        report.fail(format!("fault {fault}: the daemon's own receipts say {hits} hits"));
    }
    Ok(())
}

/// Deletes while a long operation is using the key. On a busy machine the operation may be over by then: such an
/// attempt proves nothing, and another follows.
fn after_delete_in_operation(subject: &mut Subject, expected: Expected) -> Result<Scan> {
    for _ in 0..50 {
        if let Some(scan) = try_delete_in_operation(subject, expected)? {
            return Ok(scan);
        }
    }
    bail!("the machine is too busy to delete in the middle of an operation")
}

fn try_delete_in_operation(subject: &mut Subject, expected: Expected) -> Result<Option<Scan>> {
    let wallet = subject.network.renew()?;
    let id = subject.create(&wallet)?;
    subject.learn()?;
    let (subject, over) = (&*subject, AtomicBool::new(false));
    thread::scope(|threads| {
        threads.spawn(|| {
            let _ = subject.api.get(&format!("encrypt?session_id={id}&plaintext=AAAA"));
            over.store(true, Ordering::Relaxed);
        });
        while subject.api.expect(&format!("session/{id}"))?["encrypt_count"] == 0 {}
        thread::sleep(SLOW / 10);
        if over.load(Ordering::Relaxed) {
            // Its key would be found by the scans of later tries.
            subject.api.expect(&format!("session/delete?session_id={id}"))?;
            return Ok(None);
        }
        let started = Instant::now();
        subject.api.expect(&format!("session/delete?session_id={id}"))?;
        let waited = started.elapsed();
        let scan = crate::process::scan(subject.program.process(), &subject.needles)?;
        if expected == Expected::Nothing && waited < SLOW / 10 {
            ensure!(over.load(Ordering::Relaxed), "the deletion did not wait: {waited:?}");
        }
        Ok(Some(scan))
    })
}
