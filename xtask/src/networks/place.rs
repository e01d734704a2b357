//! One network: what runs in its namespace, from the RAIDAs to the daemon.

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::cases::{NetworkCase, Server, Zone};
use super::scripted::{say_nothing, serve};

const DOMAIN: &str = "content.rke.test";
/// The DNS server of `rke dev`.
const ORIGIN: &str = "127.0.0.1:25053";
const DAEMON: &str = "127.0.0.1:8081";
/// A server at the Content Server's port that accepts connections and stays silent.
const SILENT: &str = "127.0.0.7:25443";
const PATIENCE: Duration = Duration::from_secs(30);

/// A network that runs. It ends with its namespace.
pub(super) struct Place<'a> {
    folder: PathBuf,
    row: &'a NetworkCase,
    _running: Vec<Child>,
}

impl<'a> Place<'a> {
    pub(super) fn make(program: &Path, row: &'a NetworkCase) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("rke-network-{}", std::process::id()));
        // The folder of an earlier namespace: process ids start again in each.
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder)?;
        for link in [
            "link set lo up",
            // Drops everything that is sent there.
            "link add hole type veth peer name bottom",
            "link set bottom up",
            "address add 10.0.0.1/24 dev hole",
            "address add fd00::1/64 dev hole nodad",
            "link set hole arp off up",
        ] {
            run(Command::new("ip").args(link.split(' ')))?;
        }
        let mut place = Self { folder, row, _running: Vec::new() };
        place.start_network(program)?;
        say_nothing(SILENT.parse()?)?;
        for (address, server) in row.servers {
            place.start_server(address, server)?;
        }
        place.set_resolv_conf(row.resolv_conf)?;
        run(Command::new("mount").arg("--bind").args([&place.resolv_conf(), Path::new("/etc/resolv.conf")]))?;
        place.start_daemon(program)?;
        Ok(place)
    }

    fn resolv_conf(&self) -> PathBuf {
        self.folder.join("resolv.conf")
    }

    fn set_resolv_conf(&self, text: &str) -> Result<()> {
        Ok(fs::write(self.resolv_conf(), text)?)
    }

    /// RAIDAs, a Content Server and its DNS.
    fn start_network(&mut self, program: &Path) -> Result<()> {
        let mut command = Command::new(program);
        command.args(["dev", "--listen", "127.0.0.1:8080", "--data-dir"]).arg(self.folder.join("dev"));
        let child = self.start(command.stdout(Stdio::piped()))?;
        let mut output = BufReader::new(child.stdout.take().context("no output")?);
        let mut line = String::new();
        while !line.contains("Ctrl-C") {
            line.clear();
            ensure!(output.read_line(&mut line)? > 0, "the network does not start");
        }
        Ok(())
    }

    fn start_daemon(&mut self, program: &Path) -> Result<()> {
        let mut command = Command::new(program);
        command.args(["serve", "--allow-private-raidas", "--listen", DAEMON, "--log", "error", "--data-dir"]);
        self.start(command.arg(self.folder.join("daemon")))?;
        wait_for(|| TcpStream::connect(DAEMON).is_ok(), "the daemon")
    }

    fn start_server(&mut self, address: &str, server: &Server) -> Result<()> {
        let (ip, origin): (IpAddr, SocketAddr) = (address.parse()?, ORIGIN.parse()?);
        match server {
            Server::Scripted(way) => return serve((ip, 53).into(), origin, *way),
            Server::Dnsmasq(arguments) => {
                let mut command = Command::new("dnsmasq");
                command.args(["--keep-in-foreground", "--no-resolv", "--no-hosts", "--bind-interfaces"]);
                command.args(["--conf-file=/dev/null", "--pid-file=", "--user=root"]).args(*arguments);
                command.arg(format!("--listen-address={ip}")).arg("--server=127.0.0.1#25053");
                self.start(&mut command)?;
            }
            Server::Unbound => {
                let file = self.configure(address, &unbound(ip))?;
                self.start(Command::new("unbound").args(["-d", "-p", "-c"]).arg(file))?;
            }
            Server::Knot(zone) => {
                let file = self.folder.join("zone");
                fs::write(&file, zone_file(*zone)?)?;
                let file = self.configure(address, &knot(ip, &self.folder, &file))?;
                self.start(Command::new("knotd").arg("-c").arg(file))?;
            }
        }
        wait_for(|| is_there(ip), "a DNS server")
    }

    fn configure(&self, name: &str, text: &str) -> Result<PathBuf> {
        let file = self.folder.join(format!("{name}.conf"));
        fs::write(&file, text)?;
        Ok(file)
    }

    fn start(&mut self, command: &mut Command) -> Result<&mut Child> {
        if command.get_program() == "dnsmasq"
            || command.get_program() == "unbound"
            || command.get_program() == "knotd"
        {
            command.stdout(Stdio::null()).stderr(Stdio::null());
        }
        let child = command.process_group(0).spawn();
        self._running.push(child.with_context(|| format!("cannot start {:?}", command.get_program()))?);
        Ok(self._running.last_mut().unwrap_or_else(|| unreachable!("it has just been pushed")))
    }

    /// Opens the first session. Returns its result, and how long it took.
    pub(super) fn open_session(&self) -> Result<(String, Duration)> {
        let wallet = self.folder.join("dev/wallet");
        let target = format!("/api/rke/session?domain={DOMAIN}&wallet_path={}", wallet.display());
        let began = Instant::now();
        let (mut outcome, mut took) = (get(&target)?, began.elapsed());
        if let Some(text) = self.row.then {
            ensure!(outcome.contains("the DNS server 127.0.0.9 "), "it was found at once: {outcome}");
            self.set_resolv_conf(text)?;
            let again = Instant::now();
            outcome = get(&target)?;
            took = again.elapsed();
        }
        let opened = outcome.contains("\"success\":true");
        let outcome = match (opened, self.row.then) {
            (true, None) => "a session".into(),
            (true, Some(_)) => "not found, then a session".into(),
            (false, _) => outcome.lines().last().unwrap_or_default().to_owned(),
        };
        let _ = fs::remove_dir_all(&self.folder);
        Ok((outcome, took))
    }
}

fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot run {:?}", command.get_program()))?;
    ensure!(status.success(), "{command:?} failed");
    Ok(())
}

fn wait_for(mut is_there: impl FnMut() -> bool, what: &str) -> Result<()> {
    let began = Instant::now();
    while !is_there() {
        if began.elapsed() > PATIENCE {
            bail!("{what} does not start");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn is_there(server: IpAddr) -> bool {
    let server = format!("@{server}");
    let asked =
        Command::new("kdig").args([&server, "+timeout=1", "+retry=0", "A", "cs.content.rke.test"]).output();
    asked.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("NOERROR"))
}

/// The body of a response of the daemon.
fn get(target: &str) -> Result<String> {
    let mut stream = TcpStream::connect(DAEMON)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {target} HTTP/1.1\r\nHost: {DAEMON}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    match stream.read_to_string(&mut answer) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => Err(error.into()),
        _ => Ok(answer.split_once("\r\n\r\n").map_or(String::new(), |(_, body)| body.to_owned())),
    }
}

fn unbound(ip: IpAddr) -> String {
    format!(
        "server:\n  interface: {ip}\n  chroot: \"\"\n  username: \"\"\n  pidfile: \"\"\n  use-syslog: no\n  \
         do-daemonize: no\n  do-not-query-localhost: no\n  module-config: \"iterator\"\n  \
         local-zone: \"test.\" transparent\nremote-control:\n  control-enable: no\n\
         forward-zone:\n  name: \".\"\n  forward-addr: 127.0.0.1@25053\n"
    )
}

fn knot(ip: IpAddr, folder: &Path, zone: &Path) -> String {
    let folder = folder.display();
    format!(
        "server:\n  listen: {ip}@53\n  rundir: {folder}\ndatabase:\n  storage: {folder}/knot\nlog:\n  - target: stderr\n    \
         any: critical\nzone:\n  - domain: rke.test\n    file: {}\n",
        zone.display()
    )
}

/// The records of the network, as an authoritative server has them.
fn zone_file(zone: Zone) -> Result<String> {
    let texts = texts()?;
    let head = "$ORIGIN rke.test.\n$TTL 60\n@ SOA ns admin 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n\
                $ORIGIN content.rke.test.\ncs A 127.0.0.1\n";
    let txt = |owner: &str, texts: &[String]| {
        texts.iter().map(|text| format!("{owner} TXT {text}\n")).collect::<String>()
    };
    Ok(match zone {
        Zone::Plain => format!("{head}_rke._udp SRV 0 0 25443 cs\n{}", txt("_rke._udp", &texts)),
        Zone::Aliases => format!(
            "{head}_rke._udp CNAME one\none CNAME two\ntwo CNAME three\nthree SRV 0 0 25443 my_host\nmy_host CNAME cs\n{}",
            txt("three", &texts)
        ),
        Zone::Untidy => format!("{head}_rke._udp SRV 0 0 25443 cs\n{}", txt("_rke._udp", &untidy(&texts))),
        Zone::Before(records) => format!(
            "{head}_rke._udp SRV 1 0 25443 bad\n_rke._udp SRV 2 0 25443 cs\n{records}{}",
            txt("_rke._udp", &texts)
        ),
    })
}

/// The texts of the network's own records, in quotes.
fn texts() -> Result<Vec<String>> {
    let output = Command::new("kdig")
        .args(["@127.0.0.1", "-p", "25053", "+tcp", "+short", "TXT", "_rke._udp.content.rke.test"])
        .output()
        .context("cannot run kdig")?;
    let texts: Vec<String> = String::from_utf8(output.stdout)?.lines().map(str::to_owned).collect();
    ensure!(texts.len() > 25, "the network's records are not there: {texts:?}");
    Ok(texts)
}

/// Some with quotes of their own, some with a semicolon, two in one with a backslash and an n between them.
fn untidy(texts: &[String]) -> Vec<String> {
    let plain: Vec<&str> = texts.iter().map(|text| text.trim_matches('"')).collect();
    let (two, rest) = plain.split_at(2);
    let rest = rest.iter().enumerate().map(|(at, text)| match at % 3 {
        0 => format!("\"\\\"{text}\\\"\""),
        1 => format!("\"{text}\\;\""),
        _ => format!("\"{text}\""),
    });
    std::iter::once(format!("\"{}\\\\n{}\"", two[0], two[1])).chain(rest).collect()
}
