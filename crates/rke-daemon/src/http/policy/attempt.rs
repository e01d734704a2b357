//! What a refused request would have done, for people to read. Nothing of its path or query is kept.

/// The purpose of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// Open a session.
    OpenSession,
    /// Extend a session's life.
    RenewSession,
    /// End a session.
    DeleteSession,
    /// End several sessions.
    DeleteSessions,
    /// Remove cached keys.
    ForgetKeys,
    /// Encrypt, decrypt, seal or open.
    UseKey,
    /// Talk to a Content Server.
    Tunnel,
    /// Read something.
    Read,
    /// Something else, or a route that does not exist.
    Other,
}

impl Attempt {
    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenSession => "open_session",
            Self::RenewSession => "renew_session",
            Self::DeleteSession => "delete_session",
            Self::DeleteSessions => "delete_sessions",
            Self::ForgetKeys => "forget_keys",
            Self::UseKey => "use_key",
            Self::Tunnel => "tunnel",
            Self::Read => "read",
            Self::Other => "other",
        }
    }
}
