//! The session that a request names.

use std::borrow::Cow;

use rke_engine::model::session_id::SessionId;

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
}
