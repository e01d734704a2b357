//! Look-ups against a DNS server with zones that are signed, forged, expired, or not signed at all.

mod scripted;
mod servers;
mod zones;

use std::time::Duration;

use tempfile::NamedTempFile;

use self::zones::{Fault, Server, Zone};
use super::*;

const MODES: [Dnssec; 3] = [Dnssec::Off, Dnssec::Try, Dnssec::Require];

/// A discovery that asks `server`, and starts validation with the keys of `anchored`.
fn discovery(server: &Server, dnssec: Dnssec, anchored: &[&Zone]) -> Discovery {
    let text: String = anchored.iter().map(|zone| zone.anchor()).collect();
    let validation = load(dnssec, &text).expect("anchors");
    Discovery::new(Some(server.address), validation, Directory::default(), Reach::Everywhere)
}

fn load(dnssec: Dnssec, text: &str) -> Result<Validation, ResolverError> {
    let file = NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), text).expect("written");
    Validation::load(dnssec, Some(file.path()))
}

/// Where a domain's Content Server is, with its first address.
async fn find(discovery: &Discovery, domain: &str) -> Result<String, String> {
    let search = async {
        let domain = Domain::new(domain).expect("a domain");
        let found = discovery.discover(&domain).await.map_err(|error| error.to_string())?;
        let ServerName { host, port } = found.first();
        let addresses = discovery.addresses(host, *port).await;
        let addresses = addresses.map_err(|error| error.to_string())?;
        Ok(format!("{host} {}", addresses[0]))
    };
    tokio::time::timeout(Duration::from_secs(20), search).await.expect("an end")
}

/// Checks the result for a domain in each mode: the target, or a part of the error.
async fn expect(server: &Server, anchored: &[&Zone], domain: &str, expected: [&str; 3]) {
    for (dnssec, expected) in MODES.into_iter().zip(expected) {
        let found = find(&discovery(server, dnssec, anchored), domain).await;
        let text = found.unwrap_or_else(|error| error);
        assert!(text.contains(expected), "{domain}, {dnssec:?}: {text}");
    }
}

const BOGUS: &str = "fails DNSSEC validation";
const UNSIGNED: &str = "the response is not signed";

#[tokio::test]
async fn what_is_signed_is_taken_in_every_mode() {
    let zone = Zone::signed("signed.test").with_service("cs.signed.test", 5);
    let server = Server::start([zone.clone()]).await;
    expect(&server, &[&zone], "signed.test", ["cs.signed.test 192.0.2.5:443"; 3]).await;
}

#[tokio::test]
async fn what_is_forged_is_taken_only_where_nothing_is_validated() {
    for fault in [Fault::Forged, Fault::Unsigned, Fault::Expired, Fault::OtherKey] {
        let zone = Zone::signed("signed.test").with_service("cs.signed.test", 5);
        let server = Server::start([zone.clone().with(fault)]).await;
        let expected = ["cs.signed.test 192.0.2.", BOGUS, BOGUS];
        expect(&server, &[&zone], "signed.test", expected).await;
    }
}

#[tokio::test]
async fn a_forged_address_is_not_taken_either() {
    let zone = Zone::signed("signed.test").with_service("cs.host.test", 5);
    let host = Zone::signed("host.test").with_address("cs.host.test", 5);
    let server = Server::start([zone.clone(), host.clone().with(Fault::Forged)]).await;
    let expected = ["cs.host.test 192.0.2.66:443", "A look-up of cs.host.test: the response fails", BOGUS];
    expect(&server, &[&zone, &host], "signed.test", expected).await;
}

#[tokio::test]
async fn what_lies_beneath_no_known_key_counts_as_unsigned() {
    let zone = Zone::signed("signed.test");
    let plain = Zone::unsigned("plain.test").with_service("cs.plain.test", 5);
    let server = Server::start([zone.clone(), plain]).await;
    let taken = "cs.plain.test 192.0.2.5:443";
    expect(&server, &[&zone], "plain.test", [taken, taken, "no key in the file"]).await;
}

#[tokio::test]
async fn a_zone_that_its_signed_parent_calls_unsigned_is_unsigned() {
    let parent = Zone::signed("parent.test").with_delegation("child.parent.test");
    let child = Zone::unsigned("child.parent.test").with_service("cs.child.parent.test", 5);
    let server = Server::start([parent.clone(), child]).await;
    let taken = "cs.child.parent.test 192.0.2.5:443";
    expect(&server, &[&parent], "child.parent.test", [taken, taken, UNSIGNED]).await;
}

#[tokio::test]
async fn a_zone_with_a_key_of_its_own_is_signed_whatever_its_parent_says() {
    let parent = Zone::signed("parent.test").with_delegation("own.parent.test");
    let own = Zone::signed("own.parent.test").with_service("cs.own.parent.test", 5);
    let server = Server::start([parent.clone(), own.clone()]).await;
    expect(&server, &[&parent, &own], "own.parent.test", ["cs.own.parent.test 192.0.2.5:443"; 3]).await;
    let server = Server::start([parent.clone(), own.clone().with(Fault::OtherKey)]).await;
    expect(&server, &[&parent, &own], "own.parent.test", ["cs.own.parent.test", BOGUS, BOGUS]).await;
}

