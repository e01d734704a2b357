//! `Host`, `Origin` and `Referer` at the gate. What passes means this daemon, or a page that may use it, to a browser too: what
//! a browser makes of a text is what the URL Standard says, here in another's words. And what a browser writes passes.

#![expect(clippy::expect_used, reason = "a test that cannot go on ends by a panic")]

use std::sync::LazyLock;

use rke_daemon::http::gate::testing::Gate;
use rke_engine::settings::access::Access;
use url::{Host, Url};

rke_fuzz::target!(host, check_host);
rke_fuzz::target!(allow_host, check_allow_host);
rke_fuzz::target!(origin, check_origin);
rke_fuzz::target!(referer, check_referer);

/// Under which the daemon is asked by the pages here.
const OWN: &str = "rke.lan:8080";

const HOSTS: [&str; 5] = ["rke.example", "Box.Lan.", "rke.lan", "192.0.2.7", "[2001:DB8::5]"];
const ORIGINS: [&str; 4] = [
    "https://App.Example",
    "http://app.example:3000",
    "https://[2001:db8::1]",
    "chrome-extension://abcdefgh",
];

static GATE: LazyLock<Gate> = LazyLock::new(|| gate(&HOSTS, &ORIGINS));

fn gate(hosts: &[&str], origins: &[&str]) -> Gate {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let access = Access { allow_hosts: texts(hosts), allow_origins: texts(origins), ..Access::default() };
    Gate::new(&access).expect("hosts and origins")
}

fn check_host(bytes: &[u8]) -> bool {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    let url = Url::parse(&format!("http://{text}/")).ok();
    let Some((host, port)) = GATE.host(bytes, None) else {
        let is_refused = url.is_none_or(|url| as_browsers_write_it(&url) != text || !is_ours(&url));
        assert!(is_refused, "{text:?} is one of ours, and is refused");
        return false;
    };
    let url = url.expect("what passes is a host to a browser");
    assert!(is_ours(&url), "{text:?} is {url} to a browser");
    assert_eq!(port.unwrap_or(80), url.port_or_known_default().expect("the port of http"));
    let written = port.map_or(host.clone(), |port| format!("{host}:{port}"));
    assert_eq!(GATE.host(written.as_bytes(), None), Some((host, port)), "what it was read as");
    assert!(GATE.host(bytes, Some(text)).is_some() && GATE.host(bytes, Some("other.example")).is_none());
    true
}

/// Host and port, where the path is empty and there is nothing else.
fn as_browsers_write_it(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or(host.to_owned(), |port| format!("{host}:{port}"))
}

fn is_ours(url: &Url) -> bool {
    is_loopback(url)
        || match url.host() {
            Some(Host::Domain(name)) => {
                ["rke.example", "box.lan", "rke.lan"].contains(&without_final_dot(name))
            }
            Some(Host::Ipv4(address)) => address.octets() == [192, 0, 2, 7],
            Some(Host::Ipv6(address)) => address.segments() == [0x2001, 0xDB8, 0, 0, 0, 0, 0, 5],
            None => false,
        }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => without_final_dot(name) == "localhost",
        Some(Host::Ipv4(address)) => address.octets()[0] == 127,
        Some(Host::Ipv6(address)) => u128::from(address) == 1,
        None => false,
    }
}

fn without_final_dot(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

/// What `--allow-host` takes is answered from then on, and nothing else is.
fn check_allow_host(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let access = Access { allow_hosts: vec![text.to_owned()], ..Access::default() };
    let Ok(gate) = Gate::new(&access) else { return false };
    for spelled in [text.into(), text.to_ascii_uppercase(), text.to_ascii_lowercase(), format!("{text}:80")] {
        assert!(gate.host(spelled.as_bytes(), None).is_some(), "{spelled:?}");
    }
    for other in [format!("x{text}"), format!("{text}x"), format!("x.{text}"), format!("{text}.x")] {
        assert_eq!(gate.host(other.as_bytes(), None), None, "{other:?}");
    }
    true
}

fn check_origin(bytes: &[u8]) -> bool {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    let url = Url::parse(text).ok();
    if !GATE.page(OWN, "origin", bytes) {
        let spelled = url.as_ref().map(|url| url.origin().ascii_serialization());
        let is_refused = spelled.as_deref() != Some(text) || !url.is_some_and(|url| may_use(&url));
        assert!(is_refused, "{text:?} may use the daemon, and is refused");
        return false;
    }
    let url = url.expect("what passes is an origin to a browser");
    assert!(may_use(&url), "{text:?} is {url} to a browser");
    assert!(matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none(), "{url}");
    true
}

fn check_referer(bytes: &[u8]) -> bool {
    if !GATE.page(OWN, "referer", bytes) {
        return false;
    }
    let text = std::str::from_utf8(bytes).expect("what passes is a text");
    let url = Url::parse(text).expect("what passes is a URL to a browser");
    assert!(may_use(&url), "{text:?} is {url} to a browser");
    true
}

/// Whether a page of this URL may use the daemon: one of this machine, of the daemon itself, or of a listed origin.
fn may_use(url: &Url) -> bool {
    let has_user = !url.username().is_empty() || url.password().is_some();
    let is_web = matches!(url.scheme(), "http" | "https");
    let listed = ORIGINS.iter().chain(&["http://rke.lan:8080"]);
    let mut listed = listed.map(|origin| Url::parse(origin).expect("an origin"));
    let named = |url: &Url| {
        let host = url.host_str().unwrap_or_default().to_ascii_lowercase();
        (url.scheme().to_owned(), without_final_dot(&host).to_owned(), url.port_or_known_default())
    };
    !has_user && (is_web && is_loopback(url) || listed.any(|origin| named(&origin) == named(url)))
}
