//! How the RAIDAs have been doing, and where guardians say that they are.

use rke_engine::exchange::{Exchange, raidas};
use rke_engine::guardians::{Entry, Report};
use rke_proto::envelope::Counter;
use rke_proto::{MIN_REQUIRED, RaidaIndex};
use serde::Serialize;
use utoipa::ToSchema;

use super::{milliseconds, success};

/// How a RAIDA did when it was asked last.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum RaidaState {
    Well,
    Failing,
    Lying,
    Unknown,
}

impl From<raidas::State> for RaidaState {
    fn from(state: raidas::State) -> Self {
        match state {
            raidas::State::Well => Self::Well,
            raidas::State::Failing => Self::Failing,
            raidas::State::Lying => Self::Lying,
            raidas::State::Unknown => Self::Unknown,
        }
    }
}

/// A form of answers that public server code has.
#[derive(Serialize, ToSchema)]
enum RaidaForm {
    #[serde(rename = "envelope_5_garbled")]
    GarblesEnvelope5,
    #[serde(rename = "envelope_1_restarting")]
    RestartsEnvelope1,
    #[serde(rename = "envelope_1_continuing")]
    ContinuesEnvelope1,
}

impl From<raidas::AnswerForm> for RaidaForm {
    fn from(form: raidas::AnswerForm) -> Self {
        match form {
            raidas::AnswerForm::GarblesEnvelope5 => Self::GarblesEnvelope5,
            raidas::AnswerForm::Envelope1(Counter::Restarts) => Self::RestartsEnvelope1,
            raidas::AnswerForm::Envelope1(Counter::Continues) => Self::ContinuesEnvelope1,
        }
    }
}

/// What is known of one RAIDA.
#[derive(Serialize, ToSchema)]
#[schema(as = Raida)]
struct RaidaRow {
    /// Index.
    #[schema(maximum = 24)]
    raida: u8,
    /// Where it was asked last.
    #[schema(required)]
    endpoint: Option<String>,
    /// How it did then: `well`, `failing` (no share), `lying` (a wrong share), `unknown` (not asked
    /// yet).
    state: RaidaState,
    /// Milliseconds from asking to its last answer, resends included.
    #[schema(required)]
    last_ms: Option<f64>,
    /// The median of the last 32.
    #[schema(required)]
    median_ms: Option<f64>,
    /// Exchanges that asked it.
    asked: u64,
    /// Exchanges in which it answered.
    answered: u64,
    /// Wrong shares that it gave.
    lies: u64,
    /// In what form it answers, where that is not the usual one: `envelope_5_garbled` (its answers in envelope 5 do not
    /// open, and it is asked in envelope 4), `envelope_1_restarting`, `envelope_1_continuing` (it gives shares in envelope
    /// 1 only, and the counter of its answers restarts or continues).
    #[schema(required)]
    form: Option<RaidaForm>,
    /// What went wrong last.
    #[schema(required)]
    last_fault: Option<String>,
    /// When that was.
    #[schema(required, format = DateTime)]
    last_fault_at: Option<String>,
    /// How long it took the last 32 times that it was asked, oldest first; `null` where it gave no right
    /// share.
    #[schema(max_items = 32)]
    history_ms: Vec<Option<f64>>,
}

impl From<&raidas::Row> for RaidaRow {
    fn from(row: &raidas::Row) -> Self {
        Self {
            raida: row.raida.get(),
            endpoint: row.endpoint.map(|endpoint| endpoint.to_string()),
            state: row.state.into(),
            last_ms: row.last.map(milliseconds),
            median_ms: row.median.map(milliseconds),
            asked: row.asked,
            answered: row.answered,
            lies: row.lies,
            form: row.form.map(RaidaForm::from),
            last_fault: row.last_fault.as_ref().map(|(fault, _)| fault.clone()),
            last_fault_at: row.last_fault.as_ref().map(|(_, at)| at.to_string()),
            history_ms: row.history.iter().map(|time| time.map(milliseconds)).collect(),
        }
    }
}

