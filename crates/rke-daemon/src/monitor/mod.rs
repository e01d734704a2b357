//! The metrics and the health of a RAIDA node or a Content Server, on a port or a Unix socket of their own.
//! `docs/monitoring.md`.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rke_host::monitored::{LastReload, Monitored};

use crate::http;
use crate::http::gate::{Admission, AdmissionRules};
use crate::local_listen::{Interface, LocalListen, LocalListenError, LocalServer, Opened};

/// In the words of its errors.
static INTERFACE: Interface =
    Interface { option: "--metrics", purpose: "metrics", danger: "anyone who does could read them" };

/// Listens for those who monitor the program. They wait until they are served.
pub struct MonitorListener(Opened);

impl MonitorListener {
    /// Refuses an address that other machines can reach, as [`MonitorListener::bind`] would.
    ///
    /// # Errors
    /// [`LocalListenError::Exposed`].
    pub fn check(listen: &LocalListen) -> Result<(), LocalListenError> {
        INTERFACE.check(listen)
    }

    /// Starts to listen.
    ///
    /// # Errors
    /// [`LocalListenError`]; nothing is left behind.
    pub async fn bind(listen: &LocalListen) -> Result<Self, LocalListenError> {
        Ok(Self(INTERFACE.open(listen).await?))
    }
}

/// The running interface. It runs until [`Monitor::stop`].
pub struct Monitor(LocalServer);

impl Monitor {
    /// Shows a program's metrics and health.
    pub fn start(
        listener: MonitorListener,
        program: &Arc<dyn Monitored>,
        last_reload: &Arc<LastReload>,
    ) -> Self {
        let admission = Admission::new(AdmissionRules::for_programs(), None, Arc::default());
        let traffic = Arc::new(http::traffic_of_watched());
        let dispatcher =
            http::dispatcher_of_watched(program, last_reload, Arc::new(admission), Arc::clone(&traffic));
        Self(listener.0.serve(dispatcher, traffic))
    }

    /// The address, if it listens on TCP.
    pub fn address(&self) -> Option<SocketAddr> {
        self.0.address()
    }

    /// The path of the Unix socket, if it listens there.
    pub fn socket(&self) -> Option<&Path> {
        self.0.socket()
    }

    /// Stops within a second. The program is no longer used when this returns.
    pub async fn stop(self) {
        self.0.stop().await;
    }
}
