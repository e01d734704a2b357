use hickory_resolver::proto::rr::Name;
use tokio::sync::Notify;

use super::*;

fn target(priority: u16, weight: u16, host: &str) -> Target {
    Target { priority, weight, server: ServerName { host: host.into(), port: 443 } }
}

fn hosts(servers: Vec<ServerName>) -> String {
    servers.into_iter().map(|server| server.host).collect::<Vec<_>>().join(" ")
}

#[test]
fn targets_are_shown_in_one_order_and_a_dot_is_none() {
    let srv = |priority, weight, host: &str| {
        RData::SRV(SRV::new(priority, weight, 443, Name::from_ascii(host).expect("a name")))
    };
    let records = [srv(5, 0, "."), srv(2, 1, "c."), srv(1, 1, "B_x."), srv(1, 9, "a."), srv(1, 9, "A.")];
    let shown = of_records(&records).into_iter().map(|target| target.server).collect();
    assert_eq!(hosts(shown), "a b_x c");
    assert!(of_records(&records[..1]).is_empty());
    assert_eq!(of_records(&[srv(0, 0, "a\\..")])[0].server.host, "a\\.", "a dot in a label");
}

#[test]
fn weights_decide_within_a_priority_and_never_across() {
    let targets =
        || vec![target(2, 9, "last"), target(1, 0, "none"), target(1, 10, "ten"), target(1, 30, "thirty")];
    assert_eq!(hosts(in_turn(targets(), |_| 0)), "none ten thirty last");
    assert_eq!(hosts(in_turn(targets(), |sum| sum)), "thirty ten none last");
    assert_eq!(hosts(in_turn(targets(), |sum| sum.min(10))), "ten thirty none last");
    let many = (0..20).map(|at| target(at, 0, "many")).collect();
    assert_eq!(in_turn(many, |_| 0).len(), MAX_TARGETS);
}

#[test]
fn the_kinds_of_addresses_take_turns() {
    // Records name some addresses twice, and not always in a row.
    let found =
        ["192.0.2.1", "192.0.2.2", "2001:db8::1", "192.0.2.1", "2001:db8::2", "2001:db8::1", "2001:db8::3"];
    let found = found.map(|text| text.parse::<IpAddr>().expect("an address"));
    let shown: Vec<String> = mixed(found).iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["2001:db8::1", "192.0.2.1", "2001:db8::2", "192.0.2.2", "2001:db8::3"]);
}

/// All candidates, in order. Once three are out, `slow` is notified.
async fn all(mut candidates: Candidates<'_>, slow: &Notify) -> String {
    let mut all = Vec::new();
    while let Some(next) = candidates.next().await {
        all.push(match next {
            Ok(Candidate { server, address }) => format!("{}={}", server.host, address.port()),
            Err((server, _)) => format!("{}!", server.host),
        });
        if all.len() == 3 {
            slow.notify_waiters();
        }
    }
    all.join(" ")
}

#[tokio::test]
async fn addresses_come_in_the_order_of_targets_except_those_of_slow_look_ups() {
    let slow = &Notify::new();
    let look_up = async |server: ServerName| {
        let ports: &[u16] = match server.host.as_str() {
            "quick" => &[1, 2],
            "later" => {
                tokio::task::yield_now().await;
                &[3]
            }
            "slow" => {
                slow.notified().await;
                &[4]
            }
            _ => return Err(DiscoveryError::NoAddress(server.host)),
        };
        Ok(ports.iter().map(|port| SocketAddr::from(([192, 0, 2, 1], *port))).collect())
    };
    for (hosts, expected) in [
        (&["later", "none", "quick"][..], "later=3 none! quick=1 quick=2"),
        (&["slow", "quick", "later"], "quick=1 quick=2 later=3 slow=4"),
        (&[], ""),
    ] {
        let servers = hosts.iter().map(|host| ServerName { host: (*host).into(), port: 443 }).collect();
        assert_eq!(all(Candidates::new(servers, look_up), slow).await, expected);
    }
}
