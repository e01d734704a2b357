//! `rke version`: the version of this program, the protocols that it speaks, and how it was built.

use std::env::consts::{ARCH, OS};

use anyhow::Result;
use serde::Serialize;

use crate::terminal::{labelled, out};

/// The versions of each protocol, as in `docs/protocol.md` and `docs/seal-format.md`.
const PROTOCOLS: [(&str, &str); 4] = [
    ("to RAIDAs", "envelopes 0, 1, 4 and 5"),
    ("to Content Servers", "handshake 3, envelope 6"),
    ("sealed data", "format 1"),
    ("HTTP API", env!("CARGO_PKG_VERSION")),
];

/// The column after the names of protocols.
const LABELS: usize = 20;

#[derive(Serialize)]
struct Version {
    command: &'static str,
    success: bool,
    version: &'static str,
    protocols: serde_json::Map<String, serde_json::Value>,
    profile: &'static str,
    platform: String,
}

pub(crate) fn run(json: bool) -> Result<()> {
    let version = Version {
        command: "rke_version",
        success: true,
        version: env!("CARGO_PKG_VERSION"),
        protocols: PROTOCOLS.iter().map(|(what, which)| ((*what).into(), (*which).into())).collect(),
        profile: if cfg!(debug_assertions) { "debug" } else { "release" },
        platform: format!("{ARCH}-{OS}"),
    };
    out(&if json { serde_json::to_string(&version)? } else { version.text() })
}

impl Version {
    fn text(&self) -> String {
        let line = |(what, which): &(&str, &str)| labelled(what, which, LABELS);
        let mut lines = vec![format!("rke {}", self.version)];
        lines.extend(PROTOCOLS.iter().map(line));
        lines.push(labelled("build", &format!("{}, {}", self.profile, self.platform), LABELS));
        lines.join("\n")
    }
}
