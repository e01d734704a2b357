//! What public server code does otherwise than ours. Tests have nodes imitate it; without the feature `public-servers`,
//! which no shipped program has, there is nobody to imitate. `docs/protocol.md` section 4.

#[cfg(feature = "public-servers")]
pub use self::servers::{RefusalHeader, VERSION};

/// Whom a node imitates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Imitation {
    /// It is itself.
    #[default]
    Nobody,
    /// A server that knows no envelope but 1, and answers `version` in it.
    #[cfg(feature = "public-servers")]
    OnlyEnvelope1 {
        /// The form of its answers.
        counter: rke_proto::envelope::Counter,
        /// How it refuses all others.
        refuses_in: RefusalHeader,
    },
    /// A server whose answers in envelope 5 nobody can decrypt: it overwrites 5 bytes of their counter block.
    #[cfg(feature = "public-servers")]
    GarbledEnvelope5,
    /// A server that knows no commands but the public ones.
    #[cfg(feature = "public-servers")]
    NoWideShares {
        /// How it refuses all others.
        refuses_in: RefusalHeader,
    },
}

#[cfg(feature = "public-servers")]
mod servers {
    use rke_proto::challenge::CHALLENGE_LEN;
    use rke_proto::coin::CoinId;
    use rke_proto::command::Command;
    use rke_proto::envelope::{self, Counter, ResponseParts};
    use rke_proto::header::{LONG_HEADER_LEN, RequestHeader, ResponseForm, ResponseHeader};
    use rke_proto::{Envelope, EnvelopeKey, RaidaIndex, Status};
    use rke_secret::SecretError;

    use super::super::{Arrival, Responder};
    use super::Imitation;

    /// What an imitated server answers to `version`. Everybody knows it.
    pub const VERSION: &[u8] = b"RAIDA 2025-07-29";

    /// In what header a server refuses what it does not know: that of the last request on its connection, whose
    /// envelope may have been another.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum RefusalHeader {
        /// 32 bytes, in every envelope.
        Short,
        /// 48 bytes, in every envelope.
        Long,
    }

    impl RefusalHeader {
        fn refuse(self, raida: RaidaIndex, to: &RequestHeader, status: Status) -> Vec<u8> {
            let Self::Long = self else {
                return envelope::refuse_unknown_envelope(raida, to.group, to.echo(), status);
            };
            let coin = to.envelope.coins().next().unwrap_or(CoinId { denomination: 0, serial: 0 });
            let wire_type = to.envelope.wire_type();
            let mut datagram = vec![0; LONG_HEADER_LEN];
            let header = ResponseHeader {
                raida: raida.get(),
                status: status.0,
                group: to.group,
                execution_micros: 0,
                body_len: 0,
                echo: to.echo(),
                form: ResponseForm::Long { wire_type, coin, nonce: [0; 24] },
            };
            header.write(&mut datagram);
            datagram
        }
    }

    impl Responder {
        /// What an imitated server answers to a request, where it answers otherwise than ours.
        pub(in crate::responder) fn imitate(
            &self,
            to: &RequestHeader,
            arrival: Arrival,
            datagram: &mut [u8],
        ) -> Option<Vec<u8>> {
            let command = Command::from_wire(to.group, to.command);
            match self.operated.load().rules.imitates {
                Imitation::Nobody | Imitation::GarbledEnvelope5 => None,
                Imitation::OnlyEnvelope1 { counter, refuses_in } => match to.envelope {
                    Envelope::Type4(_) | Envelope::Type5(..) => {
                        Some(refuses_in.refuse(self.raida, to, Status::BAD_ENCRYPTION))
                    }
                    Envelope::Type1(_) if command == Some(Command::Version) => {
                        self.answer_version(counter, to, arrival, datagram)
                    }
                    _ => None,
                },
                Imitation::NoWideShares { refuses_in } => match command {
                    Some(
                        Command::Echo | Command::Version | Command::GetKeyShare | Command::PreloadMasterKey,
                    ) => None,
                    _ => Some(refuses_in.refuse(self.raida, to, Status::UNKNOWN_COMMAND)),
                },
            }
        }

        fn answer_version(
            &self,
            counter: Counter,
            to: &RequestHeader,
            arrival: Arrival,
            datagram: &mut [u8],
        ) -> Option<Vec<u8>> {
            let key = self.operated.load().envelope_key(to.envelope).ok()?;
            let body = envelope::open_request(to, &key, datagram).ok()?;
            let challenge: [u8; CHALLENGE_LEN] = *body.first_chunk()?;
            let parts = self.parts(Status::SUCCESS, Some(challenge), arrival);
            let write = |out: &mut [u8]| out.copy_from_slice(VERSION);
            envelope::seal_response_in(counter, to, &key, &parts, VERSION.len(), write).ok()
        }
    }

    impl Imitation {
        /// Seals an answer as the imitated server does.
        pub(in crate::responder) fn seal_response(
            self,
            to: &RequestHeader,
            key: &EnvelopeKey,
            parts: &ResponseParts,
            payload_len: usize,
            write_payload: impl FnOnce(&mut [u8]),
        ) -> Result<Vec<u8>, SecretError> {
            match (self, to.envelope) {
                (Self::OnlyEnvelope1 { counter, .. }, _) => {
                    envelope::seal_response_in(counter, to, key, parts, payload_len, write_payload)
                }
                (Self::GarbledEnvelope5, Envelope::Type5(first, second)) => {
                    let [a, b, c, d, e, ..] = parts.random;
                    let mut random = *to;
                    random.envelope = Envelope::Type5(first, CoinId::from_bytes([a, b, c, d, e]));
                    let mut sealed =
                        envelope::seal_response(&random, key, parts, payload_len, write_payload)?;
                    sealed[24..29].copy_from_slice(&second.to_bytes());
                    Ok(sealed)
                }
                _ => envelope::seal_response(to, key, parts, payload_len, write_payload),
            }
        }
    }
}
