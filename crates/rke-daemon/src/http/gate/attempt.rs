//! What a refused request was after, for people. Nothing of its path or its query is kept.

/// What a request would have done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// Open a session.
    OpenSession,
    /// Make a session live longer.
    RenewSession,
    /// End a session.
    DeleteSession,
    /// End many.
    DeleteSessions,
    /// Remove cached keys.
    ForgetKeys,
    /// Encrypt, decrypt, seal or open.
    UseKey,
    /// Talk to a Content Server.
    Tunnel,
    /// Read something.
    Read,
    /// Something else, or what there is not.
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
