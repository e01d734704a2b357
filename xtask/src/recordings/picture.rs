//! The animated picture of a recording: the frame in which termtosvg draws it, and what is left to do with the drawing.

use anyhow::{Context, Result};

/// Where termtosvg begins the animation, and where it puts the last screen: all screens are one below the other, and the
/// animation moves them past the frame.
const ANIMATION: &str = "@keyframes roll";
const LAST_SCREEN: &str = "100.000%{transform:translateY(";

/// The frame for a recording with this title. termtosvg makes it as large as the terminal.
pub(super) fn template(title: &str) -> String {
    include_str!("template.svg").replace("TITLE", title)
}

/// The drawing as it goes into the documents. Where nothing moves, because a reader wants that or the viewer cannot do it,
/// it shows the last screen. References are those of SVG 2, so nothing in it looks like a link to elsewhere.
pub(super) fn at_rest(drawn: &str) -> Result<String> {
    let last = drawn.split_once(LAST_SCREEN).and_then(|(_, rest)| rest.split_once(')'));
    let (last, _) = last.context("termtosvg has drawn nothing that moves")?;
    let rest = format!("#screen_view {{ transform: translateY({last}); }}\n");
    let drawn = drawn.replacen(ANIMATION, &(rest + ANIMATION), 1);
    Ok(drawn.replace(" xmlns:xlink=\"http://www.w3.org/1999/xlink\"", "").replace("xlink:href", "href")
        + "\n")
}
