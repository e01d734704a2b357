//! WireGuard's interface on this machine.

use std::net::Ipv6Addr;
use std::process::Command;

use anyhow::{Context, Result, bail};
use nix::ifaddrs::getifaddrs;
use rke_raida::content_server::{Interface, PublicKey};

/// The public key of an interface. Call it before the process is protected.
pub(super) fn own_key(interface: &Interface) -> Result<PublicKey> {
    let output = Command::new("wg").args(["show", interface.as_str(), "public-key"]).output();
    let output = output.context("cannot run `wg`, which sets WireGuard's keys; install wireguard-tools")?;
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr);
        bail!("cannot read the public key of {}: {}", interface.as_str(), reason.trim());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim()
        .parse()
        .map_err(|_| anyhow::anyhow!("{} has no private key yet; set one with `wg set`", interface.as_str()))
}

/// The addresses of an interface, as IPv6.
pub(super) fn addresses(interface: &Interface) -> Result<Vec<Ipv6Addr>> {
    let all = getifaddrs().context("cannot list the addresses of this machine")?;
    let own = all.filter(|address| address.interface_name == interface.as_str());
    let addresses = own.filter_map(|address| {
        let address = address.address?;
        let v4 = address.as_sockaddr_in().map(|address| address.ip().to_ipv6_mapped());
        v4.or_else(|| address.as_sockaddr_in6().map(|address| address.ip()))
    });
    Ok(addresses.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_has_its_own_addresses_only() {
        let of = |name: &str| addresses(&name.parse().expect("a name")).expect("addresses");
        assert!(of("lo").contains(&std::net::Ipv4Addr::LOCALHOST.to_ipv6_mapped()));
        assert!(of("rke-none").is_empty());
    }
}
