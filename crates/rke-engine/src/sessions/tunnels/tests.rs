use super::*;

fn id(byte: u8) -> SessionId {
    SessionId::parse(&format!("{byte:02x}").repeat(16)).expect("an id")
}

#[tokio::test]
async fn all_tunnels_of_a_session_are_cut_and_no_others() {
    let tunnels = Arc::new(Tunnels::default());
    let [mut first, mut second, mut other] = [1, 1, 2].map(|byte| tunnels.open(id(byte)));
    tunnels.cut(id(1), BreakCode::Expired);
    assert_eq!((first.cut().await, second.cut().await), (BreakCode::Expired, BreakCode::Expired));
    tokio::select! {
        biased;
        _ = other.cut() => panic!("another session's tunnel was cut"),
        () = std::future::ready(()) => (),
    }
    drop((first, second, other));
    assert!(tunnels.lock().by_session.is_empty());
}

#[tokio::test]
async fn the_last_reason_is_kept_as_long_as_the_session_lives() {
    let tunnels = Arc::new(Tunnels::default());
    let [first, second] = [1, 1].map(|byte| tunnels.open(id(byte)));
    first.ended(Some("busy".into()));
    assert_eq!(tunnels.broken_off(id(1)).as_deref(), Some("busy"));
    assert_eq!(tunnels.broken_off(id(2)), None);
    second.ended(None);
    assert_eq!(tunnels.broken_off(id(1)), None, "another one ended after it");
    second.ended(Some("busy".into()));
    tunnels.cut(id(1), BreakCode::Deleted);
    first.ended(Some("late".into()));
    assert!(tunnels.lock().broken_off.is_empty());
}

#[tokio::test]
async fn a_key_is_gone_until_a_tunnel_opens_or_the_session_ends() {
    let tunnels = Arc::new(Tunnels::default());
    let [first, second] = [1, 1].map(|byte| tunnels.open(id(byte)));
    first.note_key_gone(true);
    assert!(tunnels.is_key_gone(id(1)) && !tunnels.is_key_gone(id(2)));
    second.note_key_gone(false);
    assert!(!tunnels.is_key_gone(id(1)), "another one was opened after it");
    second.note_key_gone(true);
    tunnels.cut(id(1), BreakCode::Deleted);
    first.note_key_gone(true);
    assert!(tunnels.lock().key_gone.is_empty());
}

#[tokio::test]
async fn a_stop_waits_for_the_last_tunnel_and_lets_none_begin() {
    let tunnels = Arc::new(Tunnels::default());
    let [mut deleted, mut other] = [1, 2].map(|byte| tunnels.open(id(byte)));
    tunnels.cut(id(1), BreakCode::Deleted);
    let mut stop = pin!(tunnels.stop());
    assert!(futures_util::poll!(&mut stop).is_pending());
    assert_eq!((deleted.cut().await, other.cut().await), (BreakCode::Deleted, BreakCode::Stopping));
    assert_eq!(tunnels.open(id(3)).cut().await, BreakCode::Stopping);
    drop(deleted);
    assert!(futures_util::poll!(&mut stop).is_pending());
    drop(other);
    assert!(futures_util::poll!(&mut stop).is_ready());
    tunnels.stop().await;
}
