//! The differences between public server code and this one, for tests. Without the feature `public-servers`, which no
//! shipped program has, nothing can be imitated. `docs/protocol.md` section 4.

#[cfg(feature = "public-servers")]
pub use self::servers::{RefusalHeader, VERSION};

/// The server that a node imitates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Imitation {
    /// None: it behaves as itself.
    #[default]
    Nobody,
    /// A server that knows only envelope 1, and responds to `version` in it.
    #[cfg(feature = "public-servers")]
    OnlyEnvelope1 {
        /// The form of its responses.
        counter: rke_proto::envelope::Counter,
        /// How it refuses everything else.
        refuses_in: RefusalHeader,
    },
    /// A server whose responses in envelope 5 cannot be decrypted: it overwrites 5 bytes of their counter block.
    #[cfg(feature = "public-servers")]
    GarbledEnvelope5,
    /// A server that knows only the public commands.
    #[cfg(feature = "public-servers")]
    NoWideShares {
        /// How it refuses everything else.
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

    /// The response of an imitated server to `version`, which is the same for all.
    pub const VERSION: &[u8] = b"RAIDA 2025-07-29";

    /// The header of a refusal: a server uses that of the last request on its connection, which may have had a
    /// different envelope.
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
        /// The response of an imitated server, if it differs from ours.
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
        /// Seals a response as the imitated server does.
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
