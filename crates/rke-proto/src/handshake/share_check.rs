//! The share check: which of a client's shares differ from the Content Server's. For wide shares only.
//! `docs/protocol.md` section 7, "Liars".

use rke_secret::{Secret, SecretError};
use subtle::ConstantTimeEq;

use super::header::{Kind, with_header};
use super::prologue::ExchangePrologue;
use super::psk;
use super::response::Response;
use crate::cipher::{HMAC_LEN, hmac_sha256};
use crate::cursor::{Cursor, DecodeError};
use crate::derive::{SECRET_LEN, ShareWidth};
use crate::{Bitmap, RAIDA_COUNT, RaidaIndex};

const TAG_LEN: usize = 8;

/// Length of all tags.
pub(super) const TAGS_LEN: usize = RAIDA_COUNT * TAG_LEN;

/// No MAC: too few of the tags match.
const NO_MAC: [u8; HMAC_LEN] = [0; HMAC_LEN];

/// The tag of one share. It reveals nothing about the share.
pub(super) fn tag(share: &[u8; SECRET_LEN], prologue: &[u8]) -> [u8; TAG_LEN] {
    let mut tag = [0; TAG_LEN];
    tag.copy_from_slice(&hmac_sha256(share, &[b"RKE-ShareTag-v3.0", prologue])[..TAG_LEN]);
    tag
}

/// The packet that asks about the shares of a prologue.
pub fn ask<'a>(
    prologue: &ExchangePrologue,
    shares: impl Iterator<Item = (RaidaIndex, &'a Secret<SECRET_LEN>)>,
) -> Vec<u8> {
    let (own, bytes) = (prologue.raidas(), prologue.to_bytes());
    let mut content = prologue.content();
    let tags_at = content.len();
    content.resize(tags_at + TAGS_LEN, 0);
    let (tags, _) = content[tags_at..].as_chunks_mut::<TAG_LEN>();
    for (raida, share) in shares.filter(|(raida, _)| own.contains(*raida)) {
        tags[raida.position()] = share.expose(|share| tag(share, &bytes));
    }
    with_header(Kind::ShareCheck, &content)
}

/// The MAC of a response, under the psk of exactly the shares that are right.
pub(super) fn mac(psk: &Secret<SECRET_LEN>, packet: &[u8], right: Bitmap) -> [u8; HMAC_LEN] {
    psk.expose(|psk| hmac_sha256(psk, &[b"RKE-ShareCheck-v3.0", packet, &right.to_bytes()]))
}

/// The shares of a set, in the order of their RAIDAs.
fn in_order<'a>(
    shares: impl Iterator<Item = (RaidaIndex, &'a Secret<SECRET_LEN>)>,
    of: Bitmap,
) -> impl Iterator<Item = &'a Secret<SECRET_LEN>> {
    let mut chosen: Vec<_> = shares.filter(|(raida, _)| of.contains(*raida)).collect();
    chosen.sort_by_key(|(raida, _)| *raida);
    chosen.into_iter().map(|(_, share)| share)
}

/// Whether a response's MAC proves that the server has exactly these of the client's shares: at least `required`, all
/// of them part of the check. Without that proof no RAIDA is reported as a liar.
///
/// # Errors
/// [`SecretError`], if secret memory is full.
pub fn is_proven<'a>(
    prologue: &ExchangePrologue,
    packet: &[u8],
    shares: impl Iterator<Item = (RaidaIndex, &'a Secret<SECRET_LEN>)>,
    right: Bitmap,
    found: &[u8; HMAC_LEN],
    required: usize,
) -> Result<bool, SecretError> {
    if !right.is_within(prologue.raidas()) || right.count() < required {
        return Ok(false);
    }
    let psk = psk::from_shares(in_order(shares, right), ShareWidth::Wide, &prologue.to_bytes())?;
    Ok(mac(&psk, packet, right).ct_eq(found).into())
}

/// A share check as a server receives it.
#[derive(Debug)]
pub struct ShareCheck<'a> {
    /// The exchange that it is about.
    pub prologue: ExchangePrologue,
    packet: &'a [u8],
    tags: [[u8; TAG_LEN]; RAIDA_COUNT],
}

impl<'a> ShareCheck<'a> {
    pub(super) fn decode(packet: &'a [u8], content: &[u8]) -> Result<Self, DecodeError> {
        let mut cursor = Cursor::new(content);
        let prologue = ExchangePrologue::read(&mut cursor)?;
        let mut tags = [[0; TAG_LEN]; RAIDA_COUNT];
        for tag in &mut tags {
            *tag = cursor.array("tag")?;
        }
        cursor.finish()?;
        Ok(Self { prologue, packet, tags })
    }

    /// The response of a server with these shares, which cover at least the prologue's RAIDAs.
    ///
    /// # Errors
    /// [`SecretError`], if secret memory is full.
    pub fn respond(
        &self,
        shares: &[(RaidaIndex, Secret<SECRET_LEN>)],
        required: usize,
    ) -> Result<Response, SecretError> {
        let (bytes, asked) = (self.prologue.to_bytes(), self.prologue.raidas());
        let matches = |raida: RaidaIndex, share: &Secret<SECRET_LEN>| {
            let own = share.expose(|share| tag(share, &bytes));
            asked.contains(raida) && bool::from(own.ct_eq(&self.tags[raida.position()]))
        };
        let right: Bitmap =
            shares.iter().filter(|(raida, share)| matches(*raida, share)).map(|(raida, _)| *raida).collect();
        if right.count() < required {
            return Ok(Response::Checked { right, mac: NO_MAC });
        }
        let shares = shares.iter().map(|(raida, share)| (*raida, share));
        let psk = psk::from_shares(in_order(shares, right), ShareWidth::Wide, &bytes)?;
        Ok(Response::Checked { right, mac: mac(&psk, self.packet, right) })
    }
}
