//! Which key sets are published, and which are in service.

use rke_engine::discovery::DiscoveryError;
use rke_proto::Form;
use rke_proto::records::{KeySet, KeySets};
use rke_raida::content_server::ListedKeySet;

use super::Held;
use super::expected::{Expected, Service};
use crate::doctor::report::Report;

pub(super) fn check(report: &mut Report, expected: &Expected<'_>, published: &KeySets) {
    let (held, form) = (expected.held(published), expected.form(published));
    for set in &published.all {
        match held.iter().find(|(of, _)| of.key_set == set.key_set) {
            Some((_, own)) => known(report, expected, own),
            None => unknown(report, expected, set, form),
        }
    }
    if published.choose().is_none() {
        let message = DiscoveryError::no_key_set(published).to_string();
        report.fail("key sets", message, expected.publish(form));
    }
    unpublished(report, expected, &held, form);
}

/// A published key set that the folder has.
fn known(report: &mut Report, expected: &Expected<'_>, set: &ListedKeySet) {
    let (key_set, publish) = (set.key_set, || expected.publish(Some(set.form)));
    match expected.service(set) {
        Service::On => report.ok("key sets", format!("{key_set} is published and in service")),
        Service::Until(at) => report.warn(
            "key sets",
            format!("{key_set} is published, and retires at {at}"),
            format!("before that, {}", publish()),
        ),
        Service::Ended(at) => {
            report.fail("key sets", format!("{key_set} is published, and has retired at {at}"), publish());
        }
        Service::NotPreloaded => report.fail(
            "key sets",
            format!("{key_set} is published, and too few RAIDAs have been given it"),
            format!("run `rke content-server preload --key-set {} …` again", key_set.get()),
        ),
    }
}

/// One that the folder does not have.
fn unknown(report: &mut Report, expected: &Expected<'_>, set: &KeySet, form: Option<Form>) {
    let (key_set, folder) = (set.key_set, expected.folder.display());
    let message = match set.cs_id == expected.cs_id {
        true => format!("{key_set} is published, and {folder} does not have it"),
        false => format!(
            "{key_set} is published with the Content Server ID {}, and {folder} has the key sets of {}",
            set.cs_id, expected.cs_id
        ),
    };
    report.fail("key sets", message, expected.publish(form));
}

/// Those in service that clients do not find.
fn unpublished(report: &mut Report, expected: &Expected<'_>, held: &[Held<'_>], form: Option<Form>) {
    let is_published = |set: &ListedKeySet| held.iter().any(|(_, own)| own.key_set == set.key_set);
    let missing = expected.sets.iter().filter(|set| {
        let fits = form.is_none_or(|form| form == set.form);
        expected.service(set) == Service::On && fits && !is_published(set)
    });
    let works = held.iter().any(|(_, own)| matches!(expected.service(own), Service::On | Service::Until(_)));
    for set in missing {
        let message = format!("{} is in service, and not published", set.key_set);
        let publish = expected.publish(Some(set.form));
        match works {
            true => report.warn("key sets", message, format!("unless it is for another domain, {publish}")),
            false => report.fail("key sets", message, publish),
        }
    }
}
