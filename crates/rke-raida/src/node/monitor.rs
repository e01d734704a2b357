//! What a running node shows to those who monitor it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rke_host::data_dir::write_fault;
use rke_host::monitored::{Metric, Monitored};

use crate::clock::unix_seconds;
use crate::responder::Responder;

/// A node, to be monitored.
pub(super) struct NodeMonitor {
    pub(super) responder: Arc<Responder>,
    pub(super) data_dir: PathBuf,
    pub(super) broken_sockets: Arc<AtomicUsize>,
    /// Coin files and folders that could not be used when they were last read.
    pub(super) unusable_coins: AtomicUsize,
}

impl Monitored for NodeMonitor {
    fn metrics(&self) -> Vec<Metric> {
        let load = |number: &AtomicUsize| number.load(Ordering::Relaxed) as u64;
        let (broken, unusable) = (load(&self.broken_sockets), load(&self.unusable_coins));
        let mut metrics = self.responder.metrics(unix_seconds());
        let help = "Sockets that are broken and no longer read";
        metrics.push(Metric::gauge("rke_raida_broken_sockets", help, broken));
        let help = "Coin files and folders that could not be used when they were last read";
        metrics.push(Metric::gauge("rke_raida_unusable_coin_files", help, unusable));
        metrics
    }

    fn faults(&self) -> Vec<&'static str> {
        let broken = self.broken_sockets.load(Ordering::Relaxed) > 0;
        let broken = broken.then_some("a socket is broken and is no longer read");
        [broken, write_fault(&self.data_dir), self.responder.audit().fault()].into_iter().flatten().collect()
    }
}
