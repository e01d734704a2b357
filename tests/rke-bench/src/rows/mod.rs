//! The measurements: each module makes the rows of one name.

mod bulk;
mod churn;
mod crypto;
mod delete;
mod domains;
mod encrypt;
mod exchange;
mod growth;
mod keys;
mod memory;
mod node;
mod shared;
mod start;
mod store;

use anyhow::Result;

use crate::report::Figure;
use crate::stage::Stage;

/// A measurement: its name on the command line, and what makes its rows.
pub(crate) type Measurement = (&'static str, fn(&Stage) -> Result<Vec<Figure>>);

/// Rows that take an hour: measured only if they are named.
pub(crate) const LONG: &[Measurement] = &[("churn", churn::rows)];

/// All others, in the order of the table.
pub(crate) const ALL: &[Measurement] = &[
    ("delete", delete::rows),
    ("store", store::rows),
    ("encrypt", encrypt::rows),
    ("bulk", bulk::rows),
    ("keys", keys::rows),
    ("crypto", crypto::rows),
    ("exchange", exchange::rows),
    ("shared", shared::rows),
    ("domains", domains::rows),
    ("node", node::rows),
    ("memory", memory::rows),
    ("growth", growth::rows),
    ("start", start::rows),
];
