use super::*;

const WHOLE: &str = "cs-id = 'SHOP'\ndata-dir = '/data'\n";

const KEY: &str = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";

fn settle(options: ContentServerOptions, text: &str) -> Result<ContentServerSettings, String> {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("content-server.toml");
    std::fs::write(&path, text).expect("written");
    let options = ContentServerOptions { config: Some(path), ..options };
    options.settle().map_err(|error| error.to_string())
}

fn settled(text: &str) -> ContentServerSettings {
    settle(ContentServerOptions::default(), text).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_flag_goes_over_the_file_and_the_file_over_the_default() {
    let text =
        format!("{WHOLE}max-keys = 7\nkeys-per-coin = 5\ndomain = ['a.test', 'b.test']\nexec = 'cat'\n");
    let own = ContentServerOptions { max_keys: Some(8), ..Default::default() };
    let settings = settle(own, &text).unwrap_or_else(|error| panic!("{error}"));
    let rules = &settings.rules;
    assert_eq!((rules.max_keys, rules.keys_per_coin, rules.unproven_keys), (8, 5, 256));
    assert_eq!(
        (&*rules.domains, settings.behind),
        (&["a.test".into(), "b.test".into()][..], Behind::Exec("cat".into()))
    );
    assert_eq!((settings.listen, settings.process.log.as_str()), (LISTEN, "info"));
    assert_eq!(rules.lifetime_seconds, MAX_LIFETIME_SECONDS);
}

#[test]
fn what_is_missing_or_wrong_is_named() {
    for (text, name) in [
        ("", "--cs-id"),
        ("cs-id = 'SHOP'\n", "RKE_DATA_DIR"),
        ("cs-id = ''\n", "a Content Server ID"),
        (&format!("{WHOLE}max-key = 1\n"), "max-key"),
        (&format!("{WHOLE}max-keys = 0\n"), "a number from 1 to"),
        (&format!("{WHOLE}replay-memory = 1\n"), "from 16 to"),
        (&format!("{WHOLE}key-lifetime = 86401\n"), "86401 is not in 1..=86400"),
        (&format!("{WHOLE}key-max-bytes = -1\n"), "-1 is not in 1..="),
        (&format!("{WHOLE}domain = ['b d']\n"), "not a domain name"),
        (&format!("{WHOLE}listen = 'here:1'\n"), "an IP address with a port"),
        (&format!("{WHOLE}forward = 'here'\n"), "a host with a port"),
        (&format!("{WHOLE}forward = 'here:1'\nexec = 'cat'\n"), "exclude each other"),
        (&format!("{WHOLE}wireguard = 'a b'\n"), "an interface's name"),
        (&format!("{WHOLE}wireguard = 'wg0'\n"), "--wireguard needs --wireguard-peer"),
        (&format!("{WHOLE}wireguard-peer = ['0:1={KEY}']\n"), "no effect without --wireguard"),
        (&format!("{WHOLE}wireguard-fail-closed = true\n"), "no effect without --wireguard"),
        (
            &format!("{WHOLE}wireguard = 'wg0'\nwireguard-peer = ['0:1={KEY}', '0:2={KEY}']\n"),
            "two coins for the peer",
        ),
        (&format!("{WHOLE}wireguard = 'wg0'\nwireguard-peer = ['0:1']\n"), "DENOMINATION:SERIAL=PUBLIC_KEY"),
        (
            &format!("{WHOLE}psk-exec = 'cat'\nwireguard = 'wg0'\nwireguard-peer = ['0:1={KEY}']\n"),
            "exclude each other",
        ),
        (&format!("{WHOLE}psk-format = 'hex'\n"), "no effect without --psk-exec"),
        (&format!("{WHOLE}metrics = 'here'\n"), "unix:PATH"),
        (&format!("{WHOLE}api-group = '0'\n"), "--api-group has no effect"),
        (&format!("{WHOLE}allow-weak-shares = 'perhaps'\n"), "is not a switch"),
    ] {
        let wrong = settle(ContentServerOptions::default(), text).err().unwrap_or_default();
        assert!(wrong.contains(name), "{text:?}: {wrong}");
    }
}

#[test]
fn what_takes_a_new_start_is_named() {
    let before = settled(WHOLE);
    let more = "domain = ['a.test']\nlog = 'warn'\nkeys-per-coin = 1\nmax-keys = 1\nunproven-keys = 1\nkey-lifetime = 1\n\
                idle-timeout = 1\nallow-weak-shares = true\nkey-max-messages = 1\nkey-max-bytes = 1\n";
    assert!(before.fixed(&settled(&format!("{WHOLE}{more}"))).is_empty());
    let more = "exec = 'cat'\nreplay-memory = 64\nmax-connections = 1\nmax-commands = 1\nmetrics = 'unix:/x'\nsandbox = 'off'\naudit-log = '/log'\n";
    let fixed = before.fixed(&settled(&format!("{WHOLE}{more}")));
    assert_eq!(
        fixed,
        [
            "what is behind the tunnels",
            "replay-memory",
            "max-connections",
            "max-commands",
            "metrics",
            "sandbox",
            "audit-log"
        ]
    );
}
