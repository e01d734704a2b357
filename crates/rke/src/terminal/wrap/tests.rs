use super::*;
use crate::terminal::{BAD, paint};

#[test]
fn a_text_is_broken_at_spaces_and_hangs_where_it_continues() {
    let text = "one two three four\n     five six seven";
    assert_eq!(wrapped(text, 14), "one two three\n  four\n     five six\n     seven");
    assert_eq!(wrapped(text, 18), text.replace(" seven", "\n     seven"));
    assert_eq!(wrapped(text, usize::MAX), text);
    assert_eq!(indented("one two three\nfour", 2, 9), "one two\n  three\n  four");
}

#[test]
fn only_a_word_longer_than_a_line_is_broken_and_only_between_its_parts() {
    assert_eq!(wrapped("at content.example.com now", 21), "at\n  content.example.com\n  now");
    assert_eq!(wrapped("at content.example.com now", 14), "at content.\n  example.com\n  now");
    let id = "0123456789abcdef0123456789abcdef";
    assert_eq!(wrapped(&format!("the id {id} ends"), 10), format!("the id\n  {id}\n  ends"));
}

#[test]
fn a_style_takes_no_room() {
    let text = paint(BAD, "one two three");
    assert_eq!(wrapped(&text, 13), text);
    assert_eq!(wrapped(&text, 12), text.replace(" three", "\n  three"));
}

#[test]
fn a_value_is_next_to_its_label_where_it_has_room() {
    assert_eq!(pair("name", "some words\nmore", 6, usize::MAX), "name  some words\n      more");
    assert_eq!(
        pair("name", "some words that go on and on", 6, 32),
        "name  some words that go on and\n      on"
    );
    assert_eq!(
        pair("name", "some words that go on and on", 6, 29),
        "name\n  some words that go on and\n  on"
    );
    assert_eq!(pair("name", "yes", 6, 9), "name  yes");
    assert_eq!(pair("name", "a_very_long_word", 6, 20), "name\n  a_very_long_word");
}
