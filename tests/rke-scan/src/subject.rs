//! A daemon under the scanner: its start, the use of its sessions, and what a scan of it must have seen.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rke_proto::cipher::hmac_sha256;

use crate::daemon::{Api, Program, cache_master_key};
use crate::exports::LABEL;
use crate::ledger::{Keeps, Living};
use crate::needles::{Needles, Secret, Source};
use crate::network::{DOMAIN, Network};
use crate::process::{Scan, scan};
use crate::report::{Expected, Report};
use crate::stream::Start;

/// The daemon's audit log, and its data directory, in the network's folder.
const AUDIT_LOG: &str = "audit.log";
pub(crate) const DATA_DIR: &str = "daemon";

/// Of this many scans in a row, at least one meets no thread that is sealing a line.
const AUDIT_LOG_LOOKS: usize = 5;

/// How secrets are held by the daemon that is scanned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Memory {
    /// memfd_secret: nothing may be found at any time.
    Secretmem,
    /// Locked: all of it found while a session lives, or the scanner is blind; gone afterwards.
    Locked,
}

impl Memory {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Secretmem => "secretmem",
            Self::Locked => "locked",
        }
    }

    /// The secrets that a scan finds while they are in use.
    pub(crate) fn alive(self) -> Expected {
        match self {
            Self::Secretmem => Expected::Nothing,
            Self::Locked => Expected::Everything,
        }
    }
}

/// The fault that paints scratch stacks before each use.
pub(crate) const PAINT: &str = "paint";

/// The program and its arguments.
pub(crate) struct Plan<'a> {
    pub(crate) program: &'a Path,
    pub(crate) memory: Memory,
    pub(crate) repetitions: usize,
    /// The first scenario of those that one daemon goes through; all of them where there is none.
    pub(crate) from: Option<&'a str>,
    /// The fault that is injected, by its name in `RKE_FAULT`.
    pub(crate) fault: Option<&'a str>,
    pub(crate) runtime: &'a tokio::runtime::Runtime,
}

