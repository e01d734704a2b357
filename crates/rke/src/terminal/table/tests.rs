use super::Narrow::{Cut, LeftOut, Wraps};
use super::*;

const COLUMNS: [(&str, Narrow); 4] =
    [("ID", Cut(8)), ("WHERE", Wraps), ("COUNT", LeftOut(1)), ("AGE", LeftOut(2))];
const ID: &str = "0123456789abcdef0123456789abcdef";

fn lines(width: usize) -> Vec<String> {
    let row = [ID, "content.example.com", "12345", "18 min"].map(Cell::new).to_vec();
    let text = arranged(&COLUMNS, [row], width);
    let plain = anstream::adapter::strip_str(&text).to_string();
    plain.lines().map(|line| line.trim_end().to_owned()).collect()
}

#[test]
fn all_columns_are_shown_where_there_is_room_or_no_terminal() {
    let whole = format!("{ID}  content.example.com  12345  18 min");
    for width in [usize::MAX, 68, 100] {
        assert_eq!(lines(width).get(1), Some(&whole), "{width}");
    }
}

#[test]
fn ids_are_cut_first_and_then_the_least_important_columns_go() {
    for width in [67, 44] {
        assert_eq!(lines(width)[1], "01234567  content.example.com  12345  18 min", "{width}");
    }
    for width in [43, 37] {
        assert_eq!(lines(width)[1], "01234567  content.example.com  18 min", "{width}");
    }
    assert_eq!(lines(36)[1], "01234567  content.example.com");
}

#[test]
fn a_long_text_wraps_before_a_column_goes() {
    let row = [ID, &"word ".repeat(20), "12345", "18 min"].map(Cell::new).to_vec();
    let text = arranged(&COLUMNS, [row], 80);
    assert!(text.contains("18 min") && text.contains("12345") && text.lines().count() > 4, "{text}");
}

#[test]
fn an_id_is_whole_or_its_beginning_and_never_broken() {
    for width in 1..100 {
        let lines = lines(width);
        let id = if width < 68 { &ID[..8] } else { ID };
        assert_eq!(lines[1].split(' ').next(), Some(id), "{width}: {lines:#?}");
        let has_room = width >= 18;
        assert!(!has_room || lines.iter().all(|line| line.len() <= width), "{width}: {lines:#?}");
    }
}

#[test]
fn what_wraps_has_room_in_a_narrow_terminal_and_is_broken_between_words() {
    assert_eq!(lines(40)[1..], ["01234567  content.example.com  18 min"]);
    assert_eq!(lines(26)[1..], ["01234567  content.example.", "          com"]);
    let row = ["a".to_owned(), "weakly authenticated".into(), "content.example.com".into()].map(Cell::new);
    let columns = [("A", Wraps), ("STATE", Wraps), ("DOMAIN", Wraps)];
    let text = anstream::adapter::strip_str(&arranged(&columns, [row.to_vec()], 34)).to_string();
    assert_eq!(
        text,
        "A  STATE            DOMAIN\na  weakly           content.\n   authenticated    example.com"
    );
}
