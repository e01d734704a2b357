//! All handshakes that the scanner takes part in or looks on at, with every secret of theirs that it can know.

use std::collections::HashMap;

use anyhow::{Context, Result, bail};

use crate::kem::{Encapsulation, EphemeralKey, PUBLIC_LEN};
use crate::needles::{Needles, Secret, Source};
use crate::noise::{Known, Noise, Session, attach_psk, farewell};
use crate::stream::Start;

/// The result of a handshake.
enum Outcome {
    /// The client waits for the response.
    Pending,
    /// There is no key.
    Refused,
    /// Both ends have a session's key.
    Session(Session),
    /// Data may flow under these keys.
    Tunnel,
}

struct Handshake {
    of_psk: Vec<Known>,
    noise: Noise,
    public: Box<[u8; PUBLIC_LEN]>,
    /// The client's. `None` where nobody can know it.
    ephemeral: Option<EphemeralKey>,
    encapsulation: Option<Encapsulation>,
    transport: Option<[Known; 2]>,
    outcome: Outcome,
}

/// A handshake in the ledger.
#[derive(Clone, Copy)]
pub(crate) struct Entry(usize);

/// The psk of a prologue of kind 1, 2 or 5.
pub(crate) struct Basis {
    pub(crate) psk: [u8; 32],
    pub(crate) known: Vec<Known>,
}

/// The session of a handshake, if it opens one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gives {
    Session,
    Tunnel,
}

/// The secrets that a process keeps.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeps {
    Nothing,
    /// The secret that opens later sessions. No session's key follows from it.
    Resumptions,
}

impl Keeps {
    fn lets_go(self, secret: Secret) -> bool {
        self == Self::Nothing || secret != Secret::Resumption
    }
}

/// All handshakes since the last new page, and what there is to refer to.
#[derive(Default)]
pub(crate) struct Ledger {
    handshakes: Vec<Handshake>,
    resumptions: HashMap<[u8; 16], [u8; 32]>,
    /// Sessions' keys, and those that are gone.
    keys: HashMap<[u8; 16], [u8; 32]>,
}

/// Needles for the secrets that must exist somewhere while sessions live.
#[derive(Default)]
pub(crate) struct Living {
    /// K and the key of `encrypt`.
    pub(crate) sessions: Vec<Source>,
    /// Of each session its K only.
    pub(crate) roots: Vec<Source>,
    pub(crate) resumptions: Vec<Source>,
    /// The keys of both directions of tunnels.
    pub(crate) transports: Vec<Source>,
    /// Of handshakes that wait for a response: the seed, and what Noise keeps.
    pub(crate) pending: Vec<Source>,
    pub(crate) shares: Vec<Source>,
    pub(crate) ans: Vec<Source>,
    /// The keys of envelopes to RAIDAs that have not answered.
    pub(crate) unanswered: Vec<Source>,
}

impl Ledger {
    /// Forgets all handshakes, not what they left behind.
    pub(crate) fn turn_page(&mut self) {
        self.handshakes.clear();
    }

    /// Notes the first message of a handshake, and the seed of its ephemeral key where that is known.
    pub(crate) fn begin(
        &mut self,
        prologue: &[u8],
        message: &[u8],
        basis: Basis,
        seed: Option<[u8; 32]>,
    ) -> Result<Entry> {
        let mut noise = Noise::begin(prologue, &basis.psk);
        noise.message_1(message);
        self.handshakes.push(Handshake {
            of_psk: basis.known,
            noise,
            public: Box::new(*message.first_chunk().context("no public key")?),
            ephemeral: seed.map(EphemeralKey::from_seed),
            encapsulation: None,
            transport: None,
            outcome: Outcome::Pending,
        });
        Ok(Entry(self.handshakes.len() - 1))
    }

    pub(crate) fn refused(&mut self, entry: Entry) {
        if let Some(handshake) = self.handshakes.get_mut(entry.0) {
            handshake.outcome = Outcome::Refused;
        }
    }

