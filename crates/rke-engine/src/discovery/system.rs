//! What the system says of names: the DNS servers in `/etc/resolv.conf` and the addresses in `/etc/hosts`. Both files
//! are read again when they change: networks come and go while the daemon runs.

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

/// What a file says, as of the last time that it changed.
pub(super) struct Watched<T> {
    path: PathBuf,
    read: fn(&[u8]) -> T,
    last: Mutex<Last<T>>,
}

struct Last<T> {
    /// Of the file as it was read.
    identity: Option<Identity>,
    said: Arc<T>,
    /// Of the file that could not be read, so that each is told once.
    unreadable: Option<Option<Identity>>,
}

/// Device, inode, length, and the times of the last changes: what differs between two states of a file.
type Identity = (u64, u64, u64, (i64, i64), (i64, i64));

impl<T> Watched<T> {
    /// What `read` makes of the file at `path`. It gets no bytes where there is no such file, or none that can be read.
    pub(super) fn new(path: &Path, read: fn(&[u8]) -> T) -> Self {
        let mut last = Last { identity: None, said: Arc::new(read(&[])), unreadable: None };
        last.look(path, read, identity(path));
        Self { path: path.to_owned(), read, last: last.into() }
    }

    /// What it says now, or said before it could no longer be read.
    pub(super) fn current(&self) -> Arc<T> {
        let identity = identity(&self.path);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.identity != identity {
            last.look(&self.path, self.read, identity);
        }
        Arc::clone(&last.said)
    }
}

impl<T> Last<T> {
    fn look(&mut self, path: &Path, read: fn(&[u8]) -> T, identity: Option<Identity>) {
        match bytes(path) {
            Ok(bytes) => *self = Self { identity, said: Arc::new(read(&bytes)), unreadable: None },
            Err(_) if self.unreadable == Some(identity) => (),
            Err(error) => {
                tracing::warn!(
                    file = %path.display(),
                    reason = %error,
                    "cannot read a file that names are looked up with; what it said before goes on to hold. If it lies in \
                     another folder than at the start, the sandbox closes that: restart the daemon"
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

/// What is in a file. One that is not there is empty.
fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        read => read,
    }
}

/// The servers that a `resolv.conf` names, or those of this machine where it names none, as resolv.conf(5) says. Search
/// domains and options are not for us: all names are whole, and what servers understand is found out.
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

/// The addresses that a hosts file gives.
pub(super) fn hosts(text: &[u8]) -> Hosts {
    let mut hosts = Hosts::default();
    // Lines are skipped where they cannot be read; and bytes in memory always can.
    let _ = hosts.read_hosts_conf(text);
    hosts
}

/// As a person writes the address of a DNS server: with its port only where that is another than DNS has.
pub(super) fn shown(server: SocketAddr) -> String {
    match (server.port(), server.ip()) {
        (DNS_PORT, IpAddr::V4(ip)) => ip.to_string(),
        (DNS_PORT, IpAddr::V6(ip)) => ip.to_string(),
        _ => server.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(text: &str) -> Vec<String> {
        dns_servers(text.as_bytes()).into_iter().map(|server| server.to_string()).collect()
    }

    #[test]
    fn a_file_as_people_have_it_gives_its_servers_in_order() {
        let text = "# made by a tool\r\n; and another\nsearch corp.example example\nnameserver 192.0.2.1\r\n\
                    nameserver\t2001:db8::53 # ours\nnameserver 192.0.2.1\nnameserver nonsense\nunknown word\n\
                    options edns0 trust-ad rotate timeout:1 new-option:7\nnameserver fe80::1%1\n";
        assert_eq!(servers(text), ["192.0.2.1:53", "[2001:db8::53]:53", "[fe80::1%1]:53"]);
        assert_eq!(servers("nameserver fe80::1%lo"), ["[fe80::1%1]:53"]);
    }

    #[test]
    fn without_servers_it_is_this_machine() {
        for text in ["", "search example", "nameserver nonsense"] {
            assert_eq!(servers(text), ["127.0.0.1:53", "[::1]:53"], "{text}");
        }
    }

    #[test]
    fn a_file_is_read_again_when_it_changes_comes_and_goes() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("resolv.conf");
        let watched = Watched::new(&path, dns_servers);
        let now = || watched.current().first().map(|server| shown(*server)).unwrap_or_default();
        assert_eq!(now(), "127.0.0.1");
        fs::write(&path, "nameserver 192.0.2.1").expect("written");
        assert_eq!((now().as_str(), now().as_str()), ("192.0.2.1", "192.0.2.1"));
        let other = folder.path().join("other");
        fs::write(&other, "nameserver 192.0.2.2").expect("written");
        fs::rename(&other, &path).expect("renamed");
        assert_eq!(now(), "192.0.2.2");
        fs::remove_file(&path).expect("removed");
        assert_eq!(now(), "127.0.0.1");
    }

    #[test]
    fn a_file_that_can_no_longer_be_read_leaves_what_it_said() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("resolv.conf");
        fs::write(&path, "nameserver 192.0.2.1").expect("written");
        let watched = Watched::new(&path, dns_servers);
        let now = || watched.current().first().map(|server| shown(*server)).unwrap_or_default();
        // Root may read every file, but no folder.
        fs::remove_file(&path).and_then(|()| fs::create_dir(&path)).expect("a folder in its place");
        assert_eq!((now().as_str(), now().as_str()), ("192.0.2.1", "192.0.2.1"));
        fs::remove_dir(&path).and_then(|()| fs::write(&path, "nameserver 192.0.2.2")).expect("written");
        assert_eq!(now(), "192.0.2.2");
        let unreadable = Watched::new(folder.path(), dns_servers);
        assert_eq!(shown(unreadable.current()[0]), "127.0.0.1", "as one that is not there");
    }
}
