use super::*;

#[test]
fn beyond_loopback_something_must_tell_clients_apart() {
    let open = Access::default();
    let tls = |client_ca: Option<&str>| Access {
        tls: Some(TlsFiles {
            certificate: "c".into(),
            key: "k".into(),
            client_ca: client_ca.map(PathBuf::from),
        }),
        ..Access::default()
    };
    for (address, exposed) in [
        ("127.0.0.1:1", false),
        ("127.9.9.9:1", false),
        ("[::1]:1", false),
        ("[::ffff:127.0.0.1]:1", false),
        ("0.0.0.0:1", true),
        ("[::]:1", true),
        ("192.168.1.5:1", true),
        ("[::ffff:10.0.0.1]:1", true),
    ] {
        let address = address.parse().expect("an address");
        assert_eq!(open.exposes(address, &TokenRule::None), exposed, "{address}");
        assert_eq!(tls(None).exposes(address, &TokenRule::None), exposed, "{address}");
        assert!(!open.exposes(address, &TokenRule::Required), "{address}");
        assert!(!tls(Some("a")).exposes(address, &TokenRule::None), "{address}");
    }
}
