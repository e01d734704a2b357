//! How the system resolves names: the DNS servers in `/etc/resolv.conf` and the addresses in `/etc/hosts`. Both files
//! are read again when they change, because networks come and go while the daemon runs.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::{fs, io};

use hickory_resolver::Hosts;
use resolv_conf::{Config, ScopedIp};
use rustix::net::netdevice::name_to_index;
use rustix::net::{AddressFamily, SocketType, socket};

const DNS_PORT: u16 = 53;

/// The parsed contents of a file, as of its last change.
pub(super) struct Watched<T> {
    path: PathBuf,
    read: fn(&[u8]) -> T,
    last: Mutex<Last<T>>,
}

struct Last<T> {
    /// The file that was read.
    identity: Option<Identity>,
    said: Arc<T>,
    /// The file that could not be read, so that each is reported once.
    unreadable: Option<Option<Identity>>,
}

/// Device, inode, length, and the times of the last changes: these differ between two states of a file.
type Identity = (u64, u64, u64, (i64, i64), (i64, i64));

impl<T> Watched<T> {
    /// Watches the file at `path`, parsed with `read`, which gets no bytes if the file does not exist or cannot be
    /// read.
    pub(super) fn new(path: &Path, read: fn(&[u8]) -> T) -> Self {
        let mut last = Last { identity: None, said: Arc::new(read(&[])), unreadable: None };
        last.reread(path, read, identity(path));
        Self { path: path.to_owned(), read, last: last.into() }
    }

    /// The current contents, or the last ones before the file became unreadable.
    pub(super) fn current(&self) -> Arc<T> {
        let identity = identity(&self.path);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.identity != identity {
            last.reread(&self.path, self.read, identity);
        }
        Arc::clone(&last.said)
    }
}

impl<T> Last<T> {
    fn reread(&mut self, path: &Path, read: fn(&[u8]) -> T, identity: Option<Identity>) {
        match bytes(path) {
            Ok(bytes) => *self = Self { identity, said: Arc::new(read(&bytes)), unreadable: None },
            Err(_) if self.unreadable == Some(identity) => (),
            Err(error) => {
                tracing::warn!(
                    file = %path.display(),
                    reason = %error,
                    "cannot read a file for name look-ups; its earlier content still applies. If the file has moved to \
                     another folder since the start, the sandbox blocks it: restart the daemon"
                );
                self.unreadable = Some(identity);
            }
        }
    }
}

fn identity(path: &Path) -> Option<Identity> {
    let file = fs::metadata(path).ok()?;
    let (modified, changed) = ((file.mtime(), file.mtime_nsec()), (file.ctime(), file.ctime_nsec()));
    Some((file.dev(), file.ino(), file.len(), modified, changed))
}

/// The bytes of a file. A file that does not exist is empty.
fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        read => read,
    }
}

/// The servers in a `resolv.conf`, or those of this machine if it names none, as in resolv.conf(5). Search domains
/// and options are ignored: all names are fully qualified, and the features of servers are detected.
pub(super) fn dns_servers(resolv_conf: &[u8]) -> Vec<SocketAddr> {
    let (config, _) = Config::parse_with_errors(resolv_conf);
    let mut servers = Vec::new();
    for server in config.get_nameservers_or_local().iter().map(socket_address) {
        if !servers.contains(&server) {
            servers.push(server);
        }
    }
    servers
}

fn socket_address(server: &ScopedIp) -> SocketAddr {
    match server {
        ScopedIp::V4(ip) => (*ip, DNS_PORT).into(),
        ScopedIp::V6(ip, zone) => {
            let zone = zone.as_deref().map_or(0, interface);
            SocketAddrV6::new(*ip, DNS_PORT, 0, zone).into()
        }
    }
}

/// The number of a network interface, which link-local addresses need.
fn interface(name: &str) -> u32 {
    let by_name = || {
        let socket = socket(AddressFamily::INET6, SocketType::DGRAM, None).ok()?;
        name_to_index(socket, name).ok()
    };
    name.parse().ok().or_else(by_name).unwrap_or(0)
}

/// The addresses in a hosts file.
pub(super) fn hosts(text: &[u8]) -> Hosts {
    let mut hosts = Hosts::default();
    // Unreadable lines are skipped, and reading from memory cannot fail.
    let _ = hosts.read_hosts_conf(text);
    hosts
}

/// The address of a DNS server as people write it: with a port only if it is not that of DNS.
pub(super) fn shown(server: SocketAddr) -> String {
    match (server.port(), server.ip()) {
        (DNS_PORT, IpAddr::V4(ip)) => ip.to_string(),
        (DNS_PORT, IpAddr::V6(ip)) => ip.to_string(),
        _ => server.to_string(),
    }
}

#[cfg(test)]
mod tests;
