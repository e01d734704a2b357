//! The Content Server at the end of a connection, as a value, and what a client with a finished round does with it:
//! handshake, share check, handshake with the shares that are right, connections that are lost, data.

use rke_proto::coin::Group;
use std::sync::Arc;

use rke_proto::coin::{CoinId, CoinPair};
use rke_proto::derive::ShareWidth;
use rke_proto::handshake::agreement::Next;
use rke_proto::handshake::kem::{EncapsulationSeeds, EphemeralKey};
use rke_proto::handshake::keys::attach_psk;
use rke_proto::handshake::record::LEN_LEN;
use rke_proto::handshake::{
    Accepted, Agreed, Agreement, AgreementError, ExchangePrologue, Initiator, Prologue, Reason, Record,
    RecordOpener, RecordSealer, Response, ResumptionId, SessionSecrets, psk, share_check,
};
use rke_proto::round::Round;
use rke_proto::{Bitmap, Envelope, Form, KeyContext, RAIDA_COUNT, RaidaIndex};
use rke_raida::content_server::{
    Client, Fresh, MasterSecrets, Opens, Outcome, Pending, Reception, ReceptionPolicy, ServedKeySet,
};
use rke_secret::Secret;

use crate::rng::Rng;
use crate::run::{REQUIRED, check};
use crate::world::{COIN, OTHER, STRANGER, cs_id};

const DOMAIN: &str = "content.example";

/// A client whose round is finished, and what is true of its shares.
pub(crate) struct Meeting<'a> {
    pub(crate) round: &'a Round,
    pub(crate) context: &'a KeyContext,
    pub(crate) envelopes: &'a [Envelope; RAIDA_COUNT],
    /// The RAIDAs whose shares are the Content Server's.
    pub(crate) honest: Bitmap,
    /// The others that have answered.
    pub(crate) lied: Bitmap,
}

/// Where in an agreement the connection is lost, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loss {
    /// After the n-th packet has arrived, before its response has.
    Response(usize),
    /// After the client's end record has arrived, before the server's has.
    End,
}

pub(crate) struct Server {
    reception: Reception,
    rng: Rng,
    /// In Unix seconds.
    pub(crate) now: u64,
    /// Sessions that the server has and the client knows nothing of, because the server's end was lost.
    orphans: usize,
}

impl Meeting<'_> {
    fn prologue(&self) -> Result<ExchangePrologue, String> {
        let groups = self.round.groups(self.round.answered());
        let prologue = ExchangePrologue::new(*self.context, groups).ok_or("the groups overlap")?;
        let answered = self.round.answered();
        check(prologue.raidas() == answered, || format!("groups of {:?}", prologue.raidas()))?;
        Ok(prologue)
    }

    fn is_enough(&self) -> bool {
        self.honest.count() >= REQUIRED
    }

    /// The coin that the shares of the honest prove: the first that the prologue names of those that at least 13 RAIDAs
    /// have taken. Its groups are in the order of the RAIDAs that have answered, liars included.
    fn proven_coin(&self) -> Option<CoinId> {
        let envelope_of = |raida: RaidaIndex| self.envelopes[raida.position()];
        let answered = self.honest.union(self.lied);
        let is_used = |envelope: &Envelope| self.honest.iter().any(|raida| envelope_of(raida) == *envelope);
        let first = answered.iter().map(envelope_of).find(is_used)?.coins().next()?;
        let other = if first == COIN { OTHER } else { COIN };
        let takers = |coin| {
            self.honest.iter().filter(|raida| envelope_of(*raida).coins().any(|own| own == coin)).count()
        };
        [first, other].into_iter().find(|coin| takers(*coin) >= REQUIRED)
    }
}

impl Server {
    pub(crate) fn new(secrets: Arc<MasterSecrets>, now: u64, rng: Rng) -> Self {
        let served = ServedKeySet { secrets, form: Form::Wide, retires_at: None };
        Self { reception: Reception::new(ReceptionPolicy::default(), vec![served]), rng, now, orphans: 0 }
    }

    fn secret(&mut self) -> Secret<32> {
        let bytes = self.rng.bytes();
        Secret::fill(|secret| *secret = bytes).expect("secret memory")
    }

    fn ephemeral_key(&mut self) -> EphemeralKey {
        EphemeralKey::of_seed(self.secret()).expect("secret memory")
    }

    fn receive(&mut self, packet: &[u8]) -> Result<Outcome, String> {
        let seeds = EncapsulationSeeds { ml_kem: self.secret(), x25519: self.secret() };
        let fresh = Fresh { seeds, resumption: ResumptionId(self.rng.bytes()) };
        self.reception.receive(packet, self.now, &fresh).map_err(|error| error.to_string())
    }

