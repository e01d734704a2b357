//! What was measured, as a table for people, and its place in `docs/performance.md`.

use std::fmt::{self, Display, Formatter};
use std::path::Path;

use anyhow::{Context, Result};

use crate::machine;
use crate::method::Spread;

const BEGIN: &str = "<!-- measured: begin -->\n";
const END: &str = "<!-- measured: end -->";

/// What a number should be.
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
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) ours: String,
    /// What it is compared with; empty where the goal is a number of its own.
    pub(crate) peer: String,
    /// The ratio, or the number itself.
    pub(crate) value: Spread,
    pub(crate) goal: Goal,
    pub(crate) steady: bool,
    /// The line of the plot that the value is a point of, and where on it.
    pub(crate) plotted: Option<(&'static str, f64)>,
}

impl Row {
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
pub(crate) fn table(rows: &[Row]) -> String {
    let lines: Vec<[String; 7]> =
        [HEAD.map(str::to_owned)].into_iter().chain(rows.iter().map(Row::cells)).collect();
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
pub(crate) fn write(path: &Path, rows: &[Row]) -> Result<()> {
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
mod tests {
    use super::*;

    fn row(median: f64, goal: Goal, steady: bool) -> Row {
        let value = Spread { median, min: 0.5, max: 250.4 };
        Row {
            name: "delete".into(),
            ours: "9 µs".into(),
            peer: "8 µs".into(),
            value,
            goal,
            steady,
            plotted: None,
        }
    }

    #[test]
    fn a_row_says_whether_its_goal_is_met() {
        let met = |median, goal, steady| row(median, goal, steady).cells()[6].clone();
        assert_eq!(met(0.95, Goal::AtLeast(0.95), true), "yes");
        assert_eq!(met(0.94, Goal::AtLeast(0.95), true), "no");
        assert_eq!(met(2.1, Goal::AtMost(2.0), false), "no, unsteady");
        assert_eq!(met(f64::NAN, Goal::AtMost(2.0), true), "no");
        assert_eq!(met(1.0, Goal::None, true), "");
    }

    #[test]
    fn the_columns_of_the_table_are_in_line() {
        let table = table(&[row(0.951, Goal::AtLeast(0.95), true), row(1.0, Goal::None, false)]);
        let lengths: Vec<usize> = table.lines().map(|line| line.chars().count()).collect();
        assert_eq!(lengths.len(), 4);
        assert!(lengths.iter().all(|length| *length == lengths[0]), "{table}");
        assert!(table.contains("| 0.95  | 0.50 – 250 | >= 0.95 | yes"), "{table}");
    }

    #[test]
    fn only_what_lies_between_the_marks_is_replaced() {
        let text = format!("before\n{BEGIN}old\n{END}\nafter\n");
        assert_eq!(replace(&text, "new\n"), Some(format!("before\n{BEGIN}new\n{END}\nafter\n")));
        assert_eq!(replace("no marks", "new"), None);
    }
}
