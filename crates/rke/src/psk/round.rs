//! One renewal of a key, in a session of its own: each key comes from a key exchange of its own, and is gone with it.
//! `docs/protocol.md` section 7.12.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use rke_client::{Client, Stream, call};
use rke_proto::DecodeError;
use rke_proto::preshared::{KEY_LEN, NONCE_LEN, Name, Proposal, Purpose, Receipt, Response, Tunnel};
use rke_raida::content_server::{Interface, KeyCommand, KeyCommandError, KeyTarget, PublicKey};
use rke_secret::{Secret, fill_random};
use tokio::io::{AsyncWriteExt, duplex};
use tokio::time::timeout;

use super::wireguard;
use crate::cli::psk::KeySource;
use crate::key_response::KeyResponse;
use crate::terminal::clean;
use crate::tunnel::Supply;

/// How long a renewal may take, with an exchange.
const LIMIT: Duration = Duration::from_secs(30);

/// Room for all messages of a client.
const MESSAGES_LEN: usize = 1024;

/// What both ends renew.
pub(super) struct Renewal {
    client: Client,
    domain: String,
    wallet: PathBuf,
    command: KeyCommand,
    subject: Subject,
    /// In seconds; 0 for a single key.
    every: u32,
}

/// What a key is for.
pub(super) enum Subject {
    Named(Name),
    WireGuard { interface: Interface, own: PublicKey, peer: PublicKey },
}

impl Renewal {
    pub(super) fn new(
        source: &KeySource,
        command: KeyCommand,
        subject: Subject,
        every: Option<u32>,
    ) -> Result<Self> {
        let wallet = std::path::absolute(&source.wallet).context("cannot make the wallet path absolute")?;
        let (client, domain) = (source.daemon.client(), source.domain.clone());
        Ok(Self { client, domain, wallet, command, subject, every: every.unwrap_or_default() })
    }

    /// Sets a new key at both ends.
    ///
    /// # Errors
    /// Why both ends may not have it.
    pub(super) async fn renew(&self) -> Result<()> {
        let supply = Supply::of_domain(self.client.clone(), &self.domain, Some(&self.wallet))?;
        let renewed = timeout(LIMIT, self.round(&supply)).await;
        supply.end().await;
        renewed.unwrap_or_else(|_| Err(anyhow!("it took longer than {} seconds", LIMIT.as_secs())))
    }

    /// Sets a key at this end.
    ///
    /// # Errors
    /// [`KeyCommandError`].
    pub(super) async fn set(&self, key: &Secret<KEY_LEN>) -> Result<(), KeyCommandError> {
        let target = match &self.subject {
            Subject::Named(name) => KeyTarget::Named(name.clone()),
            Subject::WireGuard { own, peer, .. } => KeyTarget::Peer { own: *own, peer: *peer },
        };
        self.command.run(key, &target, []).await
    }

    async fn round(&self, supply: &Supply) -> Result<()> {
        let session = supply.session().await?;
        let proposal = self.proposal()?;
        let key = self.export(&session, &proposal).await?;
        let (mut input, data) = duplex(MESSAGES_LEN);
        input.write_all(&proposal.to_bytes()).await?;
        let mut stream = self.client.tunnel(&session, data).await?;
        if let Response::NotSet(reason) = response(&mut stream).await? {
            // In order, so that this is not a cut.
            drop(input);
            stream.piece().await?;
            bail!("the Content Server has not set it: {}", clean(&reason));
        }
        let set = self.set(&key).await;
        let receipt = if set.is_ok() { Receipt::Set } else { Receipt::NotSet };
        input.write_all(&[receipt.to_byte()]).await?;
        drop(input);
        set.context("the Content Server has set it, and this end has not")?;
        match stream.piece().await? {
            None => Ok(()),
            Some(_) => bail!("the Content Server sent something after its response"),
        }
    }

    fn proposal(&self) -> Result<Proposal> {
        let mut nonce = [0; NONCE_LEN];
        fill_random(&mut nonce)?;
        let purpose = match &self.subject {
            Subject::Named(name) => Purpose::Command(name.clone()),
            Subject::WireGuard { interface, own, peer } => {
                let addresses = wireguard::addresses(interface)?;
                Purpose::WireGuard(Tunnel { client: own.0, server: peer.0, addresses })
            }
        };
        Ok(Proposal { nonce, every: self.every, purpose })
    }

    /// The key of this end.
    async fn export(&self, session: &str, proposal: &Proposal) -> Result<Secret<KEY_LEN>> {
        let call = call::export(session, proposal.label(), &proposal.context(), KEY_LEN);
        let response = KeyResponse::ask(&self.client, &call).await?;
        Ok(Secret::try_fill(|key| response.read_key(key))?)
    }
}

/// The Content Server's response.
async fn response(stream: &mut Stream) -> Result<Response> {
    let mut bytes = Vec::new();
    loop {
        match Response::decode(&bytes) {
            Err(DecodeError::TooShort { .. }) => match stream.piece().await? {
                Some(piece) => bytes.extend(piece),
                None => bail!(
                    "the Content Server ended the tunnel without a response; was it started with --wireguard or --psk-exec?"
                ),
            },
            decoded => {
                return decoded.context(
                    "the Content Server responds with something else; was it started with --wireguard or --psk-exec?",
                );
            }
        }
    }
}
