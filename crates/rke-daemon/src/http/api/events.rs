//! `GET /api/rke/events`: server-sent events. An event only says that something has changed, and the page then
//! requests it. Only the steps of exchanges carry their data. Frequent changes are reported four times a second.

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
use rke_engine::sessions::Changes;
use serde::Serialize;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::answer::milliseconds;
use super::metrics::Sources;
use crate::http::message::body_timeout::BodyTimeout;
use crate::http::message::failure::Failure;

/// How often the daemon checks for changes.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// The longest silence on the connection. `console/connection.js` counts on it.
const HEARTBEAT: Duration = Duration::from_secs(3);

/// When a client that found no room may try again.
const RETRY: Duration = Duration::from_secs(10);

/// The things that have an event of their own when they change.
const CHANGING: [&str; 5] = ["sessions", "keys", "raidas", "activity", "refusals"];

/// A number for each of [`CHANGING`]. It differs once that has changed for the viewer.
async fn state(sources: &Sources, viewer: &Viewer) -> [u64; 5] {
    let Changes { sessions, keys, raidas, activity } = sources.sessions.changes(viewer).await;
    [sessions, keys, raidas, activity, sources.admission.refusals().seen_by(viewer).total()]
}

pub(in crate::http) async fn show(
    State(sources): State<Sources>,
    Extension(body_timeout): Extension<BodyTimeout>,
    Extension(viewer): Extension<Viewer>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Failure> {
    let Some(watch) = sources.sessions.watch_exchanges(viewer.clone()) else {
        let message =
            format!("{} listeners follow events already; close one of them", progress::MAX_WATCHERS);
        return Err(Failure::new(StatusCode::SERVICE_UNAVAILABLE, message).retry_after(RETRY));
    };
    body_timeout.follow_client();
    let mut ticks = interval(LOOK_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let listener = Listener { sources, viewer, watch, ticks, seen: None, changed: VecDeque::new() };
    let events = unfold(listener, |mut listener| async {
        let event = listener.next().await?;
        Some((Ok(event), listener))
    });
    Ok(response(events))
}

/// The response, with a sign of life wherever the events are silent for too long.
fn response<S: Stream<Item = Result<Event, Infallible>> + Send + 'static>(
    events: S,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT))
}

/// A client that follows events, and the state that it has seen.
struct Listener {
    sources: Sources,
    viewer: Viewer,
    watch: Watch,
    ticks: Interval,
    /// `None` if the client needs all events.
    seen: Option<[u64; 5]>,
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
                _ = self.ticks.tick() => self.collect_changes().await,
            }
        }
    }

    async fn collect_changes(&mut self) {
        let now = state(&self.sources, &self.viewer).await;
        let is_news = |at: usize| self.seen.is_none_or(|seen| seen[at] != now[at]);
        self.changed = (0..CHANGING.len()).filter(|at| is_news(*at)).map(|at| CHANGING[at]).collect();
        self.seen = Some(now);
    }
}

/// The state of one RAIDA in an exchange.
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

#[cfg(test)]
mod tests;
