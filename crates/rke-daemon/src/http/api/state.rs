//! The state that handlers get. Each handler takes the part that it needs.

use std::sync::{Arc, OnceLock};

use axum::extract::FromRef;

use super::answer::EtsiPeerRow;
use super::{Shared, health, metrics};
use crate::http::gate::Admission;

/// Everything that handlers use.
#[derive(Clone)]
pub(in crate::http) struct Api(Arc<Parts>);

/// The parts of [`Api`].
pub(in crate::http) struct Parts {
    pub(in crate::http) metrics: metrics::Sources,
    pub(in crate::http) health: health::Sources,
    pub(in crate::http) etsi_peers: EtsiPeers,
}

/// Lists the SAEs that keys are shared with, once they are served: the API answers before that.
pub(crate) type EtsiPeers = Arc<OnceLock<Box<dyn Fn() -> Vec<EtsiPeerRow> + Send + Sync>>>;

impl Api {
    pub(in crate::http) fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

impl FromRef<Api> for Shared {
    fn from_ref(Api(parts): &Api) -> Self {
        Arc::clone(&parts.metrics.sessions)
    }
}

impl FromRef<Api> for Arc<Admission> {
    fn from_ref(Api(parts): &Api) -> Self {
        Arc::clone(&parts.metrics.admission)
    }
}

impl FromRef<Api> for metrics::Sources {
    fn from_ref(Api(parts): &Api) -> Self {
        parts.metrics.clone()
    }
}

impl FromRef<Api> for health::Sources {
    fn from_ref(Api(parts): &Api) -> Self {
        parts.health.clone()
    }
}

impl FromRef<Api> for EtsiPeers {
    fn from_ref(Api(parts): &Api) -> Self {
        Arc::clone(&parts.etsi_peers)
    }
}
