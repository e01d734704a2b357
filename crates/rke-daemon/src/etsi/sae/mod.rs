//! Who asks: the SAE that a certificate names. By then TLS has verified the certificate.

use rke_proto::export::etsi::SaeId;
use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

/// DER's tags.
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_ID: u8 = 0x06;
/// UTF8String, PrintableString and IA5String.
const TEXTS: [u8; 3] = [0x0C, 0x13, 0x16];

/// The attribute `commonName`, 2.5.4.3.
const COMMON_NAME: [u8; 3] = [0x55, 0x04, 0x03];

/// The SAE that a certificate names: by its subject's common name, or else by its first DNS name.
pub(super) fn named_by(certificate: &CertificateDer<'_>) -> Option<SaeId> {
    let certificate = EndEntityCert::try_from(certificate).ok()?;
    let name = common_name(certificate.subject());
    let name = name.map(str::to_owned).or_else(|| certificate.valid_dns_names().next().map(str::to_owned));
    SaeId::new(&name?)
}

/// The last common name in the content of a DER-encoded `Name`, which the sequence goes on to from the general to the
/// specific.
fn common_name(mut name: &[u8]) -> Option<&str> {
    let mut found = None;
    while !name.is_empty() {
        let (mut attributes, rest) = element(SET, name)?;
        name = rest;
        while !attributes.is_empty() {
            let (attribute, rest) = element(SEQUENCE, attributes)?;
            attributes = rest;
            let (kind, value) = element(OBJECT_ID, attribute)?;
            if kind == COMMON_NAME {
                let text = TEXTS.iter().find_map(|tag| element(*tag, value));
                found = std::str::from_utf8(text?.0).ok();
            }
        }
    }
    found
}

/// The content of an element with this tag, and what follows it.
fn element(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (first, rest) = der.split_first()?;
    let (len, rest) = length(rest)?;
    if *first != tag {
        return None;
    }
    rest.split_at_checked(len)
}

/// A length of up to two bytes: more than any name needs.
fn length(der: &[u8]) -> Option<(usize, &[u8])> {
    match der {
        [short @ 0..=0x7F, rest @ ..] => Some((usize::from(*short), rest)),
        [0x81, len, rest @ ..] => Some((usize::from(*len), rest)),
        [0x82, high, low, rest @ ..] => Some((usize::from(u16::from_be_bytes([*high, *low])), rest)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
