//! Flags for printing lists in scripts.

use clap::Args;

use crate::template::Template;

/// A template for each row.
#[derive(Args)]
pub(crate) struct Format {
    /// Print a line for each row: this text, in which fields of --json stand in braces, as in '{session_id} {domain}'.
    #[arg(long, value_name = "TEMPLATE", conflicts_with = "json")]
    pub(crate) format: Option<Template>,
}

/// The same, and what is mostly asked for.
#[derive(Args)]
pub(crate) struct Listing {
    /// Print only the ids, or the domains if rows have none.
    #[arg(short, long, conflicts_with_all = ["format", "json"])]
    quiet: bool,
    #[command(flatten)]
    format: Format,
}

impl Listing {
    /// The template for each row, or `None` for a table. `name` is the field that names a row.
    pub(crate) fn template(&self, name: &str) -> Option<Template> {
        if self.quiet { Some(Template::of_field(name)) } else { self.format.format.clone() }
    }
}
