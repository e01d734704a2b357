use super::*;

#[test]
fn a_text_from_elsewhere_cannot_command_the_terminal() {
    assert_eq!(clean("a\x1b[2Jb\r\u{9b}c\u{202e}d\ne ü"), "a\u{fffd}[2Jb\u{fffd}\u{fffd}c\u{fffd}d\ne ü");
}
