//! Attackers who come later: each has a recording of everything, and one thing more.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rke_engine::Domain;
use rke_engine::exchange::KeptSecret;
use rke_engine::keys::{Keystore, Limits};
use rke_host::data_dir::{DataDir, Role, Sharing};
use rke_host::udp::{self, Pool};
use rke_host::wallet::{self, CoinFile, Envelope1, Proof, Wallet, all_coin_files};
use rke_proto::command;
use rke_proto::derive::{ShareKind, ShareWidth};
use rke_proto::envelope::{self, EnvelopeKey};
use rke_proto::handshake::{ExchangePrologue, FirstPacket, Prologue, psk};
use rke_proto::header::RequestHeader;
use rke_proto::round::{Pace, REQUEST_RANDOM_LEN, Recipient, Round, RoundConfig};
use rke_proto::{Envelope, KeyContext, RaidaIndex};
use rke_raida::network::LocalNetwork;
use rke_secret::Secret;
use tokio::time::Instant;

use crate::Outcome;
use crate::noise::{Opened, Recorded, expand};
use crate::scene::{DOMAIN, SECRET, Scene, contains, dishonest};

/// Shares, by RAIDA.
pub(crate) type Shares = Vec<(RaidaIndex, Secret<32>)>;

/// An eavesdropper with a coin of its own, who sends the same RAIDAs the same request.
pub(crate) async fn sniffer(scene: Scene) -> Result<Outcome> {
    let mut psks = Vec::new();
    for prologue in exchanges(&scene)? {
        let shares = ask(&scene.network, &scene.network.other_wallet(), &prologue.context).await?;
        ensure!(shares.len() == 25, "the RAIDAs do not answer a coin that they know");
        psks.push(psk_of(&prologue, &shares)?);
    }
    Ok(Outcome::of(opens_the_secret(&scene, &psks)))
}

/// A thief with all master secrets, the daemon's data directory, and the recording.
pub(crate) fn thief(scene: Scene) -> Result<Outcome> {
    let mut psks = Vec::new();
    for prologue in exchanges(&scene)? {
        psks.push(psk_of(&prologue, &true_shares(&scene.network, &prologue)?)?);
    }
    psks.push(cached_secret(&scene.stolen_data_dir)?);
    Ok(Outcome::of(opens_the_secret(&scene, &psks)))
}

/// One of the RAIDAs: it has the request, its own AN of the user's coins, and a coin of its own. It requests the
/// user's shares from the others, as itself and as the user.
pub(crate) async fn dishonest_raida(scene: Scene) -> Result<Outcome> {
    let mut psks = Vec::new();
    for context in contexts_from_requests(&scene)? {
        let shares = ask(&scene.network, &scene.network.other_wallet(), &context).await?;
        for prologue in exchanges(&scene)?.into_iter().filter(|prologue| prologue.context == context) {
            psks.push(psk_of(&prologue, &shares)?);
        }
        let posing = ask_with_one_an(&scene.network, &context).await?;
        ensure!(posing.len() <= 1, "a RAIDA took another's AN for its own");
    }
    ensure!(!psks.is_empty(), "the dishonest RAIDA was not asked");
    Ok(Outcome::of(opens_the_secret(&scene, &psks)))
}

/// The exchanges that were recorded, which name themselves in the clear.
pub(crate) fn exchanges(scene: &Scene) -> Result<Vec<ExchangePrologue>> {
    let mut found = Vec::new();
    for recording in &scene.recordings {
        // Records follow the first packet.
        let whole = first_packet_of(&recording.to_server).unwrap_or_default();
        if let Ok(FirstPacket::Handshake { prologue: Prologue::Exchange(exchange), .. }) =
            FirstPacket::decode(whole)
        {
            found.push(exchange);
        }
    }
    ensure!(!found.is_empty(), "no exchange was recorded");
    Ok(found)
}

