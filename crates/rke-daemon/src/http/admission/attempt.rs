//! What a refused request was after, for people: told from its method and path, and nothing of
//! either is kept.

use axum::http::{Method, header};

use crate::http::asked::Asked;

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
    /// Something that there is not.
    Other,
}

impl Attempt {
    /// What a request is after; a preflight is after what it asks leave for.
    pub(super) fn of(asked: &Asked<'_>) -> Self {
        let wanted = asked.first(&header::ACCESS_CONTROL_REQUEST_METHOD);
        let wanted = wanted.and_then(|method| Method::from_bytes(method).ok());
        Self::with(wanted.as_ref().unwrap_or(asked.method), asked.path)
    }

    fn with(method: &Method, path: &str) -> Self {
        let Some(path) = path.strip_prefix("/api/rke/") else { return Self::reading(method) };
        let deletes = *method == Method::DELETE;
        match (path, path.strip_prefix("session/")) {
            ("session", _) => Self::OpenSession,
            ("session/delete", _) => Self::DeleteSession,
            ("sessions", _) if deletes => Self::DeleteSessions,
            ("keys", _) if deletes => Self::ForgetKeys,
            ("encrypt" | "decrypt" | "seal" | "open", _) => Self::UseKey,
            (_, Some(session)) if session.ends_with("/renew") => Self::RenewSession,
            (_, Some(session)) if session.ends_with("/tunnel") => Self::Tunnel,
            (_, Some(_)) if deletes => Self::DeleteSession,
            _ => Self::reading(method),
        }
    }

    fn reading(method: &Method) -> Self {
        if matches!(*method, Method::GET | Method::HEAD) { Self::Read } else { Self::Other }
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn method_and_path_tell_what_a_request_is_after() {
        let of = |method: &str, path: &str| {
            Attempt::with(&method.parse::<Method>().expect("a method"), path).name()
        };
        for (method, path, name) in [
            ("GET", "/api/rke/session", "open_session"),
            ("POST", "/api/rke/session", "open_session"),
            ("GET", "/api/rke/session/delete", "delete_session"),
            ("DELETE", "/api/rke/session/0123", "delete_session"),
            ("GET", "/api/rke/session/0123", "read"),
            ("POST", "/api/rke/session/0123/renew", "renew_session"),
            ("POST", "/api/rke/session/0123/tunnel", "tunnel"),
            ("DELETE", "/api/rke/sessions", "delete_sessions"),
            ("GET", "/api/rke/sessions", "read"),
            ("DELETE", "/api/rke/keys", "forget_keys"),
            ("POST", "/api/rke/seal", "use_key"),
            ("GET", "/", "read"),
            ("PUT", "/api/rke/session/0123", "other"),
        ] {
            assert_eq!(of(method, path), name, "{method} {path}");
        }
    }
}
