//! The addresses that DNS may name. Anyone can publish any text as a domain's records: they must not aim the daemon
//! at machines behind it, nor at a crowd. `docs/protocol.md` section 1.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Where addresses from DNS may lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Only on the internet.
    Public,
    /// Also on private networks, on the link and on this machine.
    Everywhere,
}

impl Reach {
    /// What is wrong with an endpoint, in words. `None` if it may be used.
    pub fn fault(self, endpoint: SocketAddr) -> Option<&'static str> {
        if endpoint.port() == 0 {
            return Some("port 0");
        }
        let address = embedded(endpoint.ip());
        let is_one_machine = match address {
            IpAddr::V4(v4) => v4.octets()[0] != 0 && v4.octets()[0] < 224,
            IpAddr::V6(v6) => !v6.is_unspecified() && !v6.is_multicast(),
        };
        if !is_one_machine {
            return Some("an address of no single machine");
        }
        (self == Self::Public && is_private(address))
            .then_some("a private address, which DNS may not name (--allow-private-raidas allows it)")
    }

    /// The recipient of packets to an endpoint, in whichever notation, because no machine may pose as several RAIDAs.
    /// On the internet a machine is its address, whatever the port; a private network may have all its RAIDAs on one
    /// address.
    pub(crate) fn addressee(self, endpoint: SocketAddr) -> Addressee {
        (embedded(endpoint.ip()), (self == Self::Everywhere).then_some(endpoint.port()))
    }
}

/// An address, and the port if the address alone does not identify the recipient.
pub(crate) type Addressee = (IpAddr, Option<u16>);

/// The IPv4 address inside one of IPv6 that leads to it: mapped, compatible, translated (NAT64) or 6to4.
fn embedded(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let of = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match v6.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => address,
        [0, 0, 0, 0, 0, 0 | 0xFFFF, high, low] | [0x64, 0xFF9B, 0, 0, 0, 0, high, low] => of(high, low),
        [0x2002, high, low, ..] => of(high, low),
        _ => address,
    }
}

fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            let is_shared = a == 100 && (64..128).contains(&b);
            // The registry's own addresses (192.0.0.0/24), and those for measuring networks (198.18.0.0/15).
            let is_special = matches!(v4.octets(), [192, 0, 0, _] | [198, 18 | 19, ..]);
            v4.is_private() || v4.is_loopback() || v4.is_link_local() || is_shared || is_special
        }
        IpAddr::V6(v6) => {
            let is_site_local = v6.segments()[0] & 0xFFC0 == 0xFEC0;
            // Addresses that a local network translates to IPv4, in any form.
            let is_translated_locally = v6.segments()[..3] == [0x64, 0xFF9B, 1];
            let is_local = is_site_local || is_translated_locally;
            v6 == Ipv6Addr::LOCALHOST || v6.is_unique_local() || v6.is_unicast_link_local() || is_local
        }
    }
}

#[cfg(test)]
mod tests;
