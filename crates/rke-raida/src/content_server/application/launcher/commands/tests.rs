use std::fs::File;
use std::io::{BufRead, BufReader, Read, pipe};
use std::thread::{self, JoinHandle};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Resource, getrlimit};

use super::super::{Ends, request};
use super::*;

fn pair(kind: SocketType) -> (OwnedFd, OwnedFd) {
    socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None).expect("sockets")
}

/// What starts this command, in a thread, and the socket on which it is asked to.
fn launcher(command: &'static str) -> (OwnedFd, JoinHandle<io::Result<()>>) {
    let (socket, its_socket) = pair(SocketType::SEQPACKET);
    let shell = Shell { command, open_files: getrlimit(Resource::Nofile) };
    (socket, thread::spawn(move || serve(shell, its_socket, &mut Vec::new())))
}

#[test]
fn a_commands_input_ends_when_its_line_says_so_and_not_when_the_content_server_goes() {
    let (socket, launcher) = launcher("echo $$; cat; echo ended");
    let (line, its_line) = pair(SocketType::STREAM);
    let ((its_input, input), (output, its_output)) = (pipe().expect("a pipe"), pipe().expect("a pipe"));
    let ends = Ends {
        its_input: its_input.as_fd(),
        input: input.as_fd(),
        its_output: its_output.as_fd(),
        its_line: its_line.as_fd(),
    };
    request(&socket, std::iter::empty(), &ends).expect("asked for");
    // All that a Content Server has of the command's input.
    drop((its_input, input, its_output, its_line));
    let mut output = BufReader::new(output).lines().map(|line| line.expect("a line"));
    let command = output.next().expect("its number");
    let read_end = File::open(format!("/proc/{command}/fd/0")).expect("its input");
    let mut at_end = [PollFd::new(&read_end, PollFlags::IN)];
    poll(&mut at_end, Some(&rustix::time::Timespec::default())).expect("asked");
    assert_eq!(at_end[0].revents(), PollFlags::empty(), "it has not ended");
    send(&line, &[INPUT_ENDED], SendFlags::NOSIGNAL).expect("said");
    assert_eq!(output.next().as_deref(), Some("ended"));
    drop((line, socket));
    launcher.join().expect("a thread").expect("served");
}

#[test]
fn a_request_that_cannot_be_used_is_refused_on_its_line() {
    let (socket, launcher) = launcher("true");
    let (line, its_line) = pair(SocketType::STREAM);
    let end = its_line.as_fd();
    let ends = Ends { its_input: end, input: end, its_output: end, its_line: end };
    let of_no_client = [("LD_PRELOAD", "/tmp/x.so".to_owned())];
    request(&socket, of_no_client.into_iter(), &ends).expect("asked for");
    drop(its_line);
    let mut said = Vec::new();
    File::from(line).read_to_end(&mut said).expect("it closes the line");
    let said: Vec<u8> = said.chunks(NEWS_LEN).map(|news| news[0]).collect();
    assert_eq!(said, [FAILED, GONE]);
    drop(socket);
    launcher.join().expect("a thread").expect("served");
}
