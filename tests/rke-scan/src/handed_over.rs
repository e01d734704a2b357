//! Keys for other programs: exported from a session at both ends, made and fetched by ETSI GS QKD 014 at both ends, and
//! given to a command by `rke psk` or `rke wireguard`. Once they are handed over, none is left in a program that they came
//! through, though their sessions live on.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rke_proto::coin::CoinId;
use serde_json::Value;

use crate::content_server::Manners;
use crate::daemon::{Api, Program};
use crate::exports::{LABEL, export};
use crate::handshakes::wait_for;
use crate::needles::{Secret, Source};
use crate::network::{DOMAIN, Network};
use crate::nodes::{application_of, finish_preloading, scan_living, start_preloading, start_serving};
use crate::process::scan;
use crate::report::{Expected, Report};
use crate::sae::{Certificates, Sae};
use crate::subject::{Plan, Subject};

/// The SAEs at the daemon and at the Content Server.
const HERE: &str = "alice";
const THERE: &str = "bob";

/// Length of a key of `rke psk` and `rke wireguard` as a line of Base64.
const LINE_LEN: usize = 45;

/// The command that hands over a key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Command {
    Psk,
    WireGuard,
}

impl Command {
    fn name(self) -> &'static str {
        match self {
            Self::Psk => "rke psk",
            Self::WireGuard => "rke wireguard",
        }
    }
}

/// Runs each command, a quarter as often as the daemon: each run has processes of its own.
pub(crate) fn run_all(plan: &Plan<'_>, report: &mut Report) -> Result<()> {
    for _ in 0..plan.repetitions.div_ceil(4) {
        for command in [Command::Psk, Command::WireGuard] {
            hand_over(plan, report, command).with_context(|| format!("{}: handing over", command.name()))?;
        }
    }
    Ok(())
}

fn hand_over(plan: &Plan<'_>, report: &mut Report, command: Command) -> Result<()> {
    let mut ends = Ends::start(plan, command)?;
    let mut keys = ends.export()?;
    keys.extend(ends.keys_by_etsi()?);
    keys.push(ends.run(plan, report, command)?);
    let mut needles = plan.needles();
    for key in &keys {
        needles.add(Secret::ExportedKey, key);
        ends.daemon.needles.add(Secret::ExportedKey, key);
    }
    let found = ends.daemon.scan()?;
    report.add(plan, "handed over: daemon", "gone", Expected::Nothing, &found);
    let found = scan(ends.server.process(), &needles)?;
    report.add(plan, "handed over: server", "gone", Expected::Nothing, &found);
    ends.daemon.check_told(report, "handed over")?;
    plan.runtime.block_on(ends.daemon.network.stop());
    Ok(())
}

/// A daemon and a Content Server, each with an SAE, and what both use.
struct Ends {
    daemon: Subject,
    server: Program,
    wallet: PathBuf,
    wireguard: WireGuard,
    application: Api,
    sae_here: Sae,
    sae_there: Sae,
}

