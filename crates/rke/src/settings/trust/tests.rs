use super::*;

fn settled(pin: &[&str], dnssec: Option<DnssecChoice>, anchors: Option<&str>) -> Result<Config> {
    let pin = pin.iter().map(|text| (*text).into()).collect();
    let mut config = Config::new("/x".into());
    TrustOptions { pin, dnssec, dnssec_anchors: anchors.map(Into::into) }.settle(&mut config)?;
    Ok(config)
}

#[test]
fn pins_are_given_one_by_one_or_with_commas_between_them() {
    let config = settled(&["a.test=A", "b.test=B,1,c.test=C", "a.test=A"], None, None).expect("pins");
    let pins = config.reloadable.pins.iter().map(|pin| format!("{}={}", pin.domain, pin.cs_id));
    assert_eq!(pins.collect::<Vec<_>>(), ["a.test=A", "b.test=B,1", "c.test=C"]);
}

#[test]
fn wrong_pins_and_two_ids_for_a_domain_are_refused() {
    for bad in [&["a.test"][..], &["=A"], &["a.test="], &["a.test=A", "A.test=B"]] {
        assert!(settled(bad, None, None).is_err(), "{bad:?}");
    }
    let error = settled(&["a.test=A", "A.test=B"], None, None).expect_err("two IDs").to_string();
    assert!(error.contains("both A and B for a.test"), "{error}");
    let error = settled(&["_rke._udp.a.test=A"], None, None).expect_err("not the domain");
    assert!(format!("{error:#}").ends_with("; write a.test"), "{error:#}");
}

#[test]
fn keys_for_validation_need_validation() {
    let config = settled(&[], Some(DnssecChoice::Try), Some("/k")).expect("settings");
    assert_eq!((config.fixed.dnssec, config.fixed.dnssec_anchors), (Dnssec::Try, Some("/k".into())));
    assert!(settled(&[], None, Some("/k")).is_err());
    assert!(settled(&[], Some(DnssecChoice::Off), Some("/k")).is_err());
}
