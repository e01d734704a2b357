mod file;

use rke_engine::settings::access::{LoopbackOrigins, NullOrigin, TlsFiles, TokenRule, UnixSocket};

use super::*;

fn file(text: &str) -> Result<ServeOptions> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("rke.toml");
    std::fs::write(&path, text)?;
    read_file(&path)
}

#[test]
fn a_flag_goes_over_the_file_and_the_file_over_the_default() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("rke.toml");
    std::fs::write(
        &path,
        "max-sessions = 3\nsession-ttl = 9\ndata-dir = '/x'\nlog-format = 'json'\naudit-log = '/a'",
    )
    .expect("written");
    let options = ServeOptions { config: Some(path), max_sessions: Some(5), ..Default::default() };
    let settings = options.settle().expect("settings");
    assert_eq!(settings.daemon.reloadable.max_sessions, 5);
    assert_eq!(settings.daemon.reloadable.session_ttl, Duration::from_secs(9));
    assert_eq!(
        (settings.daemon.reloadable.max_keys, settings.daemon.fixed.audit_log),
        (64, Some("/a".into()))
    );
    assert!(settings.process.log_format == LogFormat::Json);
}

#[test]
fn what_is_wrong_with_a_file_and_where_is_one_line() {
    for (text, expected) in [
        ("ü = '=='\nlog = ==", "in line 2, column 7: "),
        ("max-sessions = 3\n  max-session = 3", "is wrong: unknown field `max-session`"),
        ("max-sessions = -1\n", "in line 1, column 16: "),
    ] {
        let error = file(text).err().expect("refused").to_string();
        assert!(error.contains(expected) && !error.contains('\n'), "{error}");
    }
}

#[test]
fn unknown_keys_and_wrong_values_are_refused() {
    for text in [
        "max-session = 3",
        "listen = 'here'",
        "listen = ['127.0.0.1:1', 'here']",
        "max-sessions = -1",
        "config = 'x'",
        "= 1",
        "allow-hosts = ['a']",
        "allow-host = 'a'",
        "require-token = 'maybe'",
        "tls_certificate = '/x'",
        "audit-log = true",
    ] {
        assert!(file(text).is_err(), "{text}");
    }
    let lists = "allow-weak-shares = ['a.test']\nallow-envelope-1 = ['b.test']\nlisten = '[::1]:1'";
    assert!(file(lists).is_ok());
    let two = file("listen = ['localhost:1', '10.0.0.1:2']").expect("options").listen;
    assert_eq!(two, [Listen::Localhost(1), Listen::Address(([10, 0, 0, 1], 2).into())]);
}

#[test]
fn envelope_1_is_off_but_for_the_domains_that_are_named() {
    let settle = |text: &str| {
        let options = ServeOptions { data_dir: Some("/x".into()), ..file(text).expect("options") };
        options.settle().map(|settings| settings.daemon.reloadable.allow_envelope_1)
    };
    assert_eq!(settle("").ok(), Some(Vec::new()));
    let named = settle("allow-envelope-1 = ['a.test', 'B.test']").ok();
    assert_eq!(named, Some(vec![Domain::new("a.test").expect("a"), Domain::new("b.test").expect("b")]));
    let Err(wrong) = settle("allow_envelope_1 = ['a b']") else { panic!("a space in a domain") };
    assert!(wrong.to_string().contains("--allow-envelope-1 \"a b\""), "{wrong}");
}

#[test]
fn the_file_says_too_who_may_use_the_daemon() {
    let text = "data-dir = '/x'\nallow-host = ['a.test']\nallow_origin = ['https://a.test']\n\
                allow-null-origin = true\nno-loopback-origins = true\nwallet-root = '/w'\n\
                require-token = true\nunix-socket = '/s'\nunix-socket-group = '0'\ntls-cert = '/c'\ntls_key = '/k'\n\
                tls-client-ca = '/a'";
    let mut options = file(text).expect("options");
    options.data_dir = Some("/x".into());
    let Config { fixed, reloadable } = options.settle().expect("settings").daemon;
    let access = reloadable.access;
    assert_eq!(
        (access.allow_hosts, access.allow_origins),
        (vec!["a.test".into()], vec!["https://a.test".into()])
    );
    assert_eq!(
        (access.null_origin, access.loopback_origins),
        (NullOrigin::Allowed, LoopbackOrigins::Refused)
    );
    assert_eq!(
        (access.wallet_root, fixed.unix_socket),
        (Some("/w".into()), Some(UnixSocket { path: "/s".into(), group: Some(0) }))
    );
    assert_eq!(fixed.token, TokenRule::Required);
    let shared = file("require-token = true\nshared-token = '/t'").expect("options").settle();
    assert_eq!(shared.expect("settings").daemon.fixed.token, TokenRule::Shared("/t".into()));
    let tls = TlsFiles { certificate: "/c".into(), key: "/k".into(), client_ca: Some("/a".into()) };
    assert_eq!(access.tls, Some(tls));
    assert!(file("tls-cert = '/c'").expect("options").settle().is_err(), "a certificate without its key");
}
