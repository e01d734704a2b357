//! `rke doctor`: looks for what is wrong and says what cures it. It changes nothing, and uses no coin and
//! no key.

mod clock;
mod daemon;
mod directory;
mod domain;
mod exposure;
mod machine;
mod report;
mod wallet;

use anyhow::{Result, bail};

use self::report::Report;
use crate::cli::ask::DoctorOptions;
use crate::terminal::out;

pub(crate) async fn run(options: &DoctorOptions) -> Result<()> {
    let mut report = Report::default();
    machine::check(&mut report, options.data_dir.as_deref());
    let client = options.output.daemon.client();
    let status = daemon::check(&mut report, &client).await;
    let mut raidas = None;
    if status.is_some() {
        daemon::check_ready(&mut report, &client).await;
        exposure::check(&mut report, &client).await;
        raidas = daemon::check_raidas(&mut report, &client).await;
    }
    clock::check(&mut report, raidas.as_ref());
    if let Some(path) = &options.wallet {
        wallet::check(&mut report, path);
    }
    if let Some(domain) = &options.domain {
        let known = (status.as_ref(), raidas.as_ref());
        domain::check(&mut report, options, domain, known, &client).await;
    }
    match options.output.json {
        true => out(&report.json())?,
        false => out(&report.text())?,
    }
    match report.failures() {
        0 => Ok(()),
        1 => bail!("1 check failed"),
        failures => bail!("{failures} checks failed"),
    }
}
