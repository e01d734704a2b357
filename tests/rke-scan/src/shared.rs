//! Machines that share their sessions: three daemons, two Content Servers, and the store between them. What one has deleted is gone
//! from all of them, and the store never had anything from which a key follows.
//!
//! As in `everywhere`, the daemons have memory that can be read, whatever the Content Servers have.

use std::net::SocketAddr;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::content_server::Manners;
use crate::daemon::{Api, Program};
use crate::files::scan_data_dir;
use crate::handshakes::{Tunnel, wait_for, wait_for_tunnels};
use crate::ledger::Keeps;
use crate::needles::{Needles, Secret};
use crate::network::Network;
use crate::nodes::{finish_preloading, scan_living, start_preloading, start_serving};
use crate::process::scan;
use crate::report::{Expected, Report};
use crate::store::Store;
use crate::stream::use_streams;
use crate::subject::{
    DATA_DIR, Memory, Plan, Subject, create_from_cache, file_in, start_daemon, use_session,
};

/// The folders of the second and the third daemon, and their audit logs.
const OTHERS: [(&str, &str); 2] = [("daemon-2", "audit-2.log"), ("daemon-3", "audit-3.log")];

/// The longest that a machine may use a key without asking, so that each has it when it is searched.
const HOLD: &str = "10000";

struct Machines<'a> {
    plan: &'a Plan<'a>,
    /// The daemons'.
    readable: Plan<'a>,
    store: Store,
    servers: [(Program, SocketAddr); 2],
    one: Subject,
    others: Vec<(Program, Api)>,
    /// Of keys that are gone everywhere.
    gone: Needles,
}

/// Deletes sessions of each kind, a quarter as often as one daemon does.
pub(crate) fn run_all(plan: &Plan<'_>, report: &mut Report) -> Result<()> {
    let mut machines = Machines::start(plan)?;
    for at in 0..plan.repetitions.div_ceil(4) {
        let deleted = machines.delete(report, at);
        deleted.with_context(|| format!("shared: {}", machines.one.last_words()))?;
    }
    machines.one.check_told(report, "shared")?;
    plan.runtime.block_on(machines.one.network.stop());
    Ok(())
}

impl<'a> Machines<'a> {
    fn start(plan: &'a Plan<'a>) -> Result<Self> {
        let mut network = plan.runtime.block_on(Network::start())?;
        let before = network.master(rke_proto::RaidaIndex::new(24).context("RAIDA 24")?);
        let (preloading, server_dir) = start_preloading(plan, &mut network)?;
        finish_preloading(preloading, &network, before)?;
        let store = Store::start(&network.folder().join("store"))?;
        let key_file = network.folder().join("store.key");
        let made = Command::new(plan.program).args(["store", "key"]).arg(&key_file).output()?;
        ensure!(made.status.success(), "no key for the store: {}", String::from_utf8_lossy(&made.stderr));
        let (url, key_file) = (store.url(), key_file.to_string_lossy().into_owned());
        let flags = ["--store", &url, "--store-key-file", &key_file, "--hold", HOLD];
        let server = || start_serving(plan, &network, &server_dir, &flags);
        let servers = [server()?, server()?];
        network.set_manners(Manners::PassesOn(servers[0].1));
        let readable = Plan { memory: Memory::Locked, ..*plan };
        let flags = [&flags[..], &["--exchange-timeout", "20"]].concat();
        let one = Subject::start_in(network, &readable, &flags)?;
        let others = OTHERS.map(|names| start_daemon(&one.network, &readable, names, &flags));
        let others = others.into_iter().collect::<Result<_>>()?;
        let mut machines = Self { plan, readable, store, servers, one, others, gone: Needles::new() };
        machines.settle()?;
        Ok(machines)
    }

    /// A new primary of the store accepts no exchange before nobody serves an earlier one.
    fn settle(&mut self) -> Result<()> {
        let wallet = self.one.network.renew_wallet()?;
        let (api, target) = (self.one.api, self.one.create_target(&wallet));
        let mut id = None;
        wait_for("a first session opens", || {
            let (status, created) = api.get(&target)?;
            id = created["session_id"].as_str().filter(|_| status == 200).map(str::to_owned);
            Ok(id.is_some())
        })?;
        api.expect(&format!("session/delete?session_id={}&everywhere=true", id.context("no session id")?))?;
        Ok(())
    }

    /// The processes of all daemons.
    fn daemons(&self) -> [i32; 3] {
        [self.one.program.process(), self.others[0].0.process(), self.others[1].0.process()]
    }

    fn apis(&self) -> [Api; 3] {
        [self.one.api, self.others[0].1, self.others[1].1]
    }

