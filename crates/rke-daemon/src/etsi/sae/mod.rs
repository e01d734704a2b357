//! Who asks: the SAE that a certificate names. By then TLS has verified the certificate.

use rke_proto::export::etsi::SaeId;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

/// The SAE that a certificate names: by its subject's common name, or, without one, by its first DNS name. Of several common
/// names the last one counts, because a subject goes from the general to the specific.
pub(super) fn named_by(certificate: &[u8]) -> Option<SaeId> {
    let (rest, certificate) = X509Certificate::from_der(certificate).ok()?;
    if !rest.is_empty() {
        return None;
    }
    match certificate.subject().iter_common_name().last() {
        Some(name) => SaeId::new(name.as_str().ok()?),
        None => SaeId::new(dns_name(&certificate)?),
    }
}

fn dns_name<'a>(certificate: &'a X509Certificate<'_>) -> Option<&'a str> {
    let names = certificate.subject_alternative_name().ok()??;
    names.value.general_names.iter().find_map(|name| match name {
        GeneralName::DNSName(name) => Some(*name),
        _ => None,
    })
}

#[cfg(test)]
mod tests;
