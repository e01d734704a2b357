//! The settings of which Content Servers and which DNS the daemon trusts.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use rke_engine::discovery::Dnssec;
use rke_engine::settings::Config;
use rke_engine::trust::Pin;
use serde::Deserialize;

use super::first_given;

/// Whom the daemon trusts.
#[derive(Args, Clone, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct TrustOptions {
    /// The only Content Server that a domain may have. It goes over what the daemon remembers. Repeatable.
    #[arg(long, value_name = "DOMAIN=CSID", env = "RKE_PIN")]
    #[serde(default)]
    pin: Vec<String>,
    /// Which responses of DNS to take [default: off].
    #[arg(long, value_name = "WHEN", env = "RKE_DNSSEC")]
    dnssec: Option<DnssecChoice>,
    /// File of DNSKEY records, as dig prints them, to validate with in place of the root's. Each zone needs all of its own.
    #[arg(long, value_name = "FILE", env = "RKE_DNSSEC_ANCHORS")]
    #[serde(alias = "dnssec_anchors")]
    dnssec_anchors: Option<PathBuf>,
}

/// Which responses of DNS to take.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
enum DnssecChoice {
    /// All; nothing is validated.
    Off,
    /// Those that are validated, and those of zones without signatures.
    Try,
    /// Only those that are validated.
    Require,
}

impl TrustOptions {
    /// Fills what flags and environment left open from the file.
    pub(crate) fn or(self, file: Self) -> Self {
        Self {
            pin: first_given([self.pin, file.pin]),
            dnssec: self.dnssec.or(file.dnssec),
            dnssec_anchors: self.dnssec_anchors.or(file.dnssec_anchors),
        }
    }

    /// Puts them into the daemon's settings.
    pub(crate) fn settle(self, config: &mut Config) -> Result<()> {
        config.reloadable.pins = pins(&self.pin)?;
        config.fixed.dnssec = match self.dnssec {
            None | Some(DnssecChoice::Off) => Dnssec::Off,
            Some(DnssecChoice::Try) => Dnssec::Try,
            Some(DnssecChoice::Require) => Dnssec::Require,
        };
        if self.dnssec_anchors.is_some() && config.fixed.dnssec == Dnssec::Off {
            bail!("--dnssec-anchors has no effect without --dnssec try or --dnssec require; add one of them");
        }
        config.fixed.dnssec_anchors = self.dnssec_anchors;
        Ok(())
    }
}

fn pins(texts: &[String]) -> Result<Vec<Pin>> {
    let mut pins: Vec<Pin> = Vec::new();
    for text in texts.iter().flat_map(|text| split(text)) {
        let pin: Pin = text.parse().map_err(anyhow::Error::msg).with_context(|| format!("--pin {text:?}"))?;
        match pins.iter().find(|other| other.domain == pin.domain) {
            Some(other) if other.cs_id == pin.cs_id => (),
            Some(other) => {
                bail!("--pin names both {} and {} for {}; keep one", other.cs_id, pin.cs_id, pin.domain)
            }
            None => pins.push(pin),
        }
    }
    Ok(pins)
}

/// Several in one text have commas between them. An ID may have commas too: what stands behind one is another
/// pin only where it looks like one.
fn split(text: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for part in text.split(',') {
        match parts.last_mut() {
            Some(last) if part.parse::<Pin>().is_err() => *last += &format!(",{part}"),
            _ => parts.push(part.into()),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
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
    }

    #[test]
    fn keys_for_validation_need_validation() {
        let config = settled(&[], Some(DnssecChoice::Try), Some("/k")).expect("settings");
        assert_eq!((config.fixed.dnssec, config.fixed.dnssec_anchors), (Dnssec::Try, Some("/k".into())));
        assert!(settled(&[], None, Some("/k")).is_err());
        assert!(settled(&[], Some(DnssecChoice::Off), Some("/k")).is_err());
    }
}
