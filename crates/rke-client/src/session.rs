//! A session as a value: use it, then close it.

use tokio::io::AsyncRead;

use crate::call::{self, CachedKey, OtherEnd, Receipt};
use crate::response::{Created, Deleted, Encrypted, Renewed, SessionId, Shown};
use crate::{Client, Error, Stream};

/// A session. [`Session::close`] ends it and wipes its key; otherwise it lasts until it expires.
/// [`Client::with_session`] closes it in any case.
#[must_use = "a session stays open until it is closed or expires"]
pub struct Session {
    client: Client,
    id: SessionId,
    created: Option<Created>,
}

impl Session {
    pub(crate) fn new(client: Client, created: Created) -> Self {
        Self { client, id: created.session_id.clone(), created: Some(created) }
    }

    pub(crate) fn opened_elsewhere(client: Client, id: SessionId) -> Self {
        Self { client, id, created: None }
    }

    /// The daemon's response when it opened the session. `None` if it was opened elsewhere.
    pub fn created(&self) -> Option<&Created> {
        self.created.as_ref()
    }

    /// Its id, for other programs. Anyone who has it can use the session.
    pub fn id(&self) -> &str {
        self.id.as_str()
    }

    /// How its key was made, and how often it has been used.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn show(&self) -> Result<Shown, Error> {
        self.client.ask(&call::show(self.id())).await
    }

    /// Extends it by its full lifetime.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn renew(&mut self) -> Result<Renewed, Error> {
        let renewed = self.client.ask(&call::renew(self.id())).await?;
        if let Some(created) = &mut self.created {
            created.expires_at = renewed.expires_at;
        }
        Ok(renewed)
    }

    /// Seals data together with associated data, which [`Session::open`] needs too. The result opens only in this
    /// session, while the session lives: afterwards nobody can read it.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn seal(&self, data: &[u8], associated: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(self.client.ask(&call::seal(self.id(), data, associated)).await?.sealed)
    }

    /// Opens sealed data.
    ///
    /// # Errors
    /// [`Error::Altered`] if the data was modified; other [`Error`]s.
    pub async fn open(&self, data: &[u8], associated: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(self.client.ask(&call::open(self.id(), data, associated)).await?.plaintext)
    }

    /// Encrypts data. Modification of the result goes unnoticed; [`Session::seal`] prevents that.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn encrypt(&self, data: &[u8]) -> Result<Encrypted, Error> {
        self.client.ask(&call::encrypt(self.id(), data)).await
    }

    /// The reverse of [`Session::encrypt`].
    ///
    /// # Errors
    /// [`Error`].
    pub async fn decrypt(&self, data: &[u8], nonce: &str) -> Result<Vec<u8>, Error> {
        Ok(self.client.ask(&call::decrypt(self.id(), data, nonce)).await?.plaintext)
    }

    /// Derives a key of `length` bytes, 16 to 64, for another program. The other end derives the same one from the same
    /// label, context and length. The daemon's operator has to allow the label.
    ///
    /// # Errors
    /// [`Error::NotAllowed`] if the label is not allowed, or the session is not strongly authenticated; other
    /// [`Error`]s.
    pub async fn export(&self, label: &str, context: &[u8], length: usize) -> Result<Vec<u8>, Error> {
        Ok(self.client.ask(&call::export(self.id(), label, context, length)).await?.key)
    }

    /// Seals data of any size as it is read.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn seal_stream<R>(&self, data: R, associated: &[u8]) -> Result<Stream, Error>
    where
        R: AsyncRead + Unpin + Send + 'static,
    {
        self.client.seal_stream(self.id(), data, associated).await
    }

    /// Opens sealed data of any size as it is read.
    ///
    /// # Errors
    /// [`Error`] before the response starts; afterwards the [`Stream`] reports errors.
    pub async fn open_stream<R>(&self, data: R, associated: &[u8]) -> Result<Stream, Error>
    where
        R: AsyncRead + Unpin + Send + 'static,
    {
        self.client.open_stream(self.id(), data, associated).await
    }

    /// Ends it. When this returns, its key is wiped and cannot be made again. The domain's cached key stays.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn close(self) -> Result<Deleted, Error> {
        self.client.ask(&call::delete(self.id(), CachedKey::Keep, Receipt::None, OtherEnd::Background)).await
    }

    /// Ends it, removes the domain's cached key too, makes the daemon scan its memory for the key, and waits up to
    /// five seconds for the Content Server to wipe its copy.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn erase(self) -> Result<Deleted, Error> {
        let call = call::delete(self.id(), CachedKey::Forget, Receipt::Wanted, OtherEnd::Wait);
        self.client.ask(&call).await
    }
}
