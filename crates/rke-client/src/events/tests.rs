use super::*;

fn events(pieces: &[&str]) -> Vec<Event> {
    let mut text = Text::default();
    let mut events = Vec::new();
    for piece in pieces {
        text.push(piece.as_bytes());
        events.extend(std::iter::from_fn(|| text.next()));
    }
    events
}

#[test]
fn an_event_is_whole_at_its_empty_line() {
    let pieces = [
        ": hello\n\nevent: exch",
        "ange\r\nid: 1\r\ndata: {\"domain\":\"a\",\"raida\":7,",
        "\"state\":\"answered\",\"ms\":1.5}\r\n\r\n",
    ];
    let exchange =
        Exchange { domain: "a".into(), raida: 7, state: State::Answered, ms: Some(1.5), fault: None };
    assert_eq!(events(&pieces), [Event::Exchange(exchange)]);
}

#[test]
fn what_is_not_known_is_given_as_it_is() {
    let other = |name: &str, data: &str| Event::Other { name: name.into(), data: data.into() };
    assert_eq!(
        events(&["data:x\ndata: y\n\nevent: exchange\ndata: {}\n\nevent: none\n\n"]),
        [other("message", "x\ny"), other("exchange", "{}")]
    );
}

#[test]
fn an_event_without_end_is_too_long() {
    let mut text = Text::default();
    text.push(&[b':'; MAX_EVENT_LEN]);
    assert!(text.next().is_none() && !text.is_too_long());
    text.push(b"\n");
    assert!(text.next().is_none() && text.is_too_long());
}
