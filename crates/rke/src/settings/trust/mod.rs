//! The settings of which Content Servers and which DNS responses the daemon trusts.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use rke_engine::discovery::Dnssec;
use rke_engine::settings::Config;
use rke_engine::trust::Pin;
use serde::Deserialize;

use super::settle::first_given;
use crate::parse::expect_bare;

/// Whom the daemon trusts.
#[derive(Args, Clone, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct TrustOptions {
    /// The only Content Server that a domain may have. It overrides what the daemon remembers. Repeatable.
    #[arg(long, value_name = "DOMAIN=CSID", env = "RKE_PIN")]
    #[serde(default)]
    pin: Vec<String>,
    /// Which DNS responses to accept [default: off].
    #[arg(long, value_name = "WHEN", env = "RKE_DNSSEC")]
    dnssec: Option<DnssecChoice>,
    /// File of DNSKEY records, as dig prints them, to validate with instead of the root's. Each zone needs all of its own.
    #[arg(long, value_name = "FILE", env = "RKE_DNSSEC_ANCHORS")]
    #[serde(alias = "dnssec_anchors")]
    dnssec_anchors: Option<PathBuf>,
}

/// Which DNS responses to accept.
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
    /// Takes from the file what flags and environment left open.
    pub(crate) fn or(self, file: Self) -> Self {
        Self {
            pin: first_given([self.pin, file.pin]),
            dnssec: self.dnssec.or(file.dnssec),
            dnssec_anchors: self.dnssec_anchors.or(file.dnssec_anchors),
        }
    }

    /// Puts these settings into the daemon's settings.
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
        expect_bare(&pin.domain).map_err(anyhow::Error::msg).with_context(|| format!("--pin {text:?}"))?;
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

/// Splits a text at the commas between pins. A Content Server ID may contain commas too, so a part counts as
/// another pin only if it looks like one.
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
mod tests;
