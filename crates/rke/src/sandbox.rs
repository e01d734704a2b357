//! `--sandbox`: the rights that the daemon, a node and a Content Server give up. See [`rke_host::sandbox`].

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use rke_engine::guardians::authority_files;
use rke_engine::settings::Config;
use rke_host::sandbox::{Files, Reading, SandboxError, limit_calls, limit_files, limit_resources};
use rke_raida::content_server::Application;
use rke_secret::process::drop_startup_code;
use rke_shared_store::Sharing;
use serde::Deserialize;

/// The files that DNS look-ups use. Both are read again when they change.
const RESOLVER_FILES: [&str; 2] = ["/etc/resolv.conf", "/etc/hosts"];

/// Where network managers keep `resolv.conf`. Some create it only when there is a network.
const RESOLVER_FOLDERS: [&str; 3] = ["/run/systemd/resolve", "/run/NetworkManager", "/run/resolvconf"];

/// Whether to give up what is not needed.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SandboxChoice {
    /// As far as the kernel can.
    #[default]
    On,
    /// Keep all rights that it was started with.
    Off,
}

/// The flag, of those that have no configuration file.
#[derive(Args, Clone, Copy)]
pub(crate) struct SandboxOptions {
    /// Whether to give up, once started, all rights that are not needed. See SECURITY.md.
    #[arg(long, value_name = "WHEN", env = "RKE_SANDBOX", default_value = "on")]
    pub(crate) sandbox: SandboxChoice,
}

/// The sandbox of this process.
#[derive(Clone)]
pub(crate) struct Sandbox {
    choice: SandboxChoice,
    files: Files,
}

impl Sandbox {
    pub(crate) fn new(choice: SandboxChoice, files: Files) -> Self {
        Self { choice, files }
    }

    /// Confines this thread, and those that it starts, to the files. Call this before there are other threads.
    pub(crate) fn limit_files(&self) {
        match self.choice {
            SandboxChoice::On => warn(limit_files(&self.files)),
            SandboxChoice::Off => tracing::warn!(
                "the sandbox is off: anyone who takes over this process has all the rights that it was started with; start it \
                 without --sandbox off"
            ),
        }
    }

    /// Gives up everything that only the start needs: first code in memory, then, if the sandbox is on, rights.
    /// Call this when the program has started.
    pub(crate) fn close(&self) {
        drop_startup_code();
        if self.choice == SandboxChoice::On {
            if let Err(error) = limit_resources() {
                tracing::warn!(%error, "cannot lower the limits of this process");
            }
            warn(limit_calls());
        }
    }

    /// Refuses settings with files that this sandbox keeps the process, a `daemon` or a `node`, from reading.
    ///
    /// # Errors
    /// Names the first such file.
    pub(crate) fn expect_readable(&self, wanted: &Self, process: &str) -> Result<()> {
        match self.files.unreadable(&wanted.files) {
            Some(path) if self.choice == SandboxChoice::On => bail!(
                "the sandbox keeps the {process} from reading {}, which it was not started with; restart the {process}",
                path.display()
            ),
            _ => Ok(()),
        }
    }
}

fn warn(limited: Result<(), SandboxError>) {
    if let Err(error) = limited {
        tracing::warn!("{error}; the sandbox goes without");
    }
}

/// The files that the daemon uses. `read_again` are the files of its settings that SIGHUP reads again.
///
/// Without a folder for wallets, any folder may be a wallet.
pub(crate) fn files_of_daemon<'a>(config: &'a Config, read_again: impl Iterator<Item = &'a Path>) -> Files {
    let (fixed, reloadable) = (&config.fixed, &config.reloadable);
    let access = &reloadable.access;
    let files = match &access.wallet_root {
        Some(root) => Files::new(Reading::Limited).read(root),
        None => Files::new(Reading::Open),
    };
    let files = files.write(&fixed.data_dir);
    let files = fixed.audit_log.iter().fold(files, |files, log| files.append(log));
    let files = fixed.unix_socket.iter().fold(files, |files, socket| files.socket(&socket.path));
    let files = fixed.token.shared().into_iter().fold(files, Files::read);
    let files = fixed.dnssec_anchors.iter().fold(files, |files, anchors| files.read(anchors));
    let files = with_resolver(files);
    let tls =
        access.tls.iter().flat_map(|tls| [&tls.certificate, &tls.key].into_iter().chain(&tls.client_ca));
    let store_keys = fixed.store.iter().map(|store| &store.key_file);
    let of_config = tls.chain(&reloadable.raida_directory).chain(store_keys).map(AsRef::as_ref);
    let files = of_config.chain(read_again).fold(files, Files::read_again);
    let has_tls = fixed.store.as_ref().is_some_and(|store| store.addresses.has_tls());
    if reloadable.guardians.is_empty() && !has_tls { files } else { authorities(files) }
}

/// The files that a Content Server uses, and the ports that it connects to.
pub(crate) fn files_of_content_server(
    data_dir: &Path,
    application: &Application,
    store: Option<&Sharing>,
) -> Files {
    /// For responses that do not fit into a datagram.
    const DNS: u16 = 53;
    let files = Files::new(Reading::Limited).write(data_dir);
    let (mut ports, has_name) = match application {
        Application::Echo | Application::Exec(_) | Application::Keys(_) => (Vec::new(), false),
        Application::Forward(target) => (vec![target.port()], target.has_name()),
    };
    let files = if has_name || store.is_some() { with_resolver(files) } else { files };
    if has_name || store.is_some() {
        ports.push(DNS);
    }
    let Some(store) = store else { return files.connect_only(&ports) };
    let files = files.read_again(&store.key_file);
    let files = if store.addresses.has_tls() { authorities(files) } else { files };
    match store.addresses.ports() {
        Some(of_store) => files.connect_only(&[ports, of_store].concat()),
        // Sentinels and clusters name their members.
        None => files,
    }
}

/// Adds the files that DNS look-ups use.
fn with_resolver(files: Files) -> Files {
    let folders = RESOLVER_FOLDERS.map(Path::new);
    RESOLVER_FILES.into_iter().fold(files, |files, file| files.follow(Path::new(file), &folders))
}

/// The certificate authorities that guardians and a shared store are verified with. A folder of authorities may contain links to others.
fn authorities(files: Files) -> Files {
    let authorities = authority_files();
    let files = authorities.files.iter().map(AsRef::as_ref).fold(files, Files::read_again);
    authorities.folders.iter().fold(files, |files, folder| {
        let targets = folder.read_dir().into_iter().flatten().flatten();
        let targets =
            targets.filter_map(|entry| entry.path().canonicalize().ok()?.parent().map(Path::to_path_buf));
        let targets: BTreeSet<PathBuf> = targets.collect();
        targets.iter().fold(files.read(folder), |files, target| files.read(target))
    })
}
