//! A deletion at both ends: a daemon, a real Content Server, and the scanner between them. Once the daemon has answered
//! `forgotten`, nothing from which the session's key follows is in the memory of either, nor in a file of either.
//!
//! The key is the two ends' own. The scanner learns it by reading the seed of the daemon's ephemeral key while that waits
//! for the response; so the daemon has memory that can be read, whatever the Content Server has.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use crate::content_server::Manners;
use crate::daemon::Program;
use crate::files::scan_data_dir;
use crate::handshakes::{Tunnel, wait_for, wait_for_tunnels};
use crate::ledger::Keeps;
use crate::needles::{Needles, Source};
use crate::network::Network;
use crate::nodes::{finish_preloading, scan_living, start_preloading, start_serving};
use crate::process::{Scan, scan};
use crate::report::{Expected, Report};
use crate::stream::{Start, use_streams};
use crate::subject::{DATA_DIR, Memory, Plan, Subject, file_in, use_session};

/// Master secrets of a key set, each in a sealed file.
const MASTER_SECRETS: usize = 25;

/// Both ends.
struct Ends<'a> {
    plan: &'a Plan<'a>,
    /// The daemon's.
    readable: Plan<'a>,
    daemon: Subject,
    server: Program,
    server_dir: PathBuf,
    /// Of keys that are gone at both ends.
    gone: Needles,
}

/// A session that is about to be deleted, and the needles for the secrets that it uses.
struct Doomed {
    ids: Vec<String>,
    tunnel: Option<Tunnel>,
    /// Whether the cached resumption goes too.
    forgets: bool,
}

/// Deletes sessions of each kind.
pub(crate) fn run_all(plan: &Plan<'_>, report: &mut Report) -> Result<()> {
    let mut network = plan.runtime.block_on(Network::start())?;
    let before = network.master(rke_proto::RaidaIndex::new(24).context("RAIDA 24")?);
    let (preloading, server_dir) = start_preloading(plan, &mut network)?;
    finish_preloading(preloading, &network, before)?;
    let (server, address) = start_serving(plan, &network, &server_dir, &[])?;
    network.set_manners(Manners::Relays(address));
    let readable = Plan { memory: Memory::Locked, ..*plan };
    let daemon = Subject::start_in(network, &readable, &["--exchange-timeout", "20"])?;
    let mut ends = Ends { plan, readable, daemon, server, server_dir, gone: Needles::new() };
    ends.delete_here_only(report).context("everywhere, without the Content Server")?;
    ends.daemon.network.set_manners(Manners::Relays(address));
    for at in 0..plan.repetitions {
        let deleted = ends.delete_everywhere(report, at);
        deleted.with_context(|| format!("everywhere: {}", ends.daemon.last_words()))?;
    }
    ends.daemon.check_told(report, "everywhere")?;
    plan.runtime.block_on(ends.daemon.network.stop());
    Ok(())
}