    /// The response to a packet that must open nothing.
    fn respond(&mut self, packet: &[u8]) -> Result<Response, String> {
        match self.receive(packet)? {
            Outcome::Respond(response) => over_the_wire(&response),
            Outcome::Forgotten(..) | Outcome::Accepted(_) => Err("the server opens something".into()),
        }
    }

    fn check_refused(&mut self, packet: &[u8], reason: Reason, what: &str) -> Result<(), String> {
        match self.respond(packet)? {
            Response::Refused(found) if found == reason => Ok(()),
            response => Err(format!("{what} gets {}", in_words(&response))),
        }
    }

    /// How many sessions it must have.
    fn check_len(&self, sessions: usize) -> Result<(), String> {
        let (len, expected) = (self.reception.len(), sessions + self.orphans);
        check(len == expected, || format!("the server has {len} keys, not {expected}"))
    }

    /// The share check alone: it must find the liars, all of them and nobody else, and prove it where the honest are
    /// enough. Says whether it does.
    pub(crate) fn name_liars(&mut self, meeting: &Meeting<'_>) -> Result<bool, String> {
        let (round, prologue) = (meeting.round, meeting.prologue()?);
        let packet = share_check::ask(&prologue, round.shares(prologue.raidas()));
        let response = self.respond(&packet)?;
        let Response::Checked { right, mut mac } = response else {
            return Err(format!("a share check gets {}", in_words(&response)));
        };
        check(right == meeting.honest, || format!("right are {right:?}, honest are {:?}", meeting.honest))?;
        let again = self.respond(&packet)?.to_bytes();
        check(again == response.to_bytes(), || "a share check is remembered".into())?;
        let is_proven = |right: Bitmap, mac: &[u8; 32]| {
            let shares = round.shares(prologue.raidas());
            share_check::is_proven(&prologue, &packet, shares, right, mac, REQUIRED).expect("secret memory")
        };
        check(is_proven(right, &mac) == meeting.is_enough(), || "a wrong MAC".into())?;
        check(meeting.is_enough() || mac == [0; 32], || "a MAC of too few shares".into())?;
        if let Some(slandered) = right.iter().next() {
            let rest = right.without(Bitmap::from_iter([slandered]));
            check(!is_proven(rest, &mac), || format!("{slandered} is called a liar"))?;
        }
        mac[self.rng.below(32)] ^= 1;
        check(!is_proven(right, &mac), || "an altered MAC proves something".into())?;
        self.check_len(0)?;
        Ok(meeting.is_enough())
    }

    /// The whole agreement, through lost connections, and what a session is used for. Says whether there is one.
    pub(crate) fn agree(&mut self, meeting: &Meeting<'_>) -> Result<bool, String> {
        let mut loss = match self.rng.below(10) {
            0..=2 => Some(Loss::Response(self.rng.below(3))),
            3 => Some(Loss::End),
            _ => None,
        };
        let mut client = self.begin(meeting)?;
        let mut sent = 0;
        loop {
            let (response, pending) = match self.receive(client.packet())? {
                Outcome::Respond(response) => (over_the_wire(&response)?, None),
                Outcome::Accepted(pending) => (over_the_wire(&pending.response)?, Some(pending)),
                Outcome::Forgotten(..) => return Err("the server has forgotten something".into()),
            };
            if loss == Some(Loss::Response(sent)) {
                self.lose(client.packet(), pending)?;
                (client, sent, loss) = (self.begin(meeting)?, 0, None);
                continue;
            }
            sent += 1;
            let seed = self.secret();
            match client.receive(meeting.round, &response, seed) {
                Ok(Next::Send) => (),
                Ok(Next::Agreed(agreed)) => {
                    check(sent == if meeting.lied.count() > 0 { 3 } else { 1 }, || {
                        format!("{sent} packets")
                    })?;
                    check_agreed(&agreed, meeting)?;
                    let pending = pending.ok_or("agreed without a handshake")?;
                    self.check_len(0)?;
                    let secrets = self.open(agreed.accepted, *pending, loss != Some(Loss::End))?;
                    let Some((secrets, resumption)) = secrets else {
                        self.orphans += 1;
                        (client, sent, loss) = (self.begin(meeting)?, 0, None);
                        continue;
                    };
                    self.check_refused(client.packet(), Reason::Replayed, "a replay")?;
                    self.check_len(1)?;
                    self.use_session(meeting, &secrets, resumption.ok_or("no resumption")?)?;
                    return Ok(true);
                }
                Err(AgreementError::Unproven { right }) => {
                    check(!meeting.is_enough() && right == meeting.honest.count(), || {
                        format!("{right} right shares prove nothing, {} are", meeting.honest.count())
                    })?;
                    self.check_len(0)?;
                    return Ok(false);
                }
                Err(error) => return Err(format!("no agreement: {error}")),
            }
        }
    }

