//! Whether narrow keys have to be confirmed.

/// Whether the Content Server has to confirm a fresh narrow key. Wide keys are always confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Confirm {
    /// An unconfirmed key opens no session.
    Require,
    /// An unconfirmed key opens a session, and the session shows that.
    #[default]
    Try,
    /// The Content Server is not asked.
    Off,
}
