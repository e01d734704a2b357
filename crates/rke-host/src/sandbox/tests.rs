//! Each in a process of its own, this program again, because nothing of it can be taken back.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, IoSliceMut, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::channel;
use std::thread;

use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::Pid;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket, socketpair};
use rustix::process::{
    DumpableBehavior, PidfdFlags, PidfdGetfdFlags, Resource, Rlimit, Signal, getpid, getppid, getrlimit,
    kill_process, pidfd_getfd, pidfd_open, set_dumpable_behavior, setpriority_process, setrlimit,
};
use seccompiler::apply_filter_all_threads;

use super::*;

const FOLDER: &str = "RKE_TEST_FOLDER";

/// Has another process run one test of this module in a folder. Returns how it ended, and what it printed.
fn elsewhere(test: &str, folder: &Path) -> (ExitStatus, String) {
    let mut own = Command::new(std::env::current_exe().expect("this program"));
    own.args(["--exact", &format!("sandbox::tests::{test}"), "--ignored", "--nocapture"]);
    let done = own.env(FOLDER, folder).stderr(Stdio::piped()).output().expect("it runs");
    let said = [done.stdout, done.stderr].concat();
    (done.status, String::from_utf8_lossy(&said).into_owned())
}

fn succeeds(test: &str, folder: &Path) {
    let (status, said) = elsewhere(test, folder);
    assert!(status.success() && said.contains("1 passed"), "{said}");
}

fn folder() -> Option<PathBuf> {
    std::env::var_os(FOLDER).map(PathBuf::from)
}

/// Folders `data` and `log`, and `outside` with a file.
fn place() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    for name in ["data", "log", "wallets", "config", "outside"] {
        fs::create_dir(dir.path().join(name)).expect("a folder");
        fs::write(dir.path().join(name).join("file"), name).expect("written");
    }
    dir
}

fn is_refused<T>(done: io::Result<T>) -> bool {
    done.is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
}

/// What a process in a sandbox does: `data` is its data directory, it reads `wallets` and continues `log/file`.
fn confined(folder: &Path, reading: Reading) -> Posture {
    let at = |name: &str| folder.join(name);
    let files = Files::new(reading).write(&at("data")).append(&at("log/file")).read(&at("wallets"));
    limit_files(&files.read_again(&at("config/file"))).expect("confined");
    Posture::now()
}

#[test]
fn a_process_reads_and_writes_only_what_it_may() {
    succeeds("reads_and_writes", place().path());
}

#[test]
#[ignore = "the process that another test starts"]
fn reads_and_writes() {
    let Some(folder) = folder() else { return };
    let at = |name: &str| folder.join(name);
    assert_eq!(Posture::now().landlock, Landlock::Off);
    assert_eq!(confined(&folder, Reading::Limited).landlock, Landlock::ReadsAndWrites);
    // Of threads that begin afterwards too.
    thread::scope(|scope| {
        scope.spawn(|| {
            for readable in ["data/file", "log/file", "wallets/file", "config/file"] {
                assert!(fs::read(at(readable)).is_ok(), "{readable}");
            }
            assert!(is_refused(fs::read(at("outside/file"))) && is_refused(fs::read_dir(at("outside"))));
            assert!(is_refused(fs::read("/etc/passwd")));
        });
    });
    fs::write(at("data/new"), "new").expect("written");
    fs::create_dir(at("data/damaged")).expect("made");
    fs::rename(at("data/new"), at("data/damaged/new")).expect("moved to another folder");
    fs::remove_file(at("data/damaged/new")).expect("removed");
    fs::remove_dir(at("data/damaged")).expect("removed");
    OpenOptions::new()
        .append(true)
        .open(at("log/file"))
        .and_then(|mut log| log.write_all(b"+"))
        .expect("added");
    File::create_new(at("log/next")).expect("the log's next file");
    for cut in [fs::write(at("log/file"), "less"), fs::remove_file(at("log/file"))] {
        assert!(is_refused(cut), "the log is cut");
    }
    for name in ["outside", "wallets", "config"] {
        assert!(is_refused(fs::write(at(name).join("file"), "changed")), "{name}");
        assert!(is_refused(fs::write(at(name).join("new"), "new")), "{name}");
        assert!(is_refused(fs::remove_file(at(name).join("file"))), "{name}");
    }
    assert!(is_refused(Command::new("/bin/true").spawn()), "a program of the machine");
    // What the memory scan reads.
    assert!(fs::read("/proc/self/smaps").is_ok() && fs::read_dir("/proc/self/task").is_ok());
    assert!(is_refused(fs::read("/proc/1/status")));
}