    fn begin(&mut self, meeting: &Meeting<'_>) -> Result<Agreement, String> {
        let key = self.ephemeral_key();
        let begun = Agreement::begin(
            (meeting.round, meeting.round.answered()),
            meeting.context,
            DOMAIN,
            REQUIRED,
            key,
        );
        begun.expect("secret memory").ok_or_else(|| "no agreement from a ready round".into())
    }

    /// A connection is lost before the client has the response: nothing is kept, and the packet is worth nothing more.
    fn lose(&mut self, packet: &[u8], pending: Option<Box<Pending>>) -> Result<(), String> {
        let was_accepted = pending.is_some();
        drop(pending);
        self.check_len(0)?;
        match was_accepted {
            true => self.check_refused(packet, Reason::Replayed, "a packet of a lost connection"),
            false => Ok(()),
        }
    }

    /// Both ends send their last record. `None` where the server's is lost.
    fn open(
        &mut self,
        client: Accepted,
        server: Pending,
        arrives: bool,
    ) -> Result<Option<(SessionSecrets, Option<ResumptionId>)>, String> {
        let (mut client_side, mut server_side) = (client.transport, server.transport);
        let Opens::Session(new) = server.opens else { return Err("no session".into()) };
        send_end(&mut client_side.sealer, &mut server_side.opener)?;
        let key_id = self.reception.establish(new, self.now);
        check(key_id == Ok(client.secrets.key_id), || format!("established as {key_id:?}"))?;
        if !arrives {
            return Ok(None);
        }
        send_end(&mut server_side.sealer, &mut client_side.opener)?;
        Ok(Some((client.secrets, client.grant.resumption)))
    }

    /// Data through the session, a second one from the resumption, and what others try.
    fn use_session(
        &mut self,
        meeting: &Meeting<'_>,
        session: &SessionSecrets,
        resumption: ResumptionId,
    ) -> Result<(), String> {
        let coin = meeting.proven_coin();
        self.exchange_data(session, coin)?;
        if self.rng.percent(50) {
            // A resumption is good for any number of sessions.
            let further = [self.resume(session, resumption)?, self.resume(session, resumption)?];
            let [second, third] = &further;
            for [one, other] in [[session, second], [session, third], [second, third]] {
                check(!one.key.matches(&other.key), || "two sessions share a key".into())?;
                check(one.key_id != other.key_id, || "two sessions share a key id".into())?;
            }
            self.check_len(3)?;
            self.exchange_data(third, coin)?;
        } else {
            self.refuse_others(meeting, session, resumption)?;
            self.check_len(1)?;
        }
        Ok(())
    }

    fn accept(&mut self, initiator: Initiator, packet: &[u8]) -> Result<(Accepted, Pending), String> {
        let Outcome::Accepted(pending) = self.receive(packet)? else { return Err("refused".into()) };
        let Response::Accepted(message) = over_the_wire(&pending.response)? else {
            return Err("accepted with another response".into());
        };
        self.check_refused(packet, Reason::Replayed, "a replay")?;
        let accepted = initiator.receive(&message).map_err(|error| error.to_string())?;
        Ok((accepted, *pending))
    }

    /// Attaches with the client's key, so both have the same, and sends data both ways.
    fn exchange_data(&mut self, session: &SessionSecrets, coin: Option<CoinId>) -> Result<(), String> {
        let key_id = session.key_id;
        let prologue = Prologue::Attach { cs_id: cs_id(), id: key_id };
        let psk = attach_psk(&session.key).expect("secret memory");
        let (initiator, packet) = self.first_packet(&prologue, &psk);
        let (client, server) = self.accept(initiator, &packet)?;
        let (mut client, mut transport) = (client.transport, server.transport);
        send_data(&mut client.sealer, &mut transport.opener, b"ping")?;
        let watcher = server.watcher.ok_or("a tunnel hangs on nothing")?;
        let who = self.reception.attach(key_id, &watcher, self.now);
        let expected = Client { key_id, domain: DOMAIN.into(), coin };
        check(who == Ok(expected), || format!("{who:?} attaches, proven is {coin:?}"))?;
        send_data(&mut transport.sealer, &mut client.opener, b"pong")
    }