    /// Notes the response of a handshake, whose ciphertext was made with `seeds`; unknown ones are recovered with the
    /// ephemeral key. Returns the session.
    pub(crate) fn accepted(
        &mut self,
        entry: Entry,
        response: &[u8],
        seeds: Option<([u8; 32], [u8; 32])>,
        gives: Gives,
    ) -> Result<Session> {
        let handshake = self.handshakes.get_mut(entry.0).context("its page was turned")?;
        let Handshake { noise, public, ephemeral, .. } = handshake;
        let encapsulation = match (seeds, ephemeral) {
            (Some((message, x25519)), _) => Encapsulation::make(public, message, x25519),
            (None, Some(key)) => {
                Encapsulation::open(key, public, response.first_chunk().context("no ciphertext")?)
            }
            (None, None) => bail!("nothing is known of the key encapsulation"),
        };
        noise.message_2(response, &encapsulation.shared);
        handshake.transport = Some(noise.split());
        let session = noise.session();
        handshake.encapsulation = Some(encapsulation);
        handshake.outcome = match gives {
            Gives::Session => Outcome::Session(session),
            Gives::Tunnel => Outcome::Tunnel,
        };
        if gives == Gives::Session {
            self.keys.insert(session.key_id, session.key);
        }
        Ok(session)
    }

    pub(crate) fn add_resumption(&mut self, id: [u8; 16], session: &Session) {
        self.resumptions.insert(id, session.resumption);
    }

    /// The psk of a resumption.
    pub(crate) fn resumption(&self, id: &[u8; 16]) -> Option<Basis> {
        let psk = *self.resumptions.get(id)?;
        Some(Basis { psk, known: vec![(Secret::Resumption, psk)] })
    }

    /// The psk with which a connection attaches to a session.
    pub(crate) fn attachment(&self, id: &[u8; 16]) -> Option<Basis> {
        let key = self.keys.get(id)?;
        let psk = attach_psk(key);
        Some(Basis { psk, known: vec![(Secret::Psk, psk)] })
    }

    /// The proof of forgetting, for a holder of the token.
    pub(crate) fn forget(&self, id: &[u8; 16], token: &[u8; 16]) -> Option<[u8; 16]> {
        let secret = self.keys.get(id).or_else(|| self.resumptions.get(id))?;
        let (own, proof) = farewell(secret);
        (own == *token).then_some(proof)
    }

    /// Adds every secret of the handshakes on this page but those that are kept, and the keys of these streams.
    pub(crate) fn add_to(&self, needles: &mut Needles, streams: &[Start], keeps: Keeps, living: &mut Living) {
        for handshake in &self.handshakes {
            handshake.add_to(needles, keeps, living);
            if let Outcome::Session(session) = &handshake.outcome {
                streams.iter().for_each(|stream| stream.add_needles(&session.seal_key(), needles));
            }
        }
    }

    /// Whether every client's ephemeral key on this page is known.
    pub(crate) fn knows_all_seeds(&self) -> bool {
        self.handshakes.iter().all(|handshake| handshake.ephemeral.is_some())
    }

    /// How many of the handshakes on this page wait for a response.
    pub(crate) fn pending(&self) -> usize {
        self.handshakes.iter().filter(|handshake| matches!(handshake.outcome, Outcome::Pending)).count()
    }
}

impl Handshake {
    fn add_to(&self, needles: &mut Needles, keeps: Keeps, living: &mut Living) {
        let mut add = |keys: &[Known]| -> Vec<Source> {
            let keys = keys.iter().filter(|(secret, _)| keeps.lets_go(*secret));
            keys.map(|(secret, bytes)| needles.add(*secret, bytes)).collect()
        };
        add(&self.of_psk);
        add(&self.noise.known);
        let transport = add(self.transport.as_ref().map_or(&[], |keys| keys.as_slice()));
        match &self.outcome {
            Outcome::Pending => living.pending.extend(add(&self.noise.state())),
            Outcome::Session(session) => {
                let [root, cipher, others @ ..] = session.known();
                let roots = add(&[root]);
                living.sessions.extend(roots.iter().copied().chain(add(&[cipher])));
                living.roots.extend(roots);
                add(&others);
                living.resumptions.extend(add(&[(Secret::Resumption, session.resumption)]));
            }
            Outcome::Tunnel => living.transports.extend(transport),
            Outcome::Refused => (),
        }
        self.add_key_exchange_to(needles, living);
    }

    fn add_key_exchange_to(&self, needles: &mut Needles, living: &mut Living) {
        if let Some(key) = &self.ephemeral {
            key.add_to(needles);
            let seed = needles.add(Secret::Seed, &key.seed);
            if matches!(self.outcome, Outcome::Pending) {
                living.pending.push(seed);
            }
        }
        if let Some(encapsulation) = &self.encapsulation {
            encapsulation.add_to(needles);
        }
    }
}
