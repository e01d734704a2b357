//! The progress of an exchange: 25 places, one for each RAIDA, that fill up as RAIDAs answer. If the daemon reports
//! no steps, a spinner takes their place.

use std::future::pending;
use std::time::{Duration, Instant};

use rke_client::{Client, Event, Events, State};

use super::bar::{self, Bar};
use super::{BAD, DIM, GOOD, paint};

const RAIDAS: usize = 25;

/// How long to wait for the last steps after the daemon has responded.
const LAST_STEPS: Duration = Duration::from_millis(50);

/// Shows the steps of an exchange for `domain` until `work` is done.
pub(crate) async fn watched<T>(client: &Client, domain: &str, work: impl Future<Output = T>) -> T {
    if !bar::is_seen() {
        return work.await;
    }
    let row = RaidaStates::new(domain);
    let bar = Bar::spinner(row.line(Signs::of_terminal()));
    let mut watched = Watched { row, bar, events: client.events().await.ok() };
    tokio::pin!(work);
    let outcome = loop {
        tokio::select! {
            outcome = &mut work => break outcome,
            () = watched.step() => (),
        }
    };
    let _ = tokio::time::timeout(LAST_STEPS, async {
        loop {
            watched.step().await
        }
    })
    .await;
    watched.end();
    outcome
}

struct Watched {
    row: RaidaStates,
    bar: Bar,
    events: Option<Events>,
}

impl Watched {
    /// Waits for the next step and shows it. Waits forever if the daemon reports none.
    async fn step(&mut self) {
        let Some(events) = &mut self.events else { return pending().await };
        match events.next().await {
            Ok(Some(Event::Exchange(step))) if step.domain == self.row.domain => {
                self.row.take(step.raida, step.state);
                self.show();
            }
            Ok(Some(_)) => (),
            _ => self.events = None,
        }
    }

    fn show(&self) {
        self.bar.set_text(self.row.line(Signs::of_terminal()));
    }

    fn end(self) {
        if self.row.has_begun() {
            self.bar.leave(self.row.line(Signs::of_terminal()));
        }
    }
}

/// Signs for RAIDAs that have not been asked, have been asked, have answered, have failed.
#[derive(Clone, Copy)]
struct Signs([char; 4]);

impl Signs {
    const UNICODE: Self = Self([' ', '·', '✓', '✗']);
    const ASCII: Self = Self([' ', '.', '+', 'x']);

    fn of_terminal() -> Self {
        if bar::shows_unicode() { Self::UNICODE } else { Self::ASCII }
    }
}

/// The last known state of each RAIDA.
struct RaidaStates {
    domain: String,
    began: Instant,
    states: [Option<State>; RAIDAS],
}

impl RaidaStates {
    fn new(domain: &str) -> Self {
        let domain = domain.trim_end_matches('.').to_lowercase();
        Self { domain, began: Instant::now(), states: [None; RAIDAS] }
    }

    fn take(&mut self, raida: u8, state: State) {
        let Some(place) = self.states.get_mut(usize::from(raida)) else { return };
        // A RAIDA that is asked again after it answered still counts as answered.
        if state != State::Asked || place.is_none() {
            *place = Some(state);
        }
    }

    fn has_begun(&self) -> bool {
        self.states.iter().any(Option::is_some)
    }

    fn line(&self, Signs([none, asked, answered, failed]): Signs) -> String {
        if !self.has_begun() {
            return format!("looking for {} and its RAIDAs", self.domain);
        }
        let place = |state: &Option<State>| match state {
            None => none.to_string(),
            Some(State::Asked) => paint(DIM, asked),
            Some(State::Answered) => paint(GOOD, answered),
            Some(State::Failed) => paint(BAD, failed),
        };
        let places: String = self.states.iter().map(place).collect();
        let answers = self.states.iter().filter(|state| **state == Some(State::Answered)).count();
        format!(
            "[{places}] {answers} of {RAIDAS} RAIDAs answered, {:.1} s",
            self.began.elapsed().as_secs_f64()
        )
    }
}

#[cfg(test)]
mod tests;
