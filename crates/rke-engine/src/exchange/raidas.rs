//! What is known of the RAIDAs from earlier exchanges, in memory only: how long each takes to answer,
//! how often it does, what went wrong last, whether it lied. It shapes when each is asked again.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use rke_proto::envelope::Counter;
use rke_proto::round::{Fault, Outcome, Pace, Way};
use rke_proto::{Bitmap, RAIDA_COUNT, RaidaIndex};

use crate::model::clock::{Moment, wall_clock};

/// Times that the median is taken over, and that are shown.
const REMEMBERED_TIMES: usize = 32;

/// Endpoints that are remembered: domains decide which there are, so there must be an end to it.
const MAX_ENDPOINTS: usize = 1024;

/// A RAIDA that lied is asked last for this long.
const MISTRUST: Duration = Duration::from_secs(3600);

/// How long a mistrusted RAIDA is held back: long enough for thirteen others and their grace.
const HELD_BACK: Duration = Duration::from_millis(400);

const FIRST_RESEND: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(50)..=Duration::from_millis(1000);

#[derive(Default)]
struct Record {
    asked: u64,
    answered: u64,
    times: VecDeque<Duration>,
    last_time: Option<Duration>,
    /// The last times that it was asked, oldest first; `None` where it gave no right share.
    history: VecDeque<Option<Duration>>,
    last_fault: Option<(String, Timestamp)>,
    lies: u64,
    /// When it last lied, where none of its shares has been proven right since.
    lied_at: Option<Moment>,
    has_answered_last: bool,
    /// Kept for as long as the daemon runs, unless an answer shows that it has changed.
    form: Option<AnswerForm>,
    last_asked: Option<Moment>,
}

/// Which shares of an exchange were proven right, and which wrong. An exchange without a Content Server that says so
/// proves neither of any.
#[derive(Debug, Clone, Copy, Default)]
pub struct Verdict {
    /// The RAIDAs whose shares the key was made of, on which both ends agree.
    pub right: Bitmap,
    /// The RAIDAs whose shares were wrong.
    pub wrong: Bitmap,
}

/// How to go about asking a RAIDA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Habits {
    /// When to ask it and when to ask it again: twice as long as it usually takes.
    pub pace: Pace,
    /// In what form it answers, where that is not the usual one.
    pub form: Option<AnswerForm>,
}

/// A form of answers that public server code has and ours has not. `docs/protocol.md` section 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerForm {
    /// Those in envelope 5 do not open; it is asked in envelope 4.
    GarblesEnvelope5,
    /// It gave its last share in envelope 1, whose answers have either form; it is asked in both, until one in envelope 4
    /// comes.
    Envelope1(Counter),
}

impl AnswerForm {
    /// What an answer that was asked for in this way shows, of a RAIDA whose form was `known`.
    fn shown_by(way: Way, known: Option<Self>) -> Option<Self> {
        match (way, known) {
            (Way::Envelope4, _) => Some(Self::GarblesEnvelope5),
            (Way::Envelope1(counter), _) => Some(Self::Envelope1(counter)),
            (Way::First, Some(Self::Envelope1(_))) => None,
            // Who garbles envelope 5 is asked in another, which does not show whether that has changed.
            (Way::First, known) => known,
        }
    }
}

/// How a RAIDA did in the last exchange that asked it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It gave a share, and nobody found it wrong.
    Well,
    /// It gave no share.
    Failing,
    /// It gave a wrong share, then or earlier, and none since that was proven right.
    Lying,
    /// No exchange has asked it yet.
    Unknown,
}

/// What may be told of one RAIDA.
#[derive(Debug, Clone)]
pub struct Row {
    /// Which.
    pub raida: RaidaIndex,
    /// Where it was asked last.
    pub endpoint: Option<SocketAddr>,
    /// How it did then.
    pub state: State,
    /// How long its last answer took.
    pub last: Option<Duration>,
    /// Median of its last answers.
    pub median: Option<Duration>,
    /// How often it was asked.
    pub asked: u64,
    /// How often it answered.
    pub answered: u64,
    /// How often its share was wrong.
    pub lies: u64,
    /// In what form it answers, where that is not the usual one.
    pub form: Option<AnswerForm>,
    /// What went wrong last, and when.
    pub last_fault: Option<(String, Timestamp)>,
    /// How long it took each time, oldest first; `None` where it gave no right share.
    pub history: Vec<Option<Duration>>,
}

/// The memory of the network.
#[derive(Default)]
pub struct Raidas(Mutex<Known>);

#[derive(Default)]
struct Known {
    records: HashMap<(RaidaIndex, SocketAddr), Record>,
    /// Exchanges that were taken in.
    exchanges: u64,
}

impl Raidas {
    /// What is known of a RAIDA that shapes the next exchange.
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

