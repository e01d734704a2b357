//! The keys of sessions, for an application at this end.

use rke_host::usage::{KeyError, KeyUse, UsageLimits, UsedUp};

use super::*;

#[test]
fn a_session_is_shown_with_its_coin_and_how_it_was_opened() {
    let mut stage = stage();
    let first = stage.open(&exchange(1));
    let second = stage.open_at(Stage::resume(&first, DOMAIN), NOW + 10);
    let sessions = stage.reception.sessions(NOW + 10);
    assert_eq!(
        sessions.iter().map(|session| session.key_id).collect::<Vec<_>>(),
        [first.key_id(), second.key_id()]
    );
    let [first, second] = &sessions[..] else { panic!("two sessions") };
    assert_eq!((&*first.domain, first.cs_id, first.coin), (DOMAIN, cs_id("CONTENT"), Some(COIN)));
    assert_eq!((first.form, first.raidas, first.since), (Form::Wide, set(0..17), NOW));
    assert_eq!((first.is_resumed, second.is_resumed), (false, true));
    assert_eq!((second.coin, second.raidas, second.since), (Some(COIN), set(0..17), NOW + 10));
    assert_eq!(first.expires_at, second.expires_at, "that of the exchange");
    assert_eq!(stage.reception.session(&second.key_id, NOW + 10).as_ref(), Some(second));
}

#[test]
fn a_session_that_proves_no_coin_has_none() {
    let mut stage = stage();
    let groups = [(set(0..9), pair(COIN, None)), (set(9..17), pair(OTHER, None))];
    let session = stage.open(&exchange_with(context(1), &groups));
    assert_eq!(stage.reception.session(&session.key_id(), NOW).expect("a session").coin, None);
}

#[test]
fn the_handle_opens_the_key_of_the_client_until_the_key_goes() {
    let mut stage = stage();
    let session = stage.open(&exchange(1));
    let key = stage.reception.use_key(&session.key_id(), KeyUse::Decrypt, NOW).expect("a key");
    let same = |own: &[u8; 32]| session.accepted.secrets.key.expose(|client| client == own);
    assert_eq!(key.expose(same), Some(true));
    stage.forgotten_at(&session.forget_key(), NOW).expect("forgotten");
    assert_eq!(key.expose(same), None, "its bytes are wiped");
    let gone = stage.reception.use_key(&session.key_id(), KeyUse::Decrypt, NOW);
    assert!(matches!(gone, Err(KeyError::NotFound)));
    assert!(
        stage.reception.sessions(NOW).is_empty() && stage.reception.session(&session.key_id(), NOW).is_none()
    );
}

#[test]
fn a_key_that_has_expired_is_not_found_before_it_is_swept() {
    let mut stage = stage_with(ReceptionPolicy { lifetime_seconds: 100, ..ReceptionPolicy::default() });
    let key_id = stage.open(&exchange(1)).key_id();
    assert!(stage.reception.use_key(&key_id, KeyUse::Decrypt, NOW + 99).is_ok());
    assert_eq!(stage.reception.sessions(NOW + 99).len(), 1);
    let gone = stage.reception.use_key(&key_id, KeyUse::Decrypt, NOW + 100);
    assert!(matches!(gone, Err(KeyError::NotFound)));
    assert!(stage.reception.sessions(NOW + 100).is_empty());
    assert!(stage.reception.session(&key_id, NOW + 100).is_none());
    assert_eq!(stage.reception.len(), 1, "nothing has swept it");
}

#[test]
fn uses_are_counted_and_bounded() {
    let usage = UsageLimits { messages: 2, bytes: 100 };
    let mut stage = stage_with(ReceptionPolicy { usage, ..ReceptionPolicy::default() });
    let key_id = stage.open(&exchange(1)).key_id();
    let mut use_key = |key_use| stage.reception.use_key(&key_id, key_use, NOW).map(|_| ());
    assert_eq!(use_key(KeyUse::Encrypt(60)), Ok(()));
    assert_eq!(use_key(KeyUse::EncryptMore(41)), Err(KeyError::UsedUp(UsedUp)));
    assert_eq!(use_key(KeyUse::EncryptMore(40)), Ok(()));
    assert_eq!(use_key(KeyUse::Encrypt(0)), Ok(()));
    assert_eq!(use_key(KeyUse::Encrypt(0)), Err(KeyError::UsedUp(UsedUp)));
    assert_eq!((use_key(KeyUse::Decrypt), use_key(KeyUse::DecryptMore)), (Ok(()), Ok(())));
    let session = stage.reception.session(&key_id, NOW).expect("a session");
    assert_eq!((session.encrypt_count, session.decrypt_count), (2, 1));
}

#[test]
fn a_key_that_the_application_uses_is_not_the_one_unused_for_longest() {
    let mut stage = stage_with(ReceptionPolicy { keys_per_coin: 2, ..ReceptionPolicy::default() });
    let (first, second) = (stage.open(&exchange(1)).key_id(), stage.open(&exchange(2)).key_id());
    stage.reception.use_key(&first, KeyUse::Decrypt, NOW).map(drop).expect("a key");
    stage.open(&exchange(3));
    assert!(stage.reception.session(&first, NOW).is_some());
    assert!(stage.reception.session(&second, NOW).is_none(), "it made room");
}
