//! Lines that end before the edge of the terminal. They are broken at spaces; a word that is longer than a line is
//! broken after a dot, a slash or a hyphen, as the names of domains and files have them.

use anstream::adapter::strip_str;

use super::size::width;

/// Where a word that is too long for a line may be broken.
const JOINTS: [char; 3] = ['.', '/', '-'];

/// How far a line of text is indented where it continues.
const HANG: usize = 2;

/// Next to a column of labels, long values have at least this much room.
const ROOM: usize = 24;

/// The columns that a text takes. Styles take none.
pub(super) fn columns(text: &str) -> usize {
    strip_str(text).to_string().chars().count()
}

/// The blanks that a text begins with.
fn leading(text: &str) -> usize {
    strip_str(text).to_string().chars().take_while(|sign| *sign == ' ').count()
}

/// A text whose lines fit into `width` columns. A line that continues is indented.
pub(crate) fn wrapped(text: &str, width: usize) -> String {
    let line = |line: &str| {
        let indent = if leading(line) == 0 { HANG } else { leading(line) };
        pieces(line, width, width.saturating_sub(indent)).join(&below(indent))
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// A text whose lines begin after `indent` columns and end before `width`. The caller has already indented the first.
pub(crate) fn indented(text: &str, indent: usize, width: usize) -> String {
    let room = width.saturating_sub(indent);
    text.lines().flat_map(|line| pieces(line, room, room)).collect::<Vec<_>>().join(&below(indent))
}

/// A label and its value on standard output. The value begins after `labels` columns, or below the label where a word of
/// it has no room there.
pub(crate) fn labelled(label: &str, value: &str, labels: usize) -> String {
    pair(label, value, labels, width())
}

pub(crate) fn pair(label: &str, value: &str, labels: usize, width: usize) -> String {
    let longest = value.split_whitespace().map(columns).max().unwrap_or_default();
    let needed = longest.max(columns(value).min(ROOM));
    if width < labels.saturating_add(needed) {
        let indent = leading(label) + HANG;
        return format!("{label}{}{}", below(indent), indented(value, indent, width));
    }
    let gap = labels.saturating_sub(columns(label));
    format!("{label}{:gap$}{}", "", indented(value, labels, width))
}

/// The longest part of a text that is never broken.
pub(super) fn longest_part(text: &str) -> usize {
    text.split_whitespace()
        .flat_map(|word| word.split_inclusive(JOINTS))
        .map(columns)
        .max()
        .unwrap_or_default()
}

/// The pieces of a line: the first takes at most `first` columns, each of the others at most `rest`.
pub(super) fn pieces(line: &str, first: usize, rest: usize) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut room = first;
    let mut add = |space: &str, part: &str| {
        let piece = pieces.last_mut();
        let Some(piece) = piece else { return };
        let taken = columns(piece) + space.len() + columns(part);
        if taken > room && columns(piece.trim()) > 0 {
            room = rest;
            pieces.push(part.into());
        } else {
            *piece = format!("{piece}{space}{part}");
        }
    };
    for (at, word) in line.split(' ').enumerate() {
        let space = if at == 0 { "" } else { " " };
        if columns(word) <= rest {
            add(space, word);
            continue;
        }
        let parts = word.split_inclusive(JOINTS).enumerate();
        parts.for_each(|(at, part)| add(if at == 0 { space } else { "" }, part));
    }
    pieces
}

/// The beginning of a line that is indented.
fn below(indent: usize) -> String {
    format!("\n{:indent$}", "")
}

#[cfg(test)]
mod tests;