#[test]
fn a_process_connects_only_to_the_ports_that_it_may() {
    succeeds("connects", place().path());
}

#[test]
#[ignore = "the process that another test starts"]
fn connects() {
    let Some(_) = folder() else { return };
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port"));
    let [one, other] = listeners.each_ref().map(|listener| listener.local_addr().expect("an address"));
    limit_files(&Files::new(Reading::Open).connect_only(&[one.port()])).expect("confined");
    assert!(TcpStream::connect(one).is_ok() && is_refused(TcpStream::connect(other)));
    // It still serves.
    assert!(listeners[0].accept().is_ok() && TcpListener::bind("127.0.0.1:0").is_ok());
}

#[test]
fn where_any_folder_may_be_a_wallet_only_writing_is_limited() {
    succeeds("only_writes", place().path());
}

#[test]
#[ignore = "the process that another test starts"]
fn only_writes() {
    let Some(folder) = folder() else { return };
    let at = |name: &str| folder.join(name);
    assert_eq!(confined(&folder, Reading::Open).landlock, Landlock::Writes);
    assert!(fs::read(at("outside/file")).is_ok() && fs::write(at("data/file"), "changed").is_ok());
    for name in ["outside", "wallets", "config"] {
        assert!(is_refused(fs::write(at(name).join("file"), "changed")), "{name}");
    }
}

#[test]
fn a_socket_is_made_and_removed_and_nothing_else_next_to_it() {
    succeeds("makes_a_socket", place().path());
}

#[test]
#[ignore = "the process that another test starts"]
fn makes_a_socket() {
    let Some(folder) = folder() else { return };
    let socket = folder.join("outside/socket");
    limit_files(&Files::new(Reading::Open).socket(&socket)).expect("confined");
    let hidden = folder.join("outside/.hidden");
    fs::create_dir(&hidden).expect("a folder");
    let listener = UnixListener::bind(hidden.join("s")).expect("a socket");
    fs::rename(hidden.join("s"), &socket).expect("moved");
    fs::remove_dir(&hidden).expect("removed");
    assert!(is_refused(fs::write(folder.join("outside/new"), "new")));
    assert!(is_refused(fs::write(folder.join("outside/file"), "changed")));
    drop(listener);
    fs::remove_file(&socket).expect("removed");
}

#[test]
fn files_of_the_system_are_followed_to_where_they_come_later() {
    succeeds("follows_a_file", place().path());
}

#[test]
#[ignore = "the process that another test starts"]
fn follows_a_file() {
    let Some(folder) = folder() else { return };
    let at = |name: &str| folder.join(name);
    for (link, target) in [("config/linked", "../outside/file"), ("config/later", "../wallets/later/file")] {
        symlink(target, at(link)).expect("a link");
    }
    fs::create_dir(at("usual")).expect("a folder");
    let usual = [at("usual"), at("nowhere")];
    let usual = usual.each_ref().map(PathBuf::as_path);
    let files = Files::new(Reading::Limited).follow(&at("config/linked"), &usual);
    let files = files.follow(&at("config/later"), &[]).write(&at("data"));
    // Makes files that this one may not.
    let (moves, moved) = (channel::<()>(), channel::<()>());
    let maker = {
        let (folder, go, done) = (folder.clone(), moves.1, moved.0);
        thread::spawn(move || {
            go.recv().expect("it begins");
            fs::create_dir(folder.join("wallets/later")).expect("a folder");
            fs::write(folder.join("wallets/later/file"), "later").expect("written");
            fs::write(folder.join("usual/file"), "usual").expect("written");
            done.send(()).expect("it waits");
        })
    };
    limit_files(&files).expect("confined");
    moves.0.send(()).expect("it waits");
    moved.1.recv().expect("made");
    maker.join().expect("no panic");
    for readable in ["config/linked", "config/file", "config/later", "usual/file"] {
        assert!(fs::read(at(readable)).is_ok(), "{readable}");
    }
    assert!(is_refused(fs::read(at("log/file"))) && is_refused(fs::write(at("usual/file"), "changed")));
    // Nobody has to restart the daemon because it lies elsewhere now.
    let elsewhere = Files::new(Reading::Limited).follow(&at("log/file"), &[]);
    assert_eq!(files.unreadable(&elsewhere), None);
}

