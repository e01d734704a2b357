//! What earlier exchanges have shown about the RAIDAs, kept in memory only: how long each takes to respond, how often
//! it does, what went wrong last, whether it gave wrong shares. This decides when each is asked again.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use rke_proto::envelope::Counter;
use rke_proto::round::{Fault, Outcome, Pace, Way};
use rke_proto::{Bitmap, RAIDA_COUNT, RaidaIndex, Status};

use crate::model::clock::{Moment, wall_clock};

/// How many response times are shown, and used for the median.
const REMEMBERED_TIMES: usize = 32;

/// The most endpoints that are remembered. Domains decide which exist, so their number has to be limited.
const MAX_ENDPOINTS: usize = 1024;

/// How long a RAIDA that gave a wrong share is asked last.
const MISTRUST: Duration = Duration::from_secs(3600);

/// How long a mistrusted RAIDA is held back: long enough for thirteen others and their grace period.
const HELD_BACK: Duration = Duration::from_millis(400);

const FIRST_RESEND: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(50)..=Duration::from_millis(1000);

#[derive(Default)]
struct Record {
    asked: u64,
    answered: u64,
    times: VecDeque<Duration>,
    last_time: Option<Duration>,
    /// Its latest response times, oldest first; `None` where it gave no right share.
    history: VecDeque<Option<Duration>>,
    last_fault: Option<(String, Timestamp)>,
    lies: u64,
    /// When it last gave a wrong share, unless a later one was proven right.
    lied_at: Option<Moment>,
    /// What its last response shows, or that there was none. It knows nothing of wrong shares.
    last_state: State,
    /// Kept for as long as the daemon runs, unless a response shows that it has changed.
    form: Option<AnswerForm>,
    last_asked: Option<Moment>,
}

/// Which shares of an exchange were proven right, and which wrong. If no Content Server reports it, none is
/// proven either way.
#[derive(Debug, Clone, Copy, Default)]
pub struct Verdict {
    /// The RAIDAs whose shares made the key that both ends agree on.
    pub right: Bitmap,
    /// The RAIDAs whose shares were wrong.
    pub wrong: Bitmap,
}

/// How to ask a RAIDA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Habits {
    /// When to ask it, and when to ask it again: after twice as long as it usually takes.
    pub pace: Pace,
    /// The form of its responses, if it is not the usual one.
    pub form: Option<AnswerForm>,
}

/// A form of responses that public server code has and ours does not. `docs/protocol.md` section 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerForm {
    /// Its responses in envelope 5 do not open, so it is asked in envelope 4.
    GarblesEnvelope5,
    /// It gave its last share in envelope 1, whose responses have one of two forms. It is asked in envelopes 4 and 1
    /// at once, until a response in envelope 4 arrives.
    Envelope1(Counter),
}

impl AnswerForm {
    /// What a response to a request sent in this way shows about a RAIDA whose form was `known`.
    fn shown_by(way: Way, known: Option<Self>) -> Option<Self> {
        match (way, known) {
            (Way::Envelope4, _) => Some(Self::GarblesEnvelope5),
            (Way::Envelope1(counter), _) => Some(Self::Envelope1(counter)),
            (Way::First, Some(Self::Envelope1(_))) => None,
            // A RAIDA that garbles envelope 5 is asked in another, which does not show whether that has changed.
            (Way::First, known) => known,
        }
    }
}

/// How a RAIDA did in the last exchange that asked it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    /// It gave a share that nobody found wrong.
    Well,
    /// It gave no share.
    Failing,
    /// It gave no share, because it has no such key set: it has lost its data folder, or nobody has preloaded it. It says so
    /// without proof.
    NoKeySet,
    /// It gave a wrong share, then or earlier, and no later one was proven right.
    Lying,
    /// No exchange has asked it yet.
    #[default]
    Unknown,
}

impl State {
    /// What the result of a request shows, as long as nobody has compared the share.
    fn shown_by(result: Result<Duration, Fault>) -> Self {
        match result {
            Ok(_) => Self::Well,
            Err(Fault::Refused(Status::NO_SUCH_KEY_SET)) => Self::NoKeySet,
            Err(_) => Self::Failing,
        }
    }
}

/// What may be shown about one RAIDA.
#[derive(Debug, Clone)]
pub struct RaidaSummary {
    pub raida: RaidaIndex,
    /// Where it was asked last.
    pub endpoint: Option<SocketAddr>,
    /// The result at that time.
    pub state: State,
    /// How long its last response took.
    pub last: Option<Duration>,
    /// The median of its latest response times.
    pub median: Option<Duration>,
    /// How often it was asked.
    pub asked: u64,
    /// How often it answered.
    pub answered: u64,
    /// How often its share was wrong.
    pub lies: u64,
    /// The form of its responses, if it is not the usual one.
    pub form: Option<AnswerForm>,
    /// What went wrong last, and when.
    pub last_fault: Option<(String, Timestamp)>,
    /// Its latest response times, oldest first; `None` where it gave no right share.
    pub history: Vec<Option<Duration>>,
}

/// What is remembered about the RAIDAs.
#[derive(Default)]
pub struct Raidas(Mutex<Known>);

