//! How the RAIDAs have been doing, and where guardians say they are.

use rke_engine::exchange::raidas;
use rke_engine::guardians::{Entry, Report};
use rke_engine::sessions::Sessions;
use rke_proto::envelope::Counter;
use rke_proto::{MIN_REQUIRED, RaidaIndex};
use serde::Serialize;

use super::milliseconds;
#[cfg(test)]
use crate::http::api::schema;

/// The state of a RAIDA when it was last asked.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
enum RaidaState {
    Well,
    Failing,
    NoKeySet,
    Lying,
    Unknown,
}

impl From<raidas::State> for RaidaState {
    fn from(state: raidas::State) -> Self {
        match state {
            raidas::State::Well => Self::Well,
            raidas::State::Failing => Self::Failing,
            raidas::State::NoKeySet => Self::NoKeySet,
            raidas::State::Lying => Self::Lying,
            raidas::State::Unknown => Self::Unknown,
        }
    }
}

/// A form of responses that public server code sends.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
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
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = Raida))]
struct RaidaRow {
    /// Index.
    #[cfg_attr(test, schema(maximum = 24))]
    raida: u8,
    /// Where it was last asked.
    #[cfg_attr(test, schema(required))]
    endpoint: Option<String>,
    /// Its state then: `well` (healthy), `failing` (no response), `no_key_set` (it said that it has no such key set),
    /// `lying` (wrong share), `unknown` (not asked yet).
    state: RaidaState,
    /// Milliseconds from the request to its last response, including resends.
    #[cfg_attr(test, schema(required))]
    last_ms: Option<f64>,
    /// The median of the last 32.
    #[cfg_attr(test, schema(required))]
    median_ms: Option<f64>,
    /// Exchanges that asked it.
    asked: u64,
    /// Exchanges in which it answered.
    answered: u64,
    /// Wrong shares that it gave.
    lies: u64,
    /// The form of its responses, if that is not the usual one: `envelope_5_garbled` (its responses in envelope 5 do not
    /// open, so it is asked in envelope 4), `envelope_1_restarting`, `envelope_1_continuing` (it gives shares in
    /// envelope 1 only, and the counter of its responses restarts or continues).
    #[cfg_attr(test, schema(required))]
    form: Option<RaidaForm>,
    /// What went wrong last.
    #[cfg_attr(test, schema(required))]
    last_fault: Option<String>,
    /// When that was.
    #[cfg_attr(test, schema(required, format = DateTime))]
    last_fault_at: Option<String>,
    /// How long it took the last 32 times that it was asked, oldest first; `null` where it gave no right
    /// share.
    #[cfg_attr(test, schema(max_items = 32))]
    history_ms: Vec<Option<f64>>,
}

impl From<&raidas::RaidaSummary> for RaidaRow {
    fn from(row: &raidas::RaidaSummary) -> Self {
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
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = RaidaList))]
pub(in crate::http) struct KnownRaidas {
    /// The kind of response.
    command: &'static str,
    #[cfg_attr(test, schema(schema_with = schema::success))]
    success: bool,
    /// The fewest RAIDAs that make a key.
    required: u8,
    /// Spare RAIDAs: how many of the healthy ones may fail before no session can be opened. `null` before the
    /// first exchange.
    #[cfg_attr(test, schema(required))]
    margin: Option<usize>,
    /// All 25, in order.
    #[cfg_attr(test, schema(min_items = 25, max_items = 25))]
    raidas: Vec<RaidaRow>,
    /// Where guardians say that RAIDAs are. `null` without `--guardian`.
    #[cfg_attr(test, schema(required))]
    directory: Option<DirectoryShown>,
}

/// What guardians agree on. It gives servers an index for which neither DNS nor the operator's file has one.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = RaidaDirectory))]
struct DirectoryShown {
    /// How many guardians there are.
    guardians: usize,
    /// How many of them have to agree.
    needed: usize,
    /// When they last agreed on a RAIDA.
    #[cfg_attr(test, schema(required, format = DateTime))]
    agreed_at: Option<String>,
    /// When they were last asked. `null` before that.
    #[cfg_attr(test, schema(required, format = DateTime))]
    asked_at: Option<String>,
    /// How many of them gave a list then.
    #[cfg_attr(test, schema(required))]
    answered: Option<usize>,
    /// Those that gave none then, or disagreed with most.
    faults: Vec<GuardianFault>,
    /// The RAIDAs on which they agree or did earlier, in order.
    #[cfg_attr(test, schema(max_items = 25))]
    raidas: Vec<DirectoryRow>,
}

/// A guardian that returned no usable list.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
struct GuardianFault {
    /// Its URL.
    guardian: String,
    /// What it did, for people to read.
    fault: String,
}

/// Where guardians say that a RAIDA is.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = DirectoryEntry))]
struct DirectoryRow {
    /// Index.
    #[cfg_attr(test, schema(maximum = 24))]
    raida: u8,
    /// Its addresses.
    #[cfg_attr(test, schema(min_items = 1))]
    endpoints: Vec<String>,
    /// How many guardians said so.
    guardians: usize,
    /// When they last did.
    #[cfg_attr(test, schema(format = DateTime))]
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
    pub(in crate::http) fn new(sessions: &Sessions) -> Self {
        let rows = sessions.raidas();
        Self {
            command: "rke_raidas",
            success: true,
            required: MIN_REQUIRED,
            margin: raidas::margin(&rows, MIN_REQUIRED.into()),
            raidas: rows.iter().map(RaidaRow::from).collect(),
            directory: sessions.directory().map(DirectoryShown::from),
        }
    }

    /// The same, as the response to a refresh.
    pub(in crate::http) fn refreshed(sessions: &Sessions) -> Self {
        Self { command: "rke_raidas_refresh", ..Self::new(sessions) }
    }
}
