use rke_proto::RaidaIndex;
use rke_proto::directory::Directory;

use super::*;
use crate::discovery::Validation;

fn guarded() -> AgreedDirectory {
    let urls = ["a", "b", "c"].map(|host| format!("https://{host}.example/host.txt"));
    let guardians = ArcSwap::from_pointee(Guardians::new(&urls).expect("guardians"));
    AgreedDirectory { guardians, ..AgreedDirectory::none() }
}

/// Whether a request to ask the guardians is pending.
async fn is_wanted(directory: &AgreedDirectory) -> bool {
    timeout(Duration::ZERO, directory.wanted.notified()).await.is_ok()
}

#[tokio::test]
async fn a_doubt_has_them_asked_unless_they_were_a_moment_ago() {
    let directory = guarded();
    directory.doubt();
    assert!(is_wanted(&directory).await);
    directory.lock().is_running = true;
    directory.doubt();
    assert!(!is_wanted(&directory).await, "they are being asked");
    directory.lock().finish();
    directory.doubt();
    assert!(!is_wanted(&directory).await, "they have just been asked");
    assert!(!directory.fill().await, "and would say the same to a session");
}

#[tokio::test]
async fn without_guardians_nobody_is_asked_and_nobody_waits() {
    let directory = AgreedDirectory::none();
    assert!(directory.report().is_none() && !directory.fill().await);
    assert!(matches!(directory.refresh().await, Err(RefreshError::NoGuardians)));
}

#[tokio::test]
async fn what_other_guardians_agreed_on_is_dropped_and_these_are_asked() {
    let nowhere = Some(([127, 0, 0, 1], 9).into());
    let discovery = Discovery::new(nowhere, Validation::off(), Directory::default(), Reach::Everywhere);
    let directory = guarded();
    let endpoint = ([127, 0, 0, 1], 1).into();
    let raida = RaidaIndex::new(1).expect("an index");
    let agreed = agreement::Agreed { endpoints: vec![endpoint], guardians: 3 };
    directory.lock().list.take_over([(raida, agreed)].into(), wall_clock());
    let urls = ["a", "b", "d"].map(|host| format!("https://{host}.example/host.txt"));
    for (guardians, left) in
        [(guarded().guardians.load_full(), 1), (Arc::new(Guardians::new(&urls).expect("three")), 0)]
    {
        directory.change((*guardians).clone(), &discovery);
        assert_eq!(directory.endpoints().len(), left);
        assert!(is_wanted(&directory).await);
    }
}

#[test]
fn they_are_asked_daily_and_more_often_where_they_do_not_agree() {
    let mut state = State::default();
    assert_eq!(state.due(), Duration::ZERO);
    for (agreed, period) in [(RAIDA_COUNT, PERIOD), (24, RETRY_PERIOD), (0, RETRY_PERIOD)] {
        state.last = Some(Refresh { at: wall_clock(), answered: 3, agreed, faults: Vec::new() });
        state.finish();
        assert!(state.due() <= period && state.due() > period - Duration::from_secs(60), "{agreed}");
    }
}
