//! The same while the store or a daemon is killed, stopped or cut off: promises hold, and afterwards everything goes on.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use tokio::time::sleep;

use super::clients::Clients;
use super::deployment::Deployment;
use super::history::Trouble;
use super::relay::Relay;
use super::{ORDINARY, assert_kept, length, run, until_each_has_succeeded};

/// How long clients are left alone before a disturbance.
const QUIET: Duration = Duration::from_secs(2);

/// Disturbs a new deployment once.
async fn disturb_once(trouble: Trouble, does: impl AsyncFn(&Deployment, &Clients)) {
    disturb(Deployment::new().await, trouble, 1, does).await;
}

/// Disturbs a deployment this often, and in a long run again and again. After each time it waits until everything works.
pub(super) async fn disturb(
    deployment: Deployment,
    trouble: Trouble,
    times: usize,
    does: impl AsyncFn(&Deployment, &Clients),
) {
    let deployment = Arc::new(deployment);
    let record = run(&deployment, async |clients, history| {
        let mut done = 0;
        while done < times || history.now() + ORDINARY < length() {
            sleep(QUIET).await;
            let begin = history.now();
            does(&deployment, clients).await;
            history.disturbed(trouble, begin);
            until_each_has_succeeded(history, history.now(), 5).await;
            done += 1;
        }
    })
    .await;
    assert_kept(&record);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_store_is_killed_and_started_again() {
    disturb_once(Trouble::NewPrimary, async |deployment, _| {
        deployment.site.store.kill();
        sleep(Duration::from_secs(1)).await;
        deployment.site.store.start_again();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_store_is_put_back_from_an_old_dump() {
    disturb_once(Trouble::NewPrimary, async |deployment, clients| {
        let store = &deployment.site.store;
        store.cli(&["SAVE"]);
        let (dump, aside) = (store.folder().join("dump.rdb"), store.folder().join("aside"));
        fs::copy(&dump, &aside).expect("copied");
        clients.suspect_all();
        // Meanwhile clients delete some of what is in the dump.
        sleep(QUIET).await;
        store.kill();
        fs::copy(&aside, &dump).expect("copied");
        store.start_again();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_store_is_stopped() {
    disturb_once(Trouble::StoreAway, async |deployment, _| {
        deployment.site.store.signal("STOP");
        sleep(Duration::from_secs(5)).await;
        deployment.site.store.signal("CONT");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_daemon_is_stopped() {
    disturb_once(Trouble::Daemon(1), async |deployment, _| {
        deployment.signal(1, Signal::STOP);
        sleep(Duration::from_secs(3)).await;
        deployment.signal(1, Signal::CONT);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_daemon_is_killed_and_started_again() {
    disturb_once(Trouble::Daemon(1), async |deployment, _| {
        deployment.kill(1);
        sleep(Duration::from_secs(1)).await;
        deployment.start_again(1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_store_is_cut_off() {
    disturb_once(Trouble::StoreAway, async |deployment, _| cut(deployment.ways()).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_daemon_is_cut_off() {
    disturb_once(Trouble::Daemon(1), async |deployment, _| cut(&deployment.ways()[1..][..1]).await).await;
}

/// For longer than a connection is waited for.
async fn cut(ways: &[Relay]) {
    ways.iter().for_each(Relay::cut);
    sleep(Duration::from_secs(3)).await;
    ways.iter().for_each(Relay::mend);
}