#[tokio::test]
async fn an_alias_is_as_good_as_its_weakest_part() {
    let parent = Zone::signed("parent.test").with_delegation("child.parent.test");
    let parent = parent.with_service("cs.parent.test", 5).with_alias("good.parent.test", "parent.test");
    let parent = parent.with_alias("down.parent.test", "child.parent.test");
    let child = Zone::unsigned("child.parent.test").with_service("cs.parent.test", 5);
    let child = child.with_alias("up.child.parent.test", "parent.test");
    let server = Server::start([parent.clone(), child]).await;
    let taken = "cs.parent.test 192.0.2.5:443";
    expect(&server, &[&parent], "good.parent.test", [taken; 3]).await;
    expect(&server, &[&parent], "down.parent.test", [taken, taken, UNSIGNED]).await;
    expect(&server, &[&parent], "up.child.parent.test", [taken, taken, UNSIGNED]).await;
}

#[tokio::test]
async fn an_alias_leads_from_one_zone_with_keys_into_another_and_out_of_it() {
    let one = Zone::signed("one.test").with_alias("one.test", "two.test");
    let two = Zone::signed("two.test").with_service("cs.two.test", 5);
    let two = two.with_alias("out.two.test", "plain.test").with_alias("round.two.test", "round.two.test");
    let plain = Zone::unsigned("plain.test").with_service("cs.plain.test", 5);
    let server = Server::start([one.clone(), two.clone(), plain.clone()]).await;
    expect(&server, &[&one, &two], "one.test", ["cs.two.test 192.0.2.5:443"; 3]).await;
    let taken = "cs.plain.test 192.0.2.5:443";
    expect(&server, &[&one, &two], "out.two.test", [taken, taken, "no key in the file"]).await;
    expect(&server, &[&one, &two], "round.two.test", ["too many aliases"; 3]).await;
    let server = Server::start([one.clone(), two.clone().with(Fault::Forged), plain]).await;
    expect(&server, &[&one, &two], "one.test", ["cs.two.test 192.0.2.66:443", BOGUS, BOGUS]).await;
}

#[tokio::test]
async fn a_host_may_be_an_alias_too() {
    let parent = Zone::signed("parent.test").with_delegation("child.parent.test");
    let parent = parent.with_service("www.child.parent.test", 5).with_address("cs.parent.test", 5);
    let child = Zone::unsigned("child.parent.test");
    let child = child.with_host_alias("www.child.parent.test", "cs.parent.test");
    let server = Server::start([parent.clone(), child]).await;
    let taken = "www.child.parent.test 192.0.2.5:443";
    let refused = "A look-up of www.child.parent.test: the response is not signed";
    expect(&server, &[&parent], "parent.test", [taken, taken, refused]).await;
}

#[tokio::test]
async fn good_records_of_another_owner_speak_for_nobody_else() {
    let zone = Zone::signed("signed.test").with_service("cs.signed.test", 5);
    let zone = zone.with_service_of("evil.signed.test", "evil.signed.test", 0, 66);
    let server = Server::start([zone.clone().with(Fault::Smuggled)]).await;
    expect(&server, &[&zone], "signed.test", ["cs.signed.test 192.0.2.5:443"; 3]).await;
}

#[tokio::test]
async fn without_a_way_from_the_root_nothing_is_validated() {
    let zone = Zone::unsigned("plain.test").with_service("cs.plain.test", 5);
    let server = Server::start([zone]).await;
    for dnssec in [Dnssec::Try, Dnssec::Require] {
        let validation = Validation::load(dnssec, None).expect("the root's keys");
        let discovery =
            Discovery::new(Some(server.address), validation, Directory::default(), Reach::Everywhere);
        let error = find(&discovery, "plain.test").await.expect_err("an error");
        assert!(error.contains(BOGUS), "{error}");
    }
}

#[tokio::test]
async fn a_missing_record_is_called_missing_and_an_unknown_domain_refused() {
    let zone = Zone::signed("signed.test").with_address("_rke._udp.signed.test", 5);
    let server = Server::start([zone.clone()]).await;
    expect(
        &server,
        &[&zone],
        "signed.test",
        ["signed.test has no SRV record at _rke._udp.signed.test. Publish"; 3],
    )
    .await;
    let discovery = discovery(&server, Dnssec::Off, &[]);
    let error = find(&discovery, "nowhere.example").await.expect_err("an error");
    assert!(error.contains("refused to look this name up"), "{error}");
}

#[test]
fn the_file_of_keys_takes_dnskey_records_and_says_what_else_is_in_it() {
    let zone = Zone::signed("signed.test");
    let text = format!("; mine\n\n{}{}", zone.anchor(), Zone::signed("b.signed.test").anchor());
    let zones = load(Dnssec::Try, &text).expect("anchors").anchors;
    let names: Vec<String> = zones.iter().map(|(name, _)| name.to_string()).collect();
    assert_eq!(names, ["b.signed.test.", "signed.test."]);
    let without_dot = load(Dnssec::Try, &zone.anchor().replacen("test.", "test", 1)).expect("anchors");
    assert_eq!(without_dot.anchors[0].0.to_string(), "signed.test.");
    for (text, expected) in [
        (format!("{}a.test. 60 IN DS 1 13 2 00", zone.anchor()), "line 2 of "),
        ("a.test. 60 IN DS 1 13 2 00".into(), "is a DS record"),
        ("a.test. IN DNSKEY 257 3 13 !".into(), "is not a DNSKEY record on one line"),
        ("one two".into(), "is not a DNSKEY record on one line"),
        ("; nothing".into(), "has no DNSKEY record"),
    ] {
        let error = load(Dnssec::Require, &text).err().expect("an error").to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
    let missing = Validation::load(Dnssec::Try, Some("/nowhere/anchors".as_ref())).err().expect("an error");
    assert!(missing.to_string().contains("/nowhere/anchors that --dnssec-anchors names"), "{missing}");
}
