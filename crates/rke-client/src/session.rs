//! A session as a value: use it, then close it.

use tokio::io::AsyncRead;

use crate::answer::{Created, Deleted, Encrypted, Renewed, Shown};
use crate::call::{self, CachedKey, OtherEnd, Receipt};
use crate::{Client, Error, Stream};

/// An open session. [`Session::close`] ends it and has its key wiped; without that it ends when it
/// expires. [`Client::with_session`] closes it in any case.
#[must_use = "a session stays open until it is closed or expires"]
pub struct Session {
    client: Client,
    created: Created,
}

impl Session {
    pub(crate) fn new(client: Client, created: Created) -> Self {
        Self { client, created }
    }

    /// What the daemon said when it opened it.
    pub fn created(&self) -> &Created {
        &self.created
    }

    /// Its id, for other programs. Who has it can use the session.
    pub fn id(&self) -> &str {
        self.created.session_id.as_str()
    }

    /// How its key was made, and what it has been used for.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn show(&self) -> Result<Shown, Error> {
        self.client.ask(&call::show(self.id())).await
    }

    /// Lets it live for its full time again.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn renew(&mut self) -> Result<Renewed, Error> {
        let renewed = self.client.ask(&call::renew(self.id())).await?;
        self.created.expires_at = renewed.expires_at;
        Ok(renewed)
    }

    /// Seals data together with associated data, which [`Session::open`] needs too. It opens only in this
    /// session, and only while that session lives: afterwards nobody can read it.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn seal(&self, data: &[u8], associated: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(self.client.ask(&call::seal(self.id(), data, associated)).await?.sealed)
    }

    /// Opens what was sealed.
    ///
    /// # Errors
    /// [`Error::Altered`] where it is not what was sealed; other [`Error`]s.
    pub async fn open(&self, data: &[u8], associated: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(self.client.ask(&call::open(self.id(), data, associated)).await?.plaintext)
    }

    /// Encrypts data. Nothing shows later whether it was altered; [`Session::seal`] does that.
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
    /// [`Error`]; the [`Stream`] has its own.
    pub async fn open_stream<R>(&self, data: R, associated: &[u8]) -> Result<Stream, Error>
    where
        R: AsyncRead + Unpin + Send + 'static,
    {
        self.client.open_stream(self.id(), data, associated).await
    }

    /// Ends it. Its key is wiped when this returns, and cannot be made again. What the cache keeps for the
    /// domain stays.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn close(self) -> Result<Deleted, Error> {
        self.client.ask(&call::delete(self.id(), CachedKey::Keep, Receipt::None, OtherEnd::Background)).await
    }

    /// Ends it, removes what the cache keeps for the domain too, has the daemon look for the key in its memory,
    /// and waits up to five seconds for the Content Server to wipe its copy.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn erase(self) -> Result<Deleted, Error> {
        let call = call::delete(self.id(), CachedKey::Forget, Receipt::Wanted, OtherEnd::Wait);
        self.client.ask(&call).await
    }
}