    /// From here on, this daemon's handshakes are looked on at, and this Content Server has them.
    fn turn_to(&self, daemon: i32, server: usize) {
        self.one.network.read_seeds_of(daemon);
        self.one.network.set_manners(Manners::Relays(self.servers[server].1));
    }

    fn delete(&mut self, report: &mut Report, at: usize) -> Result<()> {
        let wallet = self.one.network.renew_wallet()?;
        self.turn_to(self.one.program.process(), 0);
        let mut ids = vec![self.one.create(&wallet)?];
        let second = self.others[0].0.process();
        self.turn_to(second, 1);
        if at % 2 == 1 {
            ids.push(create_from_cache(self.others[0].1, &wallet)?);
        }
        // So both Content Servers have each key, for as long as data may flow.
        let mut tunnels = open_tunnels(self.others[0].1, &ids)?;
        self.turn_to(self.one.program.process(), 0);
        tunnels.extend(open_tunnels(self.one.api, &ids)?);
        let mut streams = Vec::new();
        for api in self.apis() {
            ids.iter().try_for_each(|id| use_session(api, id, 5000))?;
            streams.push(use_streams(api, &ids[0], 100_000)?);
        }
        self.look_for_living(report, &ids)?;

        let forgets = at % 3 == 2;
        for id in &ids {
            // The holds of those that were searched last may be over by now.
            self.apis().iter().try_for_each(|api| use_session(*api, id, 5000))?;
            let forget = if forgets { "&forget=true" } else { "" };
            let target = format!("session/delete?session_id={id}&everywhere=true&verify=true{forget}");
            let deleted = self.others[1].1.expect(&target)?;
            let (wipe, remote) = (&deleted["wipe"], &deleted["remote"]);
            let is_gone =
                (&wipe["hits"], &wipe["machines"], remote) == (&0.into(), &3.into(), &"forgotten".into());
            ensure!(is_gone, "not gone from all machines: {deleted}");
        }
        drop(tunnels);
        wait_for_tunnels(&self.one.network)?;
        let keeps = if forgets { Keeps::Nothing } else { Keeps::Resumptions };
        self.one.network.add_needles_with(&mut self.gone, &streams, keeps)?;
        self.look_for_gone(report)?;
        self.look_into_the_store(report, &ids)
    }

    /// Each machine has each key, and the store has none.
    fn look_for_living(&self, report: &mut Report, ids: &[String]) -> Result<()> {
        let mut alive = Needles::new();
        let living = self.one.network.add_needles(&mut alive)?;
        ensure!(living.roots.len() == ids.len(), "{} keys instead of {}", living.roots.len(), ids.len());
        for daemon in self.daemons() {
            let mut found = scan(daemon, &alive)?;
            found.miss(&alive, &living.sessions);
            report.add(&self.readable, "shared: daemons", "alive", Expected::Everything, &found);
        }
        for (server, _) in &self.servers {
            let found = scan_living(self.plan, server, &alive, &living.roots)?;
            report.add(self.plan, "shared: servers", "alive", self.plan.memory.alive(), &found);
        }
        self.look_into_the_store(report, ids)
    }

    fn look_for_gone(&self, report: &mut Report) -> Result<()> {
        for daemon in self.daemons() {
            report.add(
                &self.readable,
                "shared: daemons",
                "gone",
                Expected::Nothing,
                &scan(daemon, &self.gone)?,
            );
        }
        for (server, _) in &self.servers {
            let found = scan(server.process(), &self.gone)?;
            report.add(self.plan, "shared: servers", "gone", Expected::Nothing, &found);
        }
        for name in [DATA_DIR, OTHERS[0].0, OTHERS[1].0] {
            let found = scan_data_dir(&file_in(&self.one, name), &self.gone, 0)?;
            report.add(&self.readable, "shared: files", "gone", Expected::Nothing, &found);
        }
        Ok(())
    }

    /// Not even the secrets that live, and no id.
    fn look_into_the_store(&self, report: &mut Report, ids: &[String]) -> Result<()> {
        let (mut needles, mut only) = (Needles::new(), Needles::new());
        let control = self.store.add_control(&mut only);
        for (place, mut found) in self.store.scan(&only)? {
            found.miss(&only, &[control]);
            report.add(self.plan, place, "known", Expected::Everything, &found);
        }
        self.one.network.add_needles(&mut needles)?;
        for id in ids {
            needles.add(Secret::SessionId, &hex::decode(id)?);
        }
        for (place, found) in self.store.scan(&needles)? {
            report.add(self.plan, place, "never", Expected::Nothing, &found);
        }
        Ok(())
    }
}

fn open_tunnels(api: Api, ids: &[String]) -> Result<Vec<Tunnel>> {
    let open = |id: &String| {
        let mut tunnel = Tunnel::open(api, id)?;
        tunnel.echo()?;
        Ok(tunnel)
    };
    ids.iter().map(open).collect()
}
