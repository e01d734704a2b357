//! How costs grow with the sessions that there are, as a picture for `docs/performance.md`.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::prelude::{
    BLACK, BLUE, ChartBuilder, Color, GREEN, IntoDrawingArea, IntoLogRange, LineSeries, MAGENTA, PathElement,
    RED, RGBColor, SVGBackend, SeriesLabelPosition, TRANSPARENT, WHITE,
};

use crate::report::Figure;

const SIZE: (u32, u32) = (560, 420);
const COLOURS: [RGBColor; 4] = [BLUE, RED, GREEN, MAGENTA];
const FONT: (&str, u32) = ("sans-serif", 18);

/// The title of the picture and its colours, light and dark, which are those of the other drawings and of the console. They take
/// the place of the colours that it is drawn in.
const STYLE: &str = r##"<title id="title">What a request costs with 16 to 1,000,000 sessions</title>
<style>
  :root { --bg: #ffffff; --dim: #596164; --line: #8a9193; --frame: #e7e9e9; --first: #0b6b5c; --second: #7a5200; --third: #b3261e; --fourth: #596164; }
  @media (prefers-color-scheme: dark) {
    :root { --bg: #151819; --dim: #9ba4a7; --line: #6f787b; --frame: #25292b; --first: #4fcab4; --second: #e8b75a; --third: #ff8f85; --fourth: #9ba4a7; }
  }
  text { font-family: Inter, system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
  [fill="#FFFFFF"] { fill: var(--bg); }
  [fill="#000000"] { fill: var(--dim); } [stroke="#000000"] { stroke: var(--line); }
  [fill="#0000FF"] { fill: var(--first); } [stroke="#0000FF"] { stroke: var(--first); }
  [fill="#FF0000"] { fill: var(--second); } [stroke="#FF0000"] { stroke: var(--second); }
  [fill="#00FF00"] { fill: var(--third); } [stroke="#00FF00"] { stroke: var(--third); }
  [fill="#FF00FF"] { fill: var(--fourth); } [stroke="#FF00FF"] { stroke: var(--fourth); }
  line[stroke], rect[stroke] { stroke: var(--frame); opacity: 1; }
  rect { rx: 8px; } rect:first-of-type { rx: 10px; stroke-width: 2px; }
</style>
"##;

/// The cost of one operation: numbers of sessions, and the cost relative to that with the fewest.
struct Line {
    name: &'static str,
    points: Vec<(f64, f64)>,
}

/// Draws the rows that are points of lines to an SVG file.
pub(crate) fn draw(path: &Path, rows: &[Figure]) -> Result<()> {
    let lines = lines(rows);
    let all = || lines.iter().flat_map(|line| &line.points);
    let (least, most) = all().fold((f64::MAX, 1.0), |(least, most), (x, _)| (x.min(least), x.max(most)));
    let highest = all().fold(1.0, |highest: f64, (_, y)| y.max(highest));
    let mut picture = String::new();
    {
        let area = SVGBackend::with_string(&mut picture, SIZE).into_drawing_area();
        area.fill(&WHITE).map_err(failed)?;
        let mut chart = ChartBuilder::on(&area)
            .margin(16)
            .margin_right(48)
            .x_label_area_size(48)
            .y_label_area_size(60)
            .build_cartesian_2d((least..most).log_scale(), 0.0..highest * 1.25)
            .map_err(failed)?;
        let mut mesh = chart.configure_mesh();
        let mesh = mesh.x_desc("sessions").y_desc("cost, as times that with 16 sessions");
        let mesh = mesh.light_line_style(TRANSPARENT).x_label_formatter(&|sessions| grouped(*sessions));
        mesh.label_style(FONT).axis_desc_style(FONT).draw().map_err(failed)?;
        for (line, colour) in lines.iter().zip(COLOURS) {
            let colour = colour.filled().stroke_width(2);
            let series = LineSeries::new(line.points.iter().copied(), colour).point_size(3);
            let drawn = chart.draw_series(series).map_err(failed)?;
            drawn.label(line.name).legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour));
        }
        let mut legend = chart.configure_series_labels();
        let legend = legend.position(SeriesLabelPosition::UpperLeft).border_style(BLACK).label_font(FONT);
        legend.background_style(WHITE).draw().map_err(failed)?;
        area.present().map_err(failed)?;
    }
    let picture = picture.replacen('>', &format!(" role=\"img\" aria-labelledby=\"title\">\n{STYLE}"), 1);
    Ok(std::fs::write(path, picture)?)
}

/// A number of sessions, such as 1,000,000.
fn grouped(sessions: f64) -> String {
    let digits = format!("{sessions:.0}");
    let first = (digits.len() - 1) % 3 + 1;
    let (head, tail) = digits.split_at(first);
    let groups = (0..tail.len()).step_by(3).map(|at| &tail[at..at + 3]);
    std::iter::once(head).chain(groups).collect::<Vec<_>>().join(",")
}

fn lines(rows: &[Figure]) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for row in rows {
        let Some((name, at)) = row.plotted else { continue };
        let point = (at, row.value.median);
        match lines.iter_mut().find(|line| line.name == name) {
            Some(line) => line.points.push(point),
            None => lines.push(Line { name, points: vec![point] }),
        }
    }
    lines
}

fn failed(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("cannot draw: {error}")
}

#[cfg(test)]
mod tests;
