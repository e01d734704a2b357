//! The DNS records of other Content Servers, which `rke dev` publishes too.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use rke_raida::content_server::DnsRecords;

use super::DOMAIN;
use crate::settings::WrongSettings;

pub(super) fn read(files: &[PathBuf]) -> Result<Vec<DnsRecords>, WrongSettings> {
    let mut all = Vec::new();
    for file in files {
        all.extend(read_file(file).map_err(WrongSettings)?);
    }
    Ok(all)
}

fn read_file(file: &PathBuf) -> Result<Vec<DnsRecords>> {
    let name = file.display();
    let text = fs::read_to_string(file).with_context(|| format!("cannot read the records in {name}"))?;
    let records = DnsRecords::read(&text).with_context(|| format!("cannot use the records in {name}"))?;
    if records.is_empty() {
        bail!("no records are in {name}: `rke content-server preload` prints them");
    }
    if records.iter().any(|records| records.domain.eq_ignore_ascii_case(DOMAIN)) {
        bail!(
            "the records in {name} are those of {DOMAIN}, which this network has a Content Server for already"
        );
    }
    Ok(records)
}