/// What is known of the RAIDAs.
#[derive(Serialize, ToSchema)]
#[schema(as = RaidaList)]
pub(in crate::http) struct KnownRaidas {
    /// Which answer this is.
    command: &'static str,
    #[schema(schema_with = success)]
    success: bool,
    /// The fewest RAIDAs that make a key.
    required: u8,
    /// How many of those that did well may still fail before no session opens any more. `null` before
    /// the first exchange.
    #[schema(required)]
    margin: Option<usize>,
    /// All 25, in order.
    #[schema(min_items = 25, max_items = 25)]
    raidas: Vec<RaidaRow>,
    /// Where guardians say that RAIDAs are. `null` without `--guardian`.
    #[schema(required)]
    directory: Option<DirectoryShown>,
}

/// What guardians agree on. It gives servers an index for which neither DNS nor the operator's file has one.
#[derive(Serialize, ToSchema)]
#[schema(as = RaidaDirectory)]
struct DirectoryShown {
    /// How many guardians there are.
    guardians: usize,
    /// How many of them have to agree.
    needed: usize,
    /// When they last agreed on a RAIDA.
    #[schema(required, format = DateTime)]
    agreed_at: Option<String>,
    /// When they were asked last. `null` before that.
    #[schema(required, format = DateTime)]
    asked_at: Option<String>,
    /// How many of them gave a list then.
    #[schema(required)]
    answered: Option<usize>,
    /// Those that gave none then, or disagreed with most.
    faults: Vec<GuardianFault>,
    /// The RAIDAs on which they agree or did earlier, in order.
    #[schema(max_items = 25)]
    raidas: Vec<DirectoryRow>,
}

/// A guardian that was of no use.
#[derive(Serialize, ToSchema)]
struct GuardianFault {
    /// Its URL.
    guardian: String,
    /// What it did, for people.
    fault: String,
}

/// Where guardians say that a RAIDA is.
#[derive(Serialize, ToSchema)]
#[schema(as = DirectoryEntry)]
struct DirectoryRow {
    /// Index.
    #[schema(maximum = 24)]
    raida: u8,
    /// Its addresses.
    #[schema(min_items = 1)]
    endpoints: Vec<String>,
    /// How many guardians said so.
    guardians: usize,
    /// When they did last.
    #[schema(format = DateTime)]
    agreed_at: String,
}

impl From<Report> for DirectoryShown {
    fn from(report: Report) -> Self {
        let agreed_at = report.agreed_at().map(|at| at.to_string());
        let last = report.last.as_ref();
        let faults = last.iter().flat_map(|last| &last.faults);
        Self {
            guardians: report.guardians,
            needed: report.needed,
            agreed_at,
            asked_at: last.map(|last| last.at.to_string()),
            answered: last.map(|last| last.answered),
            faults: faults
                .map(|(guardian, fault)| GuardianFault { guardian: guardian.clone(), fault: fault.clone() })
                .collect(),
            raidas: report.raidas.into_iter().map(DirectoryRow::from).collect(),
        }
    }
}

impl From<(RaidaIndex, Entry)> for DirectoryRow {
    fn from((raida, entry): (RaidaIndex, Entry)) -> Self {
        Self {
            raida: raida.get(),
            endpoints: entry.endpoints.iter().map(ToString::to_string).collect(),
            guardians: entry.guardians,
            agreed_at: entry.agreed_at.to_string(),
        }
    }
}

impl KnownRaidas {
    pub(in crate::http) fn new(exchange: &Exchange) -> Self {
        let rows = exchange.raidas().rows();
        Self {
            command: "rke_raidas",
            success: true,
            required: MIN_REQUIRED,
            margin: raidas::margin(&rows, MIN_REQUIRED.into()),
            raidas: rows.iter().map(RaidaRow::from).collect(),
            directory: exchange.agreed_directory().report().map(DirectoryShown::from),
        }
    }

    /// The same as the answer to a refresh.
    pub(in crate::http) fn refreshed(exchange: &Exchange) -> Self {
        Self { command: "rke_raidas_refresh", ..Self::new(exchange) }
    }
}