impl Plan<'_> {
    /// The needles, without any secret yet.
    pub(crate) fn needles(&self) -> Needles {
        match self.fault {
            Some(PAINT) => Needles::for_paint(),
            _ => Needles::new(),
        }
    }

    /// The report's name for the memory that holds the program's secrets.
    pub(crate) fn memory_name(&self) -> &'static str {
        match self.fault {
            Some(PAINT) => "painted",
            _ => self.memory.name(),
        }
    }
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
    /// Starts a daemon with further `flags`.
    pub(crate) fn start(plan: &Plan<'_>, flags: &[&str]) -> Result<Self> {
        let network = plan.runtime.block_on(Network::start())?;
        Self::start_in(network, plan, flags)
    }

    /// The same in a network that there is.
    pub(crate) fn start_in(network: Network, plan: &Plan<'_>, flags: &[&str]) -> Result<Self> {
        let data_dir = network.folder().join(DATA_DIR);
        let (program, api) = start_daemon(&network, plan, (DATA_DIR, AUDIT_LOG), flags)?;
        let mut needles = plan.needles();
        if plan.memory == Memory::Secretmem {
            // It is in memory for as long as the daemon runs: nobody may see it.
            let key = cache_master_key(&data_dir)?;
            needles.add(Secret::CacheMasterKey, &key);
            needles.add(Secret::AuditKey, &hmac_sha256(&key, &[b"rke audit log v1"]));
        } else {
            network.read_seeds_of(program.process());
        }
        Ok(Self { api, program, network, needles, memory: plan.memory })
    }

    /// Output that may explain why a scenario failed.
    pub(crate) fn last_words(&self) -> String {
        let trouble = self.network.state().trouble.join("\n");
        format!("{}\nthe Content Server's trouble: {trouble}", self.program.last_words())
    }

    /// How many exchanges have ended without a session.
    pub(crate) fn failures(&self) -> usize {
        self.program.count("\"no session was opened\"")
    }

    /// Opens a session by a new exchange.
    pub(crate) fn create(&self, wallet: &Path) -> Result<String> {
        let created = self.api.expect(&self.create_target(wallet))?;
        let id = created["session_id"].as_str().context("no session id")?.to_owned();
        let shown = self.api.expect(&format!("session/{id}"))?;
        ensure!(shown["confirmed"] == true && shown["forward_secret"] == true, "not as it must be: {shown}");
        Ok(id)
    }

    pub(crate) fn create_target(&self, wallet: &Path) -> String {
        format!("session?domain={DOMAIN}&wallet_path={}&fresh=true", wallet.display())
    }

    /// Opens a session from the cache.
    pub(crate) fn create_from_cache(&self, wallet: &Path) -> Result<String> {
        create_from_cache(self.api, wallet)
    }

    /// Adds all secrets since the network was renewed. Returns the needles of those in use.
    pub(crate) fn learn(&mut self) -> Result<Living> {
        self.learn_with(&[])
    }

    /// The same, with the keys of these streams.
    pub(crate) fn learn_with(&mut self, streams: &[Start]) -> Result<Living> {
        self.network.add_needles_with(&mut self.needles, streams, Keeps::Nothing)
    }

    /// Scans while these are in use: in memory that can be read each of them is there.
    pub(crate) fn scan_living(&self, living: &[Source]) -> Result<Scan> {
        ensure!(!living.is_empty(), "nothing is in use");
        let mut scan = self.scan()?;
        if self.memory == Memory::Locked {
            scan.miss(&self.needles, living);
        }
        Ok(scan)
    }

    /// Searches everything that the daemon has printed or sent for secrets.
    pub(crate) fn check_told(&self, report: &mut Report, scenario: &str) -> Result<()> {
        let log = self.program.lines().join("\n");
        let audit_log = std::fs::read_to_string(file_in(self, AUDIT_LOG))?;
        ensure!(
            log.contains("TRACE") && audit_log.contains("daemon_started"),
            "nothing is told: {log} {audit_log}"
        );
        for (name, text) in [("log", log), ("audit log", audit_log)] {
            if let Some((at, source)) = self.needles.find(text.as_bytes()).next() {
                let label = self.needles.label(source);
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
    /// The audit log's key lives as long as the daemon, and its thread keeps writing while others wait. A scan that
    /// meets this thread at work reports it and is repeated; its other findings count.
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

/// Starts a daemon whose data directory and audit log have these names in the network's folder.
pub(crate) fn start_daemon(
    network: &Network,
    plan: &Plan<'_>,
    (data_dir, audit_log): (&str, &str),
    flags: &[&str],
) -> Result<(Program, Api)> {
    // A handshake waits for the Content Server while the daemon is stopped and scanned, however long that takes.
    let fixed = format!(
        "serve --listen 127.0.0.1:0 --dns-server {} --secret-memory {} --max-sessions 64 --confirm-timeout 10 \
         --allow-export {LABEL}",
        network.dns(),
        plan.memory.name(),
    );
    let mut arguments: Vec<String> = fixed.split(' ').map(str::to_owned).collect();
    arguments.extend(["--log-format", "json", "--log", "trace"].map(str::to_owned));
    for (flag, name) in [("--data-dir", data_dir), ("--audit-log", audit_log)] {
        arguments.extend([flag.to_owned(), network.folder().join(name).to_string_lossy().into_owned()]);
    }
    arguments.extend(flags.iter().map(|flag| (*flag).to_owned()));
    let mut program = Program::start(plan.program, &arguments, plan.fault, network.folder())?;
    let address = program.wait_for_line(|line| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        let fields = &line["fields"];
        (fields["message"] == "listening").then(|| fields["address"].as_str()?.parse().ok()).flatten()
    })?;
    Ok((program, Api::new(address)))
}

/// Opens a session from the cache.
pub(crate) fn create_from_cache(api: Api, wallet: &Path) -> Result<String> {
    let target = format!("session?domain={DOMAIN}&wallet_path={}", wallet.display());
    let created = api.expect(&target)?;
    ensure!(created["from_cache"] == true, "not from the cache: {created}");
    Ok(created["session_id"].as_str().context("no session id")?.to_owned())
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
pub(crate) fn delete(api: Api, id: &str, verify: bool) -> Result<()> {
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
