//! What the records are to say: the key sets in the data directory, and what the operator names.

use std::path::Path;

use jiff::Timestamp;
use rke_engine::Domain;
use rke_engine::model::server_name::ServerName;
use rke_proto::records::KeySets;
use rke_proto::{ContentServerId, Form, KeySetId};
use rke_raida::content_server::{ListedKeySet, list_key_sets};

use super::Held;
use crate::cli::ask::PublishedOptions;

/// Why nothing can be compared, and what to do.
pub(super) type Unusable = (String, &'static str);

/// Whether a Content Server accepts exchanges with a key set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    /// It does, from now on.
    On,
    /// It does until then.
    Until(Timestamp),
    /// It did until then.
    Ended(Timestamp),
    /// Too few RAIDAs have been given it.
    NotPreloaded,
}

/// What the records are to say.
pub(super) struct Expected<'a> {
    pub(super) folder: &'a Path,
    pub(super) cs_id: ContentServerId,
    /// The Content Server's key sets, the lowest number first.
    pub(super) sets: Vec<ListedKeySet>,
    pub(super) host: Option<&'a Domain>,
    pub(super) port: Option<u16>,
    pub(super) now: Timestamp,
}

impl<'a> Expected<'a> {
    /// What these options say.
    ///
    /// # Errors
    /// [`Unusable`].
    pub(super) fn read(options: &'a PublishedOptions, folder: &'a Path) -> Result<Self, Unusable> {
        const CURE: &str = "name the Content Server's data folder with --data-dir, and run this as its user";
        let all = list_key_sets(folder).map_err(|error| (error.to_string(), CURE))?;
        let cs_id = choose(&all, options.cs_id, folder)?;
        let sets = all.into_iter().filter(|set| set.cs_id == cs_id).collect();
        let (host, port) = (options.host.as_ref(), options.port);
        Ok(Self { folder, cs_id, sets, host, port, now: Timestamp::now() })
    }

    /// What is in the folder.
    pub(super) fn described(&self) -> String {
        let sets: Vec<KeySetId> = self.sets.iter().map(|set| set.key_set).collect();
        format!("{} has {} of {}", self.folder.display(), listed(&sets), self.cs_id)
    }

    /// Whether the Content Server may be here.
    pub(super) fn is_at(&self, server: &ServerName) -> bool {
        self.host.is_none_or(|host| host.as_str() == server.host)
            && self.port.is_none_or(|port| port == server.port)
    }

    /// Where it is, as far as the operator says.
    pub(super) fn server(&self) -> String {
        match (self.host, self.port) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (Some(host), None) => host.to_string(),
            (None, port) => format!("port {}", port.unwrap_or_default()),
        }
    }

    pub(super) fn service(&self, set: &ListedKeySet) -> Service {
        let retires_at = set.retires_at.map(|at| i64::try_from(at).unwrap_or(i64::MAX));
        let retires_at = retires_at.map(|at| Timestamp::from_second(at).unwrap_or(Timestamp::MAX));
        match retires_at {
            Some(at) if at <= self.now => Service::Ended(at),
            _ if set.preloaded.is_none() => Service::NotPreloaded,
            Some(at) => Service::Until(at),
            None => Service::On,
        }
    }

    /// The published key sets that the folder has.
    pub(super) fn held<'s>(&'s self, published: &'s KeySets) -> Vec<Held<'s>> {
        let own = published.all.iter().filter(|set| set.cs_id == self.cs_id);
        own.filter_map(|set| Some((set, self.sets.iter().find(|own| own.key_set == set.key_set)?))).collect()
    }

    /// The form of sessions that the domain is for, as far as the records and the folder say: key sets of other forms belong to
    /// other domains.
    pub(super) fn form(&self, published: &KeySets) -> Option<Form> {
        let required = published.form.filter(|_| !published.all.is_empty());
        let required = required.filter(|form| self.sets.iter().any(|set| set.form == *form));
        self.held(published).first().map(|(_, set)| set.form).or(required)
    }

    /// How to publish the newest key set, of this form where one is named.
    pub(super) fn publish(&self, form: Option<Form>) -> String {
        let fits = |set: &&ListedKeySet| {
            self.service(set) == Service::On && form.is_none_or(|form| form == set.form)
        };
        match self.sets.iter().rev().find(fits) {
            Some(set) => format!(
                "publish the records that `rke content-server preload --key-set {} …` prints in place of those that are \
                 there (--format nsupdate)",
                set.key_set.get()
            ),
            None => "make a key set with `rke content-server rotate`, and publish the records that it prints"
                .into(),
        }
    }
}

/// The Content Server that is meant: the given one, or the only one whose key sets are in the folder.
fn choose(
    all: &[ListedKeySet],
    given: Option<ContentServerId>,
    folder: &Path,
) -> Result<ContentServerId, Unusable> {
    let mut ids: Vec<ContentServerId> = all.iter().map(|set| set.cs_id).collect();
    ids.dedup();
    let (names, folder) = (listed(&ids), folder.display());
    match (given, &ids[..]) {
        (_, []) => Err((
            format!("{folder} has no key set"),
            "name the Content Server's data folder with --data-dir, or make a key set with `rke content-server preload`",
        )),
        (Some(given), ids) if ids.contains(&given) => Ok(given),
        (Some(given), _) => Err((
            format!("{folder} has no key set of {given}; it has those of {names}"),
            "correct --cs-id, or name another folder with --data-dir",
        )),
        (None, [only]) => Ok(*only),
        (None, _) => Err((format!("{folder} has the key sets of {names}"), "name one of them with --cs-id")),
    }
}

/// Several things in a row.
pub(super) fn listed(things: &[impl ToString]) -> String {
    things.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
