//! The interfaces of a Content Server next to the port for its clients: for SAEs, for those who monitor it, and for its application.

use std::sync::Arc;

use anyhow::Result;
use rke_daemon::{
    EtsiCertificates, EtsiListener, EtsiServer, LocalListen, Monitor, MonitorListener, OtherEnd,
    OtherEndListener,
};
use rke_host::monitored::LastReload;
use rke_raida::content_server::ContentServer;

use super::session_keys;
use crate::monitor;
use crate::settings::content_server::ContentServerSettings;
use crate::terminal::say;

/// Refuses interfaces that other machines can reach, and certificates that cannot be used. It opens nothing.
pub(super) fn check(settings: &ContentServerSettings, api: Option<&LocalListen>) -> Result<()> {
    if let Some(api) = api {
        OtherEndListener::check(api)?;
    }
    monitor::check(settings.metrics.as_ref())?;
    if let Some(etsi) = &settings.etsi {
        etsi.listen.check()?;
    }
    Ok(())
}

/// The interfaces when they are open and not served yet.
pub(super) struct Listeners {
    etsi: Option<EtsiListener>,
    metrics: Option<MonitorListener>,
    api: Option<OtherEndListener>,
}

impl Listeners {
    /// Opens them. Everything about them that can fail fails here.
    pub(super) async fn bind(settings: &ContentServerSettings, api: Option<&LocalListen>) -> Result<Self> {
        let etsi = match &settings.etsi {
            Some(etsi) => Some(EtsiListener::bind(&etsi.listen).await?),
            None => None,
        };
        let metrics = monitor::listen(settings.metrics.as_ref()).await?;
        // Last, because it replaces the file `token`, which may be that of a Content Server that uses the other addresses.
        let api = match api {
            Some(listen) => Some(session_keys::listen(listen, &settings.data_dir).await?),
            None => None,
        };
        Ok(Self { etsi, metrics, api })
    }

    /// Serves them.
    pub(super) fn serve(
        self,
        settings: &ContentServerSettings,
        server: &ContentServer,
        last_reload: &Arc<LastReload>,
    ) -> Interfaces {
        let keys = server.session_keys();
        let etsi = self.etsi.zip(settings.etsi.as_ref()).map(|(listener, etsi)| {
            EtsiServer::at_content_server(listener, Arc::clone(&keys), &etsi.clients)
        });
        let monitor = monitor::start(self.metrics, &server.monitored(), last_reload);
        let api = self.api.map(|listener| OtherEnd::start(listener, &keys));
        Interfaces { etsi, monitor, api }
    }
}

/// The interfaces when they are served.
pub(super) struct Interfaces {
    etsi: Option<EtsiServer>,
    monitor: Option<Monitor>,
    api: Option<OtherEnd>,
}

impl Interfaces {
    /// Says where they are.
    pub(super) fn tell_where(&self) {
        if let Some(etsi) = &self.etsi {
            say(&format!("It serves keys by ETSI GS QKD 014 at {}", etsi.address()));
        }
        monitor::tell_where(self.monitor.as_ref());
        if let Some(api) = &self.api {
            session_keys::tell_where(api);
        }
    }

    /// Shows SAEs these certificates from now on.
    pub(super) fn replace_certificates(&self, certificates: EtsiCertificates) {
        if let Some(etsi) = &self.etsi {
            etsi.replace(certificates);
        }
    }

    /// Stops them. Call this before the Content Server stops, so that no request finds the keys gone.
    pub(super) async fn stop(self) {
        if let Some(api) = self.api {
            api.stop().await;
        }
        if let Some(etsi) = self.etsi {
            etsi.stop().await;
        }
        monitor::stop(self.monitor).await;
    }
}
