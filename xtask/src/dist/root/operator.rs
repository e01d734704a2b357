//! The path of an operator: the commands of `docs/install.md` from an empty Debian to a session through another's application, and
//! what may break on the way. Nothing may be lost, and each fault has to be seen.

use std::fs;

use anyhow::{Context, Result, ensure};

use super::NEXT;
use super::container::Container;
use crate::dist::Dist;

/// Where the path is, and its most commands.
const PAGE: &str = "docs/install.md";
const HEADING: &str = "## From an empty machine to a session\n";
const MOST: usize = 10;

/// What the page takes for granted: a repository.
const REPOSITORY: &str = "git init -q --bare -b main /srv/git/project.git
git config --global user.name A; git config --global user.email a@example.com; git config --global init.defaultBranch main
git clone -q /srv/git/project.git work 2>/dev/null; cd work; echo one > file; git add file; git commit -q -m one; git push -q origin HEAD";

/// Another one's program uses a session of its own.
const CLONE: &str = "export RKE_DAEMON=127.0.0.1:20027; rm -rf again
git -c protocol.ext.allow=always clone -q 'ext::rke connect content.example.com --wallet /srv/net/wallet %G/project.git' again
grep -x one again/file";

/// Replaces the key set, and the records in DNS.
const ROTATE: &str = "cd /srv/net/content-server
rke content-server rotate --cs-id CONTENT-SERVER --data-dir data --domain content.example.com --host cs.content.example.com \
    --port 20026 --raida-directory raidas.txt --wallet wallet > records
mv records ../dns/records.zone";

/// A session that stays open through all that breaks.
const KEPT: &str = "rke session create content.example.com --wallet /srv/net/wallet > session 2>/dev/null
echo kept | rke encrypt $(cat session) > sealed";

/// Adds what an operator watches: the metrics of the Content Server, and a small disk for the daemon, which can become full.
const WATCH: &str = "rke net down --dir /srv/net
sed -i 's|--metrics unix:metrics.sock|--metrics 127.0.0.1:9465|' /srv/net/content-server/run
mv /srv/net/daemon/data data; mkdir -m 700 /srv/net/daemon/data
mount -t tmpfs -o size=256k,mode=700 disk /srv/net/daemon/data; cp -a data/. /srv/net/daemon/data
rke net up --dir /srv/net";

const DAEMON: &str = "export RKE_DAEMON=127.0.0.1:20027";
const START: &str = "rke net up --dir /srv/net";
const METRICS: &str = "curl -sS 127.0.0.1:20027/metrics";
const LOG: &str = "cat /srv/net/daemon/log";

/// What doctor says, whatever its exit code.
const DOCTOR: &str = "rke doctor content.example.com --daemon 127.0.0.1:20027 --dns-server 127.0.0.1:20025 \
    --wallet /srv/net/wallet || true";

pub(super) fn test(dist: &Dist, debian: &Container) -> Result<()> {
    debian.run(REPOSITORY)?;
    let commands = commands(dist)?;
    ensure!((1..=MOST).contains(&commands.len()), "the path has {} commands", commands.len());
    debian.run(&(commands.join("\n") + "\ngrep -x one project/file"))?;
    println!("the operator's path: {} commands to a session through git", commands.len());
    debian.run(WATCH)?;
    debian.run(&format!("{DAEMON}; {KEPT}"))?;
    lose_a_node(debian)?;
    rotate(debian)?;
    fill_the_disk(debian)?;
    upgrade(debian)?;
    lose_the_master_key(debian)
}

/// The lines of the first block below the heading. A line is a command.
pub(super) fn commands(dist: &Dist) -> Result<Vec<String>> {
    let text = fs::read_to_string(dist.sources.join(PAGE)).with_context(|| format!("cannot read {PAGE}"))?;
    let (_, section) = text.split_once(HEADING).with_context(|| format!("{PAGE} lacks {HEADING}"))?;
    let (_, block) = section.split_once("```sh").with_context(|| format!("{PAGE} has no commands"))?;
    Ok(block.lines().skip(1).take_while(|line| *line != "```").map(str::to_owned).collect())
}

/// The session from the beginning is still there and has its key, and git gets a new one.
fn nothing_is_lost(debian: &Container, after: &str) -> Result<()> {
    let check = || -> Result<()> {
        debian.expect(&format!("{DAEMON}; rke decrypt $(cat session) sealed"), "kept")?;
        debian.run(CLONE)?;
        Ok(())
    };
    check().with_context(|| format!("after {after}"))
}

