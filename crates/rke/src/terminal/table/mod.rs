//! Tables without ruling: column titles, and cells that wrap on a narrow terminal.

use std::fmt::Write;

use anstyle::Style;

use super::size::width;
use super::style::{DIM, paint};
use super::wrap::{columns as columns_of, longest_part, pieces};

/// Blanks between columns.
const GAP: usize = 2;

/// Columns are left out until each column whose cells wrap has this much room, if it needs it.
const COMFORTABLE: usize = 24;

/// Where no column can be left out, each column whose cells wrap keeps this much room for as long as another can give way.
const TIGHT: usize = 12;

/// What happens to a column if the terminal is too narrow for all columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Narrow {
    /// It is never broken across lines, but cut to this many characters before any column is left out. For ids, of
    /// which the beginning is enough for every command.
    Cut(usize),
    /// Its cells continue on further lines.
    Wraps,
    /// It is left out. The column with the lowest number goes first.
    LeftOut(u8),
}

/// A text in one style.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    pub(crate) fn new(text: impl ToString) -> Self {
        Self { text: text.to_string(), style: Style::new() }
    }
}

pub(crate) fn styled(style: Style, text: impl ToString) -> Cell {
    Cell { text: text.to_string(), style }
}

pub(crate) fn table(titles: &[&str], rows: impl IntoIterator<Item = Vec<Cell>>) -> String {
    let columns: Vec<_> = titles.iter().map(|title| (*title, Narrow::Wraps)).collect();
    fitted(&columns, rows)
}

/// A table whose columns behave differently on a narrow terminal.
pub(crate) fn fitted(columns: &[(&str, Narrow)], rows: impl IntoIterator<Item = Vec<Cell>>) -> String {
    arranged(columns, rows, width())
}

/// The same for a terminal of this width.
pub(crate) fn arranged(
    columns: &[(&str, Narrow)],
    rows: impl IntoIterator<Item = Vec<Cell>>,
    width: usize,
) -> String {
    let titles = columns.iter().map(|(title, _)| styled(DIM, title)).collect();
    let rows: Vec<Vec<Cell>> = std::iter::once(titles).chain(rows).collect();
    let column = |(at, (_, narrow)): (usize, &(&str, Narrow))| {
        let cells = || rows.iter().filter_map(|row| row.get(at));
        Column {
            narrow: *narrow,
            width: cells().map(|cell| columns_of(&cell.text)).max().unwrap_or_default(),
            part: cells().map(|cell| longest_part(&cell.text)).max().unwrap_or_default(),
            is_shown: true,
        }
    };
    let mut columns: Vec<Column> = columns.iter().enumerate().map(column).collect();
    fit(&mut columns, width);
    rows.iter().map(|row| lines(row, &columns)).collect::<Vec<_>>().join("\n")
}

struct Column {
    narrow: Narrow,
    width: usize,
    /// The longest part that cannot be broken.
    part: usize,
    is_shown: bool,
}

impl Column {
    /// The least width if cells that wrap are to have `room`.
    fn least(&self, room: usize) -> usize {
        match self.narrow {
            Narrow::Wraps => self.width.min(room.max(self.part)),
            _ => self.width,
        }
    }

    fn rank(&self) -> Option<u8> {
        match self.narrow {
            Narrow::LeftOut(rank) => Some(rank),
            _ => None,
        }
    }
}

/// The columns that the table takes, with the gaps between them.
fn taken<'a>(columns: impl Iterator<Item = &'a Column>, room: usize) -> usize {
    let widths = columns.filter(|column| column.is_shown).map(|column| column.least(room) + GAP);
    widths.sum::<usize>().saturating_sub(GAP)
}

/// Cuts ids if they leave no room for the rest, hides the columns that do not fit, and makes those narrower that wrap.
fn fit(columns: &mut [Column], width: usize) {
    if taken(columns.iter(), COMFORTABLE) > width {
        for column in &mut *columns {
            if let Narrow::Cut(len) = column.narrow {
                column.width = column.width.min(len);
            }
        }
    }
    while taken(columns.iter(), COMFORTABLE) > width {
        let shown = columns.iter_mut().filter(|column| column.is_shown && column.rank().is_some());
        let Some(least_important) = shown.min_by_key(|column| column.rank()) else { break };
        least_important.is_shown = false;
    }
    for room in [TIGHT, 0] {
        while taken(columns.iter(), usize::MAX) > width {
            let wider = columns.iter_mut().filter(|column| column.width > column.least(room));
            let Some(widest) = wider.max_by_key(|column| column.width) else { break };
            widest.width -= 1;
        }
    }
}

/// A row of the table, in as many lines as its longest cell needs.
fn lines(row: &[Cell], columns: &[Column]) -> String {
    let shown = row.iter().zip(columns).filter(|(_, column)| column.is_shown);
    let cells: Vec<_> =
        shown.map(|(cell, column)| (cell.style, in_column(&cell.text, column), column)).collect();
    let height = cells.iter().map(|(_, pieces, _)| pieces.len()).max().unwrap_or_default();
    let line = |at: usize| {
        let (mut line, mut blanks) = (String::new(), 0);
        for (style, pieces, column) in &cells {
            let piece = pieces.get(at).map_or("", String::as_str);
            if !piece.is_empty() {
                let _ = write!(line, "{:blanks$}{}", "", paint(*style, piece));
                blanks = 0;
            }
            blanks += column.width + GAP - columns_of(piece).min(column.width);
        }
        line
    };
    (0..height).map(line).collect::<Vec<_>>().join("\n")
}

fn in_column(text: &str, column: &Column) -> Vec<String> {
    match column.narrow {
        Narrow::Cut(_) => vec![text.chars().take(column.width).collect()],
        _ => text.lines().flat_map(|line| pieces(line, column.width, column.width)).collect(),
    }
}

#[cfg(test)]
mod tests;
