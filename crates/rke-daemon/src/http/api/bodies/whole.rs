//! Encrypts and decrypts data that is already complete, from parameters or from a JSON body.

use rke_engine::model::clock::Moment;
use rke_engine::sessions::Nonce;
use rke_engine::store::{KeyError, KeyUse};

use super::json::{ToDecrypt, ToEncrypt, base64, required};
use crate::http::api::answer::{Decrypted, Encrypted};
use crate::http::api::end::End;
use crate::http::api::named::Named;
use crate::http::message::failure::Failure;
use crate::http::message::query::{Query, parse_nonce};

/// Data to encrypt, and the session to use.
pub(in crate::http) struct Encryption<'a> {
    session: Named<'a>,
    data: Vec<u8>,
}

impl<'a> Encryption<'a> {
    pub(in crate::http) fn of_query(query: &'a Query<'_>) -> Result<Self, Failure> {
        let session = Named::new(query.required("session_id")?)?;
        Ok(Self { session, data: query.base64("plaintext")? })
    }

    pub(super) fn of_json(ToEncrypt { session_id, plaintext }: ToEncrypt) -> Result<Self, Failure> {
        let session = Named::new(required("session_id", session_id)?)?;
        Ok(Self { session, data: base64("plaintext", plaintext)? })
    }

    /// Waits until the session can be used, and does it.
    pub(super) async fn run_when_ready(self, end: &impl End) -> Result<Encrypted, Failure> {
        self.session.bring(end, KeyUse::Encrypt(self.data.len())).await?;
        self.run(end, Moment::now())
    }

    pub(in crate::http) fn run(self, end: &impl End, now: Moment) -> Result<Encrypted, Failure> {
        let Self { session, mut data } = self;
        let encrypted = match session.id {
            Some(id) => end.encrypt(id, now, &mut data),
            None => Err(KeyError::NotFound.into()),
        };
        let nonce = encrypted.map_err(|error| Failure::crypt(&error, &session.given))?;
        Ok(Encrypted::new(data, nonce))
    }
}

/// Data to decrypt, with its nonce and the session to use.
pub(in crate::http) struct Decryption<'a> {
    session: Named<'a>,
    data: Vec<u8>,
    nonce: Nonce,
}

impl<'a> Decryption<'a> {
    pub(in crate::http) fn of_query(query: &'a Query<'_>) -> Result<Self, Failure> {
        let session = Named::new(query.required("session_id")?)?;
        Ok(Self { session, data: query.base64("ciphertext")?, nonce: query.nonce()? })
    }

    pub(super) fn of_json(given: ToDecrypt) -> Result<Self, Failure> {
        let ToDecrypt { session_id, ciphertext, nonce } = given;
        let session = Named::new(required("session_id", session_id)?)?;
        let data = base64("ciphertext", ciphertext)?;
        Ok(Self { session, data, nonce: nonce.as_deref().and_then(parse_nonce).ok_or_else(Failure::nonce)? })
    }

    /// Waits until the session can be used, and does it.
    pub(super) async fn run_when_ready(self, end: &impl End) -> Result<Decrypted, Failure> {
        self.session.bring(end, KeyUse::Decrypt).await?;
        self.run(end, Moment::now())
    }

    pub(in crate::http) fn run(self, end: &impl End, now: Moment) -> Result<Decrypted, Failure> {
        let Self { session, mut data, nonce } = self;
        let decrypted = match session.id {
            Some(id) => end.decrypt(id, now, &nonce, &mut data),
            None => Err(KeyError::NotFound),
        };
        decrypted.map_err(|error| Failure::key(error, &session.given))?;
        Ok(Decrypted::new(data))
    }
}
