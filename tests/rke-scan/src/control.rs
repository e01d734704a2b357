//! Controls: one rule of the house broken at a time, in a program that was built so that it can be.
//! The scanner must find each, or it proves nothing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::process::Scan;
use crate::report::{Expected, Report};
use crate::subject::{Plan, Subject, use_session};

/// How long an operation takes in a program that was told to be slow.
const SLOW: Duration = Duration::from_millis(300);

/// What a daemon says that finds a key of its own where none may be.
const RESIDUE: &str = "a secret that should be gone still lies in this process's memory";

/// What is left of handshakes where stacks are not wiped, by kind and form. Each shows that a form is the one that the
/// program's libraries use. What runs later on the same stack overwrites the rest.
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

/// Runs every control.
pub(crate) fn run_all(plan: &Plan<'_>, report: &mut Report) -> Result<()> {
    for (control, expected) in [
        ("none", Expected::Nothing),
        ("keep-registers", Expected::Something),
        ("keep-stack", Expected::Something),
        ("zeroizing-map", Expected::Something),
    ] {
        let plan = &Plan { control: Some(control), ..*plan };
        let mut subject = Subject::start(plan, &[]).context(control)?;
        for at in 0..plan.repetitions {
            let scan = after_delete(&mut subject, at).context(control)?;
            report.add(plan, &format!("control {control}"), "gone", expected, &scan);
        }
        check_receipt(&mut subject, control, expected, report).context(control)?;
        plan.runtime.block_on(subject.network.stop());
    }
    let missed = LEFT_ON_STACKS.into_iter().filter(|what| !report.has_hit("control keep-stack", what));
    for what in missed.collect::<Vec<_>>() {
        report.fail(format!("control keep-stack: no {what}, which is left on a stack that is not wiped"));
    }
    for (control, expected) in [("slow-operation", Expected::Nothing), ("unserialised", Expected::Something)]
    {
        let plan = &Plan { control: Some(control), ..*plan };
        let mut subject = Subject::start(plan, &[]).context(control)?;
        for _ in 0..plan.repetitions.div_ceil(4) {
            let scan = after_delete_in_operation(&mut subject, expected).context(control)?;
            report.add(plan, &format!("control {control}"), "gone", expected, &scan);
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

/// What the daemon finds in itself: stacks, which it wipes, or a residue elsewhere, for which it ends. A broken rule may
/// hide from it by chance, so it is tried until it is found; with no rule broken there must be nothing.
fn check_receipt(
    subject: &mut Subject,
    control: &str,
    expected: Expected,
    report: &mut Report,
) -> Result<()> {
    let mut hits = 0;
    for _ in 0..60 {
        let wallet = subject.network.renew()?;
        let id = subject.create(&wallet)?;
        use_session(subject.api, &id, 64)?;
        let deleted = match subject.api.expect(&format!("session/delete?session_id={id}&verify=true")) {
            Ok(deleted) => deleted,
            Err(_) if expected == Expected::Something && subject.program.has_aborted_over(RESIDUE)? => {
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
        report.fail(format!("control {control}: the daemon's own receipts say {hits} hits"));
    }
    Ok(())
}

/// Deletes while an operation that takes long is in the middle of using the key. On a busy machine the
/// operation may be over by then: such a try says nothing, and there is another.
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
