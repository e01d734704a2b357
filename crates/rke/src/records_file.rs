//! Files with DNS records, as `rke content-server preload` prints them.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use rke_raida::content_server::DnsRecords;

/// The records in a file, a set for each domain. There is at least one.
///
/// # Errors
/// The file cannot be read, has something else in it, or is empty.
pub(crate) fn read_records(file: &Path) -> Result<Vec<DnsRecords>> {
    let name = file.display();
    let text = fs::read_to_string(file).with_context(|| format!("cannot read the records in {name}"))?;
    let records = DnsRecords::read(&text).with_context(|| format!("cannot use the records in {name}"))?;
    if records.is_empty() {
        bail!("no records are in {name}: `rke content-server preload` prints them");
    }
    Ok(records)
}
