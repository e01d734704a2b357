//! What is done with a daemon before its memory is scanned. Each scenario drives real exchanges over
//! HTTP, ends its sessions in one way, and expects nothing of their secrets to be left.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use nix::sys::signal::Signal;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rke_proto::cipher::hmac_sha256;
use rke_secret::trace::signal_thread;

use crate::daemon::{Api, Program, cache_master_key};
use crate::needles::{Needles, Secret};
use crate::network::{Behaviour, DOMAIN, Network, random};
use crate::process::{Scan, scan, scan_at_exit, threads_of};
use crate::report::{Expected, Report};
use crate::stream::use_streams;

/// The daemon's audit log, in the network's folder.
const AUDIT_LOG: &str = "audit.log";

/// In so many scans in a row no thread is met while it seals a line.
const AUDIT_LOG_LOOKS: usize = 5;

/// How secrets are held by the daemon that is scanned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Memory {
    /// memfd_secret: nothing may be found at any time.
    Secretmem,
    /// Locked: found while a session lives, or the scanner is blind; gone afterwards.
    Locked,
}

impl Memory {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Secretmem => "secretmem",
            Self::Locked => "locked",
        }
    }

    /// What a scan finds while secrets are in use.
    pub(crate) fn alive(self) -> Expected {
        match self {
            Self::Secretmem => Expected::Nothing,
            Self::Locked => Expected::Something,
        }
    }
}

/// What is run, and with what.
pub(crate) struct Plan<'a> {
    pub(crate) program: &'a Path,
    pub(crate) memory: Memory,
    pub(crate) repetitions: usize,
    pub(crate) runtime: &'a tokio::runtime::Runtime,
}

/// A daemon under the scanner, with all that was ever secret in it.
pub(crate) struct Subject {
    pub(crate) api: Api,
    pub(crate) program: Program,
    pub(crate) network: Network,
    pub(crate) needles: Needles,
    memory: Memory,
}

impl Subject {
    /// Starts a daemon with further `flags`, and a control if there is one.
    pub(crate) fn start(plan: &Plan<'_>, flags: &[&str], control: Option<&str>) -> Result<Self> {
        let network = plan.runtime.block_on(Network::start())?;
        let data_dir = network.folder().join("daemon");
        let fixed = format!(
            "serve --listen 127.0.0.1:0 --dns-server {} --secret-memory {} --max-sessions 64",
            network.dns(),
            plan.memory.name(),
        );
        let mut arguments: Vec<String> = fixed.split(' ').map(str::to_owned).collect();
        arguments.extend(["--log-format", "json", "--log", "trace"].map(str::to_owned));
        for (flag, path) in [("--data-dir", &data_dir), ("--audit-log", &network.folder().join(AUDIT_LOG))] {
            arguments.extend([flag.to_owned(), path.to_string_lossy().into_owned()]);
        }
        arguments.extend(flags.iter().map(|flag| (*flag).to_owned()));
        let mut program = Program::start(plan.program, &arguments, control, network.folder())?;
        let address = program.wait_for_line(|line| {
            let line: serde_json::Value = serde_json::from_str(line).ok()?;
            let fields = &line["fields"];
            (fields["message"] == "listening").then(|| fields["address"].as_str()?.parse().ok()).flatten()
        })?;
        let mut needles = Needles::new();
        if plan.memory == Memory::Secretmem {
            // It is in memory for as long as the daemon runs: nobody may see it.
            let key = cache_master_key(&data_dir)?;
            needles.add_plain(Secret::CacheMasterKey, &key);
            needles.add_aes_key(Secret::CacheMasterKey, &key);
            needles.add_hmac_key(Secret::CacheMasterKey, &key);
            let audit_key = hmac_sha256(&key, &[b"rke audit log v1"]);
            needles.add_plain(Secret::AuditKey, &audit_key);
            needles.add_hmac_key(Secret::AuditKey, &audit_key);
        }
        Ok(Self { api: Api(address), program, network, needles, memory: plan.memory })
    }

    /// Opens a session by a new exchange.
    pub(crate) fn create(&self, wallet: &Path) -> Result<String> {
        let created = self.api.expect(&self.create_target(wallet))?;
        let id = created["session_id"].as_str().context("no session id")?.to_owned();
        let shown = self.api.expect(&format!("session/{id}"))?;
        ensure!(shown["confirmed"] == true, "not confirmed: {shown}");
        Ok(id)
    }

    fn create_target(&self, wallet: &Path) -> String {
        format!("session?domain={DOMAIN}&wallet_path={}&fresh=true", wallet.display())
    }

    /// Looks for what is secret in all that the daemon has told so far.
    fn check_told(&self, report: &mut Report, scenario: &str) -> Result<()> {
        let log = self.program.lines().join("\n");
        let audit_log = std::fs::read_to_string(file_in(self, AUDIT_LOG))?;
        ensure!(
            log.contains("TRACE") && audit_log.contains("daemon_started"),
            "nothing is told: {log} {audit_log}"
        );
        for (name, text) in [("log", log), ("audit log", audit_log)] {
            if let Some((at, label)) = self.needles.find(text.as_bytes()).next() {
                report.fail(format!("{scenario}: {label} in the {name} at {at}"));
            }
        }
        Ok(())
    }

