//! The console's signs, for terminals: a mark for each state of a RAIDA, and a ring that runs down with a session's
//! life.

use anstyle::Style;

use super::line::Line;
use crate::state::of_raida;
use crate::terminal::DIM;

/// The states of a RAIDA, by their names in the API, each with its mark in Unicode and ASCII.
const MARKS: [(&str, [char; 2]); 5] = [
    ("well", ['●', 'o']),
    ("failing", ['⊘', '/']),
    ("no_key_set", ['◇', 'x']),
    ("lying", ['▲', '!']),
    UNKNOWN,
];
const UNKNOWN: (&str, [char; 2]) = ("unknown", ['○', '.']);

/// Blanks after a mark, which may be cut.
const GAP: usize = 3;

/// Rings for the remaining part of a session's life, from empty to full.
const RINGS: [[char; 2]; 5] = [['○', '0'], ['◔', '1'], ['◑', '2'], ['◕', '3'], ['●', '4']];

/// Whether the terminal can show Unicode.
#[derive(Clone, Copy)]
pub(super) struct Signs {
    pub(super) unicode: bool,
}

impl Signs {
    fn choose(self, [unicode, ascii]: [char; 2]) -> char {
        if self.unicode { unicode } else { ascii }
    }

    /// The mark of a RAIDA in this state. A state that only later daemons know counts as unknown.
    pub(super) fn raida(self, state: &str) -> (Style, char) {
        let (_, signs) = MARKS.iter().find(|(name, _)| *name == state).unwrap_or(&UNKNOWN);
        (of_raida(state).0, self.choose(*signs))
    }

    /// The ring of a session with a lifetime of `life` seconds, of which `left` remain.
    pub(super) fn ring(self, left: i64, life: u64) -> char {
        let quarters = (left.max(0).unsigned_abs() * 4 + life / 2) / life.max(1);
        self.choose(RINGS[usize::try_from(quarters).map_or(4, |quarters| quarters.min(4))])
    }

    /// The marks with their meanings, in lines of at most `width` columns where possible.
    pub(super) fn legend(self, width: usize) -> Vec<Line> {
        let mut lines = vec![Line::default()];
        for (name, signs) in MARKS {
            let (style, words) = of_raida(name);
            let mark =
                Line::of(style, self.choose(signs).to_string()).plus(DIM, format!(" {words}{:GAP$}", ""));
            match lines.last_mut() {
                Some(line) if line.width() + mark.width() <= width + GAP => line.append(mark),
                _ => lines.push(mark),
            }
        }
        lines
    }

    /// All rings, from full to empty.
    pub(super) fn rings(self) -> String {
        RINGS.iter().rev().map(|signs| self.choose(*signs)).collect()
    }

    pub(super) fn arrows(self) -> &'static str {
        if self.unicode { "↑ ↓" } else { "j k" }
    }
}
