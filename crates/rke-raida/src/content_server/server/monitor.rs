//! What a running Content Server shows to those who monitor it.

use std::sync::atomic::Ordering;

use rke_host::data_dir::write_fault;
use rke_host::monitored::{Metric, Monitored};

use super::super::sharing::SharedKeys;
use super::ServerContext;
use crate::clock::unix_seconds;

impl Monitored for ServerContext {
    fn metrics(&self) -> Vec<Metric> {
        let mut metrics = self.counters.metrics();
        let running = self.limits.commands.saturating_sub(self.commands.available_permits());
        let (connections, commands) = ("rke_content_server_connections_max", "rke_content_server_commands");
        metrics.extend([
            Metric::gauge(connections, "Most connections at one time", self.limits.connections as u64),
            Metric::gauge(commands, "Commands that run behind tunnels", running as u64),
            Metric::gauge(
                "rke_content_server_commands_max",
                "Most commands at one time",
                self.limits.commands as u64,
            ),
            Metric::counter("rke_content_server_exports", "Keys exported", self.exports.total()),
        ]);
        // It serves on without its disk, but no key set can be made or retired.
        metrics.push(Metric::gauge(
            "rke_content_server_data_dir_writable",
            "Whether its data folder can be written and has room",
            write_fault(&self.data_dir).is_none().into(),
        ));
        metrics.extend(self.reception().metrics(unix_seconds()));
        if let Some(sharing) = &self.sharing {
            let (keys, up) = ("rke_content_server_store_keys", "rke_content_server_store_up");
            metrics.push(Metric::gauge(keys, "Session keys in the shared store", sharing.total()));
            metrics.push(Metric::gauge(up, "Whether the shared store can be used", sharing.is_up().into()));
        }
        metrics
    }

    fn faults(&self) -> Vec<&'static str> {
        let stopping = self.stop.borrow().then_some("it is stopping");
        let unread = !self.are_key_sets_read.load(Ordering::Relaxed);
        let unread = unread.then_some("the key sets cannot be read");
        let unserved = !self.reception().serves_at(unix_seconds());
        let unserved =
            unserved.then_some("no key set is served: all have retired, or none is of a form that is served");
        let away = self.sharing.as_ref().is_some_and(|sharing| !sharing.is_up());
        let away = away.then_some("the shared store cannot be used");
        let lacks = self.sharing.as_ref().is_some_and(SharedKeys::lacks_key_sets);
        let lacks = lacks.then_some("other instances serve a key set that is not in this data folder");
        [stopping, unread, unserved, away, lacks, self.audit.fault()].into_iter().flatten().collect()
    }
}
