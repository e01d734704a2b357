//! A real redis-server of its own for each test, on a free port, in a folder that is removed with it. The end-to-end tests have this
//! file too.

use std::io::Read;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub(crate) struct Server {
    port: u16,
    folder: TempDir,
    arguments: Vec<String>,
    process: Mutex<Option<Child>>,
}

impl Server {
    /// A server without persistence, unless the arguments ask for it.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let server = Self {
            port: free_port(),
            folder: tempfile::tempdir().expect("a folder"),
            arguments: arguments.iter().map(ToString::to_string).collect(),
            process: Mutex::new(None),
        };
        server.start_again();
        server
    }

    /// Starts it, with what it has on disk.
    pub(crate) fn start_again(&self) {
        let mut command = Command::new("redis-server");
        command.args([
            "--port",
            &self.port.to_string(),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--repl-backlog-ttl",
            "0",
        ]);
        command.arg("--dir").arg(self.folder.path()).args(&self.arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        *lock(&self.process) =
            Some(command.spawn().expect("redis-server; on Debian `apt-get install redis-server`"));
        // Not another test's server, which may have taken the port first.
        let id = lock(&self.process).as_ref().expect("a process").id();
        self.until(|server| server.info("server").contains(&format!("process_id:{id}\r\n")));
    }

    pub(crate) fn kill(&self) {
        if let Some(mut process) = lock(&self.process).take() {
            process.kill().expect("killed");
            process.wait().expect("ended");
        }
    }

    /// Sends `STOP` or `CONT`.
    pub(crate) fn signal(&self, name: &str) {
        let id = lock(&self.process).as_ref().expect("a process").id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().expect("kill").success());
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn cli(&self, arguments: &[&str]) -> String {
        let output = Command::new("redis-cli").args(["-p", &self.port.to_string()]).args(arguments).output();
        String::from_utf8_lossy(&output.expect("redis-cli").stdout).into_owned()
    }

    pub(crate) fn info(&self, section: &str) -> String {
        self.cli(&["INFO", section])
    }

    /// Asks again and again for up to a minute.
    pub(crate) fn until(&self, is_so: impl Fn(&Self) -> bool) {
        let begin = Instant::now();
        while !is_so(self) {
            assert!(begin.elapsed() < Duration::from_secs(60), "the server never came to it");
        }
    }

    /// What `MONITOR` shows while `work` runs.
    pub(crate) async fn monitored(&self, work: impl Future<Output = ()>) -> String {
        let mut command = Command::new("redis-cli");
        let monitor = command.args(["-p", &self.port.to_string(), "MONITOR"]).stdout(Stdio::piped());
        let mut monitor = monitor.spawn().expect("redis-cli");
        self.until(|server| server.cli(&["CLIENT", "LIST"]).contains("cmd=monitor"));
        work.await;
        self.cli(&["ECHO", "end of the monitored part"]);
        let mut output = monitor.stdout.take().expect("a pipe");
        let (mut shown, mut piece) = (Vec::new(), [0; 4096]);
        while !String::from_utf8_lossy(&shown).contains("end of the monitored part") {
            let read = output.read(&mut piece).expect("read");
            shown.extend_from_slice(&piece[..read]);
        }
        monitor.kill().expect("killed");
        monitor.wait().expect("ended");
        String::from_utf8_lossy(&shown).into_owned()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn free_port() -> u16 {
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
    free.local_addr().expect("an address").port()
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