#[test]
fn files_that_settings_name_later_are_known_to_be_closed() {
    let dir = place();
    let at = |name: &str| dir.path().join(name);
    let started = Files::new(Reading::Limited).read(&at("wallets")).read_again(&at("config/file"));
    let unreadable = |files: &Files| started.unreadable(files).map(Path::to_path_buf);
    let same = Files::new(Reading::Limited).read(&at("wallets")).read_again(&at("config/other"));
    assert_eq!(unreadable(&same), None);
    let other = Files::new(Reading::Limited).read(&at("outside"));
    assert_eq!(unreadable(&other), Some(at("outside").canonicalize().expect("a path")));
    assert!(unreadable(&Files::new(Reading::Open)).is_some(), "reading does not open again");
    assert_eq!(Files::new(Reading::Open).unreadable(&other), None);
    // Another folder in its place.
    fs::rename(at("wallets"), at("old")).expect("moved");
    fs::create_dir(at("wallets")).expect("made");
    assert!(unreadable(&Files::new(Reading::Limited).read(&at("wallets"))).is_some());
}

/// A process that has started, and goes on in a sandbox.
fn closed() -> Option<PathBuf> {
    let folder = folder()?;
    assert!(!Posture::now().seccomp);
    limit_resources().expect("limits");
    limit_calls().expect("a filter");
    assert_eq!((Posture::now().seccomp, Posture::now().no_new_privs), (true, true));
    Some(folder)
}

#[test]
fn calls_that_nobody_needs_are_not_permitted() {
    succeeds("makes_calls", place().path());
}

#[test]
#[ignore = "the process that another test starts"]
fn makes_calls() {
    // A thread that has begun before is held to it too.
    let (begin, begun) = channel::<()>();
    let early = thread::spawn(move || begun.recv().is_ok() && is_refused(Command::new("true").spawn()));
    // Shells and systemd start programs with fewer open files than they may have.
    let few = Some(100);
    setrlimit(Resource::Nofile, Rlimit { current: few, ..getrlimit(Resource::Nofile) }).expect("a limit");
    let Some(folder) = closed() else { return };
    begin.send(()).expect("it waits");
    assert!(early.join().expect("no panic"), "an early thread starts a program");
    let file = folder.join("data/file");
    assert!(is_refused(Command::new("true").spawn()), "a new process");
    assert!(is_refused(fs::set_permissions(&file, fs::Permissions::from_mode(0o777))));
    assert!(is_refused(chown(&file, Some(0), None)));
    assert!(is_refused(File::open(&file).and_then(|file| file.set_modified(std::time::UNIX_EPOCH))));
    let parent = getppid().expect("a parent");
    assert_eq!(kill_process(parent, Signal::WINCH), Err(Errno::PERM));
    assert_eq!(set_dumpable_behavior(DumpableBehavior::Dumpable), Err(Errno::PERM));
    assert_eq!(setpriority_process(None, 5), Err(Errno::PERM));
    assert_eq!(setrlimit(Resource::Core, getrlimit(Resource::Core)), Err(Errno::PERM));
    assert_eq!(getrlimit(Resource::Nofile), Rlimit { current: few, maximum: few }, "no more than now");
    for family in [AddressFamily::NETLINK, AddressFamily::PACKET, AddressFamily::VSOCK, AddressFamily::UNIX] {
        for kind in [SocketType::RAW, SocketType::STREAM, SocketType::DGRAM] {
            assert_eq!(socket(family, kind, None).err(), Some(Errno::AFNOSUPPORT), "{family:?} {kind:?}");
        }
    }
    // Either end of such a pair could be reconnected to another peer.
    for kind in [SocketType::RAW, SocketType::DGRAM] {
        let pair = socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None);
        assert_eq!(pair.err(), Some(Errno::AFNOSUPPORT), "{kind:?}");
    }
}

#[test]
fn what_a_program_needs_still_works() {
    succeeds("goes_on", place().path());
}

#[test]
fn sockets_of_names_that_are_no_paths_are_those_of_the_process() {
    succeeds("connects_to_a_name", place().path());
}

#[test]
#[ignore = "the process that another test starts"]
fn connects_to_a_name() {
    let Some(folder) = folder() else { return };
    let name =
        |end: &str| SocketAddr::from_abstract_name([folder.as_os_str().as_bytes(), end.as_bytes()].concat());
    let outside = name("outside").expect("a name");
    let _listener = UnixListener::bind_addr(&outside).expect("a socket");
    assert!(UnixStream::connect_addr(&outside).is_ok());
    limit_files(&Files::new(Reading::Open)).expect("confined");
    assert!(is_refused(UnixStream::connect_addr(&outside)), "a socket from outside");
    let inside = name("inside").expect("a name");
    let _listener = UnixListener::bind_addr(&inside).expect("a socket");
    assert!(UnixStream::connect_addr(&inside).is_ok());
}

