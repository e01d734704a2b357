//! Gives a command the pre-shared keys that clients propose. `docs/protocol.md` section 7.12. The key that a client has is
//! set here first; what one end alone has set is replaced by the client's next key.

mod overdue;

use std::net::IpAddr;

use rke_host::framing::{RecordReader, RecordWriter};
use rke_host::session_keys::export_to_own;
use rke_host::usage::KeyUse;
use rke_proto::DecodeError;
use rke_proto::export::Export;
use rke_proto::handshake::{KeyId, Record};
use rke_proto::preshared::{KEY_LEN, MAX_PROPOSAL_LEN, Proposal, Purpose, Receipt, Response, Tunnel};
use rke_secret::Secret;
use tokio::io::AsyncRead;
use tokio::net::tcp::OwnedWriteHalf;

pub(super) use self::overdue::Overdue;
use super::ServerContext;
use super::cut::{Activity, Cut};
use crate::content_server::application::{
    Application, KeyCommand, KeyCommandError, KeyService, KeyTarget, PublicKey, User,
};
use crate::content_server::reception::Client;

/// A connection over which a client proposes a key.
pub(super) struct Renewal<'a, R> {
    pub(super) reader: &'a mut RecordReader<R>,
    pub(super) writer: &'a mut RecordWriter<OwnedWriteHalf>,
    pub(super) activity: &'a Activity<'a>,
    pub(super) shared: &'a ServerContext,
    pub(super) service: &'a KeyService,
    pub(super) client: Client,
    /// Where the connection comes from.
    pub(super) from: IpAddr,
}

impl<R: AsyncRead + Unpin> Renewal<'_, R> {
    /// Serves the connection up to its end, starting with the first record.
    pub(super) async fn run(mut self, first: Record) -> Result<(), Cut> {
        let bytes = self.read(first, Vec::new())?;
        let proposal = self.message(bytes, Proposal::decode).await?;
        let response = match self.set(&proposal).await {
            Ok(()) => Response::Set,
            Err(error) => Response::NotSet(error.to_string()),
        };
        self.writer.data(&response.to_bytes()).await?;
        self.activity.note();
        if response == Response::Set {
            let receipt = self.message(Vec::new(), Receipt::decode).await?;
            self.note(&proposal, receipt);
        }
        match self.reader.next().await? {
            Record::End(_) => Ok(self.writer.end(None).await?),
            Record::BrokenOff { .. } => Err(Cut::ByTheClient),
            Record::Data(_) => Err(Cut::Malformed(DecodeError::Leftover(1))),
        }
    }

    /// Reads until the bytes are a message.
    async fn message<T>(
        &mut self,
        mut bytes: Vec<u8>,
        decode: impl Fn(&[u8]) -> Result<T, DecodeError>,
    ) -> Result<T, Cut> {
        loop {
            match decode(&bytes) {
                Err(DecodeError::TooShort { .. }) if bytes.len() < MAX_PROPOSAL_LEN => {
                    let next = self.reader.next().await?;
                    bytes = self.read(next, bytes)?;
                }
                decoded => return decoded.map_err(Cut::Malformed),
            }
        }
    }

    fn read(&self, record: Record, mut bytes: Vec<u8>) -> Result<Vec<u8>, Cut> {
        self.activity.note();
        match record {
            Record::Data(data) => bytes.extend(data),
            Record::End(_) | Record::BrokenOff { .. } => return Err(Cut::ByTheClient),
        }
        Ok(bytes)
    }

    async fn set(&self, proposal: &Proposal) -> Result<(), NotSet> {
        let target = self.target(&proposal.purpose)?;
        self.get_ready().await?;
        let key = self.export(&self.client.key_id, proposal)?;
        let _place = self.shared.commands.try_acquire().map_err(|_| NotSet::TooMany)?;
        let variables = User::Session(self.client.clone()).variables();
        let set = self.service.command().run(&key, &target, variables).await;
        set.inspect_err(
            |error| tracing::error!(%error, what = %target, "a pre-shared key could not be set"),
        )?;
        self.expect_the_next(&target, proposal.every);
        Ok(())
    }

    /// From here on, and not only once the client has the key too: it may be gone before it says so.
    fn expect_the_next(&self, target: &KeyTarget, every: u32) {
        let Some(coin) = self.client.coin else { return };
        if self.shared.overdue().expect(coin, target, every).is_err() {
            tracing::warn!(what = %target, %coin, "this coin renews too many keys: if this one is late, no alarm follows");
        }
    }

    /// Where instances share the session, the key must be ready before it is used on a scratch stack.
    async fn get_ready(&self) -> Result<(), NotSet> {
        match &self.shared.sharing {
            Some(sharing) => {
                sharing.prepare(&self.client.key_id, KeyUse::Export).await.map_err(|_| NotSet::NoKey)
            }
            None => Ok(()),
        }
    }

    /// What this client may set.
    fn target(&self, purpose: &Purpose) -> Result<KeyTarget, NotSet> {
        let coin = self.client.coin.ok_or(NotSet::Unproven)?;
        match (purpose, self.service) {
            (Purpose::Command(name), KeyService::Command(_)) => Ok(KeyTarget::Named(name.clone())),
            (
                Purpose::WireGuard(Tunnel { client, server, addresses }),
                KeyService::WireGuard { peers, .. },
            ) => {
                let (own, peer) = (PublicKey(*server), PublicKey(*client));
                if peers.get(&peer) != Some(&coin) {
                    return Err(NotSet::NotItsPeer);
                }
                let from = match self.from {
                    IpAddr::V4(from) => from.to_ipv6_mapped(),
                    IpAddr::V6(from) => from,
                };
                match addresses.contains(&from) {
                    true => Err(NotSet::InsideTheTunnel),
                    false => Ok(KeyTarget::Peer { own, peer }),
                }
            }
            (Purpose::Command(_), KeyService::WireGuard { .. }) => Err(NotSet::OnlyWireGuard),
            (Purpose::WireGuard(_), KeyService::Command(_)) => Err(NotSet::NoWireGuard),
        }
    }

    fn export(&self, key_id: &KeyId, proposal: &Proposal) -> Result<Secret<KEY_LEN>, NotSet> {
        let context = proposal.context();
        let export = Export::new(proposal.label(), &context, KEY_LEN).map_err(|_| NotSet::NoKey)?;
        let mut key = Secret::zeros().map_err(KeyCommandError::from)?;
        let exported = key.expose_mut(|key: &mut [u8; KEY_LEN]| {
            export_to_own(self.shared, key_id, &export, |bytes| key.copy_from_slice(bytes))
        });
        exported.map_err(|error| {
            tracing::warn!(%error, "a pre-shared key was refused");
            NotSet::NoKey
        })?;
        Ok(key)
    }

    /// Notes whether both ends have the key now.
    fn note(&self, proposal: &Proposal, receipt: Receipt) {
        let (Ok(target), Some(coin)) = (self.target(&proposal.purpose), self.client.coin) else { return };
        match receipt {
            Receipt::Set => tracing::info!(what = %target, %coin, "a pre-shared key was set at both ends"),
            Receipt::NotSet => tracing::error!(
                what = %target,
                %coin,
                "a pre-shared key was set here and not at the client: the two ends differ until its next one"
            ),
        }
    }
}

