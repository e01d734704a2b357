//! Whom to ask, and the asking.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, TRANSFER_ENCODING};
use hyper::{Method, Response};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::io::AsyncRead;

use crate::answer::{Keys, Raidas, Sessions, Status};
use crate::call::{self, Call, KeyChoice};
use crate::connection::{reason, send};
use crate::reading::{Fault, Reading};
use crate::{Error, Events, Refusal, Session, Stream};

const SESSION: &str = "x-rke-session";
const NONCE: &str = "x-rke-nonce";
const ASSOCIATED_DATA: &str = "x-rke-associated-data";

/// A daemon to ask. Each request has a connection of its own, so a value can be used from many tasks,
/// and goes on working when the daemon was started anew.
#[derive(Debug, Clone)]
pub struct Client {
    address: String,
    token_file: Option<PathBuf>,
}

/// A good answer: as it came, and read.
pub struct Reply<T> {
    /// The text of the answer.
    pub text: String,
    /// What it says.
    pub value: T,
}

/// An answer, good or not.
pub struct Raw {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub text: String,
    retry_after: Option<Duration>,
}

impl Client {
    /// A client of the daemon at `HOST:PORT` (with or without `http://`), or at `unix:PATH` for its unix
    /// socket.
    pub fn new(address: impl Into<String>) -> Self {
        let address = address.into();
        let address = match address.strip_prefix("http://") {
            Some(host) => host.trim_end_matches('/').into(),
            None => address,
        };
        Self { address, token_file: None }
    }

