//! How an exchange is getting on: 25 places, one for each RAIDA, that fill as they answer. A daemon that
//! tells nothing while it works gets a spinner.

use std::future::pending;
use std::time::{Duration, Instant};

use rke_client::{Client, Event, Events, State};

use super::bar::{self, Bar};
use super::{BAD, DIM, GOOD, paint};

const RAIDAS: usize = 25;

/// How long the daemon's last steps may take to come after its answer.
const LAST_STEPS: Duration = Duration::from_millis(50);

/// Shows the steps of an exchange for `domain` while `work` is waited for.
pub(crate) async fn watched<T>(client: &Client, domain: &str, work: impl Future<Output = T>) -> T {
    if !bar::is_seen() {
        return work.await;
    }
    let row = Row::new(domain);
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
    row: Row,
    bar: Bar,
    events: Option<Events>,
}

impl Watched {
    /// Waits for the next step and shows it. For ever, where there are none.
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

/// Signs for RAIDAs that have not been asked, have been, have answered, have failed.
#[derive(Clone, Copy)]
struct Signs([char; 4]);

impl Signs {
    const UNICODE: Self = Self([' ', '·', '✓', '✗']);
    const ASCII: Self = Self([' ', '.', '+', 'x']);

    fn of_terminal() -> Self {
        if bar::shows_unicode() { Self::UNICODE } else { Self::ASCII }
    }
}

/// What each RAIDA has done so far.
struct Row {
    domain: String,
    began: Instant,
    states: [Option<State>; RAIDAS],
}

impl Row {
    fn new(domain: &str) -> Self {
        let domain = domain.trim_end_matches('.').to_lowercase();
        Self { domain, began: Instant::now(), states: [None; RAIDAS] }
    }

    fn take(&mut self, raida: u8, state: State) {
        let Some(place) = self.states.get_mut(usize::from(raida)) else { return };
        // Who is asked again after having answered has answered all the same.
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
mod tests {
    use super::*;

    #[test]
    fn a_place_fills_as_its_raida_answers() {
        let mut row = Row::new("Content.Test.");
        assert_eq!(row.line(Signs::ASCII), "looking for content.test and its RAIDAs");
        for (raida, state) in [
            (0, State::Asked),
            (0, State::Answered),
            (0, State::Asked),
            (1, State::Asked),
            (24, State::Asked),
            (24, State::Failed),
            (25, State::Answered),
        ] {
            row.take(raida, state);
        }
        let line = anstream::adapter::strip_str(&row.line(Signs::ASCII)).to_string();
        let expected = format!("[+.{}x] 1 of 25 RAIDAs answered, 0.0 s", " ".repeat(22));
        assert_eq!(line, expected);
    }
}
