//! The help that `?` shows: the keys, and the meaning of the signs.

use anstyle::Style;

use super::line::Line;
use super::signs::Signs;
use crate::terminal::{BOLD, DIM};

pub(super) fn lines(signs: Signs) -> Vec<Line> {
    let keys = [
        (format!("{}  j k", if signs.unicode { "↑ ↓" } else { "arrows" }), "one session down, one up"),
        ("PgDn PgUp  Space".into(), "one page of sessions down, one up"),
        ("Home End  g G".into(), "to the first session, to the last"),
        ("?".into(), "this help; every key but q goes back"),
        ("q  Esc  Ctrl-C".into(), "leave"),
    ];
    let key = |(keys, what): &(String, &str)| {
        Line::of(BOLD, format!("  {keys:<18}")).plus(Style::new(), (*what).to_owned())
    };
    let mut lines = vec![Line::of(BOLD, "rke watch")];
    lines.extend(keys.iter().map(key));
    lines.push(Line::default());
    lines.push(Line::of(BOLD, "RAIDAs").plus(DIM, ", each with how long its response usually takes"));
    lines.push(Line::of(DIM, "  ").and(signs.legend()));
    lines.push(Line::of(BOLD, "Sessions").plus(DIM, ", the next to expire first"));
    lines.push(
        Line::of(Style::new(), format!("  {}", signs.rings()))
            .plus(DIM, " how much is left of a session's life"),
    );
    for (state, what) in [
        ("ok", "nothing is wrong with it"),
        ("weak", "its key has 8 bits: anyone who saw the exchange finds it"),
        ("weakly authenticated", "only 1-byte shares authenticate its ends"),
        ("not confirmed", "the Content Server has not shown that it has the key"),
        ("wrong share left out", "a RAIDA gave one when the key was made"),
        ("expires soon", "in 5 minutes or a tenth of its life, whichever is less"),
    ] {
        lines.push(Line::of(Style::new(), format!("  {state:<22}")).plus(DIM, what));
    }
    lines
}
