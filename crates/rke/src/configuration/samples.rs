//! A sample value for each flag, different from its default.

use clap::Arg;

use super::{is_switch, long};

pub(super) struct Sample {
    pub(super) value: &'static str,
    /// Other flags without which this one has no effect.
    pub(super) beside: &'static [(&'static str, &'static str)],
}

/// The flags that a RAIDA node requires.
const NODE: [(&str, &str); 4] =
    [("index", "7"), ("listen", "127.0.0.1:7"), ("coins", "/coins"), ("data-dir", "/data")];

/// The flags that a Content Server requires.
const CONTENT_SERVER: [(&str, &str); 2] = [("cs-id", "ID"), ("data-dir", "/data")];

/// What the flags of the key interface need.
const ETSI: (&str, &str) = ("etsi", "127.0.0.1:2");
const SAE: (&str, &str) = ("etsi-sae", "alice");

/// What the flags of a shared store need.
const STORE: (&str, &str) = ("store", "redis://127.0.0.1:1");
const STORE_KEY: (&str, &str) = ("store-key-file", "/store.key");

/// The flags that a command requires.
pub(super) fn required(command: &str) -> &'static [(&'static str, &'static str)] {
    match command {
        "raida" => &NODE,
        "content-server serve" => &CONTENT_SERVER,
        _ => &[],
    }
}

const SAMPLES: [(&str, &str); 83] = [
    ("listen", "127.0.0.1:1"),
    ("data-dir", "/elsewhere"),
    ("dns-server", "127.0.0.1:53"),
    ("max-sessions", "5"),
    ("session-ttl", "5"),
    ("session-max-lifetime", "4000"),
    ("session-idle", "5"),
    ("key-max-messages", "5"),
    ("key-max-bytes", "5"),
    ("key-ttl", "5"),
    ("max-keys", "5"),
    ("raida-directory", "/file"),
    ("guardian", "https://a.test/x,https://b.test/x,https://c.test/x"),
    ("exchange-timeout", "6"),
    ("allow-weak-shares", "a.test,b.test"),
    ("allow-envelope-1", "a.test,b.test"),
    ("confirm", "off"),
    ("confirm-timeout", "5"),
    ("body-timeout", "5"),
    ("pin", "a.test=A,b.test=B"),
    ("dnssec", "try"),
    ("dnssec-anchors", "/file"),
    ("allow-host", "a.test,b.test"),
    ("allow-origin", "https://a.test,https://b.test"),
    ("allow-export", "vpn,tls*"),
    ("wallet-root", "/wallets"),
    ("create-rate", "5"),
    ("create-burst", "5"),
    ("shared-token", "/token"),
    ("unix-socket", "/socket"),
    ("unix-socket-group", "0"),
    ("tls-cert", "/certificate"),
    ("tls-key", "/key"),
    ("tls-client-ca", "/authority"),
    ("secret-memory", "locked"),
    ("sandbox", "off"),
    ("audit-log", "/log"),
    ("log", "debug"),
    ("log-format", "json"),
    ("index", "8"),
    ("coins", "/a,/b"),
    ("preloader", "0:42=SHOP+SHOP-TEST,-3:7"),
    ("replay-memory", "64"),
    ("cs-id", "SHOP"),
    ("domain", "a.test"),
    ("host", "b.test"),
    ("port", "444"),
    ("wallet", "/wallet"),
    ("timeout", "6"),
    ("key-set", "2"),
    ("retire-after", "5"),
    ("format", "json"),
    ("ttl", "60"),
    ("exec", "cat"),
    ("wireguard", "wg1"),
    ("wireguard-peer", "0:42=xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="),
    ("psk-exec", "cat"),
    ("psk-format", "hex"),
    ("forward", "127.0.0.1:1"),
    ("key-lifetime", "5"),
    ("keys-per-coin", "5"),
    ("unproven-keys", "5"),
    ("idle-timeout", "5"),
    ("max-connections", "5"),
    ("max-commands", "5"),
    ("api", "unix:/socket"),
    ("api-group", "0"),
    ("etsi", "127.0.0.1:2"),
    ("etsi-sae", "alice"),
    ("etsi-tls-cert", "/certificate"),
    ("etsi-tls-key", "/key"),
    ("etsi-tls-client-ca", "/authority"),
    ("etsi-peer", "bob=a.test,/wallet"),
    ("etsi-client", "0:42=alice"),
    ("metrics", "unix:/metrics"),
    ("store", "redis://127.0.0.1:1,redis://127.0.0.1:2"),
    ("store-sentinel", "main"),
    ("store-key-file", "/store.key"),
    ("hold", "500"),
    ("daemon", "127.0.0.1:1"),
    ("token-file", "/file"),
    ("form", "live"),
    ("config", "/file"),
];

/// The sample for a flag.
pub(super) fn sample(arg: &Arg) -> Sample {
    let name = long(arg);
    let given = SAMPLES.iter().find(|(flag, _)| *flag == name).map(|(_, value)| *value);
    let value = if is_switch(arg) { Some("yes") } else { given };
    let beside: &[(&str, &str)] = match name {
        "store" => &[STORE_KEY],
        "store-key-file" => &[STORE],
        "store-sentinel" | "store-cluster" | "hold" => &[STORE, STORE_KEY],
        "dnssec-anchors" => &[("dnssec", "try")],
        "api-group" => &[("api", "unix:/socket")],
        "wireguard" => &[("wireguard-peer", "0:42=xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=")],
        "wireguard-peer" => &[("wireguard", "wg0")],
        "wireguard-fail-closed" => {
            &[("wireguard", "wg0"), ("wireguard-peer", "0:42=xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=")]
        }
        "psk-format" => &[("psk-exec", "cat")],
        "unix-socket-group" => &[("unix-socket", "/socket")],
        "tls-cert" => &[("tls-key", "/key")],
        "tls-key" => &[("tls-cert", "/certificate")],
        "etsi" => &[SAE],
        "etsi-sae" => &[ETSI],
        "etsi-peer" | "etsi-client" => &[ETSI, SAE],
        "etsi-tls-cert" => &[ETSI, ("etsi-tls-key", "/key"), ("etsi-tls-client-ca", "/authority")],
        "etsi-tls-key" => &[ETSI, ("etsi-tls-cert", "/certificate"), ("etsi-tls-client-ca", "/authority")],
        "etsi-tls-client-ca" => &[ETSI, ("etsi-tls-cert", "/certificate"), ("etsi-tls-key", "/key")],
        "tls-client-ca" => &[("tls-cert", "/certificate"), ("tls-key", "/key")],
        _ => &[],
    };
    let value = value.unwrap_or_else(|| panic!("give --{name} a value in configuration/samples.rs"));
    Sample { value, beside }
}
