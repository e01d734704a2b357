//! What a request wants. Query parameters and fields that the standard does not have are ignored: clients send some.

use std::borrow::Cow;

use hyper::Method;
use percent_encoding::percent_decode_str;
use rke_proto::export::etsi::{EtsiKeyId, KeySize, SaeId};
use serde::Deserialize;
use serde_json::error::Category;
use serde_json::{Value, json};

use super::refusal::Refusal;

/// The most keys in one request.
pub(super) const MOST_KEYS: usize = 128;

/// The start of every path.
const PREFIX: &str = "/api/v1/keys/";

/// A request, whose SAE is the one at the other end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Request {
    Status(SaeId),
    /// New keys.
    Make {
        slave: SaeId,
        number: usize,
        size: KeySize,
    },
    /// Keys by their ids.
    Fetch {
        master: SaeId,
        ids: Vec<EtsiKeyId>,
    },
}

/// The body of a request for new keys.
#[derive(Deserialize, Default)]
struct Wanted {
    number: Option<u64>,
    size: Option<u64>,
    #[serde(rename = "additional_slave_SAE_IDs")]
    additional_slaves: Option<Vec<Value>>,
    extension_mandatory: Option<Value>,
}

/// The body of a request for keys by their ids.
#[derive(Deserialize)]
struct Ids {
    #[serde(rename = "key_IDs")]
    ids: Option<Vec<Id>>,
}

#[derive(Deserialize)]
struct Id {
    #[serde(rename = "key_ID")]
    id: String,
}

/// Reads a request.
pub(super) fn read(method: &Method, path: &str, query: &str, body: &[u8]) -> Result<Request, Refusal> {
    let (sae, what) = path
        .strip_prefix(PREFIX)
        .and_then(|rest| rest.split_once('/'))
        .ok_or_else(|| Refusal::not_found("No such path"))?;
    let sae = percent_decode_str(sae).decode_utf8().ok().and_then(|sae| SaeId::new(&sae));
    let sae = sae.ok_or_else(|| Refusal::bad("the SAE ID in the path is malformed"));
    let is_post = match *method {
        Method::GET => false,
        Method::POST => true,
        _ => return Err(Refusal::method()),
    };
    match (what, is_post) {
        ("status", false) => Ok(Request::Status(sae?)),
        ("status", true) => Err(Refusal::method()),
        ("enc_keys", _) => {
            let wanted = if is_post { Wanted::of_body(body)? } else { Wanted::of_query(query)? };
            wanted.checked(sae?)
        }
        ("dec_keys", _) => {
            let ids = if is_post { ids_of_body(body)? } else { ids_of_query(query) };
            fetch(sae?, &ids)
        }
        _ => Err(Refusal::not_found("No such path")),
    }
}

impl Wanted {
    fn of_query(query: &str) -> Result<Self, Refusal> {
        let number = |name: &str| {
            let mut given = values(query, name);
            match (given.next(), given.next()) {
                (None, _) => Ok(None),
                (Some(text), None) => {
                    digits(&text).map(Some).map_err(|()| Refusal::bad(format!("{name} is not a number")))
                }
                (Some(_), Some(_)) => Err(Refusal::bad(format!("{name} is given more than once"))),
            }
        };
        let additional_slaves = values(query, "additional_slave_SAE_IDs").map(Value::from).collect();
        let mandatory = values(query, "extension_mandatory").map(Value::from).collect();
        Ok(Self {
            number: number("number")?,
            size: number("size")?,
            additional_slaves: Some(additional_slaves),
            extension_mandatory: Some(Value::Array(mandatory)),
        })
    }

    fn of_body(body: &[u8]) -> Result<Self, Refusal> {
        // The standard's defaults for a request that says nothing.
        if body.trim_ascii().is_empty() {
            return Ok(Self::default());
        }
        object(body)
    }

    fn checked(self, slave: SaeId) -> Result<Request, Refusal> {
        if self.additional_slaves.is_some_and(|saes| !saes.is_empty()) {
            return Err(Refusal::bad("additional_slave_SAE_IDs are not supported: max_SAE_ID_count is 0"));
        }
        if let Some(unsupported) = self.extension_mandatory.filter(|extensions| !is_empty(extensions)) {
            let details = json!({"extension_mandatory_unsupported": unsupported});
            let refusal = Refusal::bad("not all extension_mandatory parameters are supported");
            return Err(refusal.with_detail(details));
        }
        let number = self.number.unwrap_or(1);
        if !(1..=MOST_KEYS as u64).contains(&number) {
            return Err(Refusal::bad(format!("number is 1 to {MOST_KEYS}")));
        }
        let size = self.size.map_or(Ok(KeySize::DEFAULT), size)?;
        Ok(Request::Make { slave, number: number as usize, size })
    }
}

/// A number as JSON writes it, without a sign. One that is too great for its type is out of every range.
fn digits(text: &str) -> Result<u64, ()> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { Ok(text.parse().unwrap_or(u64::MAX)) } else { Err(()) }
}

fn size(bits: u64) -> Result<KeySize, Refusal> {
    let (min, max) = (KeySize::MIN.bits(), KeySize::MAX.bits());
    KeySize::from_bits(bits).ok_or_else(|| match u64::from(min) <= bits && bits <= u64::from(max) {
        true => Refusal::bad("size shall be a multiple of 8"),
        false => Refusal::bad(format!("size is {min} to {max} bits")),
    })
}

fn ids_of_query(query: &str) -> Vec<String> {
    values(query, "key_ID").map(Cow::into_owned).collect()
}

fn ids_of_body(body: &[u8]) -> Result<Vec<String>, Refusal> {
    let Ids { ids } = object(body)?;
    let ids = ids.ok_or_else(|| Refusal::bad("key_IDs is missing"))?;
    Ok(ids.into_iter().map(|Id { id }| id).collect())
}

fn fetch(master: SaeId, ids: &[String]) -> Result<Request, Refusal> {
    if !(1..=MOST_KEYS).contains(&ids.len()) {
        return Err(Refusal::bad(format!("a request names 1 to {MOST_KEYS} key_IDs")));
    }
    let ids = ids.iter().map(|id| id.parse().map_err(|_| Refusal::unknown_key()));
    Ok(Request::Fetch { master, ids: ids.collect::<Result<_, _>>()? })
}

/// An object. serde would also take a list for it, and its items for the fields in order.
fn object<T: for<'de> Deserialize<'de>>(body: &[u8]) -> Result<T, Refusal> {
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(Refusal::bad("the body is not a JSON object"));
    }
    // serde does not look into the texts of fields that nobody wants.
    let body = str::from_utf8(body).map_err(|_| Refusal::bad("the body is not UTF-8"))?;
    serde_json::from_str(body).map_err(|error| {
        let what = match error.classify() {
            Category::Data => "a field of the body is missing, given twice, or not of the standard's type",
            Category::Io | Category::Syntax | Category::Eof => "the body is not JSON",
        };
        Refusal::bad(format!("{what} (line {}, column {})", error.line(), error.column()))
    })
}

fn is_empty(extensions: &Value) -> bool {
    match extensions {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

/// The values of a parameter.
fn values<'a>(query: &'a str, name: &'a str) -> impl Iterator<Item = Cow<'a, str>> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .filter(move |(given, _)| *given == name)
        .map(|(_, value)| percent_decode_str(value).decode_utf8_lossy())
}

#[cfg(test)]
mod tests;
