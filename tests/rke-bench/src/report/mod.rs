//! The results, as a table for people, and their place in `docs/performance.md`.

use std::fmt::{self, Display, Formatter};
use std::path::Path;

use anyhow::{Context, Result};

use crate::machine;
use crate::method::{Spread, Triples};

const BEGIN: &str = "<!-- measured: begin -->\n";
const END: &str = "<!-- measured: end -->";

/// The goal for a number.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Goal {
    AtLeast(f64),
    AtMost(f64),
    /// It is only told.
    None,
}

impl Goal {
    fn is_met(self, value: f64) -> Option<bool> {
        match self {
            Self::AtLeast(goal) => Some(value >= goal),
            Self::AtMost(goal) => Some(value <= goal),
            Self::None => None,
        }
    }
}

impl Display for Goal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(goal) => write!(f, ">= {goal}"),
            Self::AtMost(goal) => write!(f, "<= {goal}"),
            Self::None => Ok(()),
        }
    }
}

/// One line of the table.
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) ours: String,
    /// The peer; empty if the goal is an absolute number.
    pub(crate) peer: String,
    /// The ratio, or the number itself.
    pub(crate) value: Spread,
    pub(crate) goal: Goal,
    pub(crate) steady: bool,
    /// The line of the plot that the value is a point of, and where on it.
    pub(crate) plotted: Option<(&'static str, f64)>,
}

impl Figure {
    /// One metric of ours and of a peer, in this unit.
    pub(crate) fn compared<T>(
        name: String,
        (peer, unit): (&str, &str),
        triples: &Triples<T>,
        metric: fn(&T) -> f64,
        goal: Goal,
    ) -> Self {
        Self {
            name,
            ours: format!("{:.1} {unit}", triples.ours(metric)),
            peer: format!("{peer} {:.1} {unit}", triples.peer(metric)),
            value: triples.ratio(metric),
            goal,
            steady: triples.steady,
            plotted: None,
        }
    }

    fn cells(&self) -> [String; 7] {
        let Spread { median, min, max } = self.value;
        let met = match (self.goal.is_met(median), self.steady) {
            (None, true) => "",
            (None, false) => "unsteady",
            (Some(true), true) => "yes",
            (Some(false), true) => "no",
            (Some(true), false) => "yes, unsteady",
            (Some(false), false) => "no, unsteady",
        };
        [
            self.name.clone(),
            self.ours.clone(),
            self.peer.clone(),
            number(median),
            format!("{} – {}", number(min), number(max)),
            self.goal.to_string(),
            met.to_owned(),
        ]
    }
}

fn number(value: f64) -> String {
    if value.abs() >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

const HEAD: [&str; 7] = ["row", "ours", "peer", "ratio", "spread", "goal", "met"];

/// The rows as a table in Markdown, its columns in line.
pub(crate) fn table(rows: &[Figure]) -> String {
    let lines: Vec<[String; 7]> =
        [HEAD.map(str::to_owned)].into_iter().chain(rows.iter().map(Figure::cells)).collect();
    let widths: [usize; 7] =
        std::array::from_fn(|at| lines.iter().map(|line| line[at].chars().count()).max().unwrap_or(0));
    let line = |cells: &[String; 7]| {
        let cells: Vec<String> =
            cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let rule = line(&widths.map(|width| "-".repeat(width)));
    let body: String = lines.iter().skip(1).map(line).collect();
    line(&lines[0]) + &rule + &body
}

/// Puts the table and the machine into a document, between its two marks.
pub(crate) fn write(path: &Path, rows: &[Figure]) -> Result<()> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let new = format!("\n{}\n{}\n", machine::describe(), table(rows));
    let text = replace(&text, &new).with_context(|| format!("{} lacks its marks", path.display()))?;
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn replace(text: &str, new: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some([before, BEGIN, new, END, after].concat())
}

#[cfg(test)]
mod tests;
