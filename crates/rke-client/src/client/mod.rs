//! The client: where the daemon is, and the methods that send requests to it.

mod in_place;

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
use tokio::time::timeout;

use crate::call::{self, Call, KeyChoice};
use crate::connection::{reason, send};
use crate::reading::{Fault, Reading};
use crate::response::{Activity, Keys, Raidas, SessionId, Sessions, Status};
use crate::{Error, Events, Refusal, Session, Stream};

const SESSION: &str = "x-rke-session";
const NONCE: &str = "x-rke-nonce";
const ASSOCIATED_DATA: &str = "x-rke-associated-data";

/// A client of one daemon. It opens a connection for each request, so many tasks can share it and it keeps working
/// after the daemon restarts.
#[derive(Debug, Clone)]
pub struct Client {
    address: String,
    token_file: Option<PathBuf>,
    timeout: Option<Duration>,
}

/// A successful response, as text and parsed.
pub struct Reply<T> {
    /// The response's text.
    pub text: String,
    /// The parsed value.
    pub value: T,
}

/// A response of any status.
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
        Self { address, token_file: None, timeout: None }
    }

    /// Sets the file that holds the daemon's token. The client reads it for each request, because the daemon makes a
    /// new token at each start.
    #[must_use]
    pub fn with_token_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.token_file = Some(path.into());
        self
    }

    /// Limits how long the daemon may take to respond to a call, or to begin a response that comes as a [`Stream`]. Without
    /// a limit, the client waits without end for a daemon that is stopped.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The daemon's address.
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

    /// Opens a session, runs `work` with it, and ends it whatever the outcome.
    ///
    /// # Errors
    /// [`Error`] if the session cannot be opened or ended; the result of `work` is inside the `Ok` value.
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

    /// A session that was opened elsewhere, by its id; at the other end, where the client's address is the interface of a
    /// Content Server for its application, by the id of its key. It makes no request: the first use shows whether it lives.
    pub fn session(&self, id: impl Into<String>) -> Session {
        Session::opened_elsewhere(self.clone(), SessionId::new(id))
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

    /// Shows what happened to sessions and keys, with a receipt for each session that has ended.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn activity(&self) -> Result<Activity, Error> {
        self.ask(&call::activity()).await
    }

    /// Shows the state of the RAIDAs.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn raidas(&self) -> Result<Raidas, Error> {
        self.ask(&call::raidas()).await
    }

    /// Makes the daemon ask its guardians where the RAIDAs are, and shows the state of the RAIDAs.
    ///
    /// # Errors
    /// [`Error::Wrong`] with code 404 if it has no guardians, [`Error::Elsewhere`] if they do not agree; other
    /// [`Error`]s.
    pub async fn refresh_raidas(&self) -> Result<Raidas, Error> {
        self.ask(&call::refresh_raidas()).await
    }

    /// Shows the state of the daemon.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn status(&self) -> Result<Status, Error> {
        self.ask(&call::status()).await
    }

    /// Sends any request of [`call`].
    ///
    /// # Errors
    /// [`Error`].
    pub async fn ask<T: DeserializeOwned>(&self, call: &Call<T>) -> Result<T, Error> {
        Ok(self.reply(call).await?.value)
    }

    /// The same, together with the response's text.
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

    /// The response to a request, whatever its status.
    ///
    /// # Errors
    /// [`Error`] if no response arrives.
    pub async fn raw<T>(&self, call: &Call<T>) -> Result<Raw, Error> {
        let mut headers = HeaderMap::new();
        if call.body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let body = Full::new(Bytes::from(call.body.as_ref().map(Value::to_string).unwrap_or_default()));
        let response =
            async { self.whole(send(self, call.method.clone(), &call.target, headers, body).await?).await };
        self.in_time(response).await
    }

    /// What comes of the work, unless the daemon takes too long.
    async fn in_time<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        match self.timeout {
            None => work.await,
            Some(limit) => timeout(limit, work)
                .await
                .unwrap_or_else(|_| Err(Error::Silent { address: self.address.clone(), limit })),
        }
    }

    async fn whole(&self, response: Response<Incoming>) -> Result<Raw, Error> {
        let status = response.status().as_u16();
        let seconds = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let body = response.into_body().collect().await;
        let body = body.map_err(|error| Error::CutShort { reason: reason(&error) })?.to_bytes();
        let text = String::from_utf8_lossy(&body).into_owned();
        Ok(Raw { status, text, retry_after: seconds.map(Duration::from_secs) })
    }

    fn refused(&self, raw: Raw) -> Error {
        match serde_json::from_str::<Value>(&raw.text) {
            Ok(response) if response["error"] == true => {
                let Raw { status, text, retry_after } = raw;
                let refusal = Refusal { code: status, text, response, retry_after };
                match (status, &self.token_file) {
                    (401, Some(path)) => {
                        let (address, path) = (self.address.clone(), path.clone());
                        Error::TokenRejected { address, path, refusal: Box::new(refusal) }
                    }
                    _ => refusal.into_error(),
                }
            }
            _ => self.not_understood(format!("status {} without the JSON of an error", raw.status)),
        }
    }

    fn not_understood(&self, reason: impl ToString) -> Error {
        Error::NotUnderstood { address: self.address.clone(), reason: reason.to_string() }
    }

    /// Encrypts data of any size as it is read. Returns the nonce, 32 hexadecimal digits, and the result.
    /// Modification of the result goes unnoticed; [`Client::seal_stream`] prevents that.
    ///
    /// # Errors
    /// [`Error`] before the response starts; afterwards the [`Stream`] reports errors.
    pub async fn encrypt_stream<R>(&self, id: &str, data: R) -> Result<(String, Stream), Error>
    where
        R: AsyncRead + Unpin + Send + 'static,
    {
        let (headers, stream) = self.stream("/api/rke/encrypt", &[(SESSION, id)], data).await?;
        let nonce = headers.get(NONCE).and_then(|nonce| nonce.to_str().ok());
        let nonce = nonce.ok_or_else(|| self.not_understood("a response without a nonce"))?;
        Ok((nonce.into(), stream))
    }

    /// The reverse of [`Client::encrypt_stream`].
    ///
    /// # Errors
    /// [`Error`] before the response starts; afterwards the [`Stream`] reports errors.
    pub async fn decrypt_stream<R>(&self, id: &str, nonce: &str, data: R) -> Result<Stream, Error>
    where
        R: AsyncRead + Unpin + Send + 'static,
    {
        Ok(self.stream("/api/rke/decrypt", &[(SESSION, id), (NONCE, nonce)], data).await?.1)
    }

    /// Seals data of any size as it is read, together with associated data.
    ///
    /// # Errors
    /// [`Error`] before the response starts; afterwards the [`Stream`] reports errors.
    pub async fn seal_stream<R>(&self, id: &str, data: R, associated: &[u8]) -> Result<Stream, Error>
    where
        R: AsyncRead + Unpin + Send + 'static,
    {
        self.sealing("/api/rke/seal", id, data, associated).await
    }

    /// Opens sealed data of any size as it is read. Each piece is authentic, but only a successful end of the
    /// [`Stream`] shows that none is missing.
    ///
    /// # Errors
    /// [`Error`] before the response starts; afterwards the [`Stream`] reports errors.
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

    /// Connects data and the returned [`Stream`] to a session's Content Server, for as long as either side sends. The
    /// end of the [`Stream`] has the exit status of the command behind the tunnel. If reading the data fails, the
    /// tunnel is aborted rather than ended.
    ///
    /// # Errors
    /// [`Error`] before the response starts; afterwards the [`Stream`] reports [`Error::CutShort`] for anything other
    /// than the end of the data, and [`Error::CommandFailed`] if the command failed.
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

    /// The daemon's events from now on: what happens after this has returned is not missed.
    ///
    /// # Errors
    /// [`Error::TryLater`] if too many others listen; other [`Error`]s.
    pub async fn events(&self) -> Result<Events, Error> {
        let body = Full::new(Bytes::new());
        let response = send(self, Method::GET, "/api/rke/events", HeaderMap::new(), body);
        let response = self.in_time(response).await?;
        let (head, stream) = self.good(response, Fault::default()).await?;
        match shows_its_end(&head) {
            true => Ok(Events::new(self.address(), stream)),
            false => Err(self.not_understood("nothing shows where its response ends")),
        }
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
        let response = self.in_time(send(self, Method::POST, path, all, body)).await;
        let response = response.map_err(|error| fault.take().map_or(error, Error::Input))?;
        self.good(response, fault).await
    }

    async fn good(&self, response: Response<Incoming>, fault: Fault) -> Result<(HeaderMap, Stream), Error> {
        if response.status() != 200 {
            return Err(self.refused(self.whole(response).await?));
        }
        let (head, body) = response.into_parts();
        let stream = Stream::new(&head.headers, body, fault);
        Ok((head.headers, stream))
    }
}

/// Whether the end of the response can be told from a cut. A response with neither header, as from a proxy, could end
/// anywhere.
fn shows_its_end(head: &HeaderMap) -> bool {
    head.contains_key(TRANSFER_ENCODING) || head.contains_key(CONTENT_LENGTH)
}

#[cfg(test)]
mod tests;
