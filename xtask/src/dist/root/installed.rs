//! The Debian package: installed, used with all of its units, upgraded, removed and purged.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};

use super::NEXT;
use super::container::Container;

/// All files and folders except those that Debian changes by itself: the databases of dpkg and users, caches, logs, and what
/// is gone after a restart.
const FILES: &str = "find / -xdev \\( -path /proc -o -path /sys -o -path /run -o -path /tmp -o -path /dev -o -path /root \
    -o -path /srv -o -path /var/lib/dpkg -o -path /var/lib/apt -o -path /var/cache -o -path /var/log/apt -o -path /var/log/journal \
    -o -path /var/lib/systemd -o -path /var/tmp -o -path /var/log/dpkg.log -o -path /etc/systemd/system/sockets.target.wants \\) -prune -o -print";

/// Makes a network of which the node 7, the Content Server and the daemon then run as units.
const CONFIGURE: &str = r#"
rke net up --domain content.example.com --dir /srv/net --ports 20000
rke net down --dir /srv/net
cd /srv/net
mv raida-7/data /var/lib/rke-raida/7
mv raida-7/coins /var/lib/rke-raida/coins-7
sed -i 's,"coins","/var/lib/rke-raida/coins-7",; /data-dir/d' raida-7/raida.toml
echo 'metrics = "127.0.0.1:9464"' >> raida-7/raida.toml
install -m 644 raida-7/raida.toml /etc/rke/raida-7.toml
chown -R rke-raida: /var/lib/rke-raida
rmdir /var/lib/rke-content-server
mv content-server/data /var/lib/rke-content-server
chown -R rke-content-server: /var/lib/rke-content-server
cat > /etc/rke/content-server.toml <<EOF
cs-id = "CONTENT-SERVER"
domain = ["content.example.com"]
listen = "127.0.0.1:20026"
api = "unix:/run/rke-content-server/api.sock"
api-group = "rke-content-server"
metrics = "127.0.0.1:9465"
EOF
printf 'dns-server = "127.0.0.1:20025"\nallow-private-raidas = true\n' >> /etc/rke/rke.toml
install -d -o rke -m 700 /srv/wallets
cp -r wallet /srv/wallets/alice
chown -R rke: /srv/wallets
for part in dns raida-?*; do
    [ $part = raida-7 ] || systemd-run --quiet --unit=net-$part /srv/net/$part/run
done
"#;

const UNITS: &str = "rke.service rke-content-server.service rke-raida@7.service";

/// Opens a session by the daemon's socket, and has its data come back from the Content Server.
const OPEN: &str = "export RKE_DAEMON=unix:/run/rke/rke.sock
rke session create content.example.com --wallet /srv/wallets/alice > session
echo hello | rke connect $(cat session) | grep hello";

/// The program and the process of each unit.
const PROCESSES: &str = "for unit in rke rke-content-server rke-raida@7; do systemctl show --value --property MainPID $unit; done";

pub(super) fn test(debian: &Container) -> Result<()> {
    let before = files(debian)?;
    install(debian)?;
    use_units(debian)?;
    no_library_is_loaded(debian)?;
    upgrade(debian)?;
    remove(debian)?;
    let left: Vec<String> = files(debian)?.difference(&before).cloned().collect();
    ensure!(left.is_empty(), "a purge leaves: {}", left.join(", "));
    debian.expect("grep rke /etc/passwd", "/var/lib/rke")?;
    Ok(())
}

fn files(debian: &Container) -> Result<BTreeSet<String>> {
    Ok(debian.run(FILES)?.lines().map(str::to_owned).collect())
}

