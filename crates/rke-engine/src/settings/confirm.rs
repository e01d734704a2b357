//! Whether narrow keys have to be confirmed.

/// Whether the Content Server has to confirm a fresh narrow key. It has always confirmed a wide one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Confirm {
    /// A key that is not confirmed opens no session.
    Require,
    /// It does, and the session says so.
    #[default]
    Try,
    /// The Content Server is not asked.
    Off,
}
