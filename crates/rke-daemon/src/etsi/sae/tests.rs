use rcgen::{CertificateParams, DnType, DnValue, KeyPair};

use super::*;

/// A second common name: rcgen keeps one of each of its own kinds.
const COMMON_NAME: [u64; 4] = [2, 5, 4, 3];

fn certificate(names: Vec<(DnType, DnValue)>, hosts: &[&str]) -> Vec<u8> {
    let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(hosts).expect("parameters");
    params.distinguished_name = rcgen::DistinguishedName::new();
    names.into_iter().for_each(|(kind, text)| params.distinguished_name.push(kind, text));
    let key = KeyPair::generate().expect("a key");
    params.self_signed(&key).expect("a certificate").der().to_vec()
}

fn named(names: Vec<(DnType, DnValue)>, hosts: &[&str]) -> Option<String> {
    named_by(&certificate(names, hosts)).map(|sae| sae.to_string())
}

fn text(text: &str) -> DnValue {
    DnValue::Utf8String(text.into())
}

#[test]
fn the_last_common_name_counts_in_any_kind_of_text() {
    let printable = DnValue::PrintableString("SAE_1".replace('_', "-").try_into().expect("printable"));
    let ia5 = DnValue::Ia5String("SAE-1".try_into().expect("ASCII"));
    for name in [text("SAE-1"), printable, ia5] {
        let names = vec![(DnType::OrganizationName, text("An operator")), (DnType::CommonName, name)];
        assert_eq!(named(names, &["sae.example"]).as_deref(), Some("SAE-1"));
    }
    let two = vec![
        (DnType::CommonName, text("An operator")),
        (DnType::CustomDnType(COMMON_NAME.to_vec()), text("SAE 2")),
    ];
    assert_eq!(named(two, &[]).as_deref(), Some("SAE 2"));
}

#[test]
fn without_a_common_name_the_first_dns_name_counts() {
    let of = |hosts: &[&str]| named(vec![(DnType::OrganizationName, text("An operator"))], hosts);
    assert_eq!(of(&["192.0.2.1", "sae-1.example", "sae-2.example"]).as_deref(), Some("sae-1.example"));
    assert_eq!(of(&["192.0.2.1"]), None);
    assert_eq!(of(&[]), None);
}

#[test]
fn what_is_cut_or_no_text_is_no_name() {
    let whole = certificate(vec![(DnType::CommonName, text("SAE_1"))], &[]);
    assert!(named_by(&whole).is_some());
    for end in 0..whole.len() {
        assert_eq!(named_by(&whole[..end]), None, "{end}");
    }
    let wide = DnValue::BmpString("SAE_1".try_into().expect("two bytes for each character"));
    let hosts = ["sae.example"];
    assert_eq!(named(vec![(DnType::CommonName, wide)], &hosts), None, "nor is another name taken for it");
    assert_eq!(named(vec![(DnType::CommonName, text("SAE\n1"))], &hosts), None);
    assert_eq!(named(vec![(DnType::CommonName, text(&"x".repeat(256)))], &hosts), None);
}
