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
        assert!(fault(Reach::Public, text).is_some() && fault(Reach::Everywhere, text).is_some(), "{text}");
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
