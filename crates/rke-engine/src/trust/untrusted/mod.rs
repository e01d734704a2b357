//! Why a Content Server is not trusted, and the command that trusts it.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use super::file::TrustFileError;
use super::{Form, Known, Offer, Pin};
use crate::Domain;

/// Why no session is opened with the Content Server that DNS names, in words for people. The caller responds with 403.
#[derive(Debug, thiserror::Error)]
pub enum Untrusted {
    /// DNS names another Content Server than the known one, or a weaker form.
    #[error(
        "This daemon knows {} as the Content Server {} ({}), but DNS now names {} ({}{}). An attack looks like \
         this too. If the operator of {} confirms the change, run `{}`, then try again",
        .known.domain, .known.cs_id, .known.form, .offer.cs_id, .offer.form, weaker(.known, .offer), .known.domain,
        accept_command(&.known.domain, .offer, .path)
    )]
    Changed {
        /// What is known.
        known: Box<Known>,
        /// What DNS says.
        offer: Offer,
        /// The file of known Content Servers.
        path: PathBuf,
    },
    /// DNS names another Content Server than the pinned one.
    #[error(
        "This daemon runs with --pin {}={}, but DNS names the Content Server {} for that domain. An attack looks \
         like this too. If the operator of {} confirms the change, change --pin; `rke trust accept` cannot override it",
        .pin.domain, .pin.cs_id, .offer.cs_id, .pin.domain
    )]
    Pinned {
        pin: Pin,
        /// What DNS says.
        offer: Offer,
    },
    /// The line of the domain cannot be read.
    #[error(
        "This daemon cannot tell whether {domain} is the Content Server {} ({}), as DNS says: line {number} of {} is \
         damaged ({wrong}). Correct the line, or if the operator of {domain} confirms that ID, run `{}`, then try again",
        .offer.cs_id, .offer.form, .path.display(), accept_command(.domain, .offer, .path)
    )]
    Damaged {
        domain: Domain,
        /// What DNS says.
        offer: Offer,
        path: PathBuf,
        /// The line's number, from 1.
        number: usize,
        wrong: &'static str,
    },
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] TrustFileError),
}

fn weaker(known: &Known, offer: &Offer) -> &'static str {
    if offer.form < known.form { ", which is weaker" } else { "" }
}

/// The command that accepts an offer. It goes into a shell as it is, and an ID is whatever DNS says: `$(…)` must stay
/// text.
fn accept_command(domain: &Domain, offer: &Offer, path: &Path) -> String {
    let mut command = String::from("rke trust accept");
    if let Some(folder) = path.parent() {
        command += &format!(" --data-dir {}", quoted(&folder.to_string_lossy()));
    }
    if offer.form != Form::Wide {
        command += &format!(" --form {}", offer.form);
    }
    if offer.cs_id.as_str().starts_with('-') {
        command += " --";
    }
    command + &format!(" {domain} {}", quoted(offer.cs_id.as_str()))
}

/// Quotes a text as one word for a shell.
fn quoted(text: &str) -> Cow<'_, str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:@%+".contains(&byte);
    match !text.is_empty() && text.bytes().all(plain) {
        true => text.into(),
        false => format!("'{}'", text.replace('\'', r"'\''")).into(),
    }
}

#[cfg(test)]
mod tests;