/// A session over new shares.
fn open_afresh(debian: &Container) -> Result<()> {
    let open = "ID=$(rke session create content.example.com --wallet /srv/net/wallet --fresh 2>/dev/null)
        echo new | rke encrypt $ID > /dev/null; rke session delete $ID";
    debian.run(&format!("{DAEMON}; {open}"))?;
    Ok(())
}

fn lose_a_node(debian: &Container) -> Result<()> {
    stop(debian, "raida-7")?;
    open_afresh(debian)?;
    nothing_is_lost(debian, "the loss of a node")?;
    debian.expect(&format!("{DAEMON}; rke raidas --format '{{raida}} {{state}}'"), "\n7 failing\n")?;
    debian.expect(METRICS, "rke_raida_well{raida=\"7\"} 0\n")?;
    debian.expect(METRICS, "rke_raida_margin 11\n")?;
    debian.expect(LOG, "raidas=24")?;
    debian.expect(DOCTOR, "nothing listens at the port of RAIDA 7")?;
    debian.expect("! rke net status --dir /srv/net", "1 part not running")?;
    debian.run(START)?;
    nothing_is_lost(debian, "the return of a node")
}

fn rotate(debian: &Container) -> Result<()> {
    debian.run(ROTATE)?;
    stop(debian, "dns")?;
    debian.run(START)?;
    debian.wait_for("curl -sS 127.0.0.1:9465/metrics | grep -F 'key_sets{state=\"retiring\"} 1'")?;
    debian.expect("rke content-server key-sets --data-dir /srv/net/content-server/data", "k2")?;
    debian.expect("cat /srv/net/content-server/log", "a key set is going to retire")?;
    open_afresh(debian)?;
    nothing_is_lost(debian, "a rotation")
}

fn fill_the_disk(debian: &Container) -> Result<()> {
    debian.run("! dd if=/dev/zero of=/srv/net/daemon/data/filler bs=4k count=1000")?;
    debian.wait_for("curl -sS 127.0.0.1:20027/health/ready | grep 'disk is full'")?;
    debian.expect(METRICS, "rke_ready 0\n")?;
    debian.expect(DOCTOR, "disk is full")?;
    open_afresh(debian)?;
    debian.expect(LOG, "No space left on device")?;
    nothing_is_lost(debian, "the disk was full")?;
    debian.run("rm /srv/net/daemon/data/filler")?;
    debian.wait_for("curl -sS --fail 127.0.0.1:20027/health/ready")?;
    nothing_is_lost(debian, "the disk had room again")
}

fn upgrade(debian: &Container) -> Result<()> {
    debian.run(&format!("apt-get install -q -y ./rke_{NEXT}_amd64.deb"))?;
    nothing_is_lost(debian, "an upgrade")
}

fn lose_the_master_key(debian: &Container) -> Result<()> {
    debian.run("mv /srv/net/content-server/data/master.key backup")?;
    nothing_is_lost(debian, "the loss of the master key, while the Content Server runs")?;
    stop(debian, "content-server")?;
    debian.expect(&format!("! {START}"), "master.key is missing")?;
    debian.expect("cat /srv/net/content-server/log", "master.key is missing")?;
    debian.run(&format!(
        "{DAEMON}; ! rke session create content.example.com --wallet /srv/net/wallet --fresh"
    ))?;
    debian.expect(METRICS, "rke_session_creations_total{outcome=\"content_server\"}")?;
    debian.expect(LOG, "no session was opened")?;
    debian.expect(DOCTOR, "the Content Server at cs.content.example.com:20026: it refuses connections")?;
    // What was encrypted before is still open to its session here.
    debian.expect(&format!("{DAEMON}; rke decrypt $(cat session) sealed"), "kept")?;
    debian.run(&format!("mv backup /srv/net/content-server/data/master.key; {START}"))?;
    nothing_is_lost(debian, "the return of the master key")
}

/// Ends the process of a part, as a fault would.
fn stop(debian: &Container, part: &str) -> Result<()> {
    let process = format!("$(cut -d ' ' -f 1 /srv/net/{part}/pid)");
    debian.run(&format!("kill {process}"))?;
    debian.wait_for(&format!("! kill -0 {process}"))?;
    Ok(())
}
