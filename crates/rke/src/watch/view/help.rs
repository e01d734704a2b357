//! The help that `?` shows: the keys, and the meaning of the signs.

use anstyle::Style;

use super::line::Line;
use super::signs::Signs;
use crate::terminal::{BOLD, DIM, pair, wrapped};

/// The columns after which the meanings of keys and of states begin.
const KEYS: usize = 20;
const STATES: usize = 24;

/// The help in lines of at most `width` columns.
pub(super) fn lines(signs: Signs, width: usize) -> Vec<Line> {
    let keys = [
        (format!("  {}  j k", if signs.unicode { "↑ ↓" } else { "arrows" }), "one line down, one up"),
        ("  PgDn PgUp  Space".into(), "one page down, one up"),
        ("  Home End  g G".into(), "to the first line, to the last"),
        ("  ?".into(), "this help; ? or Esc goes back"),
        ("  q  Esc  Ctrl-C".into(), "leave"),
    ];
    let plain = Style::new();
    let sentence =
        |style, start: &str, rest| styled(&wrapped(&format!("{start}{rest}"), width), (style, start), DIM);
    let mut lines = vec![Line::of(BOLD, "rke watch")];
    lines.extend(
        keys.iter().flat_map(|(keys, what)| styled(&pair(keys, what, KEYS, width), (BOLD, keys), plain)),
    );
    lines.push(Line::default());
    lines.extend(sentence(BOLD, "RAIDAs", ", each with how long its response usually takes"));
    lines.extend(signs.legend(width));
    lines.extend(sentence(BOLD, "Sessions", ", the next to expire first"));
    lines.extend(sentence(plain, &format!("  {}", signs.rings()), " how much is left of a session's life"));
    for (state, what) in [
        ("  ok", "nothing is wrong with it"),
        ("  weak", "its key has 8 bits: anyone who saw the exchange finds it"),
        ("  weakly authenticated", "only 1-byte shares authenticate its ends"),
        ("  not confirmed", "the Content Server has not shown that it has the key"),
        ("  wrong share left out", "a RAIDA gave one when the key was made"),
        ("  expires soon", "in 5 minutes or a tenth of its life, whichever is less"),
    ] {
        lines.extend(styled(&pair(state, what, STATES, width), (plain, state), DIM));
    }
    lines
}

/// The lines of a text: its start in one style, the rest in another.
fn styled(text: &str, (style, start): (Style, &str), rest: Style) -> Vec<Line> {
    let mut lines = text.strip_prefix(start).unwrap_or(text).split('\n');
    let first = Line::of(style, start).plus(rest, lines.next().unwrap_or_default());
    std::iter::once(first).chain(lines.map(|line| Line::of(rest, line))).collect()
}