    /// Takes in how an exchange went, and what it proved.
    pub fn note(&self, outcomes: impl Iterator<Item = Outcome>, verdict: Verdict) {
        let mut known = self.lock();
        known.exchanges += 1;
        let records = &mut known.records;
        let now = Moment::now();
        for Outcome { raida, endpoint, result, way } in outcomes {
            // A coin that is refused says nothing of the RAIDA.
            if matches!(result, Err(Fault::Refused(status)) if status.refuses_coin()) {
                continue;
            }
            let record = records.entry((raida, endpoint)).or_default();
            record.asked += 1;
            record.last_asked = Some(now);
            let lied = verdict.wrong.contains(raida);
            record.has_answered_last = result.is_ok();
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

    /// All 25, each at the endpoint where it was asked last.
    pub fn rows(&self) -> Vec<Row> {
        let records = &self.lock().records;
        let row = |raida: RaidaIndex| {
            let own = records.iter().filter(|((of, _), _)| *of == raida);
            let newest = own.max_by_key(|(_, record)| record.last_asked);
            match newest {
                Some(((_, endpoint), record)) => record.row(raida, *endpoint),
                None => Row::unknown(raida),
            }
        };
        let rows: Vec<Row> = RaidaIndex::all().map(row).collect();
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

/// How many of the RAIDAs that did well can fail before there are fewer than `required`. `None`
/// where none was asked yet.
pub fn margin(rows: &[Row], required: usize) -> Option<usize> {
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

    fn row(&self, raida: RaidaIndex, endpoint: SocketAddr) -> Row {
        Row {
            raida,
            endpoint: Some(endpoint),
            state: match self.has_answered_last {
                _ if self.lied_at.is_some() => State::Lying,
                true => State::Well,
                false => State::Failing,
            },
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

/// Puts an entry behind the others, of which the oldest makes room.
fn remember<T>(entries: &mut VecDeque<T>, entry: T) {
    if entries.len() == REMEMBERED_TIMES {
        entries.pop_front();
    }
    entries.push_back(entry);
}

impl Row {
    fn unknown(raida: RaidaIndex) -> Self {
        let (endpoint, last, median, last_fault) = (None, None, None, None);
        let ((asked, answered, lies), history) = ((0, 0, 0), Vec::new());
        let (state, form) = (State::Unknown, None);
        Self { raida, endpoint, state, last, median, asked, answered, lies, form, last_fault, history }
    }
}

#[cfg(test)]
mod tests {

    use super::*;

    fn raida(index: u8) -> RaidaIndex {
        RaidaIndex::new(index).expect("an index")
    }

    fn endpoint(index: u8) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 50_000 + u16::from(index)))
    }

    fn outcome(index: u8, result: Result<u64, Fault>) -> Outcome {
        let (raida, endpoint) = (raida(index), endpoint(index));
        let result = result.map(Duration::from_millis);
        Outcome { raida, endpoint, result, way: Way::First }
    }

    fn bitmap(indexes: &[u8]) -> Bitmap {
        indexes.iter().map(|index| raida(*index)).collect()
    }

    fn wrong(indexes: &[u8]) -> Verdict {
        Verdict { wrong: bitmap(indexes), right: Bitmap::default() }
    }

    #[test]
    fn resends_follow_the_usual_time_within_bounds() {
        let raidas = Raidas::default();
        assert_eq!(raidas.habits(raida(1), endpoint(1)).pace, Pace::default());
        for (took, expected) in [(120, 240), (1, 50), (5000, 1000)] {
            let raidas = Raidas::default();
            for _ in 0..3 {
                raidas.note([outcome(1, Ok(took))].into_iter(), Verdict::default());
            }
            let pace = raidas.habits(raida(1), endpoint(1)).pace;
            assert_eq!(pace.first_resend, Duration::from_millis(expected), "{took} ms");
        }
    }

    #[test]
    fn who_has_never_answered_is_asked_twice_at_most() {
        let raidas = Raidas::default();
        assert_eq!(raidas.habits(raida(1), endpoint(1)).pace.most_requests, 2);
        raidas.note([outcome(1, Err(Fault::Silent)), outcome(2, Ok(5))].into_iter(), Verdict::default());
        assert_eq!(raidas.habits(raida(1), endpoint(1)).pace.most_requests, 2);
        assert_eq!(raidas.habits(raida(2), endpoint(2)).pace.most_requests, u32::MAX);
        assert_eq!(raidas.habits(raida(2), endpoint(3)).pace.most_requests, 2, "another endpoint");
    }

    #[test]
    fn in_what_form_a_raida_answers_is_remembered_until_an_answer_shows_another() {
        let raidas = Raidas::default();
        let [restarts, continues] = [Counter::Restarts, Counter::Continues].map(AnswerForm::Envelope1);
        let garbles = AnswerForm::GarblesEnvelope5;
        for (way, result, form) in [
            (Way::Envelope4, Err(Fault::Silent), None),
            (Way::Envelope4, Ok(5), Some(garbles)),
            (Way::First, Ok(5), Some(garbles)),
            (Way::Envelope1(Counter::Restarts), Ok(5), Some(restarts)),
            (Way::First, Err(Fault::Silent), Some(restarts)),
            (Way::Envelope1(Counter::Continues), Ok(5), Some(continues)),
            (Way::First, Ok(5), None),
        ] {
            raidas.note([Outcome { way, ..outcome(1, result) }].into_iter(), Verdict::default());
            assert_eq!(raidas.habits(raida(1), endpoint(1)).form, form, "{way:?} {result:?}");
            assert_eq!(raidas.habits(raida(1), endpoint(2)).form, None);
        }
    }

    #[test]
    fn who_lied_is_asked_last_and_named() {
        let raidas = Raidas::default();
        raidas.note([outcome(1, Ok(5)), outcome(2, Ok(5))].into_iter(), wrong(&[2]));
        assert_eq!(raidas.habits(raida(1), endpoint(1)).pace.ask_after, Duration::ZERO);
        assert_eq!(raidas.habits(raida(2), endpoint(2)).pace.ask_after, HELD_BACK);
        let rows = raidas.rows();
        assert_eq!(
            (rows[1].state, rows[2].state, rows[3].state),
            (State::Well, State::Lying, State::Unknown)
        );
        assert_eq!(rows[2].lies, 1);
    }

    #[test]
    fn who_lied_stays_marked_until_a_share_of_it_is_proven_right() {
        let raidas = Raidas::default();
        let state = || raidas.rows()[1].state;
        raidas.note([outcome(1, Ok(5))].into_iter(), wrong(&[1]));
        // Answers that nobody judged, none at all, and a share of another that was right.
        for (result, verdict) in [
            (Ok(5), Verdict::default()),
            (Err(Fault::Silent), Verdict::default()),
            (Ok(5), Verdict { right: bitmap(&[2]), wrong: Bitmap::default() }),
        ] {
            raidas.note([outcome(1, result)].into_iter(), verdict);
            assert_eq!(state(), State::Lying, "{result:?} {verdict:?}");
            assert_eq!(raidas.habits(raida(1), endpoint(1)).pace.ask_after, HELD_BACK);
        }
        raidas
            .note([outcome(1, Ok(5))].into_iter(), Verdict { right: bitmap(&[1]), wrong: Bitmap::default() });
        assert_eq!((state(), raidas.rows()[1].lies), (State::Well, 1));
        assert_eq!(raidas.habits(raida(1), endpoint(1)).pace.ask_after, Duration::ZERO);
        raidas.note([outcome(1, Err(Fault::Silent))].into_iter(), Verdict::default());
        assert_eq!(state(), State::Failing);
    }

    #[test]
    fn the_margin_counts_those_that_did_well_last() {
        let raidas = Raidas::default();
        assert_eq!(margin(&raidas.rows(), 13), None);
        let all = |failing: u8| {
            (0..25).map(move |at| outcome(at, if at < failing { Err(Fault::Silent) } else { Ok(3) }))
        };
        raidas.note(all(3), Verdict::default());
        assert_eq!(margin(&raidas.rows(), 13), Some(9));
        raidas.note(all(14), Verdict::default());
        assert_eq!(margin(&raidas.rows(), 13), Some(0));
    }

    #[test]
    fn the_history_has_the_last_times_and_where_there_was_no_right_share() {
        let raidas = Raidas::default();
        for took in 0..REMEMBERED_TIMES as u64 {
            raidas.note([outcome(1, Ok(took))].into_iter(), Verdict::default());
        }
        raidas.note([outcome(1, Err(Fault::Silent))].into_iter(), Verdict::default());
        raidas.note([outcome(1, Ok(7))].into_iter(), wrong(&[1]));
        let row = &raidas.rows()[1];
        assert_eq!(row.history.len(), REMEMBERED_TIMES);
        assert_eq!(row.history[0], Some(Duration::from_millis(2)));
        assert_eq!(row.history[REMEMBERED_TIMES - 2..], [None, None]);
        assert_eq!((raidas.changes(), row.asked), (REMEMBERED_TIMES as u64 + 2, REMEMBERED_TIMES as u64 + 2));
    }

    #[test]
    fn endpoints_are_forgotten_in_time() {
        let raidas = Raidas::default();
        for at in 0..MAX_ENDPOINTS + 50 {
            let endpoint = SocketAddr::from(([127, 0, 0, 1], at as u16));
            raidas.note([Outcome { endpoint, ..outcome(1, Ok(1)) }].into_iter(), Verdict::default());
        }
        assert_eq!(raidas.lock().records.len(), MAX_ENDPOINTS);
    }
}
