//! Files and pipes through `rke encrypt` and `rke decrypt`: the output equals the input, altered data is rejected,
//! and a failure leaves everything as it was.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::dev::Dev;
use crate::support::PATIENCE;

const LEN: usize = 3_000_000;

fn data() -> Vec<u8> {
    (0..LEN as u32).map(|at| at.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect()
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<String> = entries.map(|name| name.into_string().expect("UTF-8")).collect();
    names.sort();
    names
}

#[test]
fn a_file_comes_back_as_it_was_with_its_mode() {
    let dev = Dev::start();
    let id = dev.create_id();
    let data = data();
    fs::write(dev.path("letter"), &data).expect("written");
    fs::set_permissions(dev.path("letter"), fs::Permissions::from_mode(0o640)).expect("a mode");
    for (form, grown) in [(&["--seal"][..], None), (&["--raw"], Some(24)), (&["--aad", "letter"], None)] {
        let encrypted = dev.rke(&[&["encrypt", &id, "letter", "-o", "out"], form].concat());
        assert_eq!((encrypted.code, encrypted.err.as_str()), (Some(0), ""), "{form:?}");
        let sealed = fs::read(dev.path("out")).expect("a file");
        assert!(!sealed.windows(64).any(|part| *part == data[1000..1064]), "{form:?}");
        assert!(grown.is_none_or(|grown| sealed.len() == LEN + grown), "{form:?}");
        let decrypted = dev.rke(&[&["decrypt", &id, "out", "-o", "back"], form].concat());
        assert_eq!((decrypted.code, decrypted.err.as_str()), (Some(0), ""), "{form:?}");
        assert!(fs::read(dev.path("back")).expect("a file") == data, "{form:?}");
        let mode = fs::metadata(dev.path("back")).expect("metadata").permissions().mode() & 0o777;
        assert_eq!(mode, 0o640, "{form:?}");
    }
    assert_eq!(names(dev.dir.path()), ["back", "dev", "letter", "out"]);
}

#[test]
fn pipes_and_empty_data_go_through_in_every_form() {
    let dev = Dev::start();
    let id = dev.create_id();
    for form in ["--seal", "--raw", "--lines"] {
        for data in [&b""[..], b"hello", &data()] {
            if form == "--lines" && data.is_empty() {
                continue;
            }
            let encrypted = dev.pipe(&["encrypt", &id, form], data);
            assert_eq!(encrypted.code, Some(0), "{form}: {}", encrypted.err);
            let decrypted = dev.pipe(&["decrypt", &id, form, "-"], &encrypted.out);
            assert_eq!(decrypted.code, Some(0), "{form}: {}", decrypted.err);
            assert!(decrypted.out == data, "{form}");
        }
    }
    // Also in place of the input file itself.
    fs::write(dev.path("file"), "hello").expect("written");
    assert_eq!(dev.rke(&["encrypt", &id, "file", "-o", "file"]).code, Some(0));
    assert!(fs::read(dev.path("file")).expect("a file").starts_with(b"RKESEAL"));
    assert_eq!(dev.rke(&["decrypt", &id, "file"]).out, b"hello");
}

#[test]
fn what_was_altered_or_cut_does_not_open_and_the_old_file_stays() {
    let dev = Dev::start();
    let id = dev.create_id();
    let sealed = dev.pipe(&["encrypt", &id], &data()).out;
    let altered = |at: usize| {
        let mut altered = sealed.clone();
        altered[at] ^= 1;
        altered
    };
    fs::write(dev.path("old"), "old").expect("written");
    let mut damaged =
        vec![altered(10), altered(60), altered(100), altered(LEN / 2), altered(sealed.len() - 1)];
    damaged.extend([
        sealed[..LEN / 2].to_vec(),
        sealed[..sealed.len() - 1].to_vec(),
        [&sealed[..], b"x"].concat(),
    ]);
    for (number, damaged) in damaged.iter().enumerate() {
        fs::write(dev.path("damaged"), damaged).expect("written");
        for out in ["old", "new"] {
            let decrypted = dev.rke(&["decrypt", &id, "damaged", "-o", out]);
            assert_eq!(decrypted.code, Some(1), "{number}");
            assert!(decrypted.err.contains("rke: "), "{number}: {}", decrypted.err);
        }
        assert!(fs::read(dev.path("old")).expect("a file") == b"old", "{number}");
        assert_eq!(names(dev.dir.path()), ["damaged", "dev", "old"], "{number}");
    }
    fs::write(dev.path("damaged"), altered(LEN / 2)).expect("written");
    let error = dev.rke(&["decrypt", &id, "damaged", "-o", "old"]).err;
    assert!(error.contains("damaged was altered or is cut short"), "{error}");
}

#[test]
fn what_shows_no_alteration_is_not_taken_for_sealed_data() {
    let dev = Dev::start();
    let id = dev.create_id();
    for form in ["--raw", "--lines"] {
        let encrypted = dev.pipe(&["encrypt", &id, form], b"hello").out;
        let refused = dev.pipe(&["decrypt", &id], &encrypted);
        assert_eq!((refused.code, refused.out.as_slice()), (Some(1), &b""[..]));
        assert!(refused.err.contains(form), "{}", refused.err);
    }
    let sealed = dev.pipe(&["encrypt", &id], b"hello").out;
    assert_eq!(dev.pipe(&["decrypt", &id, "--raw"], &sealed).code, Some(1));
    assert_eq!(dev.pipe(&["decrypt", &id, "--lines"], &sealed).code, Some(1));
    assert_eq!(dev.pipe(&["decrypt", &id], b"hello, this is text").code, Some(1));
    assert_eq!(dev.pipe(&["decrypt", &id], b"").code, Some(1));
}

#[test]
fn other_associated_data_and_another_key_do_not_open_it() {
    let dev = Dev::start();
    let id = dev.create_id();
    let sealed = dev.pipe(&["encrypt", &id, "--aad", "a name"], b"hello").out;
    for aad in [&["--aad", "another"][..], &[]] {
        let refused = dev.pipe(&[&["decrypt", &id], aad].concat(), &sealed);
        assert_eq!((refused.code, refused.out.as_slice()), (Some(1), &b""[..]), "{aad:?}");
    }
    let wallet = dev.wallet.to_str().expect("UTF-8");
    let fresh = dev.rke(&["session", "create", crate::support::DOMAIN, "--wallet", wallet, "--fresh"]);
    let fresh = fresh.text().trim().to_owned();
    assert_eq!(dev.pipe(&["decrypt", &fresh, "--aad", "a name"], &sealed).code, Some(1));
    assert_eq!(dev.pipe(&["decrypt", &id, "--aad", "a name"], &sealed).out, b"hello");
}

#[test]
fn data_that_the_api_encrypted_is_decrypted_with_its_nonce() {
    let dev = Dev::start();
    let id = dev.create_id();
    let raw = dev.pipe(&["encrypt", &id, "--raw"], b"hello").out;
    let nonce: String = raw[8..24].iter().map(|byte| format!("{byte:02x}")).collect();
    let bare = &raw[24..];
    assert_eq!(dev.pipe(&["decrypt", &id, "--raw", "--nonce", &nonce], bare).out, b"hello");
    assert_eq!(dev.pipe(&["decrypt", &id, "--raw"], bare).code, Some(1));
    assert_eq!(dev.pipe(&["decrypt", &id, "--nonce", &nonce], bare).code, Some(2), "only with --raw");
}

#[test]
fn a_full_disk_is_said_and_leaves_nothing() {
    let dev = Dev::start();
    let id = dev.create_id();
    fs::write(dev.path("letter"), data()).expect("written");
    let full = dev.rke(&["encrypt", &id, "letter", "-o", "/dev/full"]);
    assert!(
        full.code == Some(1) && full.err.contains("cannot write /dev/full: No space left"),
        "{}",
        full.err
    );
    // The new file may not grow, as on a disk that fills up while it is written.
    let program = env!("CARGO_BIN_EXE_rke");
    let script = format!("trap '' XFSZ; ulimit -f 1024; exec {program} encrypt {id} letter -o new");
    let mut command = std::process::Command::new("bash");
    command.args(["-c", &script]).current_dir(dev.dir.path()).env("RKE_DAEMON", &dev.daemon);
    let output = command.output().expect("bash runs");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && error.contains("cannot write new: File too large"), "{error}");
    assert_eq!(names(dev.dir.path()), ["dev", "letter"]);
    for (out, what) in [("nowhere/new", "No such file"), (".", "it is a folder")] {
        let refused = dev.rke(&["encrypt", &id, "letter", "-o", out]);
        assert!(refused.code == Some(1) && refused.err.contains(what), "{}", refused.err);
    }
}

