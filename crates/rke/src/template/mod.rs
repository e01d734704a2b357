//! Lines for scripts: a text with the names of a row's fields in braces.

use std::str::FromStr;

use anyhow::{Result, anyhow};
use serde_json::{Map, Value};

use crate::settings::WrongSettings;
use crate::terminal::{clean, out};

/// A parsed template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(String),
}

impl FromStr for Template {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "it takes a text with names of fields in braces, as in '{session_id} {domain}'; --json shows the fields";
        let mut pieces = text.split('{');
        let mut parts = vec![Part::Text(pieces.next().unwrap_or_default().into())];
        for piece in pieces {
            let (name, rest) = piece.split_once('}').ok_or(wrong)?;
            parts.extend([Part::Field(name.into()), Part::Text(rest.into())]);
        }
        let has_fields = parts.len() > 1;
        let is_closed_too_often =
            parts.iter().any(|part| matches!(part, Part::Text(text) if text.contains('}')));
        if has_fields && !is_closed_too_often { Ok(Self(parts)) } else { Err(wrong) }
    }
}

impl Template {
    /// A template of this field alone.
    pub(crate) fn of_field(name: &str) -> Self {
        Self(vec![Part::Field(name.into())])
    }

    pub(crate) fn names(&self, field: &str) -> bool {
        self.0.contains(&Part::Field(field.into()))
    }

    /// Prints a line for each row of the list called `list` in the daemon's response. `more` adds fields to a row.
    ///
    /// # Errors
    /// [`WrongSettings`] if a row does not have one of the fields.
    pub(crate) fn print(
        &self,
        answer: &str,
        list: &str,
        more: impl Fn(usize, &mut Map<String, Value>),
    ) -> Result<()> {
        let mut answer: Value = serde_json::from_str(answer)?;
        for (at, row) in answer[list].as_array_mut().into_iter().flatten().enumerate() {
            if let Some(row) = row.as_object_mut() {
                more(at, row);
                out(&self.line(row).map_err(WrongSettings)?)?;
            }
        }
        Ok(())
    }

    fn line(&self, row: &Map<String, Value>) -> Result<String> {
        let text = |part: &Part| match part {
            Part::Text(text) => Ok(text.clone()),
            Part::Field(name) => match row.get(name) {
                Some(value) => Ok(shown(value)),
                None => {
                    let names: Vec<&str> = row.keys().map(String::as_str).collect();
                    Err(anyhow!("no field is called {name:?}: --format takes {}", names.join(", ")))
                }
            },
        };
        self.0.iter().map(text).collect()
    }
}

/// A value as text: strings without quotation marks, `null` as `-`, everything else as JSON.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => clean(text),
        Value::Null => "-".into(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
