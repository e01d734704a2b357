//! `rke serve`: runs the daemon until a signal stops it. SIGHUP reloads its configuration.

use anyhow::Result;
use rke_daemon::{Daemon, EtsiListener};
use rke_host::data_dir::{Role, claim};
use rke_shared_store::key_file;

use crate::log::{self, LogFilter};
use crate::protection::{self, SECRETS_OF_A_SESSION};
use crate::sandbox::Sandbox;
use crate::settings::{ServeOptions, ServeSettings, Settle, WrongSettings, check};
use crate::signals::{Order, Orders};
use crate::systemd::{self, Systemd};
use crate::words::in_words;

pub(crate) fn run(options: ServeOptions) -> Result<()> {
    let settings = options.clone().settle()?;
    if options.check_config {
        return check(options.config.as_deref(), || look(&settings));
    }
    let log_filter = log::start(&settings.process.log, settings.process.log_format).map_err(WrongSettings)?;
    // The sandbox can only make a folder writable that exists.
    claim(&settings.daemon.fixed.data_dir, Role::Daemon)?;
    let sandbox = settings.sandbox();
    let systemd = Systemd::connect();
    let secrets = SECRETS_OF_A_SESSION * settings.daemon.reloadable.max_sessions;
    let runtime = protection::start_runtime(settings.process.protection, secrets, Some(&sandbox))?;
    runtime.block_on(async {
        let mut orders = Orders::listen()?;
        let close = || sandbox.close();
        // While the process still has all its rights.
        let etsi = match &settings.etsi {
            Some(etsi) => Some((EtsiListener::bind(&etsi.listen).await?, &etsi.peers)),
            None => None,
        };
        let mut daemon = Daemon::start_on(settings.daemon.clone(), systemd::inherited()?, close).await?;
        if let Some((listener, peers)) = etsi {
            tracing::info!(address = %listener.address(), "keys are served by ETSI GS QKD 014");
            daemon.serve_etsi(listener, peers);
        }
        systemd.ready();
        tell_where(&settings, &daemon);
        let running = Running { options, settings, sandbox, log_filter, systemd, daemon };
        tokio::select! {
            () = running.obey(&mut orders) => (),
            () = running.systemd.feed_watchdog(&running.daemon) => (),
        }
        running.systemd.stopping();
        running.daemon.stop().await;
        Ok(())
    })
}

/// Prints the address of the console for people, and the path of the token for programs.
fn tell_where(settings: &ServeSettings, daemon: &Daemon) {
    // No address exists if systemd passed only a unix socket.
    let Some(address) = daemon.addresses().first() else { return };
    let scheme = if settings.daemon.reloadable.access.tls.is_some() { "https" } else { "http" };
    let url = match address.ip().is_unspecified() {
        true => format!("{scheme}://localhost:{}/", address.port()),
        false => format!("{scheme}://{address}/"),
    };
    match daemon.token_file() {
        Some(token) => {
            tracing::info!(%url, token = %token.display(), "the console is at this URL, and asks for the token in this file");
        }
        None => tracing::info!(%url, "the console is at this URL"),
    }
}

/// Reads everything that the settings name, as a start would.
fn look(settings: &ServeSettings) -> Result<()> {
    log::parse(&settings.process.log)?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(Daemon::check(&settings.daemon))?;
    if let Some(sharing) = &settings.daemon.fixed.store {
        key_file::read(&sharing.key_file)?;
    }
    if let Some(etsi) = &settings.etsi {
        etsi.listen.check()?;
    }
    Ok(())
}

/// The daemon, and the options and settings that it was started with.
struct Running {
    options: ServeOptions,
    settings: ServeSettings,
    sandbox: Sandbox,
    log_filter: LogFilter,
    systemd: Systemd,
    daemon: Daemon,
}

impl Running {
    /// Obeys signals until one of them stops the daemon.
    async fn obey(&self, orders: &mut Orders) {
        loop {
            match orders.next().await {
                Order::Stop => return,
                Order::DropEverything => self.daemon.drop_everything().await,
                Order::Reload => {
                    self.systemd.reloading();
                    self.daemon.reopen_audit_log();
                    let reloaded = self.reload().await;
                    self.daemon.note_reload(&reloaded);
                    if let Err(error) = reloaded {
                        tracing::error!("the configuration is not changed: {}", in_words(&error));
                    }
                    self.systemd.ready();
                }
            }
        }
    }

    /// Reloads flags, environment and file.
    async fn reload(&self) -> Result<()> {
        let wanted = self.options.clone().settle()?;
        self.sandbox.expect_readable(&wanted.sandbox(), "daemon")?;
        let filter = log::parse(&wanted.process.log)?;
        let certificates = self.settings.etsi.as_ref().map(|etsi| etsi.listen.certificates()).transpose()?;
        let mut fixed = self.daemon.reload(wanted.daemon).await?;
        if let Some(certificates) = certificates.flatten() {
            self.daemon.replace_etsi_certificates(certificates);
        }
        self.log_filter.change(filter)?;
        fixed.extend(self.settings.process.differences(&wanted.process));
        fixed.extend((self.settings.etsi != wanted.etsi).then_some("etsi"));
        tracing::info!("the configuration was read again");
        for setting in fixed {
            tracing::warn!(setting, "has changed; restart to apply it");
        }
        Ok(())
    }
}
