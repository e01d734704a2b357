use std::net::TcpListener;

use super::*;

#[test]
fn a_port_that_others_reach_is_found() {
    for (listen, expected) in
        [("127.0.0.1:0", false), ("0.0.0.0:0", true), ("[::1]:0", false), ("[::]:0", true)]
    {
        let Ok(listener) = TcpListener::bind(listen) else {
            assert!(listen.starts_with('['), "only IPv6 may be missing");
            continue;
        };
        let address = listener.local_addr().expect("an address").to_string();
        assert_eq!(beyond_loopback(&address).is_some(), expected, "{address}");
    }
    assert!(beyond_loopback("192.0.2.1:1").is_some());
}
