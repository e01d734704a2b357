//! What `rke watch` shows, as lines for a screen of any size: sessions, then RAIDAs, then how to leave.

mod help;
mod line;
mod signs;

use std::ops::Range;

use anstyle::Style;
use jiff::Timestamp;
use rke_client::response::{Raida, SessionSummary, Shown};

pub(super) use self::line::Line;
use self::signs::Signs;
use super::observer::{Observation, Snapshot};
use crate::state::state;
use crate::terminal::{BAD, BOLD, DIM, DOUBTFUL, GOOD, clean, from_now, shows_unicode, span, wrapped};

/// The width of a RAIDA's cell.
const CELL_WIDTH: usize = 15;

/// The number of RAIDAs in a row, as in the console.
const COLUMNS: usize = 5;

/// Lines apart from sessions and RAIDAs: head, counts, titles, three empty lines, and how to leave.
const OTHER_LINES: usize = 7;

/// Titles above the cells of [`View::session`].
const TITLES: [&str; 7] = [
    "  SESSION   ",
    "EXPIRES       ",
    "STATE                 ",
    "DOMAIN                  ",
    "COIN        ",
    "ENCRYPTED  ",
    "DECRYPTED",
];

/// On a screen with fewer lines than this, the legend makes room for sessions.
const LEGEND_FROM: usize = 20;

/// If fewer sessions than this have room, and more exist, the whole page scrolls.
const LEAST_SESSIONS: usize = 3;

/// On a screen with fewer lines than this, the page that scrolls does not say how much of it is above and below.
const HINT_FROM: usize = 5;

/// How far to scroll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scroll {
    Lines(isize),
    Pages(isize),
    First,
    Last,
}

/// The state of the daemon, and which part of it is shown.
pub(super) struct View {
    address: String,
    latest: Option<Observation>,
    signs: Signs,
    /// Which lines of the help are shown, if it is.
    help: Option<Window>,
    /// Which sessions are shown, if everything else has room.
    sessions: Window,
    /// Which lines of the page are shown, if the screen is too small for that.
    page: Window,
    /// What moves when the user scrolls, as of the last drawing.
    scrolls: Scrolls,
}

/// The parts that scroll.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Scrolls {
    #[default]
    Sessions,
    Page,
}

/// The part of a list that is shown.
#[derive(Debug, Default, Clone, Copy)]
struct Window {
    /// The index of the first row to show.
    first: usize,
    /// The number of rows that had room when they were last shown.
    page: usize,
}

impl Window {
    fn scroll(&mut self, how: Scroll) {
        let page = isize::try_from(self.page).unwrap_or(isize::MAX);
        self.first = match how {
            Scroll::Lines(by) => self.first.saturating_add_signed(by),
            Scroll::Pages(by) => self.first.saturating_add_signed(by.saturating_mul(page)),
            Scroll::First => 0,
            Scroll::Last => usize::MAX,
        };
    }

    /// The rows to show of `all` if `page` of them have room.
    fn shown(&mut self, all: usize, page: usize) -> Range<usize> {
        self.page = page.min(all);
        self.first = self.first.min(all - self.page);
        self.first..self.first + self.page
    }
}

impl View {
    pub(super) fn new(address: &str) -> Self {
        let signs = Signs { unicode: shows_unicode() };
        Self {
            address: clean(address),
            latest: None,
            signs,
            help: None,
            sessions: Window::default(),
            page: Window::default(),
            scrolls: Scrolls::default(),
        }
    }

    pub(super) fn take(&mut self, observation: Observation) {
        self.latest = Some(observation);
    }

    /// Shows the help, or hides it again.
    pub(super) fn switch_help(&mut self) {
        self.help = if self.helps() { None } else { Some(Window::default()) };
    }

    pub(super) fn helps(&self) -> bool {
        self.help.is_some()
    }

    /// Scrolls. Drawing limits the position to the rows that exist.
    pub(super) fn scroll(&mut self, how: Scroll) {
        let shown = match self.scrolls {
            Scrolls::Sessions => &mut self.sessions,
            Scrolls::Page => &mut self.page,
        };
        self.help.as_mut().unwrap_or(shown).scroll(how);
    }

    /// The view in at most `height` lines of at most `width` characters.
    pub(super) fn lines(&mut self, width: usize, height: usize) -> Vec<Line> {
        let latest = self.latest.take();
        let mut lines = match (&latest, &mut self.help) {
            (_, Some(window)) => {
                let lines = help::lines(self.signs, width);
                let shown = window.shown(lines.len(), height.saturating_sub(1));
                lines.get(shown).map_or(Vec::new(), <[Line]>::to_vec)
            }
            (None, _) => {
                vec![Line::of(BOLD, "rke watch"), Line::of(DIM, format!("asking {} …", self.address))]
            }
            (Some(Err(reason)), _) => self.gone(reason, width),
            (Some(Ok(seen)), _) => self.seen(seen, width, height),
        };
        self.latest = latest;
        lines.truncate(height.saturating_sub(1));
        lines.push(Line::of(DIM, format!("q quits   ? help   {} scroll", self.signs.arrows())));
        lines.into_iter().take(height).map(|line| line.cut(width)).collect()
    }

    fn gone(&self, reason: &str, width: usize) -> Vec<Line> {
        let mut lines = vec![Line::of(BOLD, "rke watch").plus(Style::new(), format!("  {}", self.address))];
        lines.extend(wrapped(&clean(reason), width).lines().map(|line| Line::of(BAD, line)));
        lines.push(Line::of(DIM, "Waiting for it to come back."));
        lines
    }