#[test]
fn data_that_nobody_reads_is_an_error_and_a_list_that_nobody_reads_is_none() {
    let dev = Dev::start();
    let id = dev.create_id();
    fs::write(dev.path("letter"), data()).expect("written");
    assert_eq!(dev.rke(&["encrypt", &id, "letter", "-o", "sealed"]).code, Some(0));
    let code = |arguments: &[&str]| {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        dev.command(arguments).stdout(writer).status().expect("rke runs").code()
    };
    for arguments in
        [&["encrypt", &id, "letter"][..], &["decrypt", &id, "sealed"], &["encrypt", &id, "letter", "--lines"]]
    {
        assert_eq!(code(arguments), Some(1), "{arguments:?}");
    }
    for arguments in [&["session", "list"][..], &["status", "--json"], &["completions", "bash"]] {
        assert_eq!(code(arguments), Some(0), "{arguments:?}");
    }
    let zeros = "0".repeat(32);
    assert_eq!(code(&["session", "show", &zeros, "--json"]), Some(1), "a refusal stays one");
}

#[test]
fn one_that_is_killed_in_the_middle_leaves_nothing_and_the_old_file() {
    let dev = Dev::start();
    let id = dev.create_id();
    fs::write(dev.path("old"), "old").expect("written");
    // The input never ends, so the program is certainly in the middle of it.
    let mut child =
        dev.command(&["encrypt", &id, "-", "-o", "old"]).stdin(Stdio::piped()).spawn().expect("rke runs");
    let mut input = child.stdin.take().expect("an input");
    std::io::Write::write_all(&mut input, &data()).expect("written");
    let written = || {
        let io = fs::read_to_string(format!("/proc/{}/io", child.id())).expect("counts");
        let line = io.lines().find_map(|line| line.strip_prefix("wchar: ")).expect("a count");
        line.parse::<usize>().expect("a number")
    };
    let deadline = Instant::now() + PATIENCE;
    // Wait until the data has passed through the daemon and back to the file.
    while written() < LEN * 3 / 2 {
        assert!(Instant::now() < deadline, "it writes nothing");
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().expect("killed");
    child.wait().expect("an end");
    assert!(fs::read(dev.path("old")).expect("a file") == b"old");
    assert_eq!(names(dev.dir.path()), ["dev", "old"]);
}

#[test]
fn a_session_that_is_gone_is_said_before_a_large_file_is_sent() {
    let mut dev = Dev::start();
    let id = dev.create_id();
    fs::write(dev.path("letter"), data()).expect("written");
    assert_eq!(dev.rke(&["session", "delete", &id]).code, Some(0));
    for form in ["--seal", "--raw", "--lines"] {
        let gone = dev.rke(&["encrypt", &id, "letter", "-o", "out", form]);
        assert!(gone.code == Some(1) && gone.err.contains("Session not found"), "{form}: {}", gone.err);
        assert!(gone.err.contains("rke session create"), "{}", gone.err);
    }
    dev.kill();
    assert_eq!(dev.rke(&["encrypt", &id, "letter", "-o", "out"]).code, Some(3));
    assert_eq!(names(dev.dir.path()), ["dev", "letter"]);
}