impl Ends {
    fn start(plan: &Plan<'_>, command: Command) -> Result<Self> {
        let mut network = plan.runtime.block_on(Network::start())?;
        let before = network.master(rke_proto::RaidaIndex::new(24).context("RAIDA 24")?);
        let (preloading, server_dir) = start_preloading(plan, &mut network)?;
        finish_preloading(preloading, &network, before)?;
        // The key interface has a wallet of its own, or the Content Server makes keys from other sessions of its coin.
        let [(wallet, coin), (sae_wallet, sae_coin)] = [new_wallet(&mut network)?, new_wallet(&mut network)?];
        let wireguard = WireGuard::stand_in(network.folder())?;
        // The SAEs of one command come over TLS, and those of the other one over plain HTTP.
        let certificates = match command {
            Command::Psk => Some(Certificates::new(network.folder())?),
            Command::WireGuard => None,
        };
        let identity = |sae: &str| match &certificates {
            Some(certificates) => certificates.flags(),
            None => vec!["--etsi-sae".to_owned(), sae.to_owned()],
        };
        let sae = |server, name| match &certificates {
            Some(certificates) => certificates.sae(server, name),
            None => Sae::plain(server),
        };
        let client = format!("{sae_coin}={HERE}");
        let peer = format!("{coin}={}", WireGuard::public_key(HERE));
        let gets_key = match command {
            Command::Psk => vec!["--psk-exec".to_owned(), wireguard.command(THERE)],
            Command::WireGuard => ["--wireguard", THERE, "--wireguard-peer", &peer].map(Into::into).to_vec(),
        };
        let mut flags = vec!["--api", "127.0.0.1:0", "--allow-export", LABEL];
        flags.extend(["--etsi", "127.0.0.1:0", "--etsi-client", &client]);
        let identity_there = identity(THERE);
        flags.extend(identity_there.iter().chain(&gets_key).map(String::as_str));
        let (mut server, address) = start_serving(plan, &network, &server_dir, &flags)?;
        let begin = "It serves keys by ETSI GS QKD 014 at ";
        let sae_there = server.wait_for_line(|line| line.strip_prefix(begin)?.parse().ok())?;
        let application = application_of(&mut server, &server_dir)?;
        network.set_manners(Manners::PassesOn(address));
        let peer = format!("{THERE}={DOMAIN},{}", sae_wallet.display());
        let mut flags = vec!["--exchange-timeout", "20", "--etsi", "127.0.0.1:0", "--etsi-peer", &peer];
        let identity_here = identity(HERE);
        flags.extend(identity_here.iter().map(String::as_str));
        flags.extend(["--allow-export", "rke-psk", "--allow-export", "rke-wireguard"]);
        let mut daemon = Subject::start_in(network, plan, &flags)?;
        let sae_here = daemon.program.wait_for_line(sae_address)?;
        let (sae_here, sae_there) = (sae(sae_here, HERE)?, sae(sae_there, THERE)?);
        Ok(Self { daemon, server, wallet, wireguard, application, sae_here, sae_there })
    }

    /// A key of a session, at both ends.
    fn export(&self) -> Result<Vec<Vec<u8>>> {
        let api = self.daemon.api;
        let id = self.daemon.create(&self.wallet)?;
        let shown = api.expect(&format!("session/{id}"))?;
        let key = export(api, &id)?;
        let same = export(self.application, shown["key_id"].as_str().context("no key id")?)?;
        ensure!(key == same, "the two ends export different keys");
        Ok(vec![key])
    }

    /// Keys that one end makes and the other one fetches, in both directions.
    fn keys_by_etsi(&mut self) -> Result<Vec<Vec<u8>>> {
        let made_here = self.sae_here.make_keys(THERE)?;
        self.sae_there.fetch_keys(HERE, &made_here)?;
        let made_there = self.sae_there.make_keys(HERE)?;
        self.sae_here.fetch_keys(THERE, &made_there)?;
        Ok(made_here.into_iter().chain(made_there).map(|made| made.key).collect())
    }

    /// Runs a command that waits for its next turn once it has handed over a key. Returns the key.
    fn run(&self, plan: &Plan<'_>, report: &mut Report, command: Command) -> Result<Vec<u8>> {
        self.wireguard.hold(HERE)?;
        let mut program = self.start_command(plan, command)?;
        let mut needles = plan.needles();
        let key = self.wireguard.wait_for_key(HERE).with_context(|| program.last_words())?;
        let source: Source = needles.add(Secret::ExportedKey, &key);
        let found = scan_living(plan, &program, &needles, &[source])?;
        report.add(plan, command.name(), "alive", plan.memory.alive(), &found);
        self.wireguard.let_go(HERE)?;
        program.wait_for_line(|line| line.contains("Both ends have a new key").then_some(()))?;
        ensure!(self.wireguard.wait_for_key(THERE)? == key, "the two ends have different keys");
        report.add(plan, command.name(), "gone", Expected::Nothing, &scan(program.process(), &needles)?);
        program.terminate()?;
        let (status, lines) = program.wait_with_lines()?;
        ensure!(status.success(), "{} ended with {status}: {lines}", command.name());
        Ok(key)
    }

