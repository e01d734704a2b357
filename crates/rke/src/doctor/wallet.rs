//! A wallet: whether its coins can be read, at how many RAIDAs they are usable, and who else can read them.

use std::path::Path;

use rke_host::wallet::examine::{Contents, examine};
use rke_proto::{MIN_REQUIRED, RAIDA_COUNT};

use super::report::Report;
use crate::words::counted;

/// The most file names in a message.
const SHOWN: usize = 5;

pub(super) fn check(report: &mut Report, path: &Path) {
    let found = std::path::absolute(path).map_err(|error| error.to_string());
    match found.and_then(|path| examine(&path).map_err(|error| error.to_string())) {
        Ok(contents) => coins(report, path, &contents),
        Err(error) => {
            report.fail(
                "wallet",
                error,
                "name the folder that has Bank and Fracked in it, and run this as the daemon's user",
            );
        }
    }
}

fn coins(report: &mut Report, path: &Path, contents: &Contents) {
    let usable = contents.usable.iter().filter(|coins| !coins.is_empty()).count();
    let two = contents.usable.iter().filter(|coins| coins.len() > 1).count();
    let files = counted(contents.files, "coin file");
    let message = format!("{files}, usable at {usable} of {RAIDA_COUNT} RAIDAs");
    if usable < usize::from(MIN_REQUIRED) {
        report.fail(
            "wallet",
            format!("{message}: too few for a session, which takes {MIN_REQUIRED}"),
            "put authentic coins into its Bank folder",
        );
    } else if two < usable {
        report.warn(
            "wallet",
            format!("{message}, at only {two} with two coins"),
            "put a second coin into its Bank folder: two prove more than one",
        );
    } else {
        report.ok("wallet", message);
    }
    if !contents.repeated.is_empty() {
        let coins: Vec<String> = contents.repeated.iter().take(SHOWN).map(ToString::to_string).collect();
        let message = format!("coins that are in it more than once count once: {}", coins.join(", "));
        report.warn(
            "wallet",
            message,
            "keep the file with the right ANs, and move the others out of the wallet",
        );
    }
    if !contents.unusable.is_empty() {
        let names = contents.unusable.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("; ");
        let message = format!("{} cannot be used: {names}", counted(contents.unusable.len(), "file"));
        report.warn("wallet", message, "repair them, or move them out of the wallet");
    }
    if let Some(first) = contents.exposed.first() {
        let files = counted(contents.exposed.len(), "coin file");
        let message = format!("{files} may be read by others, {} for one", first.display());
        report.warn("wallet", message, format!("chmod -R go= {}", path.display()));
    }
}
