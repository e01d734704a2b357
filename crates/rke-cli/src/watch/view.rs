//! What `rke watch` shows, as lines for a screen of any size: sessions, then RAIDAs, then how to leave.

use anstyle::Style;
use rke_client::answer::{Raida, Row};

use super::observer::{Observation, Seen};
use crate::terminal::{BAD, BOLD, DIM, DOUBTFUL, GOOD, clean, from_now, paint, shows_unicode, span};

/// Places that a RAIDA takes.
const CELL_WIDTH: usize = 15;

/// Lines beside sessions and RAIDAs: head, counts, titles, three empty ones, the way out.
const OTHER_LINES: usize = 7;

/// A line of texts, each in its style.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Line(Vec<(Style, String)>);

impl Line {
    fn of(style: Style, text: impl Into<String>) -> Self {
        Self(vec![(style, text.into())])
    }

    fn plus(mut self, style: Style, text: impl Into<String>) -> Self {
        self.0.push((style, text.into()));
        self
    }

    fn cut(mut self, width: usize) -> Self {
        let mut left = width;
        for (_, text) in &mut self.0 {
            *text = text.chars().take(left).collect();
            left -= text.chars().count();
        }
        self
    }

    pub(super) fn plain(&self) -> String {
        self.0.iter().map(|(_, text)| text.as_str()).collect()
    }

    pub(super) fn painted(&self) -> String {
        self.0.iter().map(|(style, text)| paint(*style, text)).collect()
    }
}

/// What is known of the daemon.
pub(super) struct View {
    address: String,
    latest: Option<Observation>,
    unicode: bool,
}

impl View {
    pub(super) fn new(address: &str) -> Self {
        Self { address: clean(address), latest: None, unicode: shows_unicode() }
    }

    pub(super) fn take(&mut self, observation: Observation) {
        self.latest = Some(observation);
    }

    /// At most `height` lines of at most `width` signs.
    pub(super) fn lines(&self, width: usize, height: usize) -> Vec<Line> {
        let mut lines = match &self.latest {
            None => vec![Line::of(BOLD, "rke watch"), Line::of(DIM, format!("asking {} …", self.address))],
            Some(Err(reason)) => self.gone(reason, width),
            Some(Ok(seen)) => self.seen(seen, width, height),
        };
        lines.truncate(height.saturating_sub(1));
        lines.push(Line::of(DIM, "q leaves"));
        lines.into_iter().take(height).map(|line| line.cut(width)).collect()
    }

    fn gone(&self, reason: &str, width: usize) -> Vec<Line> {
        let mut lines = vec![Line::of(BOLD, "rke watch").plus(Style::new(), format!("  {}", self.address))];
        for line in clean(reason).lines() {
            let signs: Vec<char> = line.chars().collect();
            lines.extend(signs.chunks(width.max(1)).map(|signs| Line::of(BAD, String::from_iter(signs))));
        }
        lines.push(Line::of(DIM, "Waiting for it to come back."));
        lines
    }

    fn seen(&self, seen: &Seen, width: usize, height: usize) -> Vec<Line> {
        let raidas = self.raidas(&seen.raidas.raidas, width);
        let room = height.saturating_sub(OTHER_LINES + raidas.len()).max(1);
        let mut lines = vec![self.head(seen), counts(seen), Line::default()];
        lines.extend(sessions(&seen.sessions.sessions, room));
        lines.push(Line::default());
        lines.extend(raidas);
        lines.push(Line::default());
        lines
    }

    fn head(&self, seen: &Seen) -> Line {
        let status = &seen.status;
        let version = status.config.version.as_deref().map(|version| format!("  version {}", clean(version)));
        let up = status.daemon.map(|daemon| format!("  up {}", span(daemon.uptime_sec)));
        Line::of(BOLD, "rke watch")
            .plus(Style::new(), format!("  {}", self.address))
            .plus(DIM, version.unwrap_or_default() + &up.unwrap_or_default())
    }

    fn raidas(&self, raidas: &[Raida], width: usize) -> Vec<Line> {
        let columns = (width / CELL_WIDTH).max(1);
        raidas
            .chunks(columns)
            .map(|row| row.iter().fold(Line::default(), |line, raida| self.raida(line, raida)))
            .collect()
    }

    fn raida(&self, line: Line, raida: &Raida) -> Line {
        let (style, sign, ascii) = match raida.state.as_str() {
            "well" => (GOOD, '●', 'o'),
            "failing" => (DOUBTFUL, '○', '-'),
            "lying" => (BAD, '✗', 'x'),
            _ => (DIM, '·', '.'),
        };
        let median = raida.median_ms.map_or("-".into(), |ms| format!("{ms:.0} ms"));
        let sign = if self.unicode { sign } else { ascii };
        line.plus(Style::new(), format!("{:>2} ", raida.raida))
            .plus(style, sign.to_string())
            .plus(Style::new(), format!(" {median:<width$}", width = CELL_WIDTH - 5))
    }
}

fn counts(seen: &Seen) -> Line {
    let (sessions, keys) = (&seen.status.sessions, &seen.status.keystore);
    let (style, spare) = match seen.raidas.margin {
        None => (DIM, "RAIDAs not asked yet".into()),
        Some(0) => (BAD, "no RAIDA to spare".into()),
        Some(margin @ 1..4) => (DOUBTFUL, format!("{margin} RAIDAs to spare")),
        Some(margin) => (GOOD, format!("{margin} RAIDAs to spare")),
    };
    let full = if sessions.active >= sessions.max { DOUBTFUL } else { Style::new() };
    Line::of(full, format!("{} of {} sessions", sessions.active, sessions.max))
        .plus(Style::new(), format!("   {} of {} cached keys   ", keys.valid, keys.max))
        .plus(style, spare)
}

