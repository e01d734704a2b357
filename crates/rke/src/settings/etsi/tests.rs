use super::*;

fn options(etsi: Option<&str>, sae: Option<&str>, tls: [Option<&str>; 3]) -> EtsiOptions {
    let [cert, key, ca] = tls.map(|path| path.map(PathBuf::from));
    EtsiOptions {
        etsi: etsi.map(str::to_owned),
        etsi_sae: sae.map(str::to_owned).into_iter().collect(),
        etsi_tls_cert: cert,
        etsi_tls_key: key,
        etsi_tls_client_ca: ca,
    }
}

fn wrong<T>(settled: Result<Option<T>>) -> String {
    match settled {
        Err(error) => format!("{error:#}"),
        Ok(_) => panic!("settings that are wrong"),
    }
}

#[test]
fn peers_and_clients_are_read_up_to_their_first_separator() {
    let listen = || options(Some("127.0.0.1:9000"), Some("alice"), [None; 3]);
    let daemon = listen().of_daemon(&["bob=Content.Example.com,/home/a, b/wallet".into()]);
    let daemon = daemon.expect("settings").expect("an interface");
    let [EtsiPeer { sae, domain, wallet }] = &daemon.peers[..] else { panic!("one peer") };
    assert_eq!((sae.as_str(), domain.as_str()), ("bob", "content.example.com"));
    assert_eq!(wallet, &PathBuf::from("/home/a, b/wallet"));
    let server = listen().of_content_server(&["0:1001=a=b".into()]).expect("settings").expect("an interface");
    let [EtsiClient { coin, sae }] = &server.clients[..] else { panic!("one client") };
    assert_eq!((coin.to_string().as_str(), sae.as_str()), ("0:1001", "a=b"));
    let nothing = options(None, None, [None; 3]);
    assert!(nothing.clone().of_daemon(&[]).expect("settings").is_none());
    assert!(nothing.of_content_server(&[]).expect("settings").is_none());
}

#[test]
fn with_certificates_any_number_of_saes_may_be_named() {
    for named in [vec![], vec!["alice".to_owned()], vec!["alice".to_owned(), "carol".to_owned()]] {
        let listen = options(Some("127.0.0.1:9000"), None, [Some("a"), Some("b"), Some("c")]);
        let given = EtsiOptions { etsi_sae: named.clone(), ..listen };
        let server = given.of_content_server(&[]).expect("settings").expect("an interface");
        let SaeIdentity::Certificate { saes, .. } = server.listen.identity else { panic!("over TLS") };
        assert_eq!(saes.iter().map(SaeId::as_str).collect::<Vec<_>>(), named);
    }
}

#[test]
fn what_is_wrong_or_without_effect_is_refused_with_what_to_do() {
    let peer = || vec!["bob=content.example.com,/wallet".to_owned()];
    let (address, sae) = (Some("127.0.0.1:9000"), Some("alice"));
    for (given, part) in [
        (options(address, None, [None; 3]), "needs to know who asks"),
        (options(None, sae, [None; 3]), "no effect without --etsi"),
        (options(None, None, [None; 3]), "--etsi-peer has no effect without --etsi"),
        (
            EtsiOptions { etsi_sae: vec!["a".into(), "b".into()], ..options(address, None, [None; 3]) },
            "there is one SAE",
        ),
        (options(address, None, [Some("a"), None, Some("c")]), "needs all of"),
        (options(Some("here"), sae, [None; 3]), "--etsi \"here\""),
        (options(address, Some("\n"), [None; 3]), "1 to 255 bytes"),
    ] {
        let text = wrong(given.of_daemon(&peer()));
        assert!(text.contains(part), "{text}");
    }
    let listen = || options(address, sae, [None; 3]);
    let nothing = options(None, None, [None; 3]);
    assert!(wrong(nothing.of_content_server(&["0:1=a".into()])).contains("no effect without --etsi"));
    for peer in ["bob", "bob=example.com", "bob=a b,/wallet", "=example.com,/wallet"] {
        assert!(wrong(listen().of_daemon(&[peer.into()])).contains(&format!("--etsi-peer {peer:?}")));
    }
    for client in ["0:1", "0=a", "0:1="] {
        assert!(
            wrong(listen().of_content_server(&[client.into()]))
                .contains(&format!("--etsi-client {client:?}"))
        );
    }
}

#[test]
fn a_file_that_names_no_sae_does_not_open_the_door_to_all() {
    let read = |text: &str| toml::from_str::<EtsiOptions>(text);
    assert_eq!(read("etsi-sae = ['alice', 'carol']").expect("settings").etsi_sae, ["alice", "carol"]);
    assert!(read("").expect("settings").etsi_sae.is_empty());
    let refused = read("etsi-sae = []").err().expect("refused").to_string();
    assert!(refused.contains("names nobody"), "{refused}");
}
