//! Which Content Server a domain has. At first, only DNS says so. From the first handshake on, the daemon remembers
//! the Content Server ID and the strongest form, and refuses another ID or a weaker form until its operator accepts
//! it. `docs/protocol.md` section 7, "Trust on first use".

mod file;
mod line;
mod pin;
mod untrusted;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use rke_host::stamp::Stamp;
use rke_proto::ContentServerId;
pub use rke_proto::Form;

use self::file::{Lines, is_settled};
pub use self::file::{TrustFile, TrustFileError};
pub use self::line::Known;
pub use self::pin::Pin;
pub use self::untrusted::Untrusted;
use crate::Domain;

/// What DNS offers for a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    pub cs_id: ContentServerId,
    /// How sessions with it are opened.
    pub form: Form,
}

/// What the file says about an offer that may be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is remembered already.
    Remembered,
    /// It is to be remembered once a handshake has proven it: the domain is new, or the form is stronger than before.
    New,
}

/// The Content Servers that the daemon knows: those of the file in its data directory, and those that its operator has
/// pinned. Its functions read and write that file, so async code calls them on a blocking thread.
pub struct KnownServers {
    file: TrustFile,
    pins: ArcSwap<Vec<Pin>>,
    read: Mutex<Read>,
}

/// The contents of the file when it was last read.
struct Read {
    stamp: Option<Stamp>,
    at: Timestamp,
    lines: Arc<Lines>,
}

impl KnownServers {
    /// Reads the file in `data_dir`; if it does not exist, it is empty. Unreadable lines are logged.
    ///
    /// # Errors
    /// [`TrustFileError`] if the file cannot be read: without it, every Content Server would pass for new.
    pub fn open(data_dir: &Path, pins: Vec<Pin>) -> Result<Self, TrustFileError> {
        let file = TrustFile::in_folder(data_dir);
        let read = Mutex::new(Read::new(&file, file.stamp()?)?);
        Ok(Self { file, pins: ArcSwap::from_pointee(pins), read })
    }

    /// Applies other pins.
    pub fn set_pins(&self, pins: Vec<Pin>) {
        self.pins.store(Arc::new(pins));
    }

    /// Checks whether a session with what DNS offers for `domain` may be opened. Called before any RAIDA is asked.
    ///
    /// # Errors
    /// [`Untrusted`]: another Content Server or a weaker form than the known one, or the file cannot be read.
    pub fn check(&self, domain: &Domain, offer: &Offer) -> Result<Standing, Untrusted> {
        let lines = self.lines()?;
        self.check_offer(&lines, domain, offer)?;
        Ok(match lines.known(domain).is_some_and(|known| known.covers(offer)) {
            true => Standing::Remembered,
            false => Standing::New,
        })
    }

    /// Remembers that a handshake has proven `offer` for `domain`: its first one, or one in a stronger form than
    /// before. Writes nothing if that is known already.
    ///
    /// # Errors
    /// [`Untrusted`], as in [`KnownServers::check`] with the file's current contents, or if the file cannot be
    /// written. Then no session may be opened: the next first use would trust anyone who answers.
    pub fn remember(&self, domain: &Domain, offer: &Offer) -> Result<(), Untrusted> {
        if self.check(domain, offer)? == Standing::Remembered {
            return Ok(());
        }
        self.file.change(|lines| {
            self.check_offer(lines, domain, offer)?;
            let before = lines.known(domain).filter(|known| known.cs_id == offer.cs_id);
            let since = before.map(|known| known.since);
            lines.put(Known::of(domain, offer, since));
            Ok(())
        })
    }

    /// What the file says about a domain.
    ///
    /// # Errors
    /// [`Untrusted`] if the file cannot be read.
    pub(crate) fn known(&self, domain: &Domain) -> Result<Option<Known>, Untrusted> {
        Ok(self.lines()?.known(domain).cloned())
    }

    /// Takes what other machines know in the place of what the file says.
    ///
    /// # Errors
    /// [`Untrusted`] if the file cannot be written.
    pub(crate) fn adopt(&self, known: Known) -> Result<(), Untrusted> {
        self.file.change(|lines| {
            lines.put(known);
            Ok(())
        })
    }

    /// A pin overrides the file's Content Server ID, and nothing overrides a pin. The form is compared in any case:
    /// someone who can name another Content Server must not get a weaker form too.
    fn check_offer(&self, lines: &Lines, domain: &Domain, offer: &Offer) -> Result<(), Untrusted> {
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

    /// The lines of the file, read again if it has changed.
    fn lines(&self) -> Result<Arc<Lines>, TrustFileError> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = self.file.stamp()?;
        if read.stamp != stamp || stamp.is_some_and(|stamp| !is_settled(&stamp, read.at)) {
            *read = Read::new(&self.file, stamp)?;
        }
        Ok(Arc::clone(&read.lines))
    }
}

impl Read {
    /// Reads the file. Its stamp was taken before: if the file changes in between, it is read once more.
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
