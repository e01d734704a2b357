//! Look-ups with DNS servers that fail in all the ways that DNS servers do.

use tokio::time::timeout;

use super::super::resolvers::Resolvers;
use super::super::upstreams::{Pace, Upstreams};
use super::scripted::{Scripted, Way};
use super::*;

const FOUND: &str = "cs_1.full.test 192.0.2.5:443 with 25";

/// Longer than any look-up here takes.
const LONG: Duration = Duration::from_secs(20);

/// Waits for one server until it shows a fault.
const PATIENT: Pace = Pace { head_start: LONG.saturating_mul(10), timeout: LONG.saturating_mul(10) };

/// Asks the next server soon, and waits for all.
const HASTY: Pace = Pace { head_start: Duration::from_millis(10), ..PATIENT };

/// A discovery that asks these servers in this order.
fn asking(servers: &[&Scripted]) -> Discovery {
    asking_at(PATIENT, servers)
}

fn asking_at(pace: Pace, servers: &[&Scripted]) -> Discovery {
    let addresses: Vec<SocketAddr> = servers.iter().map(|server| server.address).collect();
    let resolvers = Resolvers::asking(Upstreams::of(&addresses, pace), Validation::off());
    Discovery { resolvers, directory: ArcSwap::default(), reach: Reach::Everywhere }
}

async fn found(discovery: &Discovery, domain: &str) -> String {
    let search = async {
        let found = discovery.discover(&Domain::new(domain).expect("a domain")).await?;
        let ServerName { host, port } = found.first();
        let address = discovery.addresses(host, *port).await?[0];
        Ok(format!("{host} {address} with {}", found.sets.choose().map_or(0, |set| set.servers.len())))
    };
    let found = timeout(LONG, search).await.expect("in time");
    found.unwrap_or_else(|error: DiscoveryError| error.to_string())
}

#[tokio::test]
async fn a_full_set_is_found_with_every_fault_of_the_first_server_that_the_second_does_not_have() {
    for (way, pace) in [
        (Way::Good, PATIENT),
        (Way::Silent, HASTY),
        (Way::Refuses, PATIENT),
        (Way::Fails, PATIENT),
        (Way::DeniesAll, PATIENT),
        (Way::DeniesServices, PATIENT),
        (Way::RejectsEdns, PATIENT),
        (Way::DropsEdns, HASTY),
        (Way::Cuts, PATIENT),
        (Way::CutsAndHasNoTcp, PATIENT),
        (Way::Garbles, PATIENT),
        (Way::IsRaced, PATIENT),
        (Way::Refers, PATIENT),
    ] {
        let (first, second) = (Scripted::start(way).await, Scripted::start(Way::Good).await);
        assert_eq!(found(&asking_at(pace, &[&first, &second]), "full.test").await, FOUND, "{way:?}");
    }
}

#[tokio::test]
async fn one_server_is_enough_where_it_works_without_edns_or_over_tcp_only() {
    for way in [Way::Good, Way::RejectsEdns, Way::DropsEdns, Way::Cuts, Way::IsRaced] {
        let server = Scripted::start(way).await;
        assert_eq!(found(&asking(&[&server]), "full.test").await, FOUND, "{way:?}");
    }
}

#[tokio::test]
async fn a_server_whose_port_is_closed_is_not_waited_for() {
    let (closed, good) = (Scripted::start(Way::Good).await, Scripted::start(Way::Good).await);
    let discovery = asking(&[&closed, &good]);
    drop(closed);
    assert_eq!(found(&discovery, "full.test").await, FOUND);
}

#[tokio::test]
async fn one_server_is_asked_at_a_time_and_who_failed_is_asked_last() {
    let (first, second) = (Scripted::start(Way::Good).await, Scripted::start(Way::Good).await);
    found(&asking(&[&first, &second]), "full.test").await;
    assert_eq!(second.asked(), 0);
    let bad = Scripted::start(Way::Fails).await;
    let discovery = asking(&[&bad, &second]);
    found(&discovery, "full.test").await;
    let asked = bad.asked();
    assert!(asked > 0);
    discovery.look_again();
    assert_eq!(found(&discovery, "full.test").await, FOUND);
    assert_eq!(bad.asked(), asked);
}

#[tokio::test]
async fn what_dns_said_is_kept_until_somebody_wants_it_again() {
    let server = Scripted::start(Way::Good).await;
    let discovery = asking(&[&server]);
    for (domain, expected) in [("full.test", FOUND), ("nowhere.test", "nowhere.test has no ")] {
        assert!(found(&discovery, domain).await.starts_with(expected));
        let asked = server.asked();
        found(&discovery, domain).await;
        assert_eq!(server.asked(), asked, "{domain}");
        discovery.look_again();
        found(&discovery, domain).await;
        assert!(server.asked() > asked, "{domain}");
    }
}

#[tokio::test]
async fn three_aliases_lead_to_the_service_and_one_to_its_host() {
    let server = Scripted::start(Way::Good).await;
    assert_eq!(found(&asking(&[&server]), "alias.test").await, FOUND);
    assert!(found(&asking(&[&server]), "stray.test").await.contains("stray.test has no "));
}

#[tokio::test]
async fn messages_say_what_each_server_did() {
    for (way, expected) in [
        (Way::Refuses, "refused to look this name up"),
        (Way::Fails, "failed to find out (SERVFAIL)"),
        (Way::Garbles, "sent a response that cannot be read"),
        (Way::Refers, "does not look names up for others"),
        (Way::CutsAndHasNoTcp, "needs TCP"),
        (Way::DeniesAll, "full.test is not found: DNS has no name _rke._udp.full.test. Check the spelling"),
        (Way::DeniesServices, " record at _rke._udp.full.test. Publish the records that"),
    ] {
        let server = Scripted::start(way).await;
        let error = found(&asking(&[&server]), "full.test").await;
        assert!(error.contains(expected), "{way:?}: {error}");
    }
    let (silent, refusing) = (Scripted::start(Way::Silent).await, Scripted::start(Way::Refuses).await);
    let pace = Pace { timeout: Pace::default().timeout, ..HASTY };
    let error = found(&asking_at(pace, &[&silent, &refusing]), "full.test").await;
    let expected = format!(
        "the DNS server {} refused to look this name up; the DNS server {} did not respond. Check the network",
        refusing.address, silent.address
    );
    assert!(error.contains(&expected), "{error}");
}
