use super::*;

#[test]
fn a_place_fills_as_its_raida_answers() {
    let mut row = RaidaStates::new("Content.Test.");
    assert_eq!(row.line(Signs::ASCII), "looking for content.test and its RAIDAs");
    for (raida, state) in [
        (0, State::Asked),
        (0, State::Answered),
        (0, State::Asked),
        (1, State::Asked),
        (24, State::Asked),
        (24, State::Failed),
        (25, State::Answered),
    ] {
        row.take(raida, state);
    }
    let line = anstream::adapter::strip_str(&row.line(Signs::ASCII)).to_string();
    let expected = format!("[+.{}x] 1 of 25 RAIDAs answered, 0.0 s", " ".repeat(22));
    assert_eq!(line, expected);
}
