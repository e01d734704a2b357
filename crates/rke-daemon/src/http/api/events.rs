//! `GET /api/rke/events`: server-sent events. They say that something has changed, and the page asks
//! for it; only the steps of exchanges come whole. What changes often is told four times a second.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::{Stream, unfold};
use rke_engine::Domain;
use rke_engine::exchange::progress::{self, ShareState, Watch};
use rke_engine::model::viewer::Viewer;
use serde::Serialize;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::answer::milliseconds;
use super::failure::Failure;
use super::metrics::Sources;
use crate::http::wire::body_timeout::BodyTimeout;

/// How often it is looked whether something has changed.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// Longest silence on the line.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// What has its own event that says that it has changed.
const CHANGING: [&str; 4] = ["sessions", "keys", "raidas", "refusals"];

/// A number for each of [`CHANGING`] that is another one when that has changed for the viewer.
fn state(sources: &Sources, viewer: &Viewer) -> [u64; 4] {
    let sessions = &sources.sessions;
    let deletions = match viewer {
        // The console shows them in what it asks for with this event.
        Viewer::Program => sessions.remote_deletions().changes(),
        Viewer::Page(_) | Viewer::NullOrigin => 0,
    };
    [
        sessions.store().changes(viewer).wrapping_add(deletions),
        sessions.keystore().state(viewer),
        sessions.exchange().raidas().changes().wrapping_add(sessions.exchange().agreed_directory().changes()),
        sources.admission.refusals().seen_by(viewer).total(),
    ]
}

pub(in crate::http) async fn show(
    State(sources): State<Sources>,
    Extension(body_timeout): Extension<BodyTimeout>,
    Extension(viewer): Extension<Viewer>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Failure> {
    let Some(watch) = sources.sessions.exchange().progress().watch(viewer.clone()) else {
        let message = format!("{} pages watch already; close one of them", progress::MAX_WATCHERS);
        return Err(Failure::new(StatusCode::SERVICE_UNAVAILABLE, message).retry_after(HEARTBEAT));
    };
    body_timeout.follow_client();
    let mut ticks = interval(LOOK_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let listener = Listener { sources, viewer, watch, ticks, seen: None, changed: VecDeque::new() };
    let events = unfold(listener, |mut listener| async {
        let event = listener.next().await?;
        Some((Ok(event), listener))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT)))
}

/// One who listens, and what he has been told.
struct Listener {
    sources: Sources,
    viewer: Viewer,
    watch: Watch,
    ticks: Interval,
    /// `None` where he has to be told of everything.
    seen: Option<[u64; 4]>,
    changed: VecDeque<&'static str>,
}

impl Listener {
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(name) = self.changed.pop_front() {
                return Some(Event::default().event(name).data("{}"));
            }
            tokio::select! {
                event = self.watch.next() => match event? {
                    progress::Event::Share { domain, raida, state, .. } => {
                        return ShareStep::new(&domain, raida.get(), state).event();
                    }
                    progress::Event::Missed => self.seen = None,
                },
                _ = self.ticks.tick() => self.look(),
            }
        }
    }

    fn look(&mut self) {
        let now = state(&self.sources, &self.viewer);
        let is_news = |at: usize| self.seen.is_none_or(|seen| seen[at] != now[at]);
        self.changed = (0..CHANGING.len()).filter(|at| is_news(*at)).map(|at| CHANGING[at]).collect();
        self.seen = Some(now);
    }
}

/// What one RAIDA does in an exchange.
#[derive(Serialize)]
struct ShareStep<'a> {
    domain: &'a str,
    raida: u8,
    state: &'static str,
    ms: Option<f64>,
    fault: Option<String>,
}

impl<'a> ShareStep<'a> {
    fn new(domain: &'a Domain, raida: u8, state: ShareState) -> Self {
        let (state, ms, fault) = match state {
            ShareState::Asked => ("asked", None, None),
            ShareState::Answered(took) => ("answered", Some(milliseconds(took)), None),
            ShareState::Failed(fault) => ("failed", None, Some(fault.to_string())),
        };
        Self { domain: domain.as_str(), raida, state, ms, fault }
    }

    fn event(&self) -> Option<Event> {
        Event::default().event("exchange").json_data(self).ok()
    }
}
