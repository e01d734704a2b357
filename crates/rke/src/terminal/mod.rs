//! What people at a terminal see: text and tables with colours, spans of time, bars. Colours go away by
//! themselves where NO_COLOR is set or there is no terminal, bars where standard error is none.

mod bar;
mod exchange;
mod span;
mod style;
mod table;
mod text;

pub(crate) use bar::{Bar, shows_unicode};
pub(crate) use exchange::watched;
pub(crate) use span::{from_now, span};
pub(crate) use style::{BAD, BOLD, DIM, DOUBTFUL, GOOD, paint};
pub(crate) use table::{Cell, table};
pub(crate) use text::{SeenEnough, clean, out, out_refusal, printed, say};
