use super::*;

fn raida(index: u8) -> RaidaIndex {
    RaidaIndex::new(index).expect("an index")
}

fn endpoint(index: u8) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 50_000 + u16::from(index)))
}

fn outcome(index: u8, result: Result<u64, Fault>) -> Outcome {
    let (raida, endpoint) = (raida(index), endpoint(index));
    let result = result.map(Duration::from_millis);
    Outcome { raida, endpoint, result, way: Way::First }
}

fn bitmap(indexes: &[u8]) -> Bitmap {
    indexes.iter().map(|index| raida(*index)).collect()
}

fn wrong(indexes: &[u8]) -> Verdict {
    Verdict { wrong: bitmap(indexes), right: Bitmap::default() }
}

#[test]
fn resends_follow_the_usual_time_within_bounds() {
    let raidas = Raidas::default();
    assert_eq!(raidas.habits(raida(1), endpoint(1)).pace, Pace::default());
    for (took, expected) in [(120, 240), (1, 50), (5000, 1000)] {
        let raidas = Raidas::default();
        for _ in 0..3 {
            raidas.note([outcome(1, Ok(took))].into_iter(), Verdict::default());
        }
        let pace = raidas.habits(raida(1), endpoint(1)).pace;
        assert_eq!(pace.first_resend, Duration::from_millis(expected), "{took} ms");
    }
}

#[test]
fn who_has_never_answered_is_asked_twice_at_most() {
    let raidas = Raidas::default();
    assert_eq!(raidas.habits(raida(1), endpoint(1)).pace.most_requests, 2);
    raidas.note([outcome(1, Err(Fault::Silent)), outcome(2, Ok(5))].into_iter(), Verdict::default());
    assert_eq!(raidas.habits(raida(1), endpoint(1)).pace.most_requests, 2);
    assert_eq!(raidas.habits(raida(2), endpoint(2)).pace.most_requests, u32::MAX);
    assert_eq!(raidas.habits(raida(2), endpoint(3)).pace.most_requests, 2, "another endpoint");
}

#[test]
fn in_what_form_a_raida_answers_is_remembered_until_an_answer_shows_another() {
    let raidas = Raidas::default();
    let [restarts, continues] = [Counter::Restarts, Counter::Continues].map(AnswerForm::Envelope1);
    let garbles = AnswerForm::GarblesEnvelope5;
    for (way, result, form) in [
        (Way::Envelope4, Err(Fault::Silent), None),
        (Way::Envelope4, Ok(5), Some(garbles)),
        (Way::First, Ok(5), Some(garbles)),
        (Way::Envelope1(Counter::Restarts), Ok(5), Some(restarts)),
        (Way::First, Err(Fault::Silent), Some(restarts)),
        (Way::Envelope1(Counter::Continues), Ok(5), Some(continues)),
        (Way::First, Ok(5), None),
    ] {
        raidas.note([Outcome { way, ..outcome(1, result) }].into_iter(), Verdict::default());
        assert_eq!(raidas.habits(raida(1), endpoint(1)).form, form, "{way:?} {result:?}");
        assert_eq!(raidas.habits(raida(1), endpoint(2)).form, None);
    }
}

#[test]
fn who_lied_is_asked_last_and_named() {
    let raidas = Raidas::default();
    raidas.note([outcome(1, Ok(5)), outcome(2, Ok(5))].into_iter(), wrong(&[2]));
    assert_eq!(raidas.habits(raida(1), endpoint(1)).pace.ask_after, Duration::ZERO);
    assert_eq!(raidas.habits(raida(2), endpoint(2)).pace.ask_after, HELD_BACK);
    let rows = raidas.rows();
    assert_eq!((rows[1].state, rows[2].state, rows[3].state), (State::Well, State::Lying, State::Unknown));
    assert_eq!(rows[2].lies, 1);
}

