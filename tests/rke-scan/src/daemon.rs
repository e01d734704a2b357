//! A process of `rke` as a user starts it, and requests to its HTTP API.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// How long to wait after a request that was one too many, and how often.
const WAIT: Duration = Duration::from_millis(500);
const MOST_WAITS: usize = 20;

/// Lines that are shown when something has gone wrong.
const LAST_WORDS: usize = 12;

/// A running `rke`. Dropping it kills it.
pub(crate) struct Program {
    child: Child,
    output: Arc<Mutex<Vec<String>>>,
}

impl Program {
    /// Starts `rke` with these arguments and this injected fault, if any. It finds programs in `bin` of the folder first.
    pub(crate) fn start(
        program: &Path,
        arguments: &[String],
        fault: Option<&str>,
        folder: &Path,
    ) -> Result<Self> {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(Stdio::piped()).env_remove("RKE_FAULT");
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", folder.join("bin").display()));
        if let Some(fault) = fault {
            command.env("RKE_FAULT", fault);
        }
        let mut child = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
        let output = Arc::new(Mutex::new(Vec::new()));
        if let Some(stderr) = child.stderr.take() {
            let output = Arc::clone(&output);
            std::thread::spawn(move || {
                for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                    output.lock().unwrap_or_else(PoisonError::into_inner).push(line);
                }
            });
        }
        Ok(Self { child, output })
    }

    pub(crate) fn process(&self) -> i32 {
        self.child.id() as i32
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.output.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// In how many lines it has said this.
    pub(crate) fn count(&self, text: &str) -> usize {
        let lines = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().filter(|line| line.contains(text)).count()
    }

    /// The last that it has said to people.
    pub(crate) fn last_words(&self) -> String {
        let lines = self.lines();
        let is_for_people = |line: &&String| !line.contains("\"TRACE\"") && !line.contains("\"DEBUG\"");
        let lines: Vec<&str> = lines.iter().filter(is_for_people).map(String::as_str).collect();
        lines[lines.len().saturating_sub(LAST_WORDS)..].join("\n")
    }

    /// Waits until a line of the log gives what `find` looks for.
    pub(crate) fn wait_for_line<T>(&mut self, find: impl Fn(&str) -> Option<T>) -> Result<T> {
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline {
            if let Some(found) = self.lines().iter().find_map(|line| find(line)) {
                return Ok(found);
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("rke ended with {status}: {}", self.last_words());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        bail!("rke did not start: {}", self.last_words())
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill(Pid::from_raw(self.process()), signal)?)
    }

    pub(crate) fn terminate(&self) -> Result<()> {
        self.signal(Signal::SIGTERM)
    }

    /// Waits for its end. Returns its output, too.
    pub(crate) fn wait_with_lines(mut self) -> Result<(std::process::ExitStatus, String)> {
        let status = self.child.wait()?;
        Ok((status, self.last_words()))
    }

    /// Whether it aborts, now or in the next seconds, and says this.
    pub(crate) fn has_aborted_over(&mut self, what: &str) -> Result<bool> {
        let deadline = Instant::now() + Duration::from_secs(5);
        while Instant::now() < deadline {
            let status = self.child.try_wait()?;
            let has_said = self.lines().iter().any(|line| line.contains(what));
            if has_said && status.is_some_and(|status| status.signal() == Some(Signal::SIGABRT as i32)) {
                return Ok(true);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(false)
    }

    pub(crate) fn wait(mut self) -> Result<std::process::ExitStatus> {
        Ok(self.child.wait()?)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Length of a token, in hex digits.
const TOKEN_LEN: usize = 64;

/// The API of a daemon, or the one that a Content Server has for its application.
#[derive(Clone, Copy)]
pub(crate) struct Api {
    address: SocketAddr,
    token: Option<[u8; TOKEN_LEN]>,
}

impl Api {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address, token: None }
    }

    /// With the token in a file.
    pub(crate) fn with_token(address: SocketAddr, file: &Path) -> Result<Self> {
        let text = std::fs::read(file)?;
        Ok(Self { address, token: Some(*text.first_chunk().context("no token")?) })
    }

    pub(crate) fn address(self) -> SocketAddr {
        self.address
    }

    pub(crate) fn connect(self) -> Result<TcpStream> {
        let stream = TcpStream::connect(self.address).context("cannot reach the program")?;
        stream.set_read_timeout(Some(Duration::from_secs(120)))?;
        Ok(stream)
    }

    /// Sends a GET and gives the connection, to read the answer from or to hang up.
    pub(crate) fn send(self, target: &str) -> Result<TcpStream> {
        let mut stream = self.connect()?;
        write!(stream, "{}\r\n", self.head("GET", target))?;
        Ok(stream)
    }

    /// The head of a request, to which headers can be added.
    pub(crate) fn head(self, method: &str, target: &str) -> String {
        let token = self.token.as_ref().map(|token| String::from_utf8_lossy(token).into_owned());
        let token = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
        format!("{method} /api/rke/{target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{token}")
    }

    /// The status and the body of a response.
    pub(crate) fn get(self, target: &str) -> Result<(u16, Value)> {
        let mut answer = String::new();
        self.send(target)?.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("not an HTTP answer")?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        Ok((status.context("no status")?, serde_json::from_str(body)?))
    }

    /// The body of a successful response. If the daemon tells the client to slow down, this retries.
    pub(crate) fn expect(self, target: &str) -> Result<Value> {
        for _ in 0..MOST_WAITS {
            match self.get(target)? {
                (200, body) => return Ok(body),
                (429, _) => std::thread::sleep(WAIT),
                (status, body) => bail!("{target}: {status} {body}"),
            }
        }
        bail!("{target}: still refused as one too many")
    }
}

/// The 32 bytes of the cache's master key in a data directory.
pub(crate) fn cache_master_key(data_dir: &Path) -> Result<[u8; 32]> {
    let mut key = [0; 32];
    File::open(data_dir.join("master.key"))?.read_exact(&mut key)?;
    Ok(key)
}