    fn seen(&mut self, seen: &Snapshot, width: usize, height: usize) -> Vec<Line> {
        let raidas = self.raidas(&seen.raidas.raidas, width);
        let legend = self.signs.legend(width);
        let full = [raidas.clone(), legend].concat();
        let fixed = if height < LEGEND_FROM { raidas } else { full.clone() };
        let needed = seen.sessions.sessions.len().min(LEAST_SESSIONS);
        match height.checked_sub(OTHER_LINES + fixed.len()).filter(|room| *room >= needed) {
            Some(room) => {
                self.scrolls = Scrolls::Sessions;
                self.whole(seen, fixed, room)
            }
            None => {
                self.scrolls = Scrolls::Page;
                let lines = self.whole(seen, full, usize::MAX);
                self.part(&lines, height)
            }
        }
    }

    /// The page, in which `room` lines are for sessions.
    fn whole(&mut self, seen: &Snapshot, raidas: Vec<Line>, room: usize) -> Vec<Line> {
        let mut lines = vec![self.head(seen), counts(seen), Line::default()];
        lines.extend(self.sessions(seen, room));
        lines.push(Line::default());
        lines.extend(raidas);
        lines.push(Line::default());
        lines
    }

    /// The lines of the page that the screen has room for, and how many are above and below them.
    fn part(&mut self, page: &[Line], height: usize) -> Vec<Line> {
        // The empty line at the end says nothing, and the last line of the screen says how to leave.
        let (all, room) = (page.len().saturating_sub(1), height.saturating_sub(1));
        if height < HINT_FROM {
            return page[self.page.shown(all, room)].to_vec();
        }
        let shown = self.page.shown(all, room - 1);
        let hint = format!("lines above: {}   below: {}", shown.start, all - shown.end);
        let mut lines = page[shown].to_vec();
        lines.push(Line::of(DIM, hint));
        lines
    }

    fn head(&self, seen: &Snapshot) -> Line {
        let status = &seen.status;
        let version = status.config.version.as_deref().map(|version| format!("  version {}", clean(version)));
        let up = status.daemon.map(|daemon| format!("  up {}", span(daemon.uptime_sec)));
        Line::of(BOLD, "rke watch")
            .plus(Style::new(), format!("  {}", self.address))
            .plus(DIM, version.unwrap_or_default() + &up.unwrap_or_default())
    }

    /// The titles, and as many sessions as fit.
    fn sessions(&mut self, seen: &Snapshot, room: usize) -> Vec<Line> {
        let rows = &seen.sessions.sessions;
        if rows.is_empty() {
            return vec![Line::of(DIM, "No sessions.")];
        }
        // If not all sessions fit, the last line says which ones are shown.
        let page = if rows.len() > room { room.saturating_sub(1) } else { rows.len() };
        let shown = self.sessions.shown(rows.len(), page);
        let mut lines = vec![Line::of(DIM, TITLES.join(""))];
        let detail = |row: &SessionSummary| seen.details.get(row.session_id.as_str()).map(|shown| &**shown);
        let life = seen.status.config.session_timeout_sec;
        lines.extend(rows[shown.clone()].iter().map(|row| self.session(row, detail(row), life)));
        if page < rows.len() {
            lines.push(Line::of(DIM, format!("{} to {} of {}", shown.start + 1, shown.end, rows.len())));
        }
        lines
    }

    /// Shows only the beginning of the id: anyone who reads it on the screen must not be able to use the session.
    fn session(&self, row: &SessionSummary, detail: Option<&Shown>, life: u64) -> Line {
        let left = row.expires_at.as_second() - Timestamp::now().as_second();
        let (style, state) = state(row, detail);
        let coin = detail.and_then(|shown| shown.coin.as_deref()).map_or("-".into(), clean);
        Line::of(style, format!("{} ", self.signs.ring(left, life)))
            .plus(Style::new(), format!("{:<10}{:<14}", row.session_id.short(), from_now(row.expires_at)))
            .plus(style, format!("{state:<21} "))
            .plus(Style::new(), format!("{:<23} {coin:<11} ", clean(&row.domain)))
            .plus(Style::new(), format!("{:>9}  {:>9}", row.encrypt_count, row.decrypt_count))
    }

    fn raidas(&self, raidas: &[Raida], width: usize) -> Vec<Line> {
        let columns = (width / CELL_WIDTH).clamp(1, COLUMNS);
        raidas
            .chunks(columns)
            .map(|row| row.iter().fold(Line::default(), |line, raida| self.raida(line, raida)))
            .collect()
    }

    fn raida(&self, line: Line, raida: &Raida) -> Line {
        let (style, sign) = self.signs.raida(&raida.state);
        let median = raida.median_ms.map_or("-".into(), |ms| format!("{ms:.0} ms"));
        line.plus(Style::new(), format!("{:>2} ", raida.raida))
            .plus(style, sign.to_string())
            .plus(Style::new(), format!(" {median:<width$}", width = CELL_WIDTH - 5))
    }
}

fn counts(seen: &Snapshot) -> Line {
    let (sessions, keys) = (&seen.status.sessions, &seen.status.keystore);
    let (style, spare) = match seen.raidas.margin {
        None => (DIM, "RAIDAs not asked yet".into()),
        Some(0) => (BAD, "no spare RAIDA".into()),
        Some(margin @ 1..4) => (DOUBTFUL, format!("spare RAIDAs: {margin}")),
        Some(margin) => (GOOD, format!("spare RAIDAs: {margin}")),
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

#[cfg(test)]
mod tests;
