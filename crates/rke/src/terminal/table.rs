//! Tables without lines: titles, and cells that a terminal wraps where it is narrow.

pub(crate) use comfy_table::Cell;
use comfy_table::presets::NOTHING;
use comfy_table::{Attribute, ContentArrangement, Table};

/// A table of these rows.
pub(crate) fn table(titles: &[&str], rows: impl IntoIterator<Item = Vec<Cell>>) -> String {
    let mut table = Table::new();
    let titles = titles.iter().map(|title| Cell::new(title).add_attribute(Attribute::Dim));
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_header(titles);
    // What prints the table takes the styles off where they are not wanted.
    table.enforce_styling().add_rows(rows);
    table.style_text_only();
    table.column_iter_mut().for_each(|column| {
        column.set_padding((0, 2));
    });
    table.trim_fmt()
}
