use super::Narrow::{LeftOut, Whole, Wraps};
use super::*;

const COLUMNS: [(&str, Narrow); 4] =
    [("ID", Whole), ("WHERE", Wraps), ("COUNT", LeftOut(1)), ("AGE", LeftOut(2))];
const ID: &str = "0123456789abcdef0123456789abcdef";

fn lines(width: Option<u16>) -> Vec<String> {
    let row = [ID, "content.example.com", "12345", "18 min"].map(Cell::new).to_vec();
    let text = arranged(&COLUMNS, [row], width);
    let plain = anstream::adapter::strip_str(&text).to_string();
    plain.lines().map(|line| line.trim_end().to_owned()).collect()
}

#[test]
fn all_columns_are_shown_where_there_is_room_or_no_terminal() {
    let whole = format!("{ID}  content.example.com  12345  18 min");
    for width in [None, Some(68), Some(100)] {
        assert_eq!(lines(width).get(1), Some(&whole), "{width:?}");
    }
}

#[test]
fn the_least_important_columns_go_first() {
    assert_eq!(lines(Some(67))[1], format!("{ID}  content.example.com  18 min"));
    assert_eq!(lines(Some(60))[1], format!("{ID}  content.example.com"));
}

#[test]
fn a_long_text_wraps_before_a_column_goes() {
    let row = [ID, &"word ".repeat(20), "12345", "18 min"].map(Cell::new).to_vec();
    let text = arranged(&COLUMNS, [row], Some(80));
    assert!(text.contains("18 min") && text.contains("12345") && text.lines().count() > 4, "{text}");
}

#[test]
fn an_id_is_whole_in_every_terminal() {
    for width in 1..100 {
        let lines = lines(Some(width));
        assert!(lines.iter().any(|line| line.starts_with(ID)), "{width}: {lines:#?}");
        let has_room = usize::from(width) > ID.len() + 8;
        assert!(!has_room || lines.iter().all(|line| line.len() <= width.into()), "{width}: {lines:#?}");
    }
}
