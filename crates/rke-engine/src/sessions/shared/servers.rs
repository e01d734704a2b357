//! Known Content Servers, which all machines share: an impostor that one machine would refuse is refused by all. The file in each data
//! directory stays, because operators read and edit it, and follows the store.

use jiff::Timestamp;
use rke_shared_store::StoreError;

use super::Shared;
use crate::Domain;
use crate::trust::Known;

/// How often this machine tries to write what it knows while others write too.
const ATTEMPTS: usize = 4;

impl Shared {
    /// What all machines know about a domain's Content Server.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(in super::super) async fn known_server(&self, domain: &Domain) -> Result<Option<Known>, StoreError> {
        let known = self.store.known_server(domain.as_str()).await?;
        known.about.map(|about| read(&about)).transpose()
    }

    /// Tells all machines what this one knows, unless they know something else that `own` does not replace. Returns what they know.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(in super::super) async fn share_server(
        &self,
        own: Known,
        started: Timestamp,
    ) -> Result<Known, StoreError> {
        let mut before = self.store.known_server(own.domain.as_str()).await?;
        for _ in 0..ATTEMPTS {
            if let Some(about) = &before.about {
                let theirs = read(about)?;
                let is_known = theirs.cs_id == own.cs_id && theirs.form >= own.form;
                if is_known || prevails(&theirs, &own, started) {
                    return Ok(theirs);
                }
            }
            let line = own.to_string();
            match self.store.remember_server(own.domain.as_str(), &before, line.as_bytes()).await? {
                Ok(()) => return Ok(own),
                Err(now) => before = now,
            }
        }
        Err(StoreError::Unsettled { retry_after: std::time::Duration::from_secs(1) })
    }
}

/// Whether what all machines know takes the place of what this machine's file says. The file prevails if its operator has accepted another
/// Content Server since this daemon has started, and later than they have: what it said before, it may have learned alone.
pub(in super::super) fn prevails(theirs: &Known, own: &Known, started: Timestamp) -> bool {
    if theirs.cs_id == own.cs_id {
        return theirs.form > own.form;
    }
    own.since < started || own.since <= theirs.since
}

fn read(about: &[u8]) -> Result<Known, StoreError> {
    let line = std::str::from_utf8(about).ok().and_then(|line| line.parse().ok());
    line.ok_or(StoreError::Damaged)
}

#[cfg(test)]
mod tests {
    use rke_proto::{ContentServerId, Form};

    use super::*;

    fn known(cs_id: &str, form: Form, since: i64) -> Known {
        Known {
            domain: Domain::new("content.rke.test").expect("a domain"),
            cs_id: ContentServerId::new(cs_id).expect("an ID"),
            form,
            since: Timestamp::from_second(since).expect("a time"),
        }
    }

    #[test]
    fn what_the_machines_know_prevails_except_over_what_an_operator_has_accepted_since() {
        let started = Timestamp::from_second(100).expect("a time");
        let theirs = known("A", Form::Wide, 50);
        for (own, is_replaced) in [
            (known("A", Form::Wide, 10), false),
            (known("A", Form::Handshake3Narrow, 10), true),
            (known("B", Form::Wide, 10), true),
            (known("B", Form::Wide, 99), true),
            (known("B", Form::Wide, 100), false),
        ] {
            assert_eq!(prevails(&theirs, &own, started), is_replaced, "{own}");
        }
        assert!(prevails(&known("A", Form::Wide, 200), &known("B", Form::Wide, 150), started));
    }
}
