//! `rke content-server serve`: runs a Content Server until a signal stops it. SIGHUP reloads its settings.

use std::sync::Arc;

use anyhow::{Result, bail};
use rke_host::data_dir::{Role, claim};
use rke_host::monitored::LastReload;
use rke_proto::Form;
use rke_raida::content_server::{Application, ContentServer, KeyRing, ServedKeySet, ServerConfig};
use rke_shared_store::key_file;

use super::interfaces::{self, Interfaces, Listeners};
use crate::launcher::application;
use crate::log::{self, LogFilter};
use crate::protection;
use crate::sandbox::Sandbox;
use crate::settings::content_server::{ContentServerOptions, ContentServerSettings};
use crate::settings::{Settle, WrongSettings, check};
use crate::signals::{Order, Orders};
use crate::terminal::say;
use crate::words::{counted, in_words};

pub(super) fn run(options: ContentServerOptions) -> Result<()> {
    let settings = options.clone().settle()?;
    if options.check_config {
        return check(options.config.as_deref(), || look(&settings));
    }
    let log_filter = log::start(&settings.process.log, settings.process.log_format).map_err(WrongSettings)?;
    // Until this point the process still has all its rights. Commands keep them.
    let application = application(&settings.behind)?;
    // The sandbox closes the database of groups.
    let api = settings.application()?;
    interfaces::check(&settings, api.as_ref())?;
    // The sandbox can only make a folder writable that exists.
    claim(&settings.data_dir, Role::ContentServer)?;
    let sandbox = settings.sandbox(&application);
    let runtime =
        protection::start_runtime(settings.process.protection, secrets_of(&settings), Some(&sandbox))?;
    runtime.block_on(async {
        let mut orders = Orders::listen()?;
        let (keys, sets) = open_keys(&settings)?;
        // Everything is open before anything is served or announced: a script that waits for the announcement relies on all of it.
        // Clients first: a second Content Server with the same settings fails here, before it replaces the token of the first.
        let clients = ContentServer::bind(settings.listen).await?;
        let listeners = Listeners::bind(&settings, api.as_ref()).await?;
        let server = ContentServer::start_on(clients, config(&settings, application), keys).await?;
        let last_reload = Arc::default();
        let interfaces = listeners.serve(&settings, &server, &last_reload);
        sandbox.close();
        say(&format!("Content Server {} listens on {} with {sets}", settings.cs_id, server.address()));
        interfaces.tell_where();
        let running = Running { options, settings, sandbox, log_filter, server, interfaces, last_reload };
        let ended = tokio::select! {
            () = running.obey(&mut orders) => Ok(()),
            lost = running.server.wait_for_failure() => Err(lost.into()),
        };
        let Running { server, interfaces, .. } = running;
        interfaces.stop().await;
        server.stop().await;
        ended
    })
}

/// Reads everything that the settings name, as a start would. Key sets are no settings: a running Content Server has them.
fn look(settings: &ContentServerSettings) -> Result<()> {
    log::parse(&settings.process.log)?;
    interfaces::check(settings, settings.application()?.as_ref())?;
    if let Some(sharing) = &settings.store {
        key_file::read(&sharing.key_file)?;
    }
    Ok(())
}

/// The most secrets that a Content Server holds: a key and a resumption for each session, and the keys of both
/// directions for each connection.
fn secrets_of(settings: &ContentServerSettings) -> usize {
    2 * (settings.rules.max_keys + settings.max_connections)
}

/// Opens the key ring, and says which key sets are not served. The second value names the others.
fn open_keys(settings: &ContentServerSettings) -> Result<(KeyRing, String)> {
    let keys = KeyRing::open(settings.cs_id, &settings.data_dir)?;
    if keys.sets().is_empty() {
        bail!(
            "{} has no key set of {}; make one with `rke content-server preload`",
            settings.data_dir.display(),
            settings.cs_id
        );
    }
    let names = |sets: &[&ServedKeySet]| {
        sets.iter().map(|set| set.secrets.key_set().to_string()).collect::<Vec<_>>().join(", ")
    };
    let is_shared = |set: &&ServedKeySet| set.form != Form::Live || settings.store.is_none();
    let is_served =
        |set: &&ServedKeySet| set.form == Form::Wide || settings.rules.allow_narrow && is_shared(set);
    let (served, unserved): (Vec<_>, Vec<_>) = keys.sets().iter().partition(is_served);
    let (unserved, unshared): (Vec<_>, Vec<_>) = unserved.into_iter().partition(is_shared);
    if !unshared.is_empty() {
        say(&format!("Not served with --store: {} (live sessions cannot be shared)", names(&unshared)));
    }
    if !unserved.is_empty() {
        say(&format!("Not served without --allow-weak-shares: {} (1-byte shares)", names(&unserved)));
    }
    let sets = if served.is_empty() { "no key set".to_owned() } else { names(&served) };
    Ok((keys, sets))
}

fn config(settings: &ContentServerSettings, application: Application) -> ServerConfig {
    ServerConfig {
        listen: settings.listen,
        application,
        rules: settings.rules.clone(),
        idle_timeout: settings.idle_timeout,
        max_connections: settings.max_connections,
        max_commands: settings.max_commands,
        audit_log: settings.process.audit_log.clone(),
        allow_export: settings.allow_export.clone(),
        sharing: settings.store.clone(),
    }
}

/// The Content Server, and the options and settings that it was started with.
struct Running {
    options: ContentServerOptions,
    settings: ContentServerSettings,
    sandbox: Sandbox,
    log_filter: LogFilter,
    server: ContentServer,
    interfaces: Interfaces,
    last_reload: Arc<LastReload>,
}

impl Running {
    /// Obeys signals until one of them stops the Content Server.
    async fn obey(&self, orders: &mut Orders) {
        loop {
            match orders.next().await {
                Order::Stop => return,
                Order::DropEverything => match self.server.drop_sessions().await {
                    Ok(ended) => {
                        let ended = counted(ended, "session");
                        tracing::warn!(
                            "SIGUSR1: {ended} ended, and all their keys and resumptions were wiped"
                        );
                    }
                    Err(error) => {
                        tracing::error!(%error, "SIGUSR1: some sessions may be left. Send it again")
                    }
                },
                Order::Reload => {
                    self.server.reopen_audit_log();
                    let reloaded = self.reload();
                    self.last_reload.note(&reloaded);
                    match reloaded {
                        Ok(()) => say(&format!(
                            "Content Server {} has read its settings again.",
                            self.settings.cs_id
                        )),
                        Err(error) => tracing::error!("the settings are not changed: {}", in_words(&error)),
                    }
                }
            }
        }
    }

    /// Reloads flags, environment and file: all of them, or none if one is wrong.
    fn reload(&self) -> Result<()> {
        let wanted = self.options.clone().settle()?;
        // Which files an application needs is not up to the settings that can change.
        self.sandbox.expect_readable(&wanted.sandbox(&Application::Echo), "Content Server")?;
        let filter = log::parse(&wanted.process.log)?;
        let certificates = self.settings.etsi.as_ref().map(|etsi| etsi.listen.certificates()).transpose()?;
        // Before anything changes: its file is what can be wrong, and a filter that was parsed is taken.
        self.server.reload_store_keys()?;
        self.log_filter.change(filter)?;
        if let Some(certificates) = certificates.flatten() {
            self.interfaces.replace_certificates(certificates);
        }
        for setting in self.settings.fixed(&wanted) {
            tracing::warn!(setting, "has changed; restart to apply it");
        }
        self.server.reload(wanted.rules, wanted.idle_timeout);
        self.server.allow_exports(wanted.allow_export);
        Ok(())
    }
}