    /// The same with the file that holds the daemon's token. It is read for each request, because each
    /// start of a daemon makes a new token.
    #[must_use]
    pub fn with_token_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.token_file = Some(path.into());
        self
    }

    /// Where the daemon is asked.
    pub fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn token_path(&self) -> Option<&Path> {
        self.token_file.as_deref()
    }

    /// Opens a session with a domain's Content Server. The wallet is a folder on the daemon's machine.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn open_session(&self, domain: &str, wallet: &Path, key: KeyChoice) -> Result<Session, Error> {
        let created = self.ask(&call::create(domain, wallet, key)).await?;
        Ok(Session::new(self.clone(), created))
    }

    /// Opens a session, has `work` done with it, and ends it whatever came of the work.
    ///
    /// # Errors
    /// [`Error`] where the session cannot be opened or ended; the work's own outcome is inside.
    pub async fn with_session<T>(
        &self,
        domain: &str,
        wallet: &Path,
        work: impl AsyncFnOnce(&mut Session) -> T,
    ) -> Result<T, Error> {
        let mut session = self.open_session(domain, wallet, KeyChoice::Cached).await?;
        let outcome = work(&mut session).await;
        session.close().await?;
        Ok(outcome)
    }

    /// Lists the sessions.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn sessions(&self) -> Result<Sessions, Error> {
        self.ask(&call::list()).await
    }

    /// Lists the cached keys.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn keys(&self) -> Result<Keys, Error> {
        self.ask(&call::keys()).await
    }

    /// Shows how the RAIDAs have been doing.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn raidas(&self) -> Result<Raidas, Error> {
        self.ask(&call::raidas()).await
    }

    /// Makes the daemon ask its guardians where the RAIDAs are, and shows how those have been doing.
    ///
    /// # Errors
    /// [`Error::Wrong`] with code 404 where it has no guardians, [`Error::Elsewhere`] where they do not agree; other
    /// [`Error`]s.
    pub async fn refresh_raidas(&self) -> Result<Raidas, Error> {
        self.ask(&call::refresh_raidas()).await
    }

    /// Shows how the daemon is doing.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn status(&self) -> Result<Status, Error> {
        self.ask(&call::status()).await
    }

    /// Makes any of the calls in [`call`].
    ///
    /// # Errors
    /// [`Error`].
    pub async fn ask<T: DeserializeOwned>(&self, call: &Call<T>) -> Result<T, Error> {
        Ok(self.reply(call).await?.value)
    }

    /// The same, with the answer as it came beside it.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn reply<T: DeserializeOwned>(&self, call: &Call<T>) -> Result<Reply<T>, Error> {
        let raw = self.raw(call).await?;
        if raw.status != 200 {
            return Err(self.refused(raw));
        }
        let value = serde_json::from_str(&raw.text).map_err(|error| self.not_understood(error))?;
        Ok(Reply { text: raw.text, value })
    }

    /// The answer to a call, whatever its status.
    ///
    /// # Errors
    /// [`Error`] where there is no answer at all.
    pub async fn raw<T>(&self, call: &Call<T>) -> Result<Raw, Error> {
        let mut headers = HeaderMap::new();
        if call.body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let body = Full::new(Bytes::from(call.body.as_ref().map(Value::to_string).unwrap_or_default()));
        self.whole(send(self, call.method.clone(), &call.target, headers, body).await?).await
    }

    async fn whole(&self, answer: Response<Incoming>) -> Result<Raw, Error> {
        let status = answer.status().as_u16();
        let seconds = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let body = answer.into_body().collect().await;
        let body = body.map_err(|error| Error::CutShort { reason: reason(&error) })?.to_bytes();
        let text = String::from_utf8_lossy(&body).into_owned();
        Ok(Raw { status, text, retry_after: seconds.map(Duration::from_secs) })
    }

    fn refused(&self, raw: Raw) -> Error {
        match serde_json::from_str::<Value>(&raw.text) {
            Ok(answer) if answer["error"] == true => {
                let Raw { status, text, retry_after } = raw;
                Refusal { code: status, text, answer, retry_after }.into_error()
            }
            _ => self.not_understood(format!("status {} without the JSON of an error", raw.status)),
        }
    }

    fn not_understood(&self, reason: impl ToString) -> Error {
        Error::NotUnderstood { address: self.address.clone(), reason: reason.to_string() }
    }

    /// Encrypts data of any size as it is read. Gives the nonce, 32 hexadecimal digits, and the result.
    /// Nothing shows later whether it was altered; [`Client::seal_stream`] does that.
    ///
    /// # Errors
    /// [`Error`]; the [`Stream`] has its own.
    pub async fn encrypt_stream<R>(&self, id: &str, data: R) -> Result<(String, Stream), Error>
    where
        R: AsyncRead + Unpin + Send + 'static,
    {
        let (headers, stream) = self.stream("/api/rke/encrypt", &[(SESSION, id)], data).await?;
        let nonce = headers.get(NONCE).and_then(|nonce| nonce.to_str().ok());
        let nonce = nonce.ok_or_else(|| self.not_understood("an answer without a nonce"))?;
        Ok((nonce.into(), stream))
    }

    /// The reverse of [`Client::encrypt_stream`].
    ///
    /// # Errors
    /// [`Error`]; the [`Stream`] has its own.
    pub async fn decrypt_stream<R>(&self, id: &str, nonce: &str, data: R) -> Result<Stream, Error>
    where
        R: AsyncRead + Unpin + Send + 'static,
    {
        Ok(self.stream("/api/rke/decrypt", &[(SESSION, id), (NONCE, nonce)], data).await?.1)
    }

    /// Seals data of any size as it is read, together with associated data.
    ///
    /// # Errors
    /// [`Error`]; the [`Stream`] has its own.
    pub async fn seal_stream<R>(&self, id: &str, data: R, associated: &[u8]) -> Result<Stream, Error>
    where
        R: AsyncRead + Unpin + Send + 'static,
    {
        self.sealing("/api/rke/seal", id, data, associated).await
    }

    /// Opens sealed data of any size as it is read. What comes is as it was sealed, as far as it has come;
    /// only the good end of the [`Stream`] shows that nothing is missing.
    ///
    /// # Errors
    /// [`Error`]; the [`Stream`] has its own.
    pub async fn open_stream<R>(&self, id: &str, data: R, associated: &[u8]) -> Result<Stream, Error>
    where
        R: AsyncRead + Unpin + Send + 'static,
    {
        self.sealing("/api/rke/open", id, data, associated).await
    }

    async fn sealing<R>(&self, path: &str, id: &str, data: R, associated: &[u8]) -> Result<Stream, Error>
    where
        R: AsyncRead + Unpin + Send + 'static,
    {
        let associated = STANDARD.encode(associated);
        let mut headers = vec![(SESSION, id)];
        if !associated.is_empty() {
            headers.push((ASSOCIATED_DATA, &associated));
        }
        Ok(self.stream(path, &headers, data).await?.1)
    }

    /// Sends data to a session's Content Server and gives what it says, both as long as they last. The end of the
    /// [`Stream`] has the exit status of the command behind the tunnel; data whose reading fails is not ended but broken
    /// off.
    ///
    /// # Errors
    /// [`Error`]; the [`Stream`] has its own: [`Error::CutShort`] for everything that is not the end of the data,
    /// [`Error::CommandFailed`] for the end of a command that failed.
    pub async fn tunnel<R>(&self, id: &str, data: R) -> Result<Stream, Error>
    where
        R: AsyncRead + Unpin + Send + 'static,
    {
        let path = format!("/api/rke/session/{}/tunnel", call::segment(id));
        let (head, stream) = self.stream(&path, &[("te", "trailers"), ("connection", "te")], data).await?;
        match shows_its_end(&head) {
            true => Ok(stream),
            false => Err(self.not_understood("nothing shows where its response ends")),
        }
    }

    /// What the daemon does from now on.
    ///
    /// # Errors
    /// [`Error::Wrong`] with code 404 where the daemon has no events; other [`Error`]s.
    pub async fn events(&self) -> Result<Events, Error> {
        let body = Full::new(Bytes::new());
        let answer = send(self, Method::GET, "/api/rke/events", HeaderMap::new(), body).await?;
        Ok(Events::new(self.good(answer, Fault::default()).await?.1))
    }

    async fn stream<R>(
        &self,
        path: &str,
        headers: &[(&'static str, &str)],
        data: R,
    ) -> Result<(HeaderMap, Stream), Error>
    where
        R: AsyncRead + Unpin + Send + 'static,
    {
        let mut all = HeaderMap::new();
        all.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        for (name, value) in headers {
            let value = HeaderValue::from_str(value).map_err(|_| Error::Unsendable { header: name })?;
            all.insert(*name, value);
        }
        let body = Reading::new(data);
        let fault = body.fault();
        let answer = send(self, Method::POST, path, all, body).await;
        let answer = answer.map_err(|error| fault.take().map_or(error, Error::Input))?;
        self.good(answer, fault).await
    }

    async fn good(&self, answer: Response<Incoming>, fault: Fault) -> Result<(HeaderMap, Stream), Error> {
        if answer.status() != 200 {
            return Err(self.refused(self.whole(answer).await?));
        }
        let (head, body) = answer.into_parts();
        let stream = Stream::new(&head.headers, body, fault);
        Ok((head.headers, stream))
    }
}

/// Whether a cut can be told from an end. A response with neither header, as from a proxy, ends wherever it is cut.
fn shows_its_end(head: &HeaderMap) -> bool {
    head.contains_key(TRANSFER_ENCODING) || head.contains_key(CONTENT_LENGTH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_that_ends_where_its_connection_does_shows_no_end() {
        for (name, value, shown) in [
            ("transfer-encoding", "chunked", true),
            ("content-length", "7", true),
            ("connection", "close", false),
        ] {
            let head =
                HeaderMap::from_iter([(name.parse().expect("a name"), HeaderValue::from_static(value))]);
            assert_eq!(shows_its_end(&head), shown, "{name}");
        }
    }

    #[test]
    fn an_address_may_come_from_a_browser() {
        for (given, address) in [
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("http://localhost:8080/", "localhost:8080"),
            ("unix:/run/rke.sock", "unix:/run/rke.sock"),
        ] {
            assert_eq!(Client::new(given).address(), address);
        }
    }
}
