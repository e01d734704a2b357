use super::*;

#[test]
fn the_name_of_the_records_is_not_taken_for_the_domain() {
    for wrong in ["_rke._udp.a.test", "_RKE._UDP.a.test.", "_rke._udp._rke._udp.a.test"] {
        for refused in [
            parse_domain(wrong).map(drop),
            parse_host(wrong).map(drop),
            parse_domain_for_daemon(wrong).map(drop),
        ] {
            assert!(refused.expect_err(wrong).ends_with("; write a.test"), "{wrong}");
        }
    }
    for good in ["a.test", "_rke.a.test", "_udp.a.test", "x_rke._udp.a.test", "_rke._udpa.test"] {
        assert_eq!(parse_domain(good).map(|domain| domain.to_string()).as_deref(), Ok(good));
    }
}

#[test]
fn where_a_daemon_listens_has_a_port_or_is_a_socket() {
    for good in [
        "127.0.0.1:8080",
        "localhost:1",
        "[::1]:8080",
        "http://localhost:8080/",
        "unix:/run/rke.sock",
        "unix:rke.sock",
    ] {
        assert_eq!(parse_daemon(good).as_deref(), Ok(good));
    }
    for wrong in [
        "",
        " ",
        "nonsense",
        ":8080",
        "localhost",
        "localhost:",
        "localhost:65536",
        "localhost:http",
        "::1:8080",
        "[::1]",
        "[localhost]:8080",
        "a b:1",
        "ftp://localhost:8080",
        "http://localhost:8080/api",
        "unix:",
    ] {
        assert!(parse_daemon(wrong).expect_err(wrong).contains("HOST:PORT"), "{wrong}");
    }
    assert!(parse_daemon("https://localhost:8443").expect_err("TLS").contains("no TLS"));
}

#[test]
fn a_session_and_a_domain_are_not_empty() {
    for empty in ["", " ", "\n"] {
        assert!(parse_session(empty).expect_err(empty).contains("32 hexadecimal digits"));
        assert!(parse_domain_for_daemon(empty).expect_err(empty).contains("content.example.com"));
    }
    assert_eq!(parse_session("0").as_deref(), Ok("0"));
}

#[test]
fn an_id_has_hexadecimal_digits_only() {
    let longest = "0123456789abcdefABCDEF0123456789";
    for id in ["0", "a1b2", longest] {
        assert_eq!([parse_session(id).as_deref(), parse_key_id(id).as_deref()], [Ok(id); 2]);
    }
    for wrong in ["zz", "a1 ", "a1…", "content", &format!("{longest}0")] {
        assert!(parse_session(wrong).expect_err(wrong).ends_with("`rke session list` shows the ids"));
        assert!(parse_key_id(wrong).expect_err(wrong).ends_with("`rke content-server list` shows them"));
    }
}

#[test]
fn what_is_not_a_domain_is_left_to_the_daemon() {
    assert!(parse_domain("b d").is_err());
    assert_eq!(parse_domain_for_daemon("b d").as_deref(), Ok("b d"));
    assert_eq!(parse_domain_for_daemon("A.test.").as_deref(), Ok("A.test."));
}

#[test]
fn a_host_is_a_name() {
    assert_eq!(parse_host("CS1.example.com.").map(|host| host.to_string()).as_deref(), Ok("cs1.example.com"));
    for address in ["192.0.2.7", "192.0.2.7:443", "2001:db8::7", "[2001:db8::7]", "[2001:db8::7]:443"] {
        assert!(parse_host(address).expect_err(address).contains("A or AAAA record"), "{address}");
    }
    assert!(parse_host("a b").expect_err("a space").contains("not a domain name"));
    for wrong in ["cs.a.test:http", "cs.a.test:", ":443", "cs.a.test:65536"] {
        assert!(parse_host(wrong).expect_err(wrong).contains("not a domain name"), "{wrong}");
    }
}

#[test]
fn a_port_has_its_own_place() {
    let host = parse_host("CS1.example.com:443").expect_err("a port");
    assert!(host.ends_with("write --host cs1.example.com --port 443"), "{host}");
    let domain = parse_domain("content.example.com:443").expect_err("a port");
    assert!(domain.ends_with("write content.example.com"), "{domain}");
}
