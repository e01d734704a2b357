//! An eavesdropper who wants the user's coins: it records every datagram of a hundred live exchanges with every kind
//! of public server, with envelope 1 allowed, and searches them for ANs.

use std::path::Path;
use std::sync::PoisonError;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rke_client::{Client, KeyChoice, call};
use rke_daemon::Daemon;
use rke_engine::Domain;
use rke_engine::settings::Confirm;
use rke_proto::challenge::RANDOM_LEN;
use rke_proto::cipher::{BLOCK_LEN, aes128_ctr};
use rke_proto::coin::AN_LEN;
use rke_proto::header::{RequestHeader, SHORT_HEADER_LEN};
use rke_proto::{Challenge, Envelope};
use rke_raida::content_server::DnsRecords;
use rke_raida::responder::VERSION;

use crate::Outcome;
use crate::scene::{DOMAIN, any_port, config, dns, network, with_node};
use crate::tap::{self, Datagrams};

const EXCHANGES: usize = 100;

pub(crate) async fn attack(folder: &Path) -> Result<Outcome> {
    let mut network = network(folder).await?;
    let mut records = of_all_raidas(network.add_narrow_key_set().await?);
    network.imitate_all_kinds().await?;
    let mut taps = Vec::new();
    for node in network.node_addresses() {
        let (tapped, recorded) = tap::udp(*node).await?;
        records = with_node(&records, *node, tapped);
        taps.push(recorded);
    }
    let dns = dns(&records, any_port()).await?;
    let domain = Domain::new(DOMAIN).context("not a domain")?;
    let mut config = config(&folder.join("daemon"), dns.address());
    config.reloadable.allow_weak_shares = vec![domain.clone()];
    config.reloadable.allow_envelope_1 = vec![domain];
    config.reloadable.confirm = Confirm::Require;
    config.reloadable.exchange_timeout = Duration::from_secs(10);
    config.reloadable.max_sessions = EXCHANGES;
    let daemon = Daemon::start(config).await?;
    let client = Client::new(daemon.address().to_string());
    for _ in 0..EXCHANGES {
        client.ask(&call::create(DOMAIN, network.wallet(), KeyChoice::Fresh)).await?;
    }
    daemon.stop().await;
    let recorded: Vec<Datagrams> =
        taps.iter().map(|tap| tap.lock().unwrap_or_else(PoisonError::into_inner).clone()).collect();
    let in_envelope_1 = recorded.iter().filter(|datagrams| pairs(datagrams).count() >= EXCHANGES).count();
    ensure!(in_envelope_1 == 8, "{in_envelope_1} of 8 RAIDAs that know only envelope 1 were asked in it");
    Ok(Outcome::of(recorded.iter().any(gives_an_an)))
}

/// Records that require the shares of all RAIDAs, including those that know only envelope 1.
fn of_all_raidas(records: DnsRecords) -> DnsRecords {
    let require_all = |text: String| match text.starts_with("required raidas") {
        true => "required raidas>=25".into(),
        false => text,
    };
    DnsRecords { texts: records.texts.into_iter().map(require_all).collect(), ..records }
}

/// Requests in envelope 1, each with its response.
fn pairs(datagrams: &Datagrams) -> impl Iterator<Item = (&[u8], &[u8])> {
    let requests = datagrams.requests.iter().map(Vec::as_slice).filter(|request| is_envelope_1(request));
    requests.filter_map(|request| {
        let echo = request.get(30..32)?;
        let mut responses = datagrams.responses.iter().map(Vec::as_slice);
        Some((request, responses.find(|response| response.get(6..8) == Some(echo))?))
    })
}

fn is_envelope_1(request: &[u8]) -> bool {
    RequestHeader::decode(request).is_ok_and(|header| matches!(header.envelope, Envelope::Type1(_)))
}

/// Whether an AN follows from the datagrams recorded at a RAIDA and from known texts: the 1-byte shares, which RAIDAs
/// give to every client, and the version.
fn gives_an_an(datagrams: &Datagrams) -> bool {
    let shares: Vec<[u8; 1]> = (0..=u8::MAX).map(|share| [share]).collect();
    let texts = || shares.iter().map(<[u8; 1]>::as_slice).chain([VERSION]);
    pairs(datagrams).any(|(request, response)| texts().any(|text| an(request, response, text).is_some()))
}

/// The AN, if this is the text of the response and its counter restarts: the text reveals the challenge, and the
/// challenge the signature. Twelve bytes of a challenge determine the rest. A shorter text leaves at least 88 bits of
/// the AN, which are too many to try.
fn an(request: &[u8], response: &[u8], text: &[u8]) -> Option<[u8; AN_LEN]> {
    let sent = request.get(SHORT_HEADER_LEN..SHORT_HEADER_LEN + AN_LEN)?;
    let said = response.get(SHORT_HEADER_LEN..SHORT_HEADER_LEN + text.len())?;
    let signature = response.get(16..16 + AN_LEN)?;
    let mut random = [0; RANDOM_LEN];
    for (at, byte) in random.iter_mut().enumerate() {
        *byte = sent[at] ^ said.get(at)? ^ text.get(at)?;
    }
    let challenge = Challenge::new(random);
    let mut an = [0; AN_LEN];
    for (at, byte) in an.iter_mut().enumerate() {
        *byte = challenge.as_bytes()[at] ^ signature[at];
    }
    // The right one opens the request.
    let (mut block, mut opened) = ([0; BLOCK_LEN], sent.to_vec());
    block[..8].copy_from_slice(request.get(24..32)?);
    aes128_ctr(&an, &block, &mut opened);
    (opened == challenge.as_bytes()).then_some(an)
}
