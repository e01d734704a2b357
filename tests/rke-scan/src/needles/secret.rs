//! The kinds of secrets that are looked for, and what code makes of each.

use clap::ValueEnum;

/// The source of a window.
#[expect(clippy::enum_variant_names, reason = "these are the protocol's names")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Secret {
    An,
    EnvelopeKey,
    Share,
    /// HKDF's extract of the shares.
    ExchangeKey,
    Psk,
    /// Noise's hash input for the psk.
    PskHash,
    /// Of an ephemeral key of X-Wing, and its expansion.
    Seed,
    ExpandedSeed,
    MlKemKey,
    X25519Key,
    /// The message of an encapsulation, and the randomness that encrypts it.
    MlKemMessage,
    MlKemShared,
    X25519Shared,
    SharedSecret,
    /// Noise's chaining key and the outputs of its HKDF.
    ChainingKey,
    TemporaryKey,
    HandshakeKey,
    TransportKey,
    /// K.
    SessionKey,
    Resumption,
    CtrKey,
    SealKey,
    ExportKey,
    /// One that has left the program.
    ExportedKey,
    MasterSecret,
    CacheMasterKey,
    AuditKey,
    StreamKey,
    GhashKey,
    /// Anyone who knows it can use the session. Programs that answer requests have it; what they share must not.
    SessionId,
}

impl Secret {
    pub(super) fn is_aes_key(self) -> bool {
        use Secret::{
            An, CacheMasterKey, CtrKey, EnvelopeKey, HandshakeKey, SessionKey, StreamKey, TransportKey,
        };
        matches!(
            self,
            An | EnvelopeKey | HandshakeKey | TransportKey | SessionKey | CtrKey | CacheMasterKey | StreamKey
        )
    }

    /// Whether AES-GCM works with it.
    pub(super) fn is_gcm_key(self) -> bool {
        matches!(self, Self::HandshakeKey | Self::TransportKey | Self::StreamKey)
    }

    pub(super) fn is_hmac_key(self) -> bool {
        use Secret::{
            AuditKey, CacheMasterKey, ChainingKey, EnvelopeKey, ExchangeKey, ExportKey, ExportedKey,
            MasterSecret, Psk, Resumption, SealKey, SessionKey, Share, TemporaryKey,
        };
        matches!(
            self,
            EnvelopeKey
                | Share
                | ExchangeKey
                | Psk
                | ChainingKey
                | TemporaryKey
                | SessionKey
                | Resumption
                | SealKey
                | ExportKey
                | ExportedKey
                | MasterSecret
                | CacheMasterKey
                | AuditKey
        )
    }

    /// Whether text may be made of it: in JSON, in a file, in a log line.
    pub(super) fn is_told(self) -> bool {
        use Secret::{
            CtrKey, ExportKey, ExportedKey, MasterSecret, Psk, Resumption, SealKey, SessionId, SessionKey,
            SharedSecret,
        };
        matches!(
            self,
            SessionKey
                | CtrKey
                | SealKey
                | ExportKey
                | ExportedKey
                | Resumption
                | MasterSecret
                | Psk
                | SharedSecret
                | SessionId
        )
    }

    /// Whether it is sent to other programs, in Base64.
    pub(super) fn leaves(self) -> bool {
        self == Self::ExportedKey
    }
}
