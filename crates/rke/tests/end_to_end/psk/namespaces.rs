//! Two network namespaces with a cable between them.

use std::fs::File;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sched::{CloneFlags, setns};

/// Runs a command of plain words. Returns what it prints.
pub(super) fn run(line: &str) -> String {
    let mut words = line.split(' ');
    let mut command = Command::new(words.next().expect("a program"));
    let output = command.args(words).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{line} is needed for this test: {error}"));
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

/// A namespace, by its name. Dropping it ends what runs in it, and removes it.
pub(super) struct Namespace(pub(super) String);

impl Namespace {
    fn make() -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        // It names an interface too, which may have 15 characters.
        let name = format!("rk{}n{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        run(&format!("ip netns add {name}"));
        run(&format!("ip -n {name} link set lo up"));
        Self(name)
    }

    /// A command in it.
    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.0, program]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// What a thread in it does.
    pub(super) fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let namespace = File::open(format!("/run/netns/{}", self.0)).expect("a namespace");
        let enter = || {
            setns(namespace, CloneFlags::CLONE_NEWNET).expect("entered");
            work()
        };
        std::thread::scope(|scope| scope.spawn(enter).join().expect("no panic"))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if let Ok(pids) = Command::new("ip").args(["netns", "pids", &self.0]).output() {
            let pids = String::from_utf8_lossy(&pids.stdout).into_owned();
            let _ = Command::new("kill").arg("-9").args(pids.split_whitespace()).output();
        }
        let _ = Command::new("ip").args(["netns", "del", &self.0]).output();
    }
}

/// Two of them: 192.0.2.1 and 192.0.2.2.
pub(super) fn pair() -> [Namespace; 2] {
    let pair = [Namespace::make(), Namespace::make()];
    let [a, b] = [&pair[0].0, &pair[1].0];
    run(&format!("ip link add v0 netns {a} type veth peer name v0 netns {b}"));
    for (namespace, own) in pair.iter().zip(1..) {
        run(&format!("ip -n {} address add 192.0.2.{own}/24 dev v0", namespace.0));
        run(&format!("ip -n {} link set v0 up", namespace.0));
    }
    pair
}
