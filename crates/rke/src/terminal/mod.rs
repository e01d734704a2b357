//! Output for people at a terminal: text and tables that fit its width, with colours, spans of time, progress bars.
//! Colours are left out if NO_COLOR is set or the output is not a terminal, bars if standard error is not a terminal.

mod bar;
mod exchange;
mod size;
mod span;
mod style;
mod table;
mod text;
mod wrap;

pub(crate) use bar::{Bar, shows_unicode};
pub(crate) use exchange::watched;
pub(crate) use size::{help_width, size};
pub(crate) use span::{from_now, span};
pub(crate) use style::{BAD, BOLD, BRIGHT, DIM, DOUBTFUL, GOOD, paint};
#[cfg(test)]
pub(crate) use table::arranged;
pub(crate) use table::{Cell, Narrow, fitted, styled, table};
pub(crate) use text::{
    OutputFailure, SeenEnough, clean, is_about_output, out, out_refusal, out_text, printed, say,
};
pub(crate) use wrap::{indented, labelled, pair, wrapped};
