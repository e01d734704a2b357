//! Which addresses DNS may name. The records of a domain are anybody's text: they must not aim the daemon at machines
//! behind it, nor at a crowd. `docs/protocol.md` section 1.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// How far addresses from DNS may lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// On the internet alone.
    Public,
    /// On private networks, on the link and on this machine too.
    Everywhere,
}

impl Reach {
    /// What is wrong with an endpoint, for people. `None` where it may be used.
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

    /// Who gets what is sent to an endpoint, however it is spelled: nobody may be several RAIDAs. On the internet that is
    /// a machine, whatever the port; a network that is not there may have all its RAIDAs on one.
    pub(crate) fn addressee(self, endpoint: SocketAddr) -> Addressee {
        (embedded(endpoint.ip()), (self == Self::Everywhere).then_some(endpoint.port()))
    }
}

/// An address, and the port where the others of that address are others.
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
            // What a network of its own translates to IPv4, in whichever form.
            let is_translated_locally = v6.segments()[..3] == [0x64, 0xFF9B, 1];
            let is_local = is_site_local || is_translated_locally;
            v6 == Ipv6Addr::LOCALHOST || v6.is_unique_local() || v6.is_unicast_link_local() || is_local
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(reach: Reach, text: &str) -> Option<&'static str> {
        reach.fault(text.parse().unwrap_or_else(|_| unreachable!("{text}")))
    }

    #[test]
    fn addresses_of_single_machines_on_the_internet_are_good() {
        for text in [
            "8.8.8.8:1",
            "100.63.0.1:1",
            "100.128.0.1:1",
            "172.32.0.1:1",
            "192.0.1.1:1",
            "198.17.0.1:1",
            "198.20.0.1:1",
            "223.255.255.255:1",
        ] {
            assert_eq!(fault(Reach::Public, text), None, "{text}");
        }
        for text in [
            "[2001:db8::1]:1",
            "[2606:4700::1111]:65535",
            "[::ffff:8.8.8.8]:1",
            "[64:ff9b::8.8.8.8]:1",
            "[64:ff9b:2::1]:1",
        ] {
            assert_eq!(fault(Reach::Public, text), None, "{text}");
        }
    }

    #[test]
    fn what_is_no_single_machine_is_good_nowhere() {
        for text in [
            "8.8.8.8:0",
            "0.0.0.0:1",
            "0.1.2.3:1",
            "224.0.0.1:1",
            "239.255.255.255:1",
            "255.255.255.255:1",
            "240.0.0.1:1",
            "[::]:1",
            "[ff02::1]:1",
            "[ff0e::1]:1",
            "[::ffff:0.0.0.0]:1",
            "[::ffff:255.255.255.255]:1",
            "[64:ff9b::224.0.0.1]:1",
            "[2002:e000:1::]:1",
        ] {
            assert!(
                fault(Reach::Public, text).is_some() && fault(Reach::Everywhere, text).is_some(),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_private_is_good_where_it_is_allowed() {
        for text in [
            "127.0.0.1:1",
            "127.255.0.1:1",
            "10.0.0.1:1",
            "172.16.0.1:1",
            "172.31.255.255:1",
            "192.168.1.1:1",
            "169.254.169.254:1",
            "100.64.0.1:1",
            "100.127.255.255:1",
            "[::1]:1",
            "[::127.0.0.1]:1",
            "[::ffff:127.0.0.1]:1",
            "[::ffff:169.254.169.254]:1",
            "[64:ff9b::10.0.0.1]:1",
            "[2002:a00:1::]:1",
            "[fc00::1]:1",
            "[fdff::1]:1",
            "[fe80::1]:1",
            "[febf::1]:1",
            "[fec0::1]:1",
            "192.0.0.1:1",
            "192.0.0.255:1",
            "198.18.0.1:1",
            "198.19.255.255:1",
            "[::ffff:198.18.0.1]:1",
            "[64:ff9b:1::8.8.8.8]:1",
            "[64:ff9b:1:ffff::1]:1",
        ] {
            assert!(fault(Reach::Public, text).is_some_and(|fault| fault.contains("private")), "{text}");
            assert_eq!(fault(Reach::Everywhere, text), None, "{text}");
        }
    }
}
