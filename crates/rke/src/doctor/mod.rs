//! `rke doctor`: looks for problems and says how to fix them. It changes nothing, and uses no coin and no key.

mod clock;
mod daemon;
mod directory;
mod domain;
mod exposure;
mod machine;
mod records;
mod report;
mod store;
mod wallet;

use std::path::Path;

use anyhow::{Result, bail};

use self::report::Report;
use crate::cli::ask::DoctorOptions;
use crate::settings::WrongSettings;
use crate::terminal::{out, out_text, say};

pub(crate) async fn run(options: &DoctorOptions) -> Result<()> {
    let addresses = options.store.clone().settle().map_err(WrongSettings)?;
    let mut report = Report::default();
    if let (true, Some(domain), Some(folder)) =
        (options.published.records, &options.domain, &options.data_dir)
    {
        records::check(&mut report, options, domain, folder).await;
        return tell(&report, options.output.json);
    }
    machine::check_memory(&mut report);
    let client = options.output.daemon.client();
    let status = daemon::check(&mut report, &client).await;
    machine::check_data(&mut report, options.data_dir.as_deref(), status.as_ref());
    let mut raidas = None;
    if status.is_some() {
        daemon::check_ready(&mut report, &client).await;
        exposure::check(&mut report, &client).await;
        raidas = daemon::check_raidas(&mut report, &client).await;
    }
    if let Some(addresses) = &addresses {
        store::check(&mut report, addresses).await;
    }
    clock::check(&mut report, raidas.as_ref());
    if let Some(path) = &options.wallet {
        wallet::check(&mut report, path);
    }
    if let Some(domain) = &options.domain {
        let known = (status.as_ref(), raidas.as_ref());
        domain::check(&mut report, options, domain, known, &client).await;
    }
    tell(&report, options.output.json)
}

/// `rke wallet check`: the part of the doctor that needs nothing but a wallet.
pub(crate) fn check_wallet(path: &Path) -> Result<()> {
    let mut report = Report::default();
    wallet::check(&mut report, path);
    tell(&report, false)?;
    say(
        "Only RAIDAs know whether the ANs are right. They say so when a session opens with the wallet: `rke session create`.",
    );
    Ok(())
}

fn tell(report: &Report, json: bool) -> Result<()> {
    match json {
        true => out(&report.json())?,
        false => out_text(&report.text())?,
    }
    match report.failures() {
        0 => Ok(()),
        1 => bail!("1 check failed"),
        failures => bail!("{failures} checks failed"),
    }
}
