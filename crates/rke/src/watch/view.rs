//! What `rke watch` shows, as lines for a screen of any size: sessions, then RAIDAs, then how to leave.

use anstyle::Style;
use rke_client::answer::{Authenticated, Raida, Row, Shown};

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
        lines.extend(sessions(seen, room));
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
    let pending = match seen.status.remote_deletions.map_or(0, |deletions| deletions.pending) {
        0 => String::new(),
        pending => format!("   {pending} deletions pending"),
    };
    let full = if sessions.active >= sessions.max { DOUBTFUL } else { Style::new() };
    Line::of(full, format!("{} of {} sessions", sessions.active, sessions.max))
        .plus(Style::new(), format!("   {} of {} cached keys   ", keys.valid, keys.max))
        .plus(style, spare)
        .plus(DOUBTFUL, pending)
}

/// Titles and as many sessions as there is room for.
fn sessions(seen: &Seen, room: usize) -> Vec<Line> {
    let rows = &seen.sessions.sessions;
    if rows.is_empty() {
        return vec![Line::of(DIM, "No sessions.")];
    }
    let shown = if rows.len() > room { room - 1 } else { rows.len() };
    let titles = format!(
        "{:<10}{:<12}{:>9}  {:>9}  {:<8}{:<28}{}",
        "SESSION", "EXPIRES", "ENCRYPTED", "DECRYPTED", "KEY", "DOMAIN", "COIN"
    );
    let mut lines = vec![Line::of(DIM, titles)];
    let detail = |row: &Row| seen.details.get(row.session_id.as_str()).map(|shown| &**shown);
    lines.extend(rows[..shown].iter().map(|row| session(row, detail(row))));
    if shown < rows.len() {
        lines.push(Line::of(DIM, format!("and {} more", rows.len() - shown)));
    }
    lines
}

/// The id's beginning only: anyone who reads it from a screen must not be able to use the session.
fn session(row: &Row, detail: Option<&Shown>) -> Line {
    let start = format!(
        "{:<10}{:<12}{:>9}  {:>9}  ",
        row.session_id.short(),
        from_now(row.expires_at),
        row.encrypt_count,
        row.decrypt_count
    );
    let (style, key) = detail.map_or((DIM, ""), strength);
    let coin = detail.and_then(|shown| shown.coin.as_deref()).map_or("-".into(), clean);
    Line::of(Style::new(), start)
        .plus(style, format!("{key:<8}"))
        .plus(Style::new(), format!("{:<28}{coin}", clean(&row.domain)))
}

/// What a session's key is worth.
fn strength(shown: &Shown) -> (Style, &'static str) {
    match shown.authenticated {
        Authenticated::Strong => (GOOD, "strong"),
        Authenticated::Weak => (DOUBTFUL, "weak"),
        Authenticated::No => (BAD, "8 bits"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

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
                   "last_ms": 1.0, "median_ms": 12.4, "asked": 1, "answered": 1, "lies": 0, "form": null,
                   "last_fault": null, "last_fault_at": null})
        };
        let status = json!({"sessions": {"total": sessions, "active": sessions, "max": 16},
            "keystore": {"total": 1, "valid": 1, "expired": 0, "max": 64, "default_ttl_hours": 24},
            "config": {"session_timeout_sec": 3600, "version": "0.1.0"},
            "secret_memory": {"kind": "secretmem", "bytes": 1, "inspection": "refused", "residues_found": 0},
            "daemon": {"uptime_sec": 7200, "started_at": "2025-11-30T10:00:00Z"},
            "remote_deletions": {"pending": sessions / 4, "confirmed": 7}});
        let rows: Vec<Value> = (0..sessions).rev().map(row).collect();
        let detail = |row: &Value| {
            let mut detail = row.clone();
            let bits = if row["encrypt_count"] == 0 { 256 } else { 8 };
            let authenticated = if bits == 256 { "strong" } else { "no" };
            let more = json!({"key_bits": bits, "envelope": [4], "raidas": [0], "liars": [], "from_cache": false,
                "confirmed": true, "key_id": null, "forward_secret": bits == 256, "authenticated": authenticated,
                "coin": (bits == 256).then_some("0:1001")});
            detail.as_object_mut().expect("an object").extend(more.as_object().cloned().expect("an object"));
            let shown: Shown = serde_json::from_value(detail).expect("a session");
            (shown.row.session_id.as_str().to_owned(), Arc::new(shown))
        };
        let details = rows.iter().map(detail).collect();
        let raidas: Vec<Value> = (0..25).map(raida).collect();
        Seen {
            status: serde_json::from_value(status).expect("a status"),
            sessions: serde_json::from_value(
                json!({"total": sessions, "active": sessions, "sessions": rows}),
            )
            .expect("sessions"),
            details,
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
        let lines = shown(Some(Ok(seen(2))), 100, 24);
        assert_eq!(lines[0], "rke watch  127.0.0.1:8080  version 0.1.0  up 2 h");
        assert_eq!(lines[1], "2 of 16 sessions   1 of 64 cached keys   3 RAIDAs to spare");
        assert!(lines[3].starts_with("SESSION") && lines[4].starts_with("00000000  "), "{lines:?}");
        assert!(lines[4].ends_with("8 bits  content.test                -"), "{lines:?}");
        assert!(lines[5].ends_with("strong  content.test                0:1001"), "{lines:?}");
        let raidas =
            " 0 o 12 ms      1 - 12 ms      2 x 12 ms      3 . 12 ms      4 o 12 ms      5 - 12 ms     ";
        assert_eq!(lines[7], raidas);
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
        assert!(lines[1].ends_with("   2 deletions pending"), "{lines:#?}");
    }

    #[test]
    fn a_daemon_that_went_away_is_waited_for() {
        let lines = shown(Some(Err("no daemon\x1b[2J".into())), 80, 24);
        assert_eq!(lines[1..3], ["no daemon\u{fffd}[2J", "Waiting for it to come back."]);
    }
}
