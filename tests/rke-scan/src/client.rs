//! The scanner as the client of a real Content Server: it draws the seeds and knows what comes of them.

use rke_proto::coin::Group;
use std::net::SocketAddr;

use anyhow::{Context, Result, bail, ensure};
use rke_host::framing::{RecordReader, RecordWriter, read_response, records};
use rke_proto::coin::CoinPair;
use rke_proto::handshake::kem::EphemeralKey;
use rke_proto::handshake::packet::Forget;
use rke_proto::handshake::{
    Accepted, ExchangePrologue, ForgetToken, Initiator, KeyId, Prologue, Record, Response, ResumptionId,
    Transport, share_check,
};
use rke_proto::{Bitmap, ContentServerId, KeyContext, RaidaIndex};
use rke_secret::Secret;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use crate::ledger::Gives;
use crate::network::{CS_ID, DOMAIN, Network, random};
use crate::noise::{Session, farewell};

/// A client of one Content Server.
pub(crate) struct Client<'a> {
    pub(crate) network: &'a Network,
    pub(crate) address: SocketAddr,
}

/// A session's key that the server has not given to anyone yet: the client has not confirmed it.
pub(crate) struct Unconfirmed {
    stream: TcpStream,
    transport: Transport,
    pub(crate) session: Session,
    resumption: Option<ResumptionId>,
}

/// A session that both ends have.
pub(crate) struct Open {
    pub(crate) session: Session,
    resumption: Option<ResumptionId>,
}

/// Data flows.
pub(crate) struct Attached {
    reader: RecordReader<OwnedReadHalf>,
    writer: RecordWriter<OwnedWriteHalf>,
}

fn cs_id() -> Result<ContentServerId> {
    ContentServerId::new(CS_ID).context("a Content Server ID")
}

fn slot(bytes: [u8; 32]) -> Result<Secret<32>> {
    Ok(Secret::fill(|slot| *slot = bytes)?)
}

impl Client<'_> {
    /// An exchange with shares of all RAIDAs: most for two coins, the others for one of them.
    pub(crate) async fn exchange(&self, context: KeyContext) -> Result<Unconfirmed> {
        let prologue = self.prologue(context)?;
        for group in prologue.groups() {
            group.raidas.iter().for_each(|raida| self.network.note_asked(raida, context, group.coins));
        }
        self.open(&Prologue::Exchange(prologue)).await
    }

    fn prologue(&self, context: KeyContext) -> Result<ExchangePrologue> {
        let coins = self.network.coins();
        let raidas =
            |few: bool| -> Bitmap { RaidaIndex::all().filter(|raida| (raida.get() > 19) == few).collect() };
        let two =
            Group { raidas: raidas(false), coins: CoinPair { first: coins[0], second: Some(coins[1]) } };
        let one = Group { raidas: raidas(true), coins: CoinPair { first: coins[0], second: None } };
        ExchangePrologue::new(context, vec![two, one]).context("a prologue")
    }

    /// A session without the RAIDAs, from one that has a resumption.
    pub(crate) async fn resume(&self, from: &Open) -> Result<Unconfirmed> {
        let id = from.resumption.context("it has no resumption")?;
        self.open(&Prologue::Resume { cs_id: cs_id()?, id }).await
    }

    async fn open(&self, prologue: &Prologue) -> Result<Unconfirmed> {
        let (stream, Accepted { transport, grant, .. }, session) =
            self.shake_hands(prologue, Gives::Session).await?;
        Ok(Unconfirmed { stream, transport, session, resumption: grant.resumption })
    }

    async fn shake_hands(&self, prologue: &Prologue, gives: Gives) -> Result<(TcpStream, Accepted, Session)> {
        let (raw, seed) = (prologue.to_bytes(), random()?);
        let basis = self.network.state().basis(prologue, &raw)?;
        let key = EphemeralKey::of_seed(slot(seed)?)?;
        let (initiator, packet) = Initiator::begin(prologue, &slot(basis.psk)?, key, DOMAIN)?;
        let entry = self.network.state().ledger.begin(&raw, &packet[raw.len() + 2..], basis, Some(seed))?;
        let (stream, response) = self.ask(&packet).await?;
        let Response::Accepted(second) = response else { bail!("the Content Server refuses") };
        let accepted = initiator.receive(&second)?;
        let mut state = self.network.state();
        let session = state.ledger.accepted(entry, &second, None, gives)?;
        ensure!(session.key_id == accepted.secrets.key_id.0, "the scanner's handshake is not the program's");
        if let Some(ResumptionId(id)) = accepted.grant.resumption {
            state.ledger.add_resumption(id, &session);
        }
        Ok((stream, accepted, session))
    }

    async fn ask(&self, packet: &[u8]) -> Result<(TcpStream, Response)> {
        let mut stream = TcpStream::connect(self.address).await?;
        stream.write_all(packet).await?;
        let response = read_response(&mut stream).await.context("the Content Server does not answer")?;
        Ok((stream, response))
    }

    /// Data in a session.
    pub(crate) async fn attach(&self, to: &Open) -> Result<Attached> {
        let prologue = Prologue::Attach { cs_id: cs_id()?, id: KeyId(to.session.key_id) };
        let (stream, accepted, _) = self.shake_hands(&prologue, Gives::Tunnel).await?;
        let (mut reader, mut writer) = records(stream, accepted.transport);
        writer.data(b"some data").await?;
        ensure!(reader.next().await? == Record::Data(b"some data".to_vec()), "the echo is garbled");
        Ok(Attached { reader, writer })
    }

    /// Has the shares of an exchange checked, which are all right.
    pub(crate) async fn check_shares(&self, context: KeyContext) -> Result<()> {
        let prologue = self.prologue(context)?;
        let shares = self.network.state().shares_of(&prologue);
        let shares: Vec<_> =
            shares.into_iter().map(|(raida, share)| Ok((raida, slot(share)?))).collect::<Result<_>>()?;
        let packet = share_check::ask(&prologue, shares.iter().map(|(raida, share)| (*raida, share)));
        match self.ask(&packet).await?.1 {
            Response::Checked { right, .. } if right == prologue.raidas() => Ok(()),
            _ => bail!("the share check was refused, or shares are wrong"),
        }
    }

    /// Has a session's key forgotten, and the resumption that came with it.
    pub(crate) async fn forget(&self, open: &Open) -> Result<()> {
        let resumption = open.resumption.map(|ResumptionId(id)| (id, open.session.resumption));
        for (id, secret) in [(open.session.key_id, open.session.key)].into_iter().chain(resumption) {
            let (token, proof) = farewell(&secret);
            let packet = Forget { id, token: ForgetToken(token) }.to_bytes();
            match self.ask(&packet).await?.1 {
                Response::Forgotten { proof: shown, .. } if shown.0 == proof => (),
                _ => bail!("there is no proof that it is forgotten"),
            }
        }
        Ok(())
    }
}

impl Unconfirmed {
    /// Tells the server that the client has the key too.
    pub(crate) async fn confirm(self) -> Result<Open> {
        let Self { stream, transport, session, resumption } = self;
        let (mut reader, mut writer) = records(stream, transport);
        writer.end(None).await?;
        ensure!(reader.next().await? == Record::End(None), "the session is not confirmed");
        Ok(Open { session, resumption })
    }
}

impl Attached {
    /// Waits until the server breaks it off.
    pub(crate) async fn broken_off(mut self) -> Result<()> {
        let record = self.reader.next().await?;
        drop(self.writer);
        ensure!(matches!(record, Record::BrokenOff { .. }), "not broken off: {record:?}");
        Ok(())
    }
}
