//! The console's signs, for terminals: a mark for each state of a RAIDA, and a ring that runs down with a session's
//! life.

use anstyle::Style;

use super::line::Line;
use crate::terminal::{BAD, DIM, DOUBTFUL, GOOD};

/// A state of a RAIDA: its name in the API, its name for people, its style, and its mark in Unicode and ASCII.
struct Mark(&'static str, &'static str, Style, [char; 2]);

const MARKS: [Mark; 4] = [
    Mark("well", "healthy", GOOD, ['●', 'o']),
    Mark("failing", "no response", DOUBTFUL, ['⊘', '/']),
    Mark("lying", "wrong share", BAD, ['▲', '!']),
    Mark("unknown", "not asked yet", DIM, ['○', '.']),
];

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
        let known = MARKS.iter().find(|Mark(name, ..)| *name == state);
        let Mark(.., style, signs) = known.unwrap_or(&MARKS[3]);
        (*style, self.choose(*signs))
    }

    /// The ring of a session with a lifetime of `life` seconds, of which `left` remain.
    pub(super) fn ring(self, left: i64, life: u64) -> char {
        let quarters = (left.max(0).unsigned_abs() * 4 + life / 2) / life.max(1);
        self.choose(RINGS[usize::try_from(quarters).map_or(4, |quarters| quarters.min(4))])
    }

    /// The marks with their meanings.
    pub(super) fn legend(self) -> Line {
        MARKS.iter().fold(Line::default(), |line, Mark(_, words, style, signs)| {
            line.plus(*style, self.choose(*signs).to_string()).plus(DIM, format!(" {words}   "))
        })
    }

    /// All rings, from full to empty.
    pub(super) fn rings(self) -> String {
        RINGS.iter().rev().map(|signs| self.choose(*signs)).collect()
    }

    pub(super) fn arrows(self) -> &'static str {
        if self.unicode { "↑ ↓" } else { "j k" }
    }
}