    /// Scans and checks that the scan saw what there is to see.
    pub(crate) fn scan(&self) -> Result<Scan> {
        let scan = self.scan_outside_the_audit_log()?;
        let status = self.api.expect("status")?;
        let hidden = match self.memory {
            Memory::Secretmem => status["secret_memory"]["bytes"].as_u64().context("no secret_memory")?,
            Memory::Locked => 0,
        };
        ensure!(
            scan.unreadable_bytes == hidden,
            "{} bytes could not be read, but {hidden} are secret memory",
            scan.unreadable_bytes
        );
        ensure!(scan.scanned_bytes > 4_000_000, "only {} bytes were scanned", scan.scanned_bytes);
        ensure!(scan.threads >= 3, "only {} threads were scanned", scan.threads);
        Ok(scan)
    }
}

impl Subject {
    /// The audit log's key lives as long as the daemon, and its thread writes on while others wait. A
    /// scan that met this thread at work says so, and is done again; what else it found counts.
    fn scan_outside_the_audit_log(&self) -> Result<Scan> {
        let is_its_use = |hit: &String| hit.starts_with("AuditKey/") && hit.ends_with(" in registers");
        for _ in 0..AUDIT_LOG_LOOKS {
            let scan = scan(self.program.process(), &self.needles)?;
            if scan.hits.is_empty() || !scan.hits.keys().all(is_its_use) {
                return Ok(scan);
            }
            thread::sleep(Duration::from_millis(5));
        }
        bail!("the audit log's key is in registers in each of {AUDIT_LOG_LOOKS} scans")
    }
}

/// Encrypts random bytes with a session and decrypts them again.
pub(crate) fn use_session(api: Api, id: &str, len: usize) -> Result<()> {
    let mut plaintext = vec![0; len];
    getrandom::fill(&mut plaintext)?;
    let encode = |bytes: &[u8]| utf8_percent_encode(&STANDARD.encode(bytes), NON_ALPHANUMERIC).to_string();
    let encrypted = api.expect(&format!("encrypt?session_id={id}&plaintext={}", encode(&plaintext)))?;
    let ciphertext = STANDARD.decode(encrypted["ciphertext"].as_str().context("no ciphertext")?)?;
    let nonce = encrypted["nonce"].as_str().context("no nonce")?;
    let target = format!("decrypt?session_id={id}&nonce={nonce}&ciphertext={}", encode(&ciphertext));
    let decrypted = api.expect(&target)?;
    ensure!(
        STANDARD.decode(decrypted["plaintext"].as_str().context("no plaintext")?)? == plaintext,
        "garbled"
    );
    Ok(())
}

/// Deletes a session; with a receipt where `verify` says so, which must say that nothing was found.
fn delete(api: Api, id: &str, verify: bool) -> Result<()> {
    let target = format!("session/delete?session_id={id}");
    if verify {
        match api.get(&format!("{target}&verify=true"))? {
            (200, body) if body["wipe"]["hits"] == 0 => return Ok(()),
            // Receipts are limited in number.
            (429, _) => (),
            (status, body) => bail!("no clean receipt: {status} {body}"),
        }
    }
    api.expect(&target).map(drop)
}

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
const IN_ONE_DAEMON: [(&str, Scenario, &str); 7] = [
    ("single", single, ENOUGH),
    ("mix", mix, ENOUGH),
    ("burst of 16", burst, ENOUGH),
    ("delete under load", under_load, ENOUGH),
    ("failed exchange", failed, FEW),
    ("abandoned exchange", abandoned, ENOUGH),
    ("SIGUSR1", all_dropped, ENOUGH),
];

