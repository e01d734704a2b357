//! Checks that the document has an error for its request: status, headers and body, to the letter.

use std::collections::BTreeSet;

use jsonschema::Validator;
use serde_json::{Value, json};

use super::{Document, METHODS};
use crate::errors::{DocumentedError, matches, page};
use crate::support::Answer;

/// The headers of every response, including errors.
const ALWAYS: [(&str, &str); 2] = [("cache-control", "no-store"), ("x-content-type-options", "nosniff")];

/// A response as it came.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// Names are in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn of(answer: &Answer) -> Self {
        let headers = answer.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self { status: answer.status, headers, body: answer.body.clone().into_bytes() }
    }

    /// The only value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(other, _)| other == name);
        let (value, more) = (values.next(), values.next());
        value.filter(|_| more.is_none()).map(|(_, value)| value.as_str())
    }
}

/// The request of a response, as far as it is known.
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    /// All bytes that were sent.
    pub(crate) sent: String,
}

/// The descriptions of errors in the documents.
pub(crate) struct Errors {
    document: Document,
    form: Validator,
    fields: Vec<String>,
    page: Vec<DocumentedError>,
}

impl Errors {
    pub(crate) fn of(document: Document) -> Self {
        let form = document.validator(&json!({"$ref": "#/components/schemas/Error"}));
        let fields = document.0["components"]["schemas"]["Error"]["properties"].as_object().expect("fields");
        let fields = fields.keys().cloned().collect();
        Self { document, form, fields, page: page() }
    }

    /// The document's paths, and the parameters of their queries.
    pub(crate) fn paths(&self) -> Vec<(String, &'static str, Vec<String>)> {
        let operations = self.document.operations().into_iter();
        let query = |is: &Value| {
            let parameters = is["parameters"].as_array().into_iter().flatten();
            let in_query = parameters.filter(|parameter| parameter["in"] == "query");
            in_query.filter_map(|parameter| parameter["name"].as_str().map(str::to_owned)).collect()
        };
        operations
            .map(|operation| {
                let method = METHODS.iter().find(|method| **method == operation.method).expect("a method");
                (operation.path.to_owned(), *method, query(operation.is))
            })
            .collect()
    }

    /// Everything about an error that differs from the documents.
    pub(crate) fn faults(&self, asked: Option<&Asked>, response: &Response) -> Vec<String> {
        let item = asked.and_then(|asked| self.item(&asked.path));
        let mut faults = Vec::new();
        match (asked, self.documented(asked, item, response.status)) {
            (_, Some(documented)) => self.check_documented(documented, response, &mut faults),
            (Some(asked), None) => check_methods(asked, item, response, &mut faults),
            (None, None) => faults.push("no request is answered with this status".into()),
        }
        check_always(response, &mut faults);
        let is_head = asked.is_some_and(|asked| asked.method == "HEAD");
        match is_head && response.body.is_empty() {
            true => (),
            false => self.check_body(asked, response, &mut faults),
        }
        faults
    }

    /// The document's entry for a path. A segment in braces stands for any text, but a path spelled out takes
    /// precedence.
    fn item<'a>(&'a self, path: &str) -> Option<&'a Value> {
        let paths = self.document.0["paths"].as_object().expect("paths");
        let fits = |template: &str| {
            let mut pairs = template.split('/').zip(path.split('/'));
            template.split('/').count() == path.split('/').count()
                && pairs.all(|(known, is)| known == is || (known.starts_with('{') && !is.is_empty()))
        };
        paths.get(path).or_else(|| paths.iter().find(|(template, _)| fits(template)).map(|(_, item)| item))
    }

    /// The document's entry for a status: of the operation, or of every request if the request is not an operation.
    fn documented<'a>(
        &'a self,
        asked: Option<&Asked>,
        item: Option<&'a Value>,
        status: u16,
    ) -> Option<&'a Value> {
        let operation = asked.zip(item).and_then(|(asked, item)| operation(item, &asked.method));
        match operation {
            Some(operation) => {
                let response = &operation["responses"][status.to_string()];
                (!response.is_null()).then(|| self.document.resolve(response))
            }
            None => {
                let common = self.document.0["components"]["responses"].as_object().expect("responses");
                common
                    .values()
                    .find(|of_all| of_all["content"]["application/json"]["example"]["code"] == status)
            }
        }
    }

    fn check_documented(&self, documented: &Value, response: &Response, faults: &mut Vec<String>) {
        let kinds = documented["content"].as_object().expect("content");
        let kind = response.header("content-type").unwrap_or_default();
        if !kinds.contains_key(kind) {
            faults.push(format!("its content type is {kind:?}, and not one of {:?}", kinds.keys()));
        }
        for (name, header) in documented["headers"].as_object().into_iter().flatten() {
            let schema = self.document.validator(&header["schema"]);
            match response.header(&name.to_ascii_lowercase()) {
                Some(value) if schema.is_valid(&json!(value)) => (),
                value => faults.push(format!("its header {name} is {value:?}")),
            }
        }
        if response.header("retry-after").is_some() && documented["headers"]["Retry-After"].is_null() {
            faults.push("the document does not have its header Retry-After".into());
        }
    }

    fn check_body(&self, asked: Option<&Asked>, response: &Response, faults: &mut Vec<String>) {
        if response.header("content-type") != Some("application/json") {
            faults.push("it is not JSON".into());
        }
        if response.header("content-length") != Some(&response.body.len().to_string()) {
            faults.push("its length is not the declared one".into());
        }
        let Ok(value) = serde_json::from_slice::<Value>(&response.body) else {
            faults.push("its body is not JSON".into());
            return;
        };
        if value.to_string().as_bytes() != response.body {
            faults.push("its JSON is not the shortest".into());
        }
        faults.extend(self.form.iter_errors(&value).map(|error| error.to_string()));
        let names = value.as_object().into_iter().flat_map(|fields| fields.keys());
        let places: Vec<_> = names.map(|name| self.fields.iter().position(|field| field == name)).collect();
        if !places.is_sorted() || places.get(..3) != Some(&[Some(0), Some(1), Some(2)]) {
            faults.push("its fields are not in the order of the document".into());
        }
        if value["code"] != response.status {
            faults.push("its code is not its status".into());
        }
        let message = value["message"].as_str().unwrap_or_default();
        if !self.page.iter().any(|(status, row)| *status == response.status && matches(row, message)) {
            faults.push("docs/errors.md has no such message for this status".into());
        }
        check_repeated(asked, &value, faults);
    }
}

