//! The records in the forms that DNS software and scripts take.

use rke_proto::records::SERVICE;
use serde_json::{Value, json};

use super::DnsRecords;

/// The longest time to live: RFC 2181, section 8.
pub const MAX_TTL: u32 = 0x7FFF_FFFF;

/// A form in which records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordFormat {
    /// Lines of a zone file.
    Zone,
    /// Input of `nsupdate` (RFC 2136): one update that replaces the SRV and TXT records of the name.
    Nsupdate,
    /// Lines of dnsmasq's configuration. They have no TTL: dnsmasq has one for all of its records.
    Dnsmasq,
    /// A JSON array with an object for each record.
    Json,
}

impl DnsRecords {
    /// The records in this form. DNS servers may keep them for `ttl` seconds.
    pub fn write(&self, format: RecordFormat, ttl: u32) -> String {
        match format {
            RecordFormat::Zone => self.zone(ttl),
            RecordFormat::Nsupdate => self.update(ttl),
            RecordFormat::Dnsmasq => self.dnsmasq(),
            RecordFormat::Json => self.json(ttl).to_string(),
        }
    }

    fn zone(&self, ttl: u32) -> String {
        self.each(|kind, data| format!("{}. {ttl} IN {kind} {data}", self.name()))
    }

    fn update(&self, ttl: u32) -> String {
        let name = self.name();
        let added = self.each(|kind, data| format!("update add {name}. {ttl} {kind} {data}"));
        format!("update delete {name}. SRV\nupdate delete {name}. TXT\n{added}\nsend")
    }

    fn dnsmasq(&self) -> String {
        let Self { host, port, texts, .. } = self;
        let name = self.name();
        let srv = format!("srv-host={name},{host},{port},0,0");
        let texts = texts.iter().map(|text| format!("txt-record={name},{}", quoted(text)));
        lines(srv, texts)
    }

    fn json(&self, ttl: u32) -> Value {
        let Self { host, port, texts, .. } = self;
        let name = self.name();
        let srv = json!({
            "name": name, "type": "SRV", "ttl": ttl, "priority": 0, "weight": 0, "port": port, "target": host,
        });
        let texts = texts.iter().map(|text| json!({"name": name, "type": "TXT", "ttl": ttl, "text": text}));
        std::iter::once(srv).chain(texts).collect()
    }

    /// A line for each record, made of its type and of its data as a zone file has it.
    fn each(&self, line: impl Fn(&str, &str) -> String) -> String {
        let srv = line("SRV", &format!("0 0 {} {}.", self.port, self.host));
        lines(srv, self.texts.iter().map(|text| line("TXT", &quoted(text))))
    }

    fn name(&self) -> String {
        format!("{SERVICE}.{}", self.domain)
    }
}

fn lines(first: String, rest: impl Iterator<Item = String>) -> String {
    std::iter::once(first).chain(rest).collect::<Vec<_>>().join("\n")
}

/// A text in quotes. Zone files, `nsupdate` and dnsmasq have the same rules: a backslash in front of quotes and of
/// backslashes, and nothing else is special in between. None of the texts is longer than the 255 bytes of one string.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests;