    fn resume(&mut self, session: &SessionSecrets, id: ResumptionId) -> Result<SessionSecrets, String> {
        let prologue = Prologue::Resume { cs_id: cs_id(), id };
        let (initiator, packet) = self.first_packet(&prologue, &session.resumption);
        let (client, server) = self.accept(initiator, &packet)?;
        let opened = self.open(client, server, true)?;
        opened.map(|(secrets, _)| secrets).ok_or_else(|| "no session".into())
    }

    fn first_packet(&mut self, prologue: &Prologue, psk: &Secret<32>) -> (Initiator, Vec<u8>) {
        let key = self.ephemeral_key();
        Initiator::begin(prologue, psk, key, DOMAIN).expect("secret memory")
    }

    /// Anyone who knows everything except the psk gets no session; neither does a stranger's coin, nor a stranger who
    /// answers in the server's place.
    fn refuse_others(
        &mut self,
        meeting: &Meeting<'_>,
        session: &SessionSecrets,
        resumption: ResumptionId,
    ) -> Result<(), String> {
        let exchange = meeting.prologue()?.only(meeting.honest).ok_or("nobody is honest")?;
        let wrong = self.secret();
        let prologues = [
            (Prologue::Exchange(exchange), Reason::WrongShares),
            (Prologue::Resume { cs_id: cs_id(), id: resumption }, Reason::NoSuchKey),
            (Prologue::Attach { cs_id: cs_id(), id: session.key_id }, Reason::NoSuchKey),
        ];
        let (prologue, reason) = &prologues[self.rng.below(prologues.len())];
        let (initiator, packet) = self.first_packet(prologue, &wrong);
        self.check_refused(&packet, *reason, "a wrong psk")?;
        let forged: Vec<u8> = (0..1156).map(|_| self.rng.next() as u8).collect();
        check(initiator.receive(&forged).is_err(), || "a stranger is taken for the server".into())?;
        let packet = self.with_a_strangers_coin(meeting)?;
        self.check_refused(&packet, Reason::WrongShares, "a stranger's coin")
    }

    /// A first packet with the client's shares, said to have been given for another coin.
    fn with_a_strangers_coin(&mut self, meeting: &Meeting<'_>) -> Result<Vec<u8>, String> {
        let coins = CoinPair { first: STRANGER, second: None };
        let groups = vec![Group { raidas: meeting.honest, coins }];
        let exchange = ExchangePrologue::new(*meeting.context, groups).ok_or("nobody is honest")?;
        let mut shares: Vec<_> = meeting.round.shares(meeting.honest).collect();
        shares.sort_by_key(|(raida, _)| *raida);
        let in_order = shares.into_iter().map(|(_, share)| share);
        let psk = psk::from_shares(in_order, ShareWidth::Wide, &exchange.to_bytes()).expect("secret memory");
        Ok(self.first_packet(&Prologue::Exchange(exchange), &psk).1)
    }
}

/// What was agreed on: the shares of the honest, and nobody else is called a liar than those who lied.
fn check_agreed(agreed: &Agreed, meeting: &Meeting<'_>) -> Result<(), String> {
    let Agreed { raidas, liars, prologue, .. } = agreed;
    check(*liars == meeting.lied, || format!("named {liars:?}, but {:?} lied", meeting.lied))?;
    check(*raidas == meeting.honest, || format!("a key of {raidas:?}, honest are {:?}", meeting.honest))?;
    check(raidas.count() >= REQUIRED, || format!("a key of {} shares", raidas.count()))?;
    check(prologue.raidas() == *raidas, || "another prologue".into())
}

/// A response as the client reads it.
fn over_the_wire(response: &Response) -> Result<Response, String> {
    Response::decode(&response.to_bytes()).map_err(|error| error.to_string())
}

fn in_words(response: &Response) -> String {
    match response {
        Response::Accepted(_) => "accepted".into(),
        Response::Refused(reason) => reason.to_string(),
        Response::Checked { .. } => "the result of a share check".into(),
        Response::Forgotten { .. } => "forgotten".into(),
    }
}

fn send_end(from: &mut RecordSealer, to: &mut RecordOpener) -> Result<(), String> {
    let record = from.end(None).map_err(|error| error.to_string())?;
    let opened = to.open(record[LEN_LEN..].to_vec());
    check(opened == Ok(Record::End(None)), || format!("an end comes as {opened:?}"))
}

fn send_data(from: &mut RecordSealer, to: &mut RecordOpener, data: &[u8]) -> Result<(), String> {
    let record = from.data(data).map_err(|error| error.to_string())?;
    let opened = to.open(record[LEN_LEN..].to_vec());
    check(opened == Ok(Record::Data(data.to_vec())), || format!("data comes as {opened:?}"))
}