impl Ends<'_> {
    /// A control: the scanner says `forgotten` itself, and the Content Server hears nothing of it. There the key must be.
    fn delete_here_only(&mut self, report: &mut Report) -> Result<()> {
        let (doomed, _) = self.open(0)?;
        let mut needles = Needles::new();
        let kept = self.daemon.network.add_needles(&mut needles)?.roots;
        self.daemon.network.set_manners(Manners::Accepts);
        self.end(doomed)?;
        let found = scan_living(self.plan, &self.server, &needles, &kept)?;
        report.add(self.plan, "everywhere: control", "kept", self.plan.memory.alive(), &found);
        self.daemon.learn()?;
        report.add(&self.readable, "everywhere: daemon", "gone", Expected::Nothing, &self.daemon.scan()?);
        Ok(())
    }

    fn delete_everywhere(&mut self, report: &mut Report, at: usize) -> Result<()> {
        let (doomed, streams) = self.open(at)?;
        let in_use = self.daemon.learn_with(&streams)?;
        let mut alive = Needles::new();
        let at_server = self.daemon.network.add_needles(&mut alive)?;
        let masters = self.daemon.network.add_masters(&mut alive);
        // A session that was opened from the cache has a resumption secret that neither end keeps.
        let resumption = at_server.resumptions[..1].to_vec();

        let found = self.daemon.scan_living(&[in_use.sessions, in_use.transports].concat())?;
        report.add(&self.readable, "everywhere: daemon", "alive", Expected::Everything, &found);
        let of_server = [at_server.roots, at_server.transports, resumption.clone(), masters.clone()].concat();
        let found = scan_living(self.plan, &self.server, &alive, &of_server)?;
        report.add(self.plan, "everywhere: server", "alive", self.plan.memory.alive(), &found);
        let found = self.scan_files(&alive, &[resumption, masters].concat())?;
        report.add(self.plan, "everywhere: files", "alive", Expected::Everything, &found);
        let mut never_on_disk = Needles::new();
        self.daemon.network.add_needles_with(&mut never_on_disk, &streams, Keeps::Resumptions)?;
        let found = self.scan_files(&never_on_disk, &[])?;
        report.add(self.plan, "everywhere: files", "no key", Expected::Nothing, &found);

        let keeps = if doomed.forgets { Keeps::Nothing } else { Keeps::Resumptions };
        self.end(doomed)?;
        self.daemon.network.add_needles_with(&mut self.gone, &streams, keeps)?;
        report.add(&self.readable, "everywhere: daemon", "gone", Expected::Nothing, &self.daemon.scan()?);
        let found = scan(self.server.process(), &self.gone)?;
        report.add(self.plan, "everywhere: server", "gone", Expected::Nothing, &found);
        report.add(
            self.plan,
            "everywhere: files",
            "gone",
            Expected::Nothing,
            &self.scan_files(&self.gone, &[])?,
        );
        Ok(())
    }

    /// A session by an exchange; every other time another one from the cache, and a tunnel in the last.
    fn open(&mut self, at: usize) -> Result<(Doomed, Vec<Start>)> {
        let wallet = self.daemon.network.renew_wallet()?;
        let mut ids = vec![self.daemon.create(&wallet)?];
        if at % 2 == 1 {
            ids.push(self.daemon.create_from_cache(&wallet)?);
        }
        let last = &ids[ids.len() - 1];
        use_session(self.daemon.api, last, 5000)?;
        let streams = vec![use_streams(self.daemon.api, last, 100_000)?];
        let tunnel = match at % 4 {
            2 | 3 => {
                let mut tunnel = Tunnel::open(self.daemon.api, last)?;
                tunnel.echo()?;
                Some(tunnel)
            }
            _ => None,
        };
        Ok((Doomed { ids, tunnel, forgets: at % 3 == 2 }, streams))
    }

    fn end(&self, doomed: Doomed) -> Result<()> {
        for id in &doomed.ids {
            let forget = if doomed.forgets { "&forget=true" } else { "" };
            let target = format!("session/delete?session_id={id}&everywhere=true{forget}");
            let deleted = self.daemon.api.expect(&target)?;
            ensure!(deleted["remote"] == "forgotten", "not forgotten at the other end: {deleted}");
        }
        drop(doomed.tunnel);
        wait_for_tunnels(&self.daemon.network)?;
        wait_for("no deletion is pending", || {
            Ok(self.daemon.api.expect("status")?["remote_deletions"]["pending"] == 0)
        })
    }

    /// The files of both ends. Each of these must be in one.
    fn scan_files(&self, needles: &Needles, living: &[Source]) -> Result<Scan> {
        let daemon_dir = file_in(&self.daemon, DATA_DIR);
        let mut scan = scan_data_dir(&daemon_dir, needles, usize::from(!living.is_empty()))?;
        scan.add(scan_data_dir(&self.server_dir, needles, MASTER_SECRETS)?);
        scan.miss(needles, living);
        Ok(scan)
    }
}
