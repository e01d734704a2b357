//! The cases: the content of each network, and the expected result.

use std::time::Duration;

use super::scripted::Way;

/// A DNS server at one of the loopback addresses, port 53.
pub(super) enum Server {
    /// A forwarder in front of the network's own DNS server, with these additional arguments.
    Dnsmasq(&'static [&'static str]),
    /// A resolver in front of it.
    Unbound,
    /// An authoritative server with these records.
    Knot(Zone),
    /// A server that behaves as configured.
    Scripted(Way),
}

/// An authoritative server's records of the Content Server.
#[derive(Clone, Copy)]
pub(super) enum Zone {
    /// The records as they are printed.
    Plain,
    /// They stand behind three aliases, and the host is one too.
    Aliases,
    /// With quotes, semicolons, and a backslash and an n between two lines.
    Untidy,
    /// These SRV records and addresses come before the good one.
    Before(&'static str),
}

pub(super) struct NetworkCase {
    pub(super) name: &'static str,
    pub(super) resolv_conf: &'static str,
    /// Which replaces it before the second try.
    pub(super) then: Option<&'static str>,
    pub(super) servers: &'static [(&'static str, Server)],
    /// Whether something has to time out.
    pub(super) is_silent: bool,
}

impl NetworkCase {
    /// How it should end: in a session, always.
    pub(super) fn outcome(&self) -> &'static str {
        if self.then.is_some() { "not found, then a session" } else { "a session" }
    }

    pub(super) fn limit(&self) -> Duration {
        Duration::from_secs(if self.is_silent { 5 } else { 2 })
    }
}

const ONE: &str = "nameserver 127.0.0.1\n";
const TWO: &str = "nameserver 127.0.0.1\nnameserver 127.0.0.2\n";
const THREE: &str = "nameserver 127.0.0.1\nnameserver 127.0.0.2\nnameserver 127.0.0.3\n";

const fn row(
    name: &'static str,
    resolv_conf: &'static str,
    servers: &'static [(&'static str, Server)],
) -> NetworkCase {
    NetworkCase { name, resolv_conf, then: None, servers, is_silent: false }
}

const fn silent(
    name: &'static str,
    resolv_conf: &'static str,
    servers: &'static [(&'static str, Server)],
) -> NetworkCase {
    NetworkCase { is_silent: true, ..row(name, resolv_conf, servers) }
}

/// A zone in Knot, which is the only server.
macro_rules! zone {
    ($zone:expr) => {
        &[("127.0.0.1", Server::Knot($zone))]
    };
}

/// A scripted server, and unbound after it.
macro_rules! first {
    ($way:ident) => {
        &[("127.0.0.1", Server::Scripted(Way::$way)), ("127.0.0.2", Server::Unbound)]
    };
}

pub(super) const CASES: &[NetworkCase] = &[
    row("dnsmasq", ONE, &[("127.0.0.1", Server::Dnsmasq(&[]))]),
    row("unbound", ONE, &[("127.0.0.1", Server::Unbound)]),
    row("Knot", ONE, zone!(Zone::Plain)),
    row(
        "dnsmasq and unbound, a set that does not fit UDP",
        TWO,
        &[("127.0.0.1", Server::Dnsmasq(&[])), ("127.0.0.2", Server::Unbound)],
    ),
    row(
        "search domains, `ndots:5`, `rotate`, unknown options",
        "search rke.test corp.example\noptions ndots:5 rotate trust-ad unheard-of:1\nnameserver 127.0.0.1\n",
        &[("127.0.0.1", Server::Unbound)],
    ),
    row(
        "no `nameserver` line, unbound on this machine",
        "search corp.example\n",
        &[("127.0.0.1", Server::Unbound)],
    ),
    row("the first server is down", TWO, &[("127.0.0.2", Server::Unbound)]),
    silent("the first server drops every packet", TWO, first!(Drops)),
    silent(
        "the first two of three servers drop every packet",
        THREE,
        &[
            ("127.0.0.1", Server::Scripted(Way::Drops)),
            ("127.0.0.2", Server::Scripted(Way::Drops)),
            ("127.0.0.3", Server::Unbound),
        ],
    ),
    row("the first server refuses", TWO, first!(Refuses)),
    row("the first server fails (SERVFAIL)", TWO, first!(Fails)),
    row("the first server denies every name (NXDOMAIN)", TWO, first!(Denies)),
    row("the first server garbles its responses", TWO, first!(Garbles)),
    row("the first server truncates, and refuses TCP", TWO, first!(Truncates)),
    row(
        "the first server is dnsmasq with `filterwin2k`, which leaves SRV records out",
        TWO,
        &[("127.0.0.1", Server::Dnsmasq(&["--filterwin2k"])), ("127.0.0.2", Server::Unbound)],
    ),
    row("the only server rejects EDNS (FORMERR)", ONE, &[("127.0.0.1", Server::Scripted(Way::RejectsEdns))]),
    silent(
        "the only server drops requests with EDNS",
        ONE,
        &[("127.0.0.1", Server::Scripted(Way::DropsEdns))],
    ),
    NetworkCase {
        name: "`resolv.conf` names a server that is down, and another one later",
        resolv_conf: "nameserver 127.0.0.9\n",
        then: Some(ONE),
        servers: &[("127.0.0.1", Server::Unbound)],
        is_silent: false,
    },
    row("three aliases to the records, and one to the host", ONE, zone!(Zone::Aliases)),
    row("quotes, semicolons and `\\n` in the TXT records", ONE, zone!(Zone::Untidy)),
    row("the first SRV target is down", ONE, zone!(Zone::Before("bad A 127.0.0.8\n"))),
    row("the first SRV target does not exist", ONE, zone!(Zone::Before(""))),
    silent("the first SRV target drops every packet", ONE, zone!(Zone::Before("bad A 10.0.0.9\n"))),
    silent(
        "the first SRV target has five addresses that drop every packet",
        ONE,
        zone!(Zone::Before(
            "bad A 10.0.0.5\nbad A 10.0.0.6\nbad A 10.0.0.7\nbad AAAA fd00::8\nbad AAAA fd00::9\n"
        )),
    ),
    silent(
        "the first SRV target takes connections and says nothing",
        ONE,
        zone!(Zone::Before("bad A 127.0.0.7\n")),
    ),
];