#[test]
#[ignore = "the process that another test starts"]
fn goes_on() {
    let Some(folder) = closed() else { return };
    assert_eq!(thread::spawn(|| 7).join().expect("a thread"), 7);
    let (tcp, udp) = (TcpListener::bind("127.0.0.1:0"), UdpSocket::bind("[::1]:0"));
    let address = tcp.as_ref().expect("a port").local_addr().expect("an address");
    TcpStream::connect(address).expect("connected");
    assert!(udp.is_ok() && UnixStream::pair().is_ok());
    fs::write(folder.join("data/new"), "new").expect("written");
    kill_process(getpid(), Signal::URG).expect("a signal to itself");
    let (mut copy, bytes) = ([0; 4], *b"left");
    let here = [RemoteIoVec { base: bytes.as_ptr() as usize, len: 4 }];
    let read = process_vm_readv(Pid::this(), &mut [IoSliceMut::new(&mut copy)], &here);
    assert_eq!((read, copy), (Ok(4), bytes), "the memory scan");
}

/// The calls of an attacker who has taken a program over.
#[test]
fn what_only_an_attacker_would_do_ends_the_process() {
    for test in [
        "becomes_another_program",
        "looks_into_another_process",
        "takes_a_file_of_another",
        "leaves_its_root",
    ] {
        let (status, said) = elsewhere(test, place().path());
        assert_eq!(status.signal(), Some(libc::SIGSYS), "{test}: {said}");
    }
}

#[test]
#[ignore = "the process that another test starts"]
fn becomes_another_program() {
    if closed().is_some() {
        panic!("it is {}", Command::new("true").exec());
    }
}

#[test]
#[ignore = "the process that another test starts"]
fn looks_into_another_process() {
    if closed().is_some() {
        let parent = Pid::parent();
        panic!("it has read {:?}", process_vm_readv(parent, &mut [IoSliceMut::new(&mut [0])], &[]));
    }
}

#[test]
#[ignore = "the process that another test starts"]
fn takes_a_file_of_another() {
    if closed().is_some() {
        let own = pidfd_open(getpid(), PidfdFlags::empty()).expect("a descriptor");
        panic!("it has taken {:?}", pidfd_getfd(own, 0, PidfdGetfdFlags::empty()));
    }
}

#[test]
#[ignore = "the process that another test starts"]
fn leaves_its_root() {
    if let Some(folder) = closed() {
        panic!("it has another root: {:?}", std::os::unix::fs::chroot(folder));
    }
}

/// By another program, which keeps the filter and has a way to make any call: none is both safe and new.
#[test]
fn calls_that_are_newer_than_the_list_are_unknown() {
    let (status, said) = elsewhere("makes_a_newer_call", place().path());
    assert_eq!(status.code(), Some(libc::ENOSYS), "{said}");
}

#[test]
#[ignore = "the process that another test starts"]
fn makes_a_newer_call() {
    if folder().is_some() {
        apply_filter_all_threads(&calls::newer_calls()).expect("a filter");
        // Without the filter, `mseal` and the next are errors of another kind where the kernel has them.
        let calls = "syscall($_, -1, -1, -1, -1) == -1 or exit 1 for 462, 463; exit $!";
        panic!("no perl: {}", Command::new("perl").args(["-e", calls]).exec());
    }
}

/// By another program too: to make these calls is not safe. Each is tried as it is and with something in the half of
/// its number that the kernel does not look at.
#[test]
fn nothing_is_typed_in_a_terminal() {
    let (status, said) = elsewhere("types_in_a_terminal", place().path());
    assert_eq!(status.code(), Some(0), "{said}");
}

#[test]
#[ignore = "the process that another test starts"]
fn types_in_a_terminal() {
    if folder().is_some() {
        apply_filter_all_threads(&calls::not_permitted().expect("rules")).expect("a filter");
        // A file that is not a terminal has none of these calls.
        let calls = format!(
            "my $x = 'x'; for (0x5412, 0x541C, 0x5423) {{ for ($_, $_ + (1 << 32)) {{ syscall({0}, 0, $_, $x) == -1 && \
             $! == {1} or die $_ }} }} syscall({0}, 0, 0x5413, $x) == -1 && $! == {2} or die $!",
            libc::SYS_ioctl,
            libc::EPERM,
            libc::ENOTTY,
        );
        let mut perl = Command::new("perl");
        panic!("no perl: {}", perl.args(["-e", &calls]).stdin(Stdio::null()).exec());
    }
}
