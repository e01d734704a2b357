use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::thread;

use rustix::process::{Signal, pidfd_send_signal};

use super::*;

#[tokio::test]
async fn where_a_line_closes_without_a_word_the_command_is_killed_once_the_launcher_has_ended() {
    // Not a launcher, but it ends as one does.
    let launcher = Launcher::start(Command::new("cat")).expect("a process");
    let (line, its_line) = UnixStream::pair().expect("a line");
    let process = Process { line: Arc::new(line), launcher: launcher.clone() };
    drop(its_line);
    let (tell, told) = mpsc::channel();
    let killing = thread::spawn(move || {
        tell.send(fs::read_link("/proc/thread-self").expect("a thread")).expect("somebody waits");
        process.kill()
    });
    let stat = Path::new("/proc").join(told.recv().expect("a thread")).join("stat");
    let is_waiting = || fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") S "));
    while !is_waiting() && !killing.is_finished() {
        thread::yield_now();
    }
    assert!(!killing.is_finished(), "the kernel has killed nothing yet");
    pidfd_send_signal(launcher.exit(), Signal::KILL).expect("killed");
    killing.join().expect("no panic").expect("soon");
}
