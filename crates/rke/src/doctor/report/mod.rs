//! Findings, each with its fix, and how they are printed.

use anstyle::Style;
use serde::Serialize;

use crate::terminal::{BAD, DIM, DOUBTFUL, GOOD, clean, labelled, paint};

/// The result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    Ok,
    Warn,
    Fail,
}

impl Verdict {
    fn shown(self) -> (&'static str, Style) {
        match self {
            Self::Ok => ("OK", GOOD),
            Self::Warn => ("WARN", DOUBTFUL),
            Self::Fail => ("FAIL", BAD),
        }
    }
}

/// The column after the names of checks.
const LABELS: usize = 17;

/// The finding of a check.
#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    result: Verdict,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    cure: Option<String>,
}

#[derive(Serialize)]
struct Printed<'a> {
    command: &'static str,
    success: bool,
    findings: &'a [Finding],
}

/// The findings of all checks so far.
#[derive(Debug, Default)]
pub(super) struct Report(Vec<Finding>);

impl Report {
    /// All is well.
    pub(super) fn ok(&mut self, check: &'static str, message: impl Into<String>) {
        self.add(check, Verdict::Ok, message.into(), None);
    }

    /// Something is, or may be, not as it should be.
    pub(super) fn warn(&mut self, check: &'static str, message: impl Into<String>, cure: impl Into<String>) {
        self.add(check, Verdict::Warn, message.into(), Some(cure.into()));
    }

    /// Something does not work.
    pub(super) fn fail(&mut self, check: &'static str, message: impl Into<String>, cure: impl Into<String>) {
        self.add(check, Verdict::Fail, message.into(), Some(cure.into()));
    }

    fn add(&mut self, check: &'static str, result: Verdict, message: String, cure: Option<String>) {
        self.0.push(Finding { check, result, message: clean(&message), cure });
    }

    fn count(&self, verdict: Verdict) -> usize {
        self.0.iter().filter(|finding| finding.result == verdict).count()
    }

    /// How many checks failed.
    pub(super) fn failures(&self) -> usize {
        self.count(Verdict::Fail)
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for Finding { check, result, message, cure } in &self.0 {
            let (name, style) = result.shown();
            let label = format!("{}  {check}", paint(style, format!("{name:<4}")));
            let cure = cure.as_ref().map(|cure| format!("\n{}", paint(DIM, format!("→ {cure}"))));
            text += &labelled(&label, &format!("{message}{}", cure.unwrap_or_default()), LABELS);
            text += "\n";
        }
        let [ok, warn, fail] = [Verdict::Ok, Verdict::Warn, Verdict::Fail].map(|verdict| self.count(verdict));
        text + &format!("{ok} ok, {warn} to look at, {fail} failed")
    }

    /// For programs.
    pub(super) fn json(&self) -> String {
        let printed = Printed { command: "rke_doctor", success: self.failures() == 0, findings: &self.0 };
        serde_json::to_string(&printed).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
