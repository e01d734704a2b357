//! `rke doctor --records`: the DNS records of a domain, compared with the key sets in a Content Server's data directory.

mod expected;
mod key_sets;

use std::path::Path;

use rke_engine::Domain;
use rke_engine::discovery::{DiscoveryError, Published, Target};
use rke_engine::model::server_name::ServerName;
use rke_proto::directory::Directory;
use rke_proto::reach::Reach;
use rke_proto::records::{KeySet, KeySets, Records};
use rke_proto::{Form, RaidaIndex};
use rke_raida::content_server::ListedKeySet;

use self::expected::{Expected, listed};
use super::domain::tell_warnings;
use super::report::Report;
use crate::cli::ask::DoctorOptions;
use crate::look_up::{in_words, published};

/// A published key set, and what the data directory says of it.
type Held<'a> = (&'a KeySet, &'a ListedKeySet);

pub(super) async fn check(report: &mut Report, options: &DoctorOptions, domain: &str, folder: &Path) {
    let Some(domain) = Domain::new(domain) else {
        let message = format!("{domain:?} is not a domain name");
        return report.fail("dns", message, "name a domain such as content.example.com");
    };
    let expected = match Expected::read(&options.published, folder) {
        Ok(expected) => expected,
        Err((message, cure)) => return report.fail("data", message, cure),
    };
    report.ok("data", expected.described());
    let directory = match &options.look_up.raida_directory {
        Some(path) => rke_host::directory::load(path).await.map(Some),
        None => Ok(None),
    };
    match directory {
        Ok(directory) => {
            compare(report, &expected, directory.as_ref(), published(&options.look_up, &domain).await);
        }
        Err(error) => report.fail("raidas", error.to_string(), "correct the file of --raida-directory"),
    }
}

/// Whether DNS says what is expected.
fn compare(
    report: &mut Report,
    expected: &Expected<'_>,
    directory: Option<&Directory>,
    published: Published,
) {
    let Published { targets, texts } = published;
    let mut failures: Vec<&DiscoveryError> =
        [targets.as_ref().err(), texts.as_ref().err()].into_iter().flatten().collect();
    // A name that is missing fails both look-ups.
    failures.dedup_by_key(|failure| failure.to_string());
    failures.into_iter().for_each(|failure| look_up_failed(report, expected, failure));
    if let Ok(targets) = targets {
        servers(report, expected, &targets);
    }
    let Ok(texts) = texts else { return };
    let known = directory.cloned().unwrap_or_default();
    let sets = Records::parse(texts.iter().map(String::as_str)).key_sets(&known, Reach::Everywhere);
    tell_warnings(report, &sets);
    key_sets::check(report, expected, &sets);
    let held = expected.held(&sets);
    form(report, expected, &sets, &held);
    if let Some(directory) = directory {
        held.iter().for_each(|held| raidas(report, expected, directory, *held));
    }
}

fn look_up_failed(report: &mut Report, expected: &Expected<'_>, failure: &DiscoveryError) {
    let cure = match failure {
        DiscoveryError::NotFound(_) | DiscoveryError::NoRecord { .. } | DiscoveryError::NoTarget(_) => {
            expected.publish(None)
        }
        _ => "see whether the DNS server responds, or name another with --dns-server".into(),
    };
    report.fail("dns", in_words(failure), cure);
}

fn servers(report: &mut Report, expected: &Expected<'_>, targets: &[Target]) {
    let servers = || targets.iter().map(|target| &target.server);
    let names = |right: bool| {
        let servers = servers().filter(|server| expected.is_at(server) == right);
        servers.map(ServerName::to_string).collect::<Vec<_>>()
    };
    let (right, wrong) = (names(true), names(false));
    if right.is_empty() {
        let message = format!("the SRV record names {}, not {}", listed(&wrong), expected.server());
        return report.fail(
            "srv",
            message,
            "publish the SRV record that `rke content-server preload` prints with this --host and --port",
        );
    }
    report.ok("srv", format!("the SRV record names {}", listed(&right)));
    if !wrong.is_empty() {
        report.warn(
            "srv",
            format!("an SRV record names {} as well", listed(&wrong)),
            "remove it, unless a Content Server with the same key sets is there",
        );
    }
}

/// Whether the records require what the published key sets serve.
fn form(report: &mut Report, expected: &Expected<'_>, sets: &KeySets, held: &[Held<'_>]) {
    if let Some(line) = &sets.unclear {
        let message = format!("a TXT record may require something, and cannot be read: {line}");
        report.fail("form", message, expected.publish(expected.form(sets)));
    }
    for (_, set) in held {
        let key_set = set.key_set;
        if sets.form == Some(set.form) {
            report.ok("form", format!("the TXT records have {}, as {key_set} needs", required(sets.form)));
        } else {
            let (found, needed) = (required(sets.form), required(Some(set.form)));
            report.fail(
                "form",
                format!("the TXT records have {found}, and {key_set} needs {needed}"),
                expected.publish(Some(set.form)),
            );
        }
    }
}

/// The lines with which records require a form.
fn required(form: Option<Form>) -> String {
    match form.map(Form::requirement) {
        Some(Some(line)) => format!("`{line}`"),
        Some(None) => "no line that requires shares or a handshake".into(),
        None => "lines that require what this version of rke does not have".into(),
    }
}

/// Whether a key set's RAIDAs are where the operator's directory has them.
fn raidas(report: &mut Report, expected: &Expected<'_>, directory: &Directory, (set, listing): Held<'_>) {
    let differences: Vec<String> =
        RaidaIndex::all().filter_map(|raida| difference(directory, set, raida)).collect();
    let count = set.servers.len();
    match differences.is_empty() {
        true => report
            .ok("raidas", format!("the {count} RAIDAs of {} are where the directory has them", set.key_set)),
        false => report.fail(
            "raidas",
            format!("{} and the RAIDA directory differ: {}", set.key_set, differences.join(", ")),
            format!("where the directory is right, {}", expected.publish(Some(listing.form))),
        ),
    }
}

fn difference(directory: &Directory, set: &KeySet, raida: RaidaIndex) -> Option<String> {
    let published = set.servers.iter().find(|(of, _)| *of == raida).map(|(_, endpoint)| *endpoint);
    let known = directory.entries().iter().find(|(_, of)| *of == raida).map(|(endpoint, _)| *endpoint);
    match (published, known) {
        (Some(published), _) if directory.lists(published, raida) => None,
        (Some(published), Some(known)) => {
            Some(format!("RAIDA {raida} is published at {published}, not {known}"))
        }
        (Some(published), None) => {
            Some(format!("RAIDA {raida} is published at {published}, and not in the directory"))
        }
        (None, Some(known)) => Some(format!("RAIDA {raida} at {known} is not published")),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests;
