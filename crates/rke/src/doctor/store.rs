//! The store that several machines share: whether it can be used, what weakens its guarantees, and who shares it.

use rke_shared_store::{Addresses, Inspection, OpenStoreError, Outage, inspect};

use super::report::Report;
use crate::words::counted;

const CHECK: &str = "store";

pub(super) async fn check(report: &mut Report, addresses: &Addresses) {
    match inspect(addresses).await {
        Ok(found) => tell(report, &found),
        Err(error) => {
            let (message, cure) = parts(&error.to_string(), cure(&error));
            report.fail(CHECK, message, cure);
        }
    }
}

fn tell(report: &mut Report, found: &Inspection) {
    report.ok(CHECK, format!("it responds: {}", found.programs.join(", ")));
    let see_manual = "see docs/scaling.md";
    match &found.fitness {
        Err(unfit) => {
            let (message, cure) = parts(&unfit.to_string(), see_manual);
            report.fail(CHECK, message, cure);
        }
        Ok(warnings) => {
            report.ok(CHECK, "it drops nothing when its memory is full (maxmemory-policy noeviction)");
            for warning in warnings {
                let (message, cure) = parts(&warning.to_string(), see_manual);
                report.warn(CHECK, message, cure);
            }
        }
    }
    let shared = [(found.daemons, "daemon"), (found.content_servers, "Content Server instance")];
    let shared: Vec<_> = shared.iter().filter(|(count, _)| *count > 0).collect();
    match shared.is_empty() {
        true => report.ok(CHECK, "nothing shares it at the moment"),
        false => {
            let count =
                |(count, what): &&(u64, &str)| counted(usize::try_from(*count).unwrap_or(usize::MAX), what);
            let shared: Vec<_> = shared.iter().map(count).collect();
            report.ok(CHECK, format!("it is shared by {}", shared.join(" and ")));
        }
    }
}

/// What to do about an error whose text does not say it.
fn cure(error: &OpenStoreError) -> &'static str {
    match error {
        OpenStoreError::Outage(Outage::WrongPassword(_)) => {
            "write the right ones, as in rediss://USER:PASSWORD@HOST:PORT, or change them at the store"
        }
        OpenStoreError::Outage(Outage::NotPermitted(_)) => "give the user `+@all` for `~rke:*` and `&rke:*`",
        OpenStoreError::Outage(Outage::Refused(_)) => "see the store's log",
        _ => "see whether it runs, and whether the address and the firewalls are right",
    }
}

/// A text as a finding and its fix, which is its last sentence if it has several.
fn parts(text: &str, otherwise: &str) -> (String, String) {
    match text.rsplit_once(". ") {
        Some((message, cure)) => (message.to_owned(), uncapitalised(cure)),
        None => (text.to_owned(), otherwise.to_owned()),
    }
}

/// A sentence in the form of fixes. A name in capitals stays as it is.
fn uncapitalised(sentence: &str) -> String {
    let mut letters = sentence.chars();
    match (letters.next(), letters.clone().next()) {
        (Some(first), Some(second)) if second.is_lowercase() => first.to_lowercase().chain(letters).collect(),
        _ => sentence.to_owned(),
    }
}