/// Titles and as many sessions as there is room for, those that end first in front.
fn sessions(rows: &[Row], room: usize) -> Vec<Line> {
    if rows.is_empty() {
        return vec![Line::of(DIM, "No sessions.")];
    }
    let mut rows: Vec<&Row> = rows.iter().collect();
    rows.sort_by_key(|row| row.expires_at);
    let shown = if rows.len() > room { room - 1 } else { rows.len() };
    let titles =
        format!("{:<10}{:<12}{:>9}  {:>9}  {}", "SESSION", "EXPIRES", "ENCRYPTED", "DECRYPTED", "DOMAIN");
    let mut lines = vec![Line::of(DIM, titles)];
    lines.extend(rows[..shown].iter().map(|row| session(row)));
    if shown < rows.len() {
        lines.push(Line::of(DIM, format!("and {} more", rows.len() - shown)));
    }
    lines
}

/// The id's beginning only: who reads it from a screen must not be able to use the session.
fn session(row: &Row) -> Line {
    let text = format!(
        "{:<10}{:<12}{:>9}  {:>9}  {}",
        row.session_id.short(),
        from_now(row.expires_at),
        row.encrypt_count,
        row.decrypt_count,
        clean(&row.domain)
    );
    Line::of(Style::new(), text)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn seen(sessions: usize) -> Seen {
        let row = |at: usize| {
            json!({"session_id": format!("{at:032x}"), "domain": "content.test", "cs_id": "C", "created_at":
                   "2025-11-30T10:00:00Z", "expires_at": format!("2025-11-30T11:00:{:02}Z", 59 - at),
                   "encrypt_count": at, "decrypt_count": 0})
        };
        let state = |at: usize| ["well", "failing", "lying", "unknown"][at % 4];
        let raida = |at: usize| {
            json!({"raida": at, "endpoint": null, "state": state(at),
                   "last_ms": 1.0, "median_ms": 12.4, "asked": 1, "answered": 1, "lies": 0,
                   "last_fault": null, "last_fault_at": null})
        };
        let status = json!({"sessions": {"total": sessions, "active": sessions, "max": 16},
            "keystore": {"total": 1, "valid": 1, "expired": 0, "max": 64, "default_ttl_hours": 24},
            "config": {"session_timeout_sec": 3600, "version": "0.1.0"},
            "secret_memory": {"kind": "secretmem", "bytes": 1, "inspection": "refused", "residues_found": 0},
            "daemon": {"uptime_sec": 7200, "started_at": "2025-11-30T10:00:00Z"}});
        let rows: Vec<Value> = (0..sessions).map(row).collect();
        let raidas: Vec<Value> = (0..25).map(raida).collect();
        Seen {
            status: serde_json::from_value(status).expect("a status"),
            sessions: serde_json::from_value(
                json!({"total": sessions, "active": sessions, "sessions": rows}),
            )
            .expect("sessions"),
            raidas: serde_json::from_value(json!({"required": 13, "margin": 3, "raidas": raidas}))
                .expect("RAIDAs"),
        }
    }

    fn shown(observation: Option<Observation>, width: usize, height: usize) -> Vec<String> {
        let view = View { address: "127.0.0.1:8080".into(), latest: observation, unicode: false };
        view.lines(width, height).iter().map(Line::plain).collect()
    }

    #[test]
    fn all_is_there_where_there_is_room() {
        let lines = shown(Some(Ok(seen(2))), 80, 24);
        assert_eq!(lines[0], "rke watch  127.0.0.1:8080  version 0.1.0  up 2 h");
        assert_eq!(lines[1], "2 of 16 sessions   1 of 64 cached keys   3 RAIDAs to spare");
        assert!(lines[3].starts_with("SESSION") && lines[4].starts_with("00000000  "), "{lines:?}");
        assert_eq!(lines[7], " 0 o 12 ms      1 - 12 ms      2 x 12 ms      3 . 12 ms      4 o 12 ms     ");
        assert_eq!(lines.last().map(String::as_str), Some("q leaves"));
    }

    #[test]
    fn no_size_is_too_small() {
        for width in 0..100 {
            for height in 0..40 {
                for observation in [None, Some(Ok(seen(9))), Some(Err("gone\nfor good".into()))] {
                    let lines = shown(observation, width, height);
                    assert!(lines.len() <= height && lines.iter().all(|line| line.chars().count() <= width));
                    assert!(
                        height == 0 || lines.last().is_some_and(|line| "q leaves".starts_with(line.as_str()))
                    );
                }
            }
        }
    }

    #[test]
    fn sessions_that_do_not_fit_are_counted() {
        let lines = shown(Some(Ok(seen(9))), 80, 16);
        assert!(lines.contains(&"and 6 more".into()) && lines[4].contains("ago"), "{lines:#?}");
    }

    #[test]
    fn a_daemon_that_went_away_is_waited_for() {
        let lines = shown(Some(Err("no daemon\x1b[2J".into())), 80, 24);
        assert_eq!(lines[1..3], ["no daemon\u{fffd}[2J", "Waiting for it to come back."]);
    }
}