    fn start_command(&self, plan: &Plan<'_>, command: Command) -> Result<Program> {
        let mut arguments: Vec<String> = match command {
            Command::Psk => vec!["psk".into(), "--exec".into(), self.wireguard.command(HERE)],
            Command::WireGuard => {
                let peer = WireGuard::public_key(THERE);
                ["wireguard", "--interface", HERE, "--peer", &peer].map(Into::into).to_vec()
            }
        };
        let wallet = self.wallet.display().to_string();
        let daemon = self.daemon.api.address().to_string();
        arguments.extend(["--every", "3600", "--domain", DOMAIN, "--wallet", &wallet].map(Into::into));
        arguments.extend(["--daemon", &daemon, "--timeout", "20"].map(Into::into));
        arguments.extend(["--secret-memory", plan.memory.name()].map(Into::into));
        Program::start(plan.program, &arguments, plan.fault, self.daemon.network.folder())
    }
}

/// A wallet, and the coin that proves its owner.
fn new_wallet(network: &mut Network) -> Result<(PathBuf, CoinId)> {
    let wallet = network.renew_wallet()?;
    Ok((wallet, network.coins()[0]))
}

/// Where a daemon serves SAEs, in a line of its log.
fn sae_address(line: &str) -> Option<SocketAddr> {
    let line: Value = serde_json::from_str(line).ok()?;
    let fields = &line["fields"];
    let is_it = fields["message"] == "keys are served by ETSI GS QKD 014";
    is_it.then(|| fields["address"].as_str()?.parse().ok()).flatten()
}

/// A stand-in for `wg`, which keeps the key of each interface in a file. It holds back its end while another file is there.
struct WireGuard(PathBuf);

impl WireGuard {
    /// Puts it where programs find it that are started in this folder.
    fn stand_in(folder: &Path) -> Result<Self> {
        const SCRIPT: &str = r#"#!/bin/sh
interface="${0%/*}/$2"
case "$1 $3" in
"show public-key") cat "$interface.own" ;;
"show peers") cat "$interface.peer" ;;
"set peer")
    cat > "$interface.new" && mv "$interface.new" "$interface.key"
    while [ -e "$interface.hold" ]; do sleep 0.02; done
    ;;
"show preshared-keys") printf '%s\t%s\n' "$(cat "$interface.peer")" "$(cat "$interface.key")" ;;
*) exit 1 ;;
esac
"#;
        let programs = folder.join("bin");
        fs::create_dir_all(&programs)?;
        let script = programs.join("wg");
        fs::write(&script, SCRIPT)?;
        fs::set_permissions(&script, fs::Permissions::from_mode(0o700))?;
        for (own, peer) in [(HERE, THERE), (THERE, HERE)] {
            fs::write(programs.join(format!("{own}.own")), Self::public_key(own))?;
            fs::write(programs.join(format!("{own}.peer")), Self::public_key(peer))?;
        }
        Ok(Self(programs))
    }

    /// The public key of an interface. Nothing is encrypted with it.
    fn public_key(interface: &str) -> String {
        STANDARD.encode([interface.as_bytes()[0]; 32])
    }

    /// A command that keeps a key in the same way.
    fn command(&self, interface: &str) -> String {
        format!("{} set {interface} peer", self.0.join("wg").display())
    }

    fn hold(&self, interface: &str) -> Result<()> {
        Ok(fs::write(self.0.join(format!("{interface}.hold")), [])?)
    }

    fn let_go(&self, interface: &str) -> Result<()> {
        Ok(fs::remove_file(self.0.join(format!("{interface}.hold")))?)
    }

    /// The key that an interface has been given.
    fn wait_for_key(&self, interface: &str) -> Result<Vec<u8>> {
        let file = self.0.join(format!("{interface}.key"));
        let read = || fs::read_to_string(&file).unwrap_or_default();
        wait_for("a key is handed over", || Ok(read().len() == LINE_LEN))?;
        Ok(STANDARD.decode(read().trim_end())?)
    }
}
