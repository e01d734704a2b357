//! The DNS records of Content Servers: written for those who publish them, and read back from the lines of a zone file.

mod formats;

use rke_proto::records::SERVICE;

pub use self::formats::{MAX_TTL, RecordFormat};

/// The DNS records of a Content Server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsRecords {
    /// The domain, without a final dot.
    pub domain: String,
    /// The host that the SRV record names.
    pub host: String,
    /// The port that the SRV record names.
    pub port: u16,
    /// The TXT records, one character-string each.
    pub texts: Vec<String>,
}

impl DnsRecords {
    /// The records of all Content Servers whose lines are in a text, as [`RecordFormat::Zone`] has them. Empty lines and
    /// comments, which begin with `;`, are passed over.
    ///
    /// # Errors
    /// [`WrongLine`].
    pub fn read(text: &str) -> Result<Vec<Self>, WrongLine> {
        let mut all: Vec<Self> = Vec::new();
        let lines = text.lines().zip(1..).map(|(line, number)| (line.trim(), WrongLine(number)));
        for (line, wrong) in lines.filter(|(line, _)| !line.is_empty() && !line.starts_with(';')) {
            let (domain, data) = data_of(line).ok_or(wrong)?;
            let known = all.iter().position(|records| records.domain == domain);
            match (data, known) {
                (Data::Server { host, port }, None) => {
                    all.push(Self { domain: domain.into(), host: host.into(), port, texts: Vec::new() });
                }
                // The SRV record stands first, and there is one.
                (Data::Text(text), Some(at)) => all[at].texts.push(text),
                _ => return Err(wrong),
            }
        }
        Ok(all)
    }
}

/// The number of a line that is not one of a Content Server's records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line {0} is not one of the records that `rke content-server preload` prints, or not in their order")]
pub struct WrongLine(usize);

enum Data<'a> {
    Server { host: &'a str, port: u16 },
    Text(String),
}

/// The domain of a line, and what it says.
fn data_of(line: &str) -> Option<(&str, Data<'_>)> {
    let (name, rest) = line.split_once(' ')?;
    let domain = name.strip_prefix(SERVICE)?.strip_prefix('.')?.strip_suffix('.')?;
    let (ttl, rest) = rest.split_once(" IN ")?;
    if domain.is_empty() || ttl.parse::<u32>().is_err() {
        return None;
    }
    let data = match rest.split_once(' ')? {
        ("TXT", text) => Data::Text(unquoted(text)?),
        ("SRV", server) => {
            let mut words = server.split(' ').skip(2);
            let (port, host) = (words.next()?.parse().ok()?, words.next()?.strip_suffix('.')?);
            Data::Server { host, port }
        }
        _ => return None,
    };
    Some((domain, data))
}

/// What a quoted text says.
fn unquoted(text: &str) -> Option<String> {
    let mut signs = text.strip_prefix('"')?.strip_suffix('"')?.chars();
    let mut said = String::new();
    while let Some(sign) = signs.next() {
        said.push(match sign {
            '\\' => signs.next()?,
            '"' => return None,
            sign => sign,
        });
    }
    Some(said)
}

#[cfg(test)]
mod tests;