fn install(debian: &Container) -> Result<()> {
    debian.run(concat!("apt-get install -q -y ./rke_", env!("CARGO_PKG_VERSION"), "-1_amd64.deb"))?;
    debian.expect("rke version", concat!("rke ", env!("CARGO_PKG_VERSION")))?;
    // Nothing runs, and nothing will after a restart.
    debian.run("! grep -sx rke /proc/[0-9]*/comm")?;
    debian
        .run("! systemctl is-enabled rke.service rke.socket rke-content-server.service | grep -x enabled")?;
    debian.run("systemd-analyze verify --man=no rke.service rke.socket rke-content-server.service rke-raida@7.service")?;
    debian.expect(
        "stat -c '%U %a' /var/lib/rke /var/lib/rke-raida /var/lib/rke-content-server",
        "rke-content-server 700",
    )?;
    for file in [
        "/usr/share/man/man1/rke-serve.1.gz",
        "/usr/share/bash-completion/completions/rke",
        "/usr/share/zsh/vendor-completions/_rke",
        "/usr/share/fish/vendor_completions.d/rke.fish",
        "/usr/share/doc/rke/html/book/index.html",
        "/usr/share/doc/rke/html/console/console.css",
        "/usr/share/doc/rke/rke.cdx.json",
    ] {
        debian.run(&format!("test -s {file}"))?;
    }
    Ok(())
}

fn use_units(debian: &Container) -> Result<()> {
    debian.run(CONFIGURE)?;
    debian.run(&format!("systemctl enable --now rke.socket {UNITS}"))?;
    debian.wait_for(OPEN)?;
    // Each unit keeps its data, has its sandbox, and is watched.
    debian.expect("rke status --daemon unix:/run/rke/rke.sock", "cannot start programs")?;
    debian.run("! journalctl --no-pager -u 'rke*' | grep -i 'does not limit'")?;
    debian.expect("rke raida status --metrics 127.0.0.1:9464", "Master secrets: 1")?;
    debian.run("curl -sS --fail http://127.0.0.1:9465/health/ready")?;
    debian.expect(
        "rke content-server list --api unix:/run/rke-content-server/api.sock",
        "content.example.com",
    )?;
    debian.run("systemctl reload rke rke-content-server rke-raida@7")?;
    Ok(())
}

/// The program finds groups and hosts although the machine's `nsswitch.conf` names other sources first.
fn no_library_is_loaded(debian: &Container) -> Result<()> {
    debian
        .run("sed -i 's/^\\(hosts\\|group\\):.*/\\1: elsewhere/' /etc/nsswitch.conf && ! getent group rke")?;
    debian.run("rke serve --check-config --unix-socket /run/x.sock --unix-socket-group rke")?;
    debian.run("rke status --daemon localhost:8080")?;
    debian.run("sed -i 's/: elsewhere/: files/' /etc/nsswitch.conf; getent group rke")?;
    Ok(())
}

fn upgrade(debian: &Container) -> Result<()> {
    let before = debian.run(PROCESSES)?;
    let said = debian.run(&format!("apt-get install -q -y ./rke_{NEXT}_amd64.deb"))?;
    for unit in UNITS.split(' ') {
        ensure!(said.contains(unit), "the upgrade does not name {unit}, which runs: {said}");
    }
    ensure!(debian.run(PROCESSES)? == before, "the upgrade restarted a unit");
    // The session that was opened before, at both ends.
    let session = "export RKE_DAEMON=unix:/run/rke/rke.sock; echo again | rke connect $(cat session)";
    debian.expect(session, "again")?;
    debian.expect("readlink /proc/$(systemctl show --value --property MainPID rke)/exe", "(deleted)")?;
    // What is on disk outlives the restart: the session opens from the cache or from shares, with the known Content Server.
    debian.run(&format!("systemctl restart {UNITS}"))?;
    debian.wait_for(OPEN)?;
    debian.expect(
        "runuser -u rke-content-server -- rke content-server key-sets --data-dir /var/lib/rke-content-server",
        "k1",
    )?;
    Ok(())
}

fn remove(debian: &Container) -> Result<()> {
    debian.run("apt-get remove -q -y rke")?;
    debian.run("! systemctl is-active rke rke.socket rke-content-server rke-raida@7 | grep -x active")?;
    debian.run("test -e /var/lib/rke-content-server/master.key && test -e /etc/rke/content-server.toml")?;
    // The rest of the network, which no unit runs.
    debian.run("systemctl stop 'net-*'; rm -r /srv/net /srv/wallets")?;
    debian.run("apt-get purge -q -y rke")?;
    Ok(())
}