/// The operation of a path with this method. HEAD is the head of GET.
fn operation<'a>(item: &'a Value, method: &str) -> Option<&'a Value> {
    let name = match method {
        "HEAD" => "get".to_owned(),
        method if method.bytes().all(|byte| byte.is_ascii_uppercase()) => method.to_ascii_lowercase(),
        _ => return None,
    };
    item.get(&name)
}

/// Checks a response to a request that is not an operation: whether the path exists, and which methods it has.
fn check_methods(asked: &Asked, item: Option<&Value>, response: &Response, faults: &mut Vec<String>) {
    match response.status {
        404 if item.is_none() => (),
        405 => {
            let allow = response.header("allow").unwrap_or_default();
            let allowed: BTreeSet<&str> = allow.split(", ").collect();
            if allowed.contains(asked.method.as_str()) || !allowed.contains("OPTIONS") {
                faults.push(format!("its header Allow is {allow:?}"));
            }
            let of_path = item.and_then(Value::as_object).into_iter().flat_map(|item| item.keys());
            let known: BTreeSet<String> = of_path.map(|method| method.to_ascii_uppercase()).collect();
            let more = allowed.iter().filter(|method| !["HEAD", "OPTIONS"].contains(method));
            if item.is_some() && more.map(|method| (*method).to_owned()).collect::<BTreeSet<_>>() != known {
                faults.push(format!("its header Allow is {allow:?}, and the document has {known:?}"));
            }
        }
        status => faults.push(format!("the document has no {status} here")),
    }
}

/// Checks the headers of every response.
fn check_always(response: &Response, faults: &mut Vec<String>) {
    for (name, value) in ALWAYS {
        if response.header(name) != Some(value) {
            faults.push(format!("its header {name} is {:?}", response.header(name)));
        }
    }
    if response.header("x-request-id").is_none() {
        faults.push("it has no X-Request-Id".into());
    }
}

/// Checks that fields only repeat what the request contains. International domains are repeated in their ASCII form.
fn check_repeated(asked: Option<&Asked>, value: &Value, faults: &mut Vec<String>) {
    let sent = asked.map(|asked| unescaped(&asked.sent)).unwrap_or_default();
    for name in ["session_id", "domain", "wallet_path"] {
        let repeated = value[name]
            .as_str()
            .map(str::to_lowercase)
            .filter(|text| !sent.contains(text) && !text.contains("xn--"));
        faults.extend(repeated.map(|text| format!("its {name} is {text:?}, which nobody has sent")));
    }
}

/// A text as it was sent and as it was meant, both in lower case.
fn unescaped(sent: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = sent.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escape = after.get(..2).filter(|_| *first == b'%').and_then(|digits| hex::decode(digits).ok());
        rest = if escape.is_some() { &after[2..] } else { after };
        bytes.extend(escape.unwrap_or_else(|| vec![if *first == b'+' { b' ' } else { *first }]));
    }
    format!("{sent}\n{}", String::from_utf8_lossy(&bytes)).to_lowercase()
}
