use std::net::SocketAddr;

use jiff::Timestamp;
use rke_proto::{ContentServerId, KeySetId};
use rke_raida::content_server::Preloaded;

use super::*;

const NOW: i64 = 1_800_000_000;

fn listing(number: u8, form: Form, is_preloaded: bool, retires_at: Option<u64>) -> ListedKeySet {
    let cs_id = ContentServerId::new("SHOP").expect("an ID");
    let key_set = KeySetId::new(number).expect("a key set");
    let preloaded = is_preloaded.then(Preloaded::default);
    ListedKeySet { cs_id, key_set, form, preloaded, retires_at }
}

/// k1 has retired, k2 retires, k3 is in service, k4 is one of live sessions, and the RAIDAs do not have k5.
fn expected() -> Expected<'static> {
    Expected {
        folder: Path::new("keys"),
        cs_id: ContentServerId::new("SHOP").expect("an ID"),
        sets: vec![
            listing(1, Form::Wide, true, Some(1_800_000_000)),
            listing(2, Form::Wide, true, Some(1_800_000_001)),
            listing(3, Form::Wide, true, None),
            listing(4, Form::Live, true, None),
            listing(5, Form::Wide, false, None),
        ],
        host: None,
        port: None,
        now: Timestamp::from_second(NOW).expect("a time"),
    }
}

fn endpoint(raida: usize) -> SocketAddr {
    ([192, 0, 2, u8::try_from(raida).expect("a small number")], 50000).into()
}

fn directory() -> Directory {
    Directory::new(RaidaIndex::all().map(|raida| (endpoint(raida.position()), raida)).collect())
}

/// The texts of a key set of wide shares.
fn texts(number: u8) -> Vec<String> {
    let servers = (0..25).map(|raida| format!("{} k{number} raida={raida}", endpoint(raida)));
    let first = [format!("k{number} = SHOP")];
    first.into_iter().chain(servers).chain(["required share-bytes>=32".into()]).collect()
}

fn target(host: &str, port: u16) -> Target {
    Target { priority: 0, weight: 0, server: ServerName { host: host.into(), port } }
}

fn compared(expected: &Expected<'_>, targets: Vec<Target>, texts: Vec<String>) -> (usize, String) {
    let mut report = Report::default();
    let published = Published { targets: Ok(targets), texts: Ok(texts) };
    compare(&mut report, expected, Some(&directory()), published);
    (report.failures(), anstream::adapter::strip_str(&report.text()).to_string())
}

#[test]
fn what_is_published_as_it_should_be_is_not_complained_about() {
    let (failures, text) = compared(&expected(), vec![target("cs.a.test", 443)], texts(3));
    let lines = "\
OK    srv        the SRV record names cs.a.test:443
OK    key sets   k3 is published and in service
OK    form       the TXT records have `required share-bytes>=32`, as k3 needs
OK    raidas     the 25 RAIDAs of k3 are where the directory has them
4 ok, 0 to look at, 0 failed";
    assert_eq!((failures, text.as_str()), (0, lines));
}

#[test]
fn each_key_set_is_judged_by_its_service() {
    let publish = "publish the records that `rke content-server preload --key-set 3 …` prints in place of those that are \
                   there (--format nsupdate)";
    let unpublished = format!("k3 is in service, and not published\n                 → {publish}");
    for (number, failures, finding) in [
        (1, 2, "FAIL  key sets   k1 is published, and has retired at 2027-01-15T08:00:00Z"),
        (1, 2, unpublished.as_str()),
        (2, 0, "WARN  key sets   k2 is published, and retires at 2027-01-15T08:00:01Z"),
        (2, 0, "WARN  key sets   k3 is in service, and not published"),
        (5, 2, "→ run `rke content-server preload --key-set 5 …` again"),
        (6, 2, "FAIL  key sets   k6 is published, and keys does not have it"),
        (
            4,
            1,
            "FAIL  form       the TXT records have `required share-bytes>=32`, and k4 needs no line that requires",
        ),
    ] {
        let (found, text) = compared(&expected(), vec![target("cs.a.test", 443)], texts(number));
        assert!(found == failures && text.contains(finding), "{finding}: {text}");
    }
}

#[test]
fn a_host_and_a_port_are_compared_where_they_are_named() {
    let host = Domain::new("cs.a.test").expect("a host");
    let (right, wrong) = (target("cs.a.test", 443), target("old.a.test", 444));
    for (host, port, targets, failures, finding) in [
        (Some(&host), None, vec![right.clone()], 0, "OK    srv        the SRV record names cs.a.test:443"),
        (Some(&host), Some(444), vec![right.clone()], 1, "names cs.a.test:443, not cs.a.test:444"),
        (Some(&host), None, vec![wrong.clone()], 1, "names old.a.test:444, not cs.a.test"),
        (None, Some(443), vec![wrong.clone()], 1, "names old.a.test:444, not port 443"),
        (
            Some(&host),
            None,
            vec![right, wrong],
            0,
            "WARN  srv        an SRV record names old.a.test:444 as well",
        ),
    ] {
        let (found, text) = compared(&Expected { host, port, ..expected() }, targets, texts(3));
        assert!(found == failures && text.contains(finding), "{finding}: {text}");
    }
}

#[test]
fn a_record_that_may_require_something_is_told() {
    let texts = [texts(3), vec!["required share-bytes>=many".into()]].concat();
    let (failures, text) = compared(&expected(), vec![target("cs.a.test", 443)], texts);
    assert!(
        failures == 1 && text.contains("a TXT record may require something, and cannot be read"),
        "{text}"
    );
}

#[test]
fn raidas_that_are_elsewhere_are_listed_in_one_finding() {
    let mut texts = texts(3);
    texts[4] = "192.0.2.99:50000 k3 raida=3".into();
    texts.remove(6);
    let (failures, text) = compared(&expected(), vec![target("cs.a.test", 443)], texts);
    let finding = "FAIL  raidas     k3 and the RAIDA directory differ: RAIDA 3 is published at 192.0.2.99:50000, not \
                   192.0.2.3:50000, RAIDA 5 at 192.0.2.5:50000 is not published\n";
    assert!(failures == 1 && text.contains(finding), "{text}");
}

#[test]
fn a_name_that_is_missing_is_one_finding() {
    let domain = Domain::new("a.test").expect("a domain");
    let missing = || DiscoveryError::NotFound(domain.clone());
    let mut report = Report::default();
    let published = Published { targets: Err(missing()), texts: Err(missing()) };
    compare(&mut report, &expected(), None, published);
    assert!(report.failures() == 1 && report.text().contains("preload --key-set 4"), "{}", report.text());
    let mut report = Report::default();
    let published = Published { targets: Err(DiscoveryError::TimedOut), texts: Err(missing()) };
    compare(&mut report, &expected(), None, published);
    assert!(
        report.failures() == 2 && report.text().contains("or name another with --dns-server"),
        "{}",
        report.text()
    );
}