#[test]
fn who_lied_stays_marked_until_a_share_of_it_is_proven_right() {
    let raidas = Raidas::default();
    let state = || raidas.rows()[1].state;
    raidas.note([outcome(1, Ok(5))].into_iter(), wrong(&[1]));
    // A response that nobody judged, no response, and a right share of another RAIDA.
    for (result, verdict) in [
        (Ok(5), Verdict::default()),
        (Err(Fault::Silent), Verdict::default()),
        (Ok(5), Verdict { right: bitmap(&[2]), wrong: Bitmap::default() }),
    ] {
        raidas.note([outcome(1, result)].into_iter(), verdict);
        assert_eq!(state(), State::Lying, "{result:?} {verdict:?}");
        assert_eq!(raidas.habits(raida(1), endpoint(1)).pace.ask_after, HELD_BACK);
    }
    raidas.note([outcome(1, Ok(5))].into_iter(), Verdict { right: bitmap(&[1]), wrong: Bitmap::default() });
    assert_eq!((state(), raidas.rows()[1].lies), (State::Well, 1));
    assert_eq!(raidas.habits(raida(1), endpoint(1)).pace.ask_after, Duration::ZERO);
    raidas.note([outcome(1, Err(Fault::Silent))].into_iter(), Verdict::default());
    assert_eq!(state(), State::Failing);
}

#[test]
fn who_has_no_such_key_set_is_told_from_who_is_silent() {
    let raidas = Raidas::default();
    let state = || raidas.rows()[1].state;
    let no_key_set = Err(Fault::Refused(Status::NO_SUCH_KEY_SET));
    for (result, expected) in [
        (no_key_set, State::NoKeySet),
        (Err(Fault::Silent), State::Failing),
        (Err(Fault::Refused(Status::BAD_PARAMETER)), State::Failing),
        (no_key_set, State::NoKeySet),
        // It was preloaded again.
        (Ok(5), State::Well),
    ] {
        raidas.note([outcome(1, result)].into_iter(), Verdict::default());
        assert_eq!(state(), expected, "{result:?}");
    }
    raidas.note([outcome(1, Ok(5))].into_iter(), wrong(&[1]));
    raidas.note([outcome(1, no_key_set)].into_iter(), Verdict::default());
    assert_eq!(state(), State::Lying, "a wrong share weighs more");
}

#[test]
fn the_margin_counts_those_that_did_well_last() {
    let raidas = Raidas::default();
    assert_eq!(margin(&raidas.rows(), 13), None);
    let all = |failing: u8| {
        (0..25).map(move |at| outcome(at, if at < failing { Err(Fault::Silent) } else { Ok(3) }))
    };
    raidas.note(all(3), Verdict::default());
    assert_eq!(margin(&raidas.rows(), 13), Some(9));
    raidas.note(all(14), Verdict::default());
    assert_eq!(margin(&raidas.rows(), 13), Some(0));
}

#[test]
fn the_history_has_the_last_times_and_where_there_was_no_right_share() {
    let raidas = Raidas::default();
    for took in 0..REMEMBERED_TIMES as u64 {
        raidas.note([outcome(1, Ok(took))].into_iter(), Verdict::default());
    }
    raidas.note([outcome(1, Err(Fault::Silent))].into_iter(), Verdict::default());
    raidas.note([outcome(1, Ok(7))].into_iter(), wrong(&[1]));
    let row = &raidas.rows()[1];
    assert_eq!(row.history.len(), REMEMBERED_TIMES);
    assert_eq!(row.history[0], Some(Duration::from_millis(2)));
    assert_eq!(row.history[REMEMBERED_TIMES - 2..], [None, None]);
    assert_eq!((raidas.changes(), row.asked), (REMEMBERED_TIMES as u64 + 2, REMEMBERED_TIMES as u64 + 2));
}

#[test]
fn endpoints_are_forgotten_in_time() {
    let raidas = Raidas::default();
    for at in 0..MAX_ENDPOINTS + 50 {
        let endpoint = SocketAddr::from(([127, 0, 0, 1], at as u16));
        raidas.note([Outcome { endpoint, ..outcome(1, Ok(1)) }].into_iter(), Verdict::default());
    }
    assert_eq!(raidas.lock().records.len(), MAX_ENDPOINTS);
}
