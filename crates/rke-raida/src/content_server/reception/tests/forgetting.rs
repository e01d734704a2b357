use super::*;

fn proof_of(secret: &Secret<32>) -> [u8; 16] {
    secret.expose(forget_proof).0
}

#[test]
fn the_right_token_wipes_the_key_and_gets_its_proof_also_when_it_comes_again() {
    let mut stage = stage_with(ReceptionPolicy { lifetime_seconds: 1000, ..ReceptionPolicy::default() });
    let session = stage.open(&exchange(1));
    let proof = proof_of(&session.accepted.secrets.key);
    for now in [NOW, NOW + 1, NOW + 999] {
        assert_eq!(stage.forgotten_at(&session.forget_key(), now).map(|(proof, _)| proof), Some(proof));
        assert!(stage.reception.is_empty());
    }
    assert!(stage.forgotten_at(&session.forget_key(), NOW + 1000).is_none(), "its lifetime is over");
    assert_eq!(stage.refusal(&Stage::attach(&session, DOMAIN).1), Some(Reason::NoSuchKey));
}

#[test]
fn an_unknown_id_or_a_wrong_token_confirms_nothing_and_wipes_nothing() {
    let mut stage = stage();
    let session = stage.open(&exchange(1));
    let good = session.forget_key();
    let mut refused = vec![Forget { id: [9; 16], ..good }, Forget { id: session.resumption().0, ..good }];
    for byte in 0..16 {
        let mut wrong = good;
        wrong.token.0[byte] ^= 1;
        refused.push(wrong);
    }
    for forget in &refused {
        assert_eq!(stage.refusal(&forget.to_bytes()), Some(Reason::NoSuchKey));
    }
    assert!(stage.attached(&session).is_some());
    assert!(stage.forgotten_at(&good, NOW).is_some());
    for forget in &refused {
        assert_eq!(stage.refusal(&forget.to_bytes()), Some(Reason::NoSuchKey), "also when it is gone");
    }
}

#[test]
fn connections_and_handshakes_of_the_key_end_before_the_answer() {
    let mut stage = stage();
    let session = stage.open(&exchange(1));
    let (_, watcher) = stage.attached(&session).expect("attached");
    let (_, in_progress) = stage.pending_at(Stage::attach(&session, DOMAIN), NOW);
    let (_, closing) = stage.forgotten_at(&session.forget_key(), NOW).expect("forgotten");
    let in_progress = (in_progress.opens, in_progress.watcher.expect("a watcher"));
    assert_eq!((watcher.ending(), in_progress.1.ending()), (Some(Ending::Deleted), Some(Ending::Deleted)));
    assert!(!closing.is_complete());
    let Opens::Tunnel(key_id) = in_progress.0 else { panic!("not a tunnel") };
    assert_eq!(stage.reception.attach(key_id, &in_progress.1, NOW), Err(Ending::Deleted));
    drop(watcher);
    assert!(!closing.is_complete());
    drop(in_progress.1);
    assert!(closing.is_complete());
}

#[test]
fn neither_key_nor_resumption_takes_the_other_along() {
    let mut stage = stage();
    let (one, two) = (stage.open(&exchange(1)), stage.open(&exchange(2)));
    assert!(stage.forgotten_at(&one.forget_key(), NOW).is_some());
    let resumed = stage.open_at(Stage::resume(&one, DOMAIN), NOW);
    assert!(stage.attached(&resumed).is_some());
    let proof = proof_of(&two.accepted.secrets.resumption);
    assert_eq!(stage.forgotten_at(&two.forget_resumption(), NOW).map(|(proof, _)| proof), Some(proof));
    assert_eq!(stage.refusal(&Stage::resume(&two, DOMAIN).1), Some(Reason::NoSuchKey));
    assert!(stage.attached(&two).is_some());
}

#[test]
fn a_forgotten_resumption_breaks_off_the_handshakes_that_resume_and_no_others() {
    let mut stage = stage();
    let session = stage.open(&exchange(1));
    let (_, tunnel) = stage.attached(&session).expect("attached");
    let (_, pending) = stage.pending_at(Stage::resume(&session, DOMAIN), NOW);
    assert!(stage.forgotten_at(&session.forget_resumption(), NOW).is_some());
    assert_eq!(pending.watcher.expect("a watcher").ending(), Some(Ending::Deleted));
    assert_eq!(tunnel.ending(), None);
    let Opens::Session(new) = pending.opens else { panic!("not a session") };
    assert_eq!(stage.reception.establish(new, NOW), Err(Ending::Deleted));
    assert_eq!(stage.reception.len(), 1);
}

#[test]
fn a_forgotten_key_breaks_off_no_handshake_that_resumes() {
    let mut stage = stage();
    let session = stage.open(&exchange(1));
    let (_, pending) = stage.pending_at(Stage::resume(&session, DOMAIN), NOW);
    assert!(stage.forgotten_at(&session.forget_key(), NOW).is_some());
    assert_eq!(pending.watcher.expect("a watcher").ending(), None);
    let Opens::Session(new) = pending.opens else { panic!("not a session") };
    assert!(stage.reception.establish(new, NOW).is_ok());
}

#[test]
fn a_key_that_made_room_has_gone_just_as_well() {
    let mut stage = stage_with(ReceptionPolicy { keys_per_coin: 1, ..ReceptionPolicy::default() });
    let session = stage.open(&exchange(1));
    stage.open(&exchange(2));
    let proof = proof_of(&session.accepted.secrets.key);
    assert_eq!(stage.forgotten_at(&session.forget_key(), NOW).map(|(proof, _)| proof), Some(proof));
    let proof = proof_of(&session.accepted.secrets.resumption);
    assert_eq!(stage.forgotten_at(&session.forget_resumption(), NOW).map(|(proof, _)| proof), Some(proof));
}

#[test]
fn what_is_kept_of_keys_that_are_gone_is_bounded() {
    let mut stage = stage_with(ReceptionPolicy { max_keys: 16, ..ReceptionPolicy::default() });
    let sessions: Vec<Session> = (0..20).map(|nth| stage.open(&exchange(nth))).collect();
    for session in &sessions {
        let _ = stage.forgotten_at(&session.forget_key(), NOW);
    }
    assert!(stage.reception.gone.len() <= 4, "{}", stage.reception.gone.len());
    assert!(stage.forgotten_at(&sessions[19].forget_key(), NOW).is_some(), "the last ones are kept");
}
