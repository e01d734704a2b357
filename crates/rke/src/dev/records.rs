//! The DNS records of other Content Servers, which `rke dev` publishes too.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use rke_raida::content_server::DnsRecords;

use super::DOMAIN;
use crate::records_file::read_records;
use crate::settings::WrongSettings;

pub(super) fn read(files: &[PathBuf]) -> Result<Vec<DnsRecords>, WrongSettings> {
    let mut all = Vec::new();
    for file in files {
        all.extend(read_file(file).map_err(WrongSettings)?);
    }
    Ok(all)
}

fn read_file(file: &Path) -> Result<Vec<DnsRecords>> {
    let records = read_records(file)?;
    if records.iter().any(|records| records.domain.eq_ignore_ascii_case(DOMAIN)) {
        bail!(
            "the records in {} are those of {DOMAIN}, which this network has a Content Server for already",
            file.display()
        );
    }
    Ok(records)
}
