//! Responses of scripts, read strictly: what no script of this version returns is an outage, not a panic.

use redis::Value;

use crate::clock::Reading;
use crate::error::Outage;
use crate::name::{Incarnation, NAME_LEN, Name};
use crate::record::Record;

/// What every script on a partition returns, and what its status comes with.
pub(crate) struct Reply {
    pub(crate) reading: Reading,
    /// Whether an unknown name may still be known to an old primary.
    pub(crate) is_young: bool,
    /// Records that the script has removed because they had ended.
    pub(crate) ended: Vec<(Name, Record)>,
    pub(crate) status: String,
    pub(crate) rest: Fields,
}

/// Values that are read from front to back.
pub(crate) struct Fields(std::vec::IntoIter<Value>);

impl Reply {
    pub(crate) fn read(value: Value) -> Result<Self, Outage> {
        let mut fields = Fields::of(value)?;
        let now = fields.number()?;
        let incarnation = Incarnation(fields.array()?);
        let is_young = fields.number()? == 1;
        let ended = fields.records()?;
        let status = fields.text()?;
        Ok(Self { reading: Reading { now, incarnation }, is_young, ended, status, rest: fields })
    }
}

impl Fields {
    pub(crate) fn of(value: Value) -> Result<Self, Outage> {
        match value {
            Value::Array(values) => Ok(Self(values.into_iter())),
            _ => Err(Outage::Unintelligible),
        }
    }

    fn next(&mut self) -> Result<Value, Outage> {
        self.0.next().ok_or(Outage::Unintelligible)
    }

    pub(crate) fn number(&mut self) -> Result<u64, Outage> {
        match self.next()? {
            Value::Int(number) => number.try_into().map_err(|_| Outage::Unintelligible),
            _ => Err(Outage::Unintelligible),
        }
    }

    pub(crate) fn bytes(&mut self) -> Result<Vec<u8>, Outage> {
        match self.next()? {
            Value::BulkString(bytes) => Ok(bytes),
            Value::SimpleString(text) => Ok(text.into()),
            _ => Err(Outage::Unintelligible),
        }
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Outage> {
        self.bytes()?.try_into().map_err(|_| Outage::Unintelligible)
    }

    pub(crate) fn name(&mut self) -> Result<Name, Outage> {
        self.array::<NAME_LEN>().map(Name)
    }

    pub(crate) fn text(&mut self) -> Result<String, Outage> {
        String::from_utf8(self.bytes()?).map_err(|_| Outage::Unintelligible)
    }

    pub(crate) fn record(&mut self) -> Result<Record, Outage> {
        Record::decode(&self.bytes()?).map_err(|_| Outage::Unintelligible)
    }

    pub(crate) fn fields(&mut self) -> Result<Self, Outage> {
        Self::of(self.next()?)
    }

    /// A list of arrays, such as tags.
    pub(crate) fn arrays<const N: usize>(&mut self) -> Result<Vec<[u8; N]>, Outage> {
        let mut fields = self.fields()?;
        let mut arrays = Vec::new();
        while !fields.is_empty() {
            arrays.push(fields.array()?);
        }
        Ok(arrays)
    }

    /// A list of names, each followed by its record.
    pub(crate) fn records(&mut self) -> Result<Vec<(Name, Record)>, Outage> {
        let mut fields = self.fields()?;
        let mut records = Vec::new();
        while !fields.is_empty() {
            records.push((fields.name()?, fields.record()?));
        }
        Ok(records)
    }

    fn is_empty(&self) -> bool {
        self.0.len() == 0
    }
}