/// Runs every scenario.
pub(crate) fn run_all(plan: &Plan<'_>, report: &mut Report) -> Result<()> {
    for (name, scenario, seconds) in IN_ONE_DAEMON {
        let mut subject = Subject::start(plan, &["--exchange-timeout", seconds], None)?;
        take_signals(&mut subject)?;
        let (on, over, process) = (AtomicBool::new(false), AtomicBool::new(false), subject.program.process());
        let storm = Storm { on: &on, over: &over };
        let result = thread::scope(|threads| {
            threads.spawn(|| storm.rage(process));
            let mut repeat = || {
                for at in 0..plan.repetitions {
                    on.store(at % 2 == 1, Ordering::Relaxed);
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
        result.with_context(|| format!("{name}: {}", subject.program.lines().join("\n")))?;
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
    subject.network.add_needles(&mut subject.needles);
    delete(subject.api, &id, true)
}

fn single(subject: &mut Subject, at: usize) -> Result<(Scan, Scan)> {
    let wallet = subject.network.renew()?;
    let id = subject.create(&wallet)?;
    use_session(subject.api, &id, 30_000)?;
    let stream = use_streams(subject.api, &id, 100_000)?;
    subject.network.add_needles_with(&mut subject.needles, &[stream]);
    let before = subject.scan()?;
    delete(subject.api, &id, at.is_multiple_of(8))?;
    Ok((before, subject.scan()?))
}

/// Up to three uses of odd sizes, each as data and as a stream; none at all shows what the exchange
/// itself leaves.
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
    subject.network.add_needles_with(&mut subject.needles, &streams);
    let before = subject.scan()?;
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
    let exchanges = subject.network.add_needles(&mut subject.needles);
    ensure!(exchanges == 16, "{exchanges} exchanges instead of 16");
    let before = subject.scan()?;
    in_parallel(ids.iter().map(|id| move || delete(api, id, false)).collect())?;
    Ok((before, subject.scan()?))
}

/// Deletes while two clients encrypt as fast as they can, and scans at once.
fn under_load(subject: &mut Subject, _: usize) -> Result<(Scan, Scan)> {
    let wallet = subject.network.renew()?;
    let id = subject.create(&wallet)?;
    subject.network.add_needles(&mut subject.needles);
    let before = subject.scan()?;
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
    thread::sleep(Duration::from_millis(300));
    subject.network.add_needles(&mut subject.needles);
    let before = subject.scan()?;
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut stream, &mut answer)?;
    subject.network.let_answer(25, Behaviour::Answers);
    ensure!(
        answer.contains("Only 12 of 13 required RAIDAs answered"),
        "not the failure that was made: {answer}"
    );
    Ok((before, subject.scan()?))
}

/// The client hangs up in the middle of an exchange.
fn abandoned(subject: &mut Subject, _: usize) -> Result<(Scan, Scan)> {
    let wallet = subject.network.renew()?;
    subject.network.let_answer(12, Behaviour::KeepsSilent);
    let stream = subject.api.send(&subject.create_target(&wallet))?;
    thread::sleep(Duration::from_millis(200));
    subject.network.add_needles(&mut subject.needles);
    let before = subject.scan()?;
    drop(stream);
    thread::sleep(Duration::from_millis(100));
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
    subject.network.add_needles(&mut subject.needles);
    let before = subject.scan()?;
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

/// Sessions that nobody deletes, four at a time.
fn expiry(plan: &Plan<'_>, report: &mut Report) -> Result<()> {
    let mut subject = Subject::start(plan, &["--session-ttl", "1"], None)?;
    for _ in 0..plan.repetitions.div_ceil(4) {
        let wallet = subject.network.renew()?;
        for _ in 0..4 {
            let id = subject.create(&wallet)?;
            use_session(subject.api, &id, 1000)?;
        }
        subject.network.add_needles(&mut subject.needles);
        report.add(plan, "expiry", "alive", plan.memory.alive(), &subject.scan()?);
        thread::sleep(Duration::from_millis(1100));
        let status = subject.api.expect("status")?;
        ensure!(status["sessions"]["total"] == 0, "not swept: {status}");
        report.add(plan, "expiry", "gone", Expected::Nothing, &subject.scan()?);
    }
    plan.runtime.block_on(subject.network.stop());
    Ok(())
}

/// The daemon ends with a session open; it is read in the moment before it is gone.
fn sigterm(plan: &Plan<'_>, report: &mut Report, at: usize) -> Result<()> {
    let mut subject = Subject::start(plan, &[], None)?;
    let wallet = subject.network.renew()?;
    let id = subject.create(&wallet)?;
    if at.is_multiple_of(2) {
        use_session(subject.api, &id, 1000)?;
    }
    subject.network.add_needles(&mut subject.needles);
    report.add(plan, "SIGTERM", "alive", plan.memory.alive(), &subject.scan()?);
    let Subject { program, network, needles, .. } = subject;
    let scan = scan_at_exit(program.process(), || Ok(needles), || program.terminate())?;
    report.add(plan, "SIGTERM", "gone", Expected::Nothing, &scan);
    let lines = program.lines().join("\n");
    let status = program.wait()?;
    ensure!(status.success(), "rke ended with {status}: {lines}");
    plan.runtime.block_on(network.stop());
    Ok(())
}

/// Runs all at once and gives what they gave, in order.
pub(crate) fn in_parallel<T: Send>(tasks: Vec<impl FnOnce() -> Result<T> + Send>) -> Result<Vec<T>> {
    thread::scope(|threads| {
        let running: Vec<_> = tasks.into_iter().map(|task| threads.spawn(task)).collect();
        let joined = running.into_iter().map(|task| task.join().unwrap_or_else(|_| bail!("a task panicked")));
        joined.collect()
    })
}

/// A folder of a subject's files.
pub(crate) fn file_in(subject: &Subject, name: &str) -> PathBuf {
    subject.network.folder().join(name)
}
