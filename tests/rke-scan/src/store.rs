//! A redis-server that machines share, and everything that ever reached it: its memory, what it has written to disk, and all commands
//! that it was given.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::files::files_in;
use crate::handshakes::wait_for;
use crate::needles::{Needles, Secret, Source};
use crate::process::{Scan, scan, scan_bytes};

/// Where the commands are noted, in its folder.
const SEEN: &str = "seen";

/// The server, which keeps everything on disk too. Dropping it kills it.
pub(crate) struct Store {
    server: Child,
    monitor: Child,
    port: u16,
    folder: PathBuf,
    /// Something that it was given in the clear, as a control.
    pub(crate) control: [u8; 32],
}

impl Store {
    /// Starts Debian's redis-server on a free port, with its files in a new folder.
    pub(crate) fn start(folder: &Path) -> Result<Self> {
        fs::create_dir(folder).context("cannot make the store's folder")?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--rdbcompression", "no"]);
        command.args(["--appendonly", "yes", "--appendfsync", "always", "--save", "", "--dir"]).arg(folder);
        let server = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        let server = server.context("redis-server does not run; on Debian `apt-get install redis-server`")?;
        wait_for("the store answers", || Ok(ask(port, &["PING"], b"").is_ok()))?;
        let seen = fs::File::create(folder.join(SEEN))?;
        let monitor = client(port, &["MONITOR"]).stdin(Stdio::null()).stdout(seen).spawn()?;
        let mut control = [0; 32];
        getrandom::fill(&mut control)?;
        let store = Self { server, monitor, port, folder: folder.to_owned(), control };
        wait_for("the store's commands are noted", || Ok(!fs::read(store.folder.join(SEEN))?.is_empty()))?;
        ask(port, &["-x", "SET", "control"], &control)?;
        Ok(store)
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Adds what must be found in it.
    pub(crate) fn add_control(&self, needles: &mut Needles) -> Source {
        needles.add(Secret::SessionId, &self.control)
    }

    /// Searches its memory, a dump, the file that it appends to, and the commands.
    pub(crate) fn scan(&self, needles: &Needles) -> Result<[(&'static str, Scan); 4]> {
        ask(self.port, &["SAVE"], b"")?;
        let files = |what: &str| -> Result<Vec<u8>> {
            let mut all = Vec::new();
            for path in files_in(&self.folder)? {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                if name.contains(what) {
                    all.extend(fs::read(&path)?);
                }
            }
            ensure!(!all.is_empty(), "the store has written no {what} file");
            Ok(all)
        };
        let seen = plain(&fs::read(self.folder.join(SEEN))?);
        Ok([
            ("store: memory", without_its_own(scan(self.server.id() as i32, needles)?)),
            ("store: dump", scan_bytes(&files("dump.rdb")?, "the dump", needles)),
            ("store: appended", scan_bytes(&files(".aof")?, "the file that it appends to", needles)),
            ("store: commands", scan_bytes(&seen, "the commands", needles)),
        ])
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        for process in [&mut self.monitor, &mut self.server] {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Without the key schedules of the random numbers that the server's own cryptography makes.
fn without_its_own(mut scan: Scan) -> Scan {
    scan.hits.retain(|what, _| !what.starts_with("some AES-256 key schedule"));
    scan
}

fn client(port: u16, arguments: &[&str]) -> Command {
    let mut command = Command::new("redis-cli");
    command.args(["-p", &port.to_string()]).args(arguments);
    command
}

/// Gives a command, with this as its last argument where the client is told to read one.
fn ask(port: u16, arguments: &[&str], input: &[u8]) -> Result<()> {
    let mut command = client(port, arguments);
    let mut asked = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    asked.stdin.take().context("no standard input")?.write_all(input)?;
    let output = asked.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success() && matches!(text.trim(), "OK" | "PONG"), "the store says {text:?}");
    Ok(())
}

/// The bytes of commands as redis-cli prints them: `\\xHH` stands for a byte that is no character.
fn plain(printed: &[u8]) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), printed);
    while let Some((first, others)) = rest.split_first() {
        let escaped = if *first == b'\\' { escaped(others) } else { None };
        let (byte, len) = escaped.unwrap_or((*first, 0));
        bytes.push(byte);
        rest = &others[len..];
    }
    bytes
}

/// The byte that an escape after a backslash stands for, and the length of the escape.
fn escaped(text: &[u8]) -> Option<(u8, usize)> {
    let byte = match text.first()? {
        b'x' => {
            let digits = std::str::from_utf8(text.get(1..3)?).ok()?;
            return Some((u8::from_str_radix(digits, 16).ok()?, 3));
        }
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'a' => 7,
        b'b' => 8,
        other => *other,
    };
    Some((byte, 1))
}
