//! Which Content Server a domain has. DNS alone says so at first; from the first handshake on, the daemon
//! remembers the Content Server ID and the strongest form, and refuses another or a weaker one until its
//! operator says otherwise. `docs/protocol.md` section 7, "Trust on first use".

mod file;
mod line;
mod pin;
mod untrusted;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use rke_proto::ContentServerId;
pub use rke_proto::Form;

use self::file::{Lines, Stamp};
pub use self::file::{TrustFile, TrustFileError};
pub use self::line::Known;
pub use self::pin::Pin;
pub use self::untrusted::Untrusted;
use crate::Domain;

/// What DNS says that a domain has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    /// Its Content Server.
    pub cs_id: ContentServerId,
    /// How sessions with it are opened.
    pub form: Form,
}

/// The Content Servers that the daemon knows: those of the file in its data directory, and those that its
/// operator has pinned. Its functions read and write that file, so async code calls them from a blocking
/// thread.
pub struct KnownServers {
    file: TrustFile,
    pins: ArcSwap<Vec<Pin>>,
    read: Mutex<Read>,
}

/// What the file said when it was last read.
struct Read {
    stamp: Option<Stamp>,
    at: Timestamp,
    lines: Arc<Lines>,
}

impl KnownServers {
    /// Reads the file in `data_dir`; none is an empty one. Lines that cannot be read go to the log.
    ///
    /// # Errors
    /// [`TrustFileError`] where the file cannot be read: without it, every Content Server would pass for new.
    pub fn open(data_dir: &Path, pins: Vec<Pin>) -> Result<Self, TrustFileError> {
        let file = TrustFile::in_folder(data_dir);
        let read = Mutex::new(Read::new(&file, file.stamp()?)?);
        Ok(Self { file, pins: ArcSwap::from_pointee(pins), read })
    }

    /// Goes on with other pins.
    pub fn set_pins(&self, pins: Vec<Pin>) {
        self.pins.store(Arc::new(pins));
    }

    /// Whether a session with what DNS offers for `domain` may be opened. Comes before any RAIDA is asked.
    ///
    /// # Errors
    /// [`Untrusted`]: another Content Server or a weaker form than the known one, or the file cannot be read.
    pub fn check(&self, domain: &Domain, offer: &Offer) -> Result<(), Untrusted> {
        self.judge(&*self.lines()?, domain, offer)
    }

    /// Remembers that a handshake has proven `offer` for `domain`: its first one, or one in a stronger form
    /// than before. Writes nothing where that is known.
    ///
    /// # Errors
    /// [`Untrusted`], as [`KnownServers::check`] says for the file as it is by now, or where it cannot be
    /// written. Then no session may be opened: the next first use would trust anyone who answers.
    pub fn remember(&self, domain: &Domain, offer: &Offer) -> Result<(), Untrusted> {
        let known = self.lines()?.known(domain).is_some_and(|known| known.covers(offer));
        if known {
            return self.check(domain, offer);
        }
        self.file.change(|lines| {
            self.judge(lines, domain, offer)?;
            let before = lines.known(domain).filter(|known| known.cs_id == offer.cs_id);
            let since = before.map(|known| known.since);
            lines.put(Known::of(domain, offer, since));
            Ok(())
        })
    }

    /// A pin overrides the file's Content Server ID, and nothing overrides a pin. The form is compared in any case:
    /// someone who can name another Content Server must not get a weaker form too.
    fn judge(&self, lines: &Lines, domain: &Domain, offer: &Offer) -> Result<(), Untrusted> {
        let pins = self.pins.load();
        let pinned = pins.iter().find(|pin| pin.domain == *domain);
        if let Some(pin) = pinned.filter(|pin| pin.cs_id != offer.cs_id) {
            return Err(Untrusted::Pinned { pin: pin.clone(), offer: *offer });
        }
        if let Some((number, wrong)) = lines.damaged(domain) {
            return Err(Untrusted::Damaged {
                domain: domain.clone(),
                offer: *offer,
                path: self.file.path().into(),
                number,
                wrong,
            });
        }
        match lines.known(domain) {
            Some(known) if known.form > offer.form || (known.cs_id != offer.cs_id && pinned.is_none()) => {
                Err(Untrusted::Changed {
                    known: Box::new(known.clone()),
                    offer: *offer,
                    path: self.file.path().into(),
                })
            }
            _ => Ok(()),
        }
    }

    /// The lines of the file, read again where it has changed.
    fn lines(&self) -> Result<Arc<Lines>, TrustFileError> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = self.file.stamp()?;
        if read.stamp != stamp || stamp.is_some_and(|stamp| !stamp.is_settled(read.at)) {
            *read = Read::new(&self.file, stamp)?;
        }
        Ok(Arc::clone(&read.lines))
    }
}

impl Read {
    /// Reads the file, whose stamp was taken before: where it changes in between, it is read once more.
    fn new(file: &TrustFile, stamp: Option<Stamp>) -> Result<Self, TrustFileError> {
        let at = Timestamp::now();
        let lines = file.read()?;
        for (number, wrong) in lines.complaints() {
            tracing::warn!(path = %file.path().display(), line = number, "a known Content Server cannot be read: {wrong}");
        }
        Ok(Self { stamp, at, lines: Arc::new(lines) })
    }
}

#[cfg(test)]
mod tests;
