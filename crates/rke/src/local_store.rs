//! A store on this machine, for networks that are made by a command: which program it is, and the configuration that `--store` needs.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use rke_secret::fill_random;

use crate::words::hex;

/// The programs that can be the store. The first one that is installed is taken.
const PROGRAMS: [&str; 2] = ["redis-server", "valkey-server"];

/// The name of its configuration file.
pub(crate) const CONFIGURATION: &str = "store.conf";

/// A store that is to be started.
pub(crate) struct LocalStore {
    pub(crate) program: &'static str,
    pub(crate) address: SocketAddr,
    /// Any user of this machine can reach its port.
    password: String,
}

impl LocalStore {
    /// Fails if no program for it is installed.
    pub(crate) fn plan(address: SocketAddr) -> Result<Self> {
        let program = PROGRAMS.into_iter().find(|program| is_installed(program)).context(
            "several daemons or Content Servers share a store, and neither redis-server nor valkey-server is in a folder of PATH. \
             Install one of them: `apt install redis-server`, or the package valkey",
        )?;
        // It is in files of this user anyway, so the process need not be protected yet.
        let mut password = [0; 32];
        fill_random(&mut password).context("the system gives no random bytes")?;
        Ok(Self { program, address, password: hex(&password) })
    }

    /// The text of its configuration file.
    pub(crate) fn configuration(&self) -> String {
        let Self { address, password, .. } = self;
        format!(
            "# A store that daemons and Content Servers share. Nothing of it is on disk, and it drops nothing.\n\
             bind {}\nport {}\nrequirepass {password}\nsave \"\"\nappendonly no\nmaxmemory-policy noeviction\nrepl-backlog-ttl 0\n",
            address.ip(),
            address.port()
        )
    }

    /// What `--store` takes.
    pub(crate) fn url(&self) -> String {
        format!("redis://:{}@{}", self.password, self.address)
    }
}

fn is_installed(program: &str) -> bool {
    let is_program = |file: &Path| {
        file.metadata().is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
    };
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).any(|folder| is_program(&folder.join(program)))
}