impl ServerContext {
    /// Reports the keys that their clients have not renewed in time. If WireGuard is to fail closed, a random key takes the place of
    /// each.
    pub(super) fn report_late_keys(&self) {
        for (coin, target) in self.overdue().take() {
            tracing::error!(what = %target, %coin, "ALARM: the client has not renewed a pre-shared key in time");
            if let Application::Keys(KeyService::WireGuard { command, fail_closed: true, .. }) =
                &self.application
            {
                let command = command.clone();
                tokio::spawn(async move { replace(&command, &target).await });
            }
        }
    }
}

/// Sets a random key, which the client does not have.
async fn replace(command: &KeyCommand, target: &KeyTarget) {
    let replaced = async { command.run(&Secret::random()?, target, []).await };
    match replaced.await {
        Ok(()) => tracing::warn!(what = %target, "a random key has taken its place"),
        Err(error) => {
            tracing::error!(%error, what = %target, "ALARM: no random key could be set either, so the old one stays");
        }
    }
}

/// Why a client's key is not set, in words for it.
#[derive(Debug, thiserror::Error)]
enum NotSet {
    #[error("the session proves no coin, so nothing says whose key it would be")]
    Unproven,
    #[error(
        "the coin of this session may not set the key of that peer; its Content Server says who may with --wireguard-peer"
    )]
    NotItsPeer,
    #[error(
        "the connection runs through the tunnel that the key is for, and would end with it; route it another way"
    )]
    InsideTheTunnel,
    #[error("this Content Server sets keys of WireGuard only")]
    OnlyWireGuard,
    #[error("this Content Server sets no keys of WireGuard: it was started without --wireguard")]
    NoWireGuard,
    #[error("this session gives no key: it has ended, or its ends do not know each other well")]
    NoKey,
    #[error("too many commands are running; try again later")]
    TooMany,
    #[error(transparent)]
    Command(#[from] KeyCommandError),
}