fn first_packet_of(bytes: &[u8]) -> Option<&[u8]> {
    let content = usize::from(u16::from_be_bytes([*bytes.get(5)?, *bytes.get(6)?]));
    let at = 7 + content;
    let message = usize::from(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
    bytes.get(..at + 2 + message)
}

/// The psk of an exchange, if these are its shares.
pub(crate) fn psk_of(prologue: &ExchangePrologue, shares: &Shares) -> Result<[u8; 32]> {
    let mut used: Vec<_> = shares.iter().filter(|(raida, _)| prologue.raidas().contains(*raida)).collect();
    used.sort_by_key(|(raida, _)| *raida);
    let shares = used.into_iter().map(|(_, share)| share);
    Ok(psk::from_shares(shares, ShareWidth::Wide, &prologue.to_bytes())?.expose(|psk| *psk))
}

/// Whether one of these psks, or what follows from it, opens the secret in any recording.
fn opens_the_secret(scene: &Scene, psks: &[[u8; 32]]) -> bool {
    let mut psks = psks.to_vec();
    let recorded: Vec<Recorded<'_>> = scene
        .recordings
        .iter()
        .filter_map(|recording| Recorded::new(&recording.to_server, &recording.from_server))
        .collect();
    // Sessions first: their keys open the connections that attach to them.
    for of_sessions in [true, false] {
        for recording in recorded.iter().filter(|recording| (recording.kind != 5) == of_sessions) {
            let opened: Vec<Opened> = psks.iter().filter_map(|psk| recording.open(psk)).collect();
            if opened.iter().any(|opened| contains(&opened.data, SECRET)) {
                return true;
            }
            psks.extend(opened.iter().map(|opened| expand(&opened.key, &[b"RKE-Attach-v3.0"])));
        }
    }
    false
}

/// Asks all RAIDAs for shares with the coins of a wallet, as the daemon does.
pub(crate) async fn ask(network: &LocalNetwork, wallet: &Path, context: &KeyContext) -> Result<Shares> {
    let raidas: Vec<RaidaIndex> = RaidaIndex::all().collect();
    let proofs =
        wallet::prove(&Wallet::at(wallet), &raidas, ShareWidth::Wide, Envelope1::Refused, raidas.len())?;
    collect(network, proofs, context).await
}

/// The same as the user, with the one AN that the dishonest RAIDA knows of the user's coin.
async fn ask_with_one_an(network: &LocalNetwork, context: &KeyContext) -> Result<Shares> {
    let file = all_coin_files(network.wallet()).into_iter().next().context("the user has no coin")?;
    let file = CoinFile::open(&file)?;
    let (coin, an) = (file.coin_id(0)?, file.an(0, dishonest()?)?);
    let proof = |raida| -> Result<Proof> {
        let envelope = Envelope::Type4(coin);
        Ok(Proof { raida, envelope, key: EnvelopeKey::of(envelope, &[&an])?, fallback: None })
    };
    let proofs = RaidaIndex::all().map(proof).collect::<Result<_>>()?;
    collect(network, proofs, context).await
}

async fn collect(network: &LocalNetwork, proofs: Vec<Proof>, context: &KeyContext) -> Result<Shares> {
    let recipient = |Proof { raida, envelope, key, .. }| -> Result<Recipient> {
        let mut random = [0; REQUEST_RANDOM_LEN];
        getrandom::fill(&mut random)?;
        let endpoint = network.node_addresses()[raida.position()];
        Ok(Recipient { raida, endpoint, envelope, key, random, pace: Pace::default(), fallback: None })
    };
    let recipients = proofs.into_iter().map(recipient).collect::<Result<_>>()?;
    let mut round = Round::collect_shares(recipients, ShareWidth::Wide, context, RoundConfig::new(25))?;
    let deadline = Instant::now() + Duration::from_secs(3);
    udp::run(&Pool::default(), &mut round, deadline).await?;
    let answered = round.answered();
    round.shares(answered).map(|(raida, share)| Ok((raida, share.duplicate()?))).collect()
}

/// The shares that the master secrets yield for an exchange.
fn true_shares(network: &LocalNetwork, prologue: &ExchangePrologue) -> Result<Shares> {
    let mut shares = Vec::new();
    for group in prologue.groups() {
        let kind = ShareKind::Wide(group.coins);
        shares.extend(network.master_secrets().shares(&prologue.context, kind, group.raidas)?);
    }
    Ok(shares)
}

/// The resumption secret in a stolen data directory of a daemon.
fn cached_secret(data_dir: &Path) -> Result<[u8; 32]> {
    let data_dir = DataDir::open(data_dir, Role::Daemon, Sharing::Alone)?;
    let keystore = Keystore::open(data_dir.into(), Limits { ttl_hours: 24, max: 64 })?;
    let domain = Domain::new(DOMAIN).context("not a domain")?;
    let kept = keystore.get(&domain, |_| true).context("nothing was cached")?;
    match kept.secret {
        KeptSecret::Resumption { secret, .. } => Ok(secret.expose(|secret| *secret)),
        KeptSecret::Narrow { key, .. } => Ok(key.expose(|key| *key)),
    }
}

/// The requests as the dishonest RAIDA can read them.
pub(crate) fn contexts_from_requests(scene: &Scene) -> Result<Vec<KeyContext>> {
    scene.requests.iter().map(|request| read_request(&scene.network, request)).collect()
}

/// Opens a request as the RAIDA does that it was sent to.
pub(crate) fn read_request(network: &LocalNetwork, request: &[u8]) -> Result<KeyContext> {
    let header = RequestHeader::decode(request).map_err(|_| anyhow::anyhow!("not a request"))?;
    let mut ans = Vec::new();
    for coin in header.envelope.coins() {
        let files = all_coin_files(network.wallet()).into_iter().map(|path| CoinFile::open(&path));
        for file in files {
            let file = file?;
            for at in 0..file.coins() {
                if file.coin_id(at)? == coin {
                    ans.push(file.an(at, dishonest()?)?);
                }
            }
        }
    }
    anyhow::ensure!(
        ans.len() == header.envelope.coins().count(),
        "the request names coins that are not the user's"
    );
    let key = EnvelopeKey::of(header.envelope, &ans)?;
    let mut request = request.to_vec();
    let body = envelope::open_request(&header, &key, &mut request);
    let body = body.map_err(|status| anyhow::anyhow!("the request does not open: {status}"))?;
    let (_, rest) = command::split_challenge(body).map_err(|status| anyhow::anyhow!("{status}"))?;
    Ok(command::decode_share_request(rest)?)
}