#[derive(Default)]
struct Known {
    records: HashMap<(RaidaIndex, SocketAddr), Record>,
    /// How many exchanges were recorded.
    exchanges: u64,
}

impl Raidas {
    /// What is known about a RAIDA that matters for the next exchange.
    pub fn habits(&self, raida: RaidaIndex, endpoint: SocketAddr) -> Habits {
        let (mut pace, mut form) = (Pace::default(), None);
        if let Some(record) = self.lock().records.get(&(raida, endpoint)) {
            if record.answered > 0 {
                pace.most_requests = u32::MAX;
            }
            if let Some(median) = record.median() {
                pace.first_resend = (median * 2).clamp(*FIRST_RESEND.start(), *FIRST_RESEND.end());
            }
            if record.lied_at.is_some_and(|at| Moment::now().since(at) < MISTRUST) {
                pace.ask_after = HELD_BACK;
            }
            form = record.form;
        }
        Habits { pace, form }
    }

    /// Records how an exchange went, and what it proved.
    pub fn note(&self, outcomes: impl Iterator<Item = Outcome>, verdict: Verdict) {
        let mut known = self.lock();
        known.exchanges += 1;
        let records = &mut known.records;
        let now = Moment::now();
        for Outcome { raida, endpoint, result, way } in outcomes {
            // A refused coin says nothing about the RAIDA.
            if matches!(result, Err(Fault::Refused(status)) if status.refuses_coin()) {
                continue;
            }
            let record = records.entry((raida, endpoint)).or_default();
            record.asked += 1;
            record.last_asked = Some(now);
            let lied = verdict.wrong.contains(raida);
            record.last_state = State::shown_by(result);
            if result.is_ok() {
                record.form = AnswerForm::shown_by(way, record.form);
            }
            remember(&mut record.history, result.ok().filter(|_| !lied));
            match result {
                Ok(took) => record.note_answer(took),
                Err(fault) => record.last_fault = Some((fault.to_string(), wall_clock())),
            }
            if lied {
                record.lies += 1;
                record.lied_at = Some(now);
                record.last_fault = Some((Fault::WrongShare.to_string(), wall_clock()));
            } else if verdict.right.contains(raida) {
                record.lied_at = None;
            }
        }
        while records.len() > MAX_ENDPOINTS {
            let oldest = records.iter().min_by_key(|(_, record)| record.last_asked).map(|(key, _)| *key);
            oldest.and_then(|key| records.remove(&key));
        }
    }

    /// All 25, each at the endpoint where it was last asked.
    pub fn rows(&self) -> Vec<RaidaSummary> {
        let records = &self.lock().records;
        let row = |raida: RaidaIndex| {
            let own = records.iter().filter(|((of, _), _)| *of == raida);
            let newest = own.max_by_key(|(_, record)| record.last_asked);
            match newest {
                Some(((_, endpoint), record)) => record.row(raida, *endpoint),
                None => RaidaSummary::unknown(raida),
            }
        };
        let rows: Vec<RaidaSummary> = RaidaIndex::all().map(row).collect();
        debug_assert_eq!(rows.len(), RAIDA_COUNT);
        rows
    }

    /// A number that grows with each exchange.
    pub fn changes(&self) -> u64 {
        self.lock().exchanges
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The spare RAIDAs: how many of the healthy ones can fail before fewer than `required` are left. `None` if none was
/// asked yet.
pub fn margin(rows: &[RaidaSummary], required: usize) -> Option<usize> {
    let known = rows.iter().any(|row| row.state != State::Unknown);
    let well = rows.iter().filter(|row| row.state == State::Well).count();
    known.then(|| well.saturating_sub(required))
}

impl Record {
    fn note_answer(&mut self, took: Duration) {
        self.answered += 1;
        self.last_time = Some(took);
        remember(&mut self.times, took);
    }

    fn median(&self) -> Option<Duration> {
        let mut times: Vec<Duration> = self.times.iter().copied().collect();
        times.sort_unstable();
        times.get(times.len() / 2).copied()
    }

    fn row(&self, raida: RaidaIndex, endpoint: SocketAddr) -> RaidaSummary {
        RaidaSummary {
            raida,
            endpoint: Some(endpoint),
            state: if self.lied_at.is_some() { State::Lying } else { self.last_state },
            last: self.last_time,
            median: self.median(),
            asked: self.asked,
            answered: self.answered,
            lies: self.lies,
            form: self.form,
            last_fault: self.last_fault.clone(),
            history: self.history.iter().copied().collect(),
        }
    }
}

/// Appends an entry. If the queue is full, the oldest entry is dropped.
fn remember<T>(entries: &mut VecDeque<T>, entry: T) {
    if entries.len() == REMEMBERED_TIMES {
        entries.pop_front();
    }
    entries.push_back(entry);
}

impl RaidaSummary {
    fn unknown(raida: RaidaIndex) -> Self {
        let (endpoint, last, median, last_fault) = (None, None, None, None);
        let ((asked, answered, lies), history) = ((0, 0, 0), Vec::new());
        let (state, form) = (State::Unknown, None);
        Self { raida, endpoint, state, last, median, asked, answered, lies, form, last_fault, history }
    }
}

#[cfg(test)]
mod tests;
