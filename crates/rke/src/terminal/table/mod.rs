//! Tables without ruling: column titles, and cells that wrap on a narrow terminal.

use anstyle::Style;
pub(crate) use comfy_table::Cell;
use comfy_table::presets::NOTHING;
use comfy_table::{Attribute, Color, ColumnConstraint, ContentArrangement, Table};

use super::size::width;
use super::style::{BAD, DOUBTFUL, GOOD};

/// Blanks between columns.
const GAP: u16 = 2;

/// The least width of a column whose cells wrap.
const WRAPPED: u16 = 24;

/// What happens to a column if the terminal is too narrow for all columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Narrow {
    /// It is never broken across lines. For ids, which people copy.
    Whole,
    /// Its cells continue on further lines.
    Wraps,
    /// It is left out. The column with the lowest number goes first.
    LeftOut(u8),
}

pub(crate) fn table(titles: &[&str], rows: impl IntoIterator<Item = Vec<Cell>>) -> String {
    let columns: Vec<_> = titles.iter().map(|title| (*title, Narrow::Wraps)).collect();
    fitted(&columns, rows)
}

/// A table whose columns behave differently on a narrow terminal.
pub(crate) fn fitted(columns: &[(&str, Narrow)], rows: impl IntoIterator<Item = Vec<Cell>>) -> String {
    arranged(columns, rows, width())
}

fn arranged(
    columns: &[(&str, Narrow)],
    rows: impl IntoIterator<Item = Vec<Cell>>,
    width: Option<u16>,
) -> String {
    let mut table = Table::new();
    let titles = columns.iter().map(|(title, _)| Cell::new(title).add_attribute(Attribute::Dim));
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_header(titles);
    // The print functions remove the styles where they are not wanted.
    table.force_no_tty().enforce_styling().add_rows(rows);
    table.style_text_only();
    table.column_iter_mut().for_each(|column| {
        column.set_padding((0, GAP));
    });
    if let Some(width) = width {
        // The gap after the last column is not printed.
        let width = width.saturating_add(GAP);
        table.set_width(width);
        fit(&mut table, columns, width.into());
    }
    table.trim_fmt()
}

/// Hides the columns that do not fit, and protects those that must stay whole.
fn fit(table: &mut Table, columns: &[(&str, Narrow)], width: usize) {
    let widths = table.column_max_content_widths();
    let least = |(width, (_, narrow)): (&u16, &(&str, Narrow))| match narrow {
        Narrow::Wraps => usize::from((*width).min(WRAPPED) + GAP),
        _ => usize::from(width + GAP),
    };
    let mut needed: usize = widths.iter().zip(columns).map(least).sum();
    let rank = |at: &usize| match columns[*at].1 {
        Narrow::LeftOut(rank) => Some(rank),
        _ => None,
    };
    let mut unimportant: Vec<usize> = (0..columns.len()).filter(|at| rank(at).is_some()).collect();
    unimportant.sort_by_key(rank);
    let mut constrain = |at: usize, constraint| {
        table.column_mut(at).into_iter().for_each(|column| _ = column.set_constraint(constraint));
    };
    let whole = (0..columns.len()).filter(|at| columns[*at].1 != Narrow::Wraps);
    whole.for_each(|at| constrain(at, ColumnConstraint::ContentWidth));
    for at in unimportant {
        if needed > width {
            needed -= usize::from(widths[at] + GAP);
            constrain(at, ColumnConstraint::Hidden);
        }
    }
}

/// A cell in one of the styles for good, doubtful and bad.
pub(crate) fn styled(style: Style, text: impl ToString) -> Cell {
    let cell = Cell::new(text.to_string());
    let colours = [(GOOD, Color::DarkGreen), (DOUBTFUL, Color::DarkYellow), (BAD, Color::DarkRed)];
    match colours.into_iter().find(|(of, _)| *of == style) {
        Some((_, colour)) => cell.fg(colour),
        None => cell,
    }
}

#[cfg(test)]
mod tests;
