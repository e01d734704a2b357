//! A real Sentinel, ended with its test. The end-to-end tests have this file too.

use std::fs;
use std::process::{Child, Command, Stdio};

use super::server::{Server, free_port};

pub(crate) struct Sentinel {
    child: Child,
    port: u16,
}

impl Sentinel {
    /// Starts one that watches a primary under the name `store`, and waits until it knows its replica.
    pub(crate) fn over(primary: &Server) -> Self {
        let port = free_port();
        let config = primary.folder().join("sentinel.conf");
        let text = format!(
            "port {port}\nbind 127.0.0.1\nsentinel monitor store 127.0.0.1 {} 1\n\
             sentinel down-after-milliseconds store 500\nsentinel failover-timeout store 2000\n",
            primary.port()
        );
        fs::write(&config, text).expect("written");
        let mut command = Command::new("redis-server");
        let command = command.arg(config).arg("--sentinel").stdout(Stdio::null()).stderr(Stdio::null());
        let sentinel = Self { child: command.spawn().expect("a Sentinel"), port };
        primary.until(|_| sentinel.cli(&["master", "store"]).contains("num-slaves\n1"));
        sentinel
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Runs a command of Sentinels.
    pub(crate) fn cli(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("redis-cli");
        let output = command
            .args(["-p", &self.port.to_string(), "SENTINEL"])
            .args(arguments)
            .output()
            .expect("redis-cli");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
