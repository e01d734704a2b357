//! A deployment keeps its promises: real daemons, Content Servers and a real redis-server, 64 clients that do random things, and a checker over
//! what they saw. `RKE_HISTORY_SECONDS=60` makes each history longer.

mod checker;
mod clients;
mod deployment;
mod failover;
mod faults;
mod history;
mod relay;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use self::clients::Clients;
use self::deployment::{Deployment, PROMISES};
use self::history::{At, Event, History, IsForgotten, Outcome, Place, Record, What};
use crate::support::again;

/// The length of a history in an ordinary run.
const ORDINARY: Duration = Duration::from_secs(6);

/// How long clients do random things, at least.
fn length() -> Duration {
    let seconds = std::env::var("RKE_HISTORY_SECONDS").ok().and_then(|text| text.parse().ok());
    seconds.map_or(ORDINARY, Duration::from_secs)
}

/// Lets the clients do random things until `course` is over. Returns what they have seen.
async fn run(deployment: &Arc<Deployment>, course: impl AsyncFnOnce(&Clients, &History)) -> Record {
    let history = Arc::new(History::new());
    let (clients, running) = Clients::start(deployment, &history);
    course(&clients, &history).await;
    history.end();
    for client in running {
        client.await.expect("no panic");
    }
    history.record()
}

/// Waits until each kind of request has succeeded this often since then, at least.
async fn until_each_has_succeeded(history: &History, since: At, times: usize) {
    type IsMeant = fn(&What) -> bool;
    let kinds: [(&str, IsMeant); 3] = [
        ("opened", |what| matches!(what, What::Create(_))),
        ("used", |what| matches!(what, What::Use(_))),
        ("deleted", |what| matches!(what, What::Delete(..))),
    ];
    for (name, is_meant) in kinds {
        again(async || match history.count(since, is_meant) {
            count if count >= times => Ok(()),
            count => Err(format!("only {count} {name}")),
        })
        .await;
    }
}

fn assert_kept(record: &Record) {
    let violations = record.violations(PROMISES);
    let some = violations.iter().take(10).cloned().collect::<Vec<_>>().join("\n");
    assert!(violations.is_empty(), "{} violations:\n{some}\n{:?}", violations.len(), record.disturbances);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_keeps_its_promises() {
    let deployment = Arc::new(Deployment::new().await);
    let record = run(&deployment, async |_, history| {
        sleep(length()).await;
        until_each_has_succeeded(history, At::ZERO, 20).await;
    })
    .await;
    assert_kept(&record);
    let has = |is_meant: fn(&Event) -> bool| record.events.iter().any(is_meant);
    assert!(has(|event| event.outcome == Outcome::Refused), "never full");
    assert!(has(|event| matches!(event.what, What::Delete(_, IsForgotten::Yes))), "never proven");
    assert!(
        has(|event| matches!((event.place, &event.outcome), (Place::Server(_), Outcome::Done))),
        "never used there"
    );
}

/// A control. The store forgets who holds keys, so deletions wait for nobody.
#[tokio::test(flavor = "multi_thread")]
async fn the_checker_finds_deletions_that_do_not_wait() {
    let deployment = Arc::new(Deployment::new().await);
    let forget =
        "for _, key in ipairs(redis.call('KEYS', 'rke:{d*}:holders:*')) do redis.call('DEL', key) end";
    let is_found = |violation: &String| violation.contains("used after its deletion");
    run(&deployment, async |_, history| {
        again(async || {
            (0..50).for_each(|_| drop(deployment.site.store.cli(&["EVAL", forget, "0"])));
            match history.record().violations(PROMISES) {
                found if found.iter().any(is_found) => Ok(()),
                found => Err(format!("not among {found:?}")),
            }
        })
        .await;
    })
    .await;
}
