use super::*;

#[test]
fn localhost_is_the_only_name() {
    assert_eq!("localhost:8080".parse(), Ok(Listen::Localhost(8080)));
    assert_eq!("[::1]:1".parse(), Ok(Listen::Address((Ipv6Addr::LOCALHOST, 1).into())));
    for wrong in
        ["localhost", "localhost:", "localhost:+1", "localhost:99999", "Localhost:1", "here:1", ":1", "8080"]
    {
        assert!(wrong.parse::<Listen>().is_err(), "{wrong}");
    }
    for text in ["localhost:8080", "127.0.0.1:0", "[::1]:8080"] {
        assert_eq!(text.parse::<Listen>().map(|listen| listen.to_string()).as_deref(), Ok(text));
    }
}

#[tokio::test]
async fn localhost_is_both_families_with_one_port_or_neither() {
    let bound = Listen::Localhost(0).bind().await.expect("a port");
    let addresses: Vec<SocketAddr> = bound.iter().map(|(_, address)| *address).collect();
    let port = addresses[0].port();
    assert_eq!(addresses, [(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()]);
    for taken in addresses {
        let (at, error) = Listen::Localhost(port).bind().await.expect_err("taken");
        assert_eq!((at.port(), error.kind()), (port, io::ErrorKind::AddrInUse), "{taken}");
    }
    let (_v4, v6) = {
        let mut bound = bound.into_iter();
        (drop(bound.next()), bound.next().expect("of IPv6"))
    };
    let (at, _) = Listen::Localhost(port).bind().await.expect_err("the second is taken");
    assert_eq!(at, v6.1);
}

#[test]
fn a_machine_without_ipv6_is_known_by_what_it_says() {
    let says = |errno: rustix::io::Errno| io::Error::from(errno);
    assert!(lacks_ipv6(&says(rustix::io::Errno::AFNOSUPPORT)));
    assert!(lacks_ipv6(&says(rustix::io::Errno::ADDRNOTAVAIL)));
    assert!(
        !lacks_ipv6(&says(rustix::io::Errno::ADDRINUSE)) && !lacks_ipv6(&says(rustix::io::Errno::ACCESS))
    );
}
