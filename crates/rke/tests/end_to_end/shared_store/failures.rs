//! While the store cannot be reached, responses say so, and nothing that was deleted comes back.

use std::time::{Duration, Instant};

use super::{Daemon, Site, settled};
use crate::support::{Answer, again, get};

/// A response that says within a second that the store is away. On a busy machine, again.
async fn is_away(daemon: &Daemon, request: impl AsyncFn() -> Answer) {
    again(async || {
        let begin = Instant::now();
        let answer = request().await;
        let took = begin.elapsed();
        if answer.status == 200 {
            return Err("a hold is not over yet".to_owned());
        }
        assert_eq!(answer.status, 503, "{}", answer.body);
        assert!(answer.header("retry-after").is_some(), "{answer:?}");
        if took < Duration::from_secs(1) { Ok(()) } else { Err(format!("it took {took:?}")) }
    })
    .await;
    // Once the connection is known to be lost.
    again(async || match get(daemon.address, "/health/ready").await {
        Answer { status: 503, body, .. } if body.contains("cannot reach the store") => Ok(()),
        Answer { body, .. } => Err(body),
    })
    .await;
}

async fn is_ready(daemon: &Daemon) {
    again(async || match get(daemon.address, "/health/ready").await {
        Answer { status: 200, .. } => Ok(()),
        Answer { body, .. } => Err(body),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_hangs_is_503_within_a_second_and_then_all_goes_on() {
    let site = Site::new().await;
    let [one, two, _] = site.daemons();
    let id = site.create_id(&one).await;
    one.uses(&id).await;
    site.store.signal("STOP");
    is_away(&one, async || one.encrypt(&id).await).await;
    is_away(&one, async || site.try_create(&one).await).await;
    is_away(&one, async || one.get("sessions").await).await;
    is_away(&two, async || two.get(&format!("session/{id}")).await).await;
    site.store.signal("CONT");
    is_ready(&one).await;
    is_ready(&two).await;
    one.uses(&id).await;
    two.uses(&id).await;
    // Creations that were not confirmed are taken back.
    again(async || match two.list().await["total"].as_u64() {
        Some(1) => Ok(()),
        total => Err(format!("{total:?} sessions")),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_is_not_ready_while_the_store_refuses_changes_and_says_why() {
    let site = Site::new().await;
    let daemon = site.daemon("one");
    is_ready(&daemon).await;
    for (setting, wrong, right, why) in [
        ("min-replicas-to-write", "1", "0", "takes no changes without its replicas"),
        ("maxmemory", "1", "0", "has no memory left"),
    ] {
        site.store.cli(&["CONFIG", "SET", setting, wrong]);
        again(async || {
            match (site.try_create(&daemon).await.status, get(daemon.address, "/health/ready").await) {
                (503, Answer { status: 503, body, .. }) if body.contains(why) => Ok(()),
                (status, Answer { body, .. }) => Err(format!("{status}: {body}")),
            }
        })
        .await;
        site.store.cli(&["CONFIG", "SET", setting, right]);
        is_ready(&daemon).await;
        site.create(&daemon).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_was_not_confirmed_succeeds_once_when_it_is_asked_again() {
    let site = Site::new().await;
    let [one, two, _] = site.daemons();
    let id = site.create_id(&one).await;
    one.uses(&id).await;
    settled(&one).await;
    site.store.signal("STOP");
    let answer = one.delete(&id).await;
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert!(answer.body.contains("The store cannot be used at the moment: "), "{}", answer.body);
    site.store.signal("CONT");
    is_ready(&two).await;
    again(async || match two.delete(&id).await {
        Answer { status: 200, .. } => Ok(()),
        Answer { status: 404, body, .. } => panic!("{body}"),
        Answer { body, .. } => Err(body),
    })
    .await;
    for daemon in [&one, &two] {
        assert_eq!(daemon.delete(&id).await.status, 404);
        daemon.does_not_have(&id).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_of_an_earlier_primary_never_come_back() {
    let site = Site::new().await;
    let [one, two, _] = site.daemons();
    let (dead, living) = (site.create_id(&one).await, site.create_id(&one).await);
    two.uses(&living).await;
    // As an append-only file or a dump would: all records are there again.
    site.store.cli(&["CONFIG", "SET", "save", "3600 1"]);
    site.store.cli(&["SAVE"]);
    one.deletes(&dead).await;
    site.store.kill();
    // Until no daemon holds a copy any more, which it may use for as long as its hold lasts.
    for daemon in [&one, &two] {
        is_away(daemon, async || daemon.encrypt(&living).await).await;
    }
    site.store.start_again();
    is_ready(&one).await;
    is_ready(&two).await;
    assert!(site.store.cli(&["DBSIZE"]).trim().parse::<u64>().expect("a number") > 0, "it has its dump");
    for daemon in [&one, &two] {
        for id in [&dead, &living] {
            // The first requests may still be those of connections that the kill has cut.
            again(async || match daemon.encrypt(id).await {
                Answer { status: 503, body, .. } if body.contains("The store has a new primary, ") => Ok(()),
                Answer { status: 503, body, .. } => Err(body),
                Answer { status, body, .. } => panic!("{status} {body}"),
            })
            .await;
        }
    }
    let id = site.create_id(&two).await;
    one.uses(&id).await;
    settled(&one).await;
    for daemon in [&one, &two] {
        for id in [&dead, &living] {
            assert_eq!(daemon.encrypt(id).await.status, 404);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_was_stopped_does_not_use_what_was_deleted_meanwhile() {
    let site = Site::new().await;
    let [one, two, _] = site.daemons();
    let id = site.create_id(&one).await;
    two.uses(&id).await;
    two.signal(rustix::process::Signal::STOP);
    one.deletes(&id).await;
    two.signal(rustix::process::Signal::CONT);
    two.does_not_have(&id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_never_sees_an_id_a_domain_or_data() {
    let site = Site::new().await;
    let [one, two, _] = site.daemons();
    let mut id = String::new();
    let shown = site
        .store
        .monitored(async {
            id = site.create_id(&one).await;
            two.uses(&id).await;
            one.get(&format!("session/{id}")).await;
            one.request("POST", &format!("session/{id}/renew")).await;
            one.list().await;
            let other = site.create_id(&two).await;
            one.deletes(&other).await;
        })
        .await;
    site.store.cli(&["SAVE"]);
    let dump = std::fs::read(site.store.folder().join("dump.rdb")).expect("a dump");
    let raw = hex::decode(&id).expect("an id");
    // As MONITOR writes bytes.
    let escaped: String = raw.iter().map(|byte| format!("\\x{byte:02x}")).collect();
    for needle in [id.as_str(), &escaped, crate::support::DOMAIN, "hello"] {
        assert!(!shown.contains(needle), "{needle}");
    }
    for needle in [raw.as_slice(), id.as_bytes(), crate::support::DOMAIN.as_bytes()] {
        assert!(!dump.windows(needle.len()).any(|window| window == needle));
    }
    one.uses(&id).await;
}
