//! Values of flags that several commands take.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use rke_engine::Domain;
use rke_proto::ContentServerId;
use rke_proto::coin::CoinId;
use rke_proto::preshared::{MAX_NAME_LEN, Name};
use rke_proto::records::SERVICE;
use rke_raida::content_server::PublicKey;
use rke_raida::replay::SHARES;

/// More than fits into any machine's memory.
const MAX_REPLAY_PLACES: usize = 1 << 30;

/// The digits of a whole id.
const ID_DIGITS: usize = 32;

/// Parses an address to listen on or to connect to. Names are not allowed, because a name may have several addresses.
pub(crate) fn parse_address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| "it must be an IP address with a port, such as 127.0.0.1:8080 or [::1]:8080")
}

/// Parses an address to connect to, whose host may be a name.
pub(crate) fn parse_target(text: &str) -> Result<String, &'static str> {
    let parts = text.rsplit_once(':').filter(|(host, _)| !host.is_empty());
    let port = parts.and_then(|(_, port)| port.parse::<u16>().ok()).filter(|port| *port > 0);
    let port =
        port.ok_or("it must be a host with a port, such as 127.0.0.1:5432, [::1]:22 or db.example.com:5432");
    port.map(|_| text.to_owned())
}

/// A coin may use one in `SHARES` of the places. With fewer places than that, it could use none.
pub(crate) fn parse_replay_places(text: &str) -> Result<usize, String> {
    let places = text.parse().ok().filter(|places| (SHARES..=MAX_REPLAY_PLACES).contains(places));
    places.ok_or_else(|| format!("the number of places is from {SHARES} to {MAX_REPLAY_PLACES}"))
}

/// A domain.
pub(crate) fn parse_domain(text: &str) -> Result<Domain, String> {
    if let Some((domain, _)) = split_port(text) {
        return Err(format!("a domain has no port, because its SRV record names one; write {domain}"));
    }
    let domain = Domain::new(text).ok_or("it is not a domain name, such as content.example.com")?;
    expect_bare(&domain)?;
    Ok(domain)
}

/// A domain name with a port, which belongs elsewhere.
fn split_port(text: &str) -> Option<(Domain, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    Some((Domain::new(host)?, port.parse().ok()?))
}

/// The name of a key.
pub(crate) fn parse_name(text: &str) -> Result<Name, String> {
    Name::new(text).ok_or_else(|| {
        format!("a key's name is 1 to {MAX_NAME_LEN} letters, digits and .-_@, and begins with a letter or a digit")
    })
}

/// Who may set a WireGuard peer's key.
pub(crate) fn parse_wireguard_peer(text: &str) -> Result<(CoinId, PublicKey), String> {
    let wrong = "it is written DENOMINATION:SERIAL=PUBLIC_KEY, such as 0:42=xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";
    let (coin, key) = text.split_once('=').ok_or(wrong)?;
    Ok((coin.parse()?, key.parse()?))
}

/// A Content Server ID.
pub(crate) fn parse_cs_id(text: &str) -> Result<ContentServerId, &'static str> {
    ContentServerId::new(text)
        .ok_or("a Content Server ID is 1 to 32 printable ASCII characters, without spaces")
}

/// A domain that the daemon reads, and that it responds to if it is not one.
pub(crate) fn parse_domain_for_daemon(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("it is empty; name a domain, such as content.example.com".into());
    }
    Domain::new(text).as_ref().map_or(Ok(()), expect_bare)?;
    Ok(text.to_owned())
}

/// Where a daemon listens, in the forms that its client takes.
pub(crate) fn parse_daemon(text: &str) -> Result<String, &'static str> {
    if text.starts_with("https://") {
        return Err("these commands speak no TLS; it must be HOST:PORT or unix:PATH");
    }
    let is_right = match text.strip_prefix("unix:") {
        Some(path) => !path.is_empty(),
        None => is_host_and_port(text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/')),
    };
    match is_right {
        true => Ok(text.to_owned()),
        false => Err("it must be HOST:PORT, such as localhost:8080 or [::1]:8080, or unix:PATH"),
    }
}

fn is_host_and_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let is_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && !host.contains([':', '/', '@', '[', ']'])
                && !host.contains(char::is_whitespace)
        }
    };
    is_host && port.parse::<u16>().is_ok()
}

/// The id of a session, or enough of its beginning.
pub(crate) fn parse_session(text: &str) -> Result<String, &'static str> {
    parse_id(
        text,
        "a session's id has 32 hexadecimal digits, of which the beginning is enough; `rke session list` shows the ids",
    )
}

/// The id of a session's key at a Content Server, or enough of its beginning.
pub(crate) fn parse_key_id(text: &str) -> Result<String, &'static str> {
    parse_id(
        text,
        "a key id has 32 hexadecimal digits, of which the beginning is enough; `rke content-server list` shows them",
    )
}

/// An empty id is most likely a shell variable that is not set.
fn parse_id(text: &str, what_it_is: &'static str) -> Result<String, &'static str> {
    if text.trim().is_empty() {
        return Err("it is empty; give a session's id of 32 hexadecimal digits, or enough of its beginning");
    }
    let is_id = text.len() <= ID_DIGITS && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    if is_id { Ok(text.to_owned()) } else { Err(what_it_is) }
}

/// Refuses the name that a domain's records are at, where the domain is meant.
pub(crate) fn expect_bare(domain: &Domain) -> Result<(), String> {
    let whole = domain.as_str();
    let mut bare = whole;
    while let Some(rest) = bare.strip_prefix(SERVICE).and_then(|rest| rest.strip_prefix('.')) {
        bare = rest;
    }
    match bare == whole {
        true => Ok(()),
        false => Err(format!("rke puts {SERVICE}. in front of domains by itself; write {bare}")),
    }
}

/// The host of an SRV record, which RFC 2782 wants to be a name.
pub(crate) fn parse_host(text: &str) -> Result<Domain, String> {
    let plain = text.trim_start_matches('[').trim_end_matches(']');
    if plain.parse::<IpAddr>().is_ok() || text.parse::<SocketAddr>().is_ok() {
        return Err(
            "an SRV record names a host, not an address; publish the address in an A or AAAA record, \
                    and give the name of that record"
                .into(),
        );
    }
    if let Some((host, port)) = split_port(text) {
        return Err(format!("the port has a flag of its own; write --host {host} --port {port}"));
    }
    parse_domain(text)
}

#[cfg(test)]
mod tests;
