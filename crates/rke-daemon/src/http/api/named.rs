//! The session that a request names.

use std::borrow::Cow;

use rke_engine::model::session_id::SessionId;
use rke_engine::store::KeyUse;

use super::end::End;
use super::handlers::parse_id;
use crate::http::message::failure::Failure;

/// The session that a request names, as its id was given and as it was parsed.
pub(in crate::http) struct Named<'a> {
    /// The id as it was given, to repeat in the response.
    pub(in crate::http) given: Cow<'a, str>,
    /// `None` if no session can have this id.
    pub(in crate::http) id: Option<SessionId>,
}

impl<'a> Named<'a> {
    /// Parses a session id.
    ///
    /// # Errors
    /// 400 if it is too long to be repeated.
    pub(in crate::http) fn new(given: impl Into<Cow<'a, str>>) -> Result<Self, Failure> {
        let given = given.into();
        Ok(Self { id: parse_id(&given)?, given })
    }

    /// Makes sure that the session can be used for this, at once and for a little while.
    ///
    /// # Errors
    /// 503 if the store that other machines share does not say so in time, and what a use would say.
    pub(in crate::http) async fn bring(&self, end: &impl End, key_use: KeyUse) -> Result<(), Failure> {
        // The use itself says that no session can have this id.
        let Some(id) = self.id else { return Ok(()) };
        end.bring(id, key_use).await.map_err(|error| Failure::use_of_session(&error, &self.given))
    }
}
