//! Commands that are given something wrong: they say what is wrong with it, and what to give instead.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::dev::{Dev, Done, rke};
use crate::real::Real;
use crate::support::{DOMAIN, again_blocking};

/// A command with these variables, in a folder of its own.
fn with(variables: &[(&str, &str)], arguments: &[&str]) -> Done {
    let dir = tempfile::tempdir().expect("a folder");
    rke(arguments, dir.path()).envs(variables.iter().copied()).output().expect("rke runs").into()
}

/// Checks that a command ends with this code and says all of this on standard error.
fn expect(done: &Done, code: i32, parts: &[&str]) {
    assert_eq!(done.code, Some(code), "{}{}", done.text(), done.err);
    for part in parts {
        assert!(done.err.contains(part), "{part:?}: {}", done.err);
    }
}

#[test]
fn an_address_that_is_none_is_wrong_usage() {
    let forms = "it must be HOST:PORT, such as localhost:8080 or [::1]:8080, or unix:PATH";
    for address in ["nonsense", "", "localhost", "unix:"] {
        for command in [&["status"][..], &["session", "list"], &["doctor"], &["watch"], &["ping", "x.test"]] {
            let done = with(&[], &[command, &["--daemon", address]].concat());
            expect(&done, 2, &["'--daemon <ADDRESS>'", forms]);
            assert!(!done.err.contains("variable"), "{}", done.err);
            let done = with(&[("RKE_DAEMON", address)], command);
            expect(&done, 2, &["'--daemon <ADDRESS>'", forms, "the environment variable RKE_DAEMON"]);
        }
    }
    let tls = with(&[], &["status", "--daemon", "https://localhost:8443"]);
    expect(&tls, 2, &["these commands speak no TLS"]);
    // The flag is used, whatever the variable says.
    expect(&with(&[("RKE_DAEMON", "nonsense")], &["status", "--daemon", "127.0.0.1:1"]), 3, &["no daemon"]);
    // Every other variable is named too.
    let done = with(&[("RKE_TIMEOUT", "soon")], &["status"]);
    expect(&done, 2, &["'--timeout <SECONDS>'", "the environment variable RKE_TIMEOUT"]);
}

#[test]
fn usage_is_the_same_whatever_variables_are_set() {
    let variables =
        [("RKE_DAEMON", "127.0.0.1:1"), ("RKE_TOKEN_FILE", "/nowhere"), ("RKE_DATA_DIR", "/nowhere")];
    for arguments in [
        &["session", "show"][..],
        &["session", "show", "--nonsense"],
        &["encrypt"],
        &["keys", "forget"],
        &["session", "delete"],
        &["audit", "tag", "a", "b"],
        &["serve", "--nonsense"],
    ] {
        let usage = |done: Done| {
            let line = done.err.lines().find(|line| line.starts_with("Usage: ")).map(str::to_owned);
            line.unwrap_or_else(|| panic!("{arguments:?}: {}", done.err))
        };
        assert_eq!(usage(with(&variables, arguments)), usage(with(&[], arguments)), "{arguments:?}");
    }
    let done = with(&variables, &["session", "show"]);
    expect(&done, 2, &["Usage: rke session show <ID>"]);
    assert!(!done.err.contains("variable"), "{}", done.err);
}

#[test]
fn an_empty_id_and_an_empty_domain_are_wrong_usage() {
    let text = "it is empty; give a session's id of 32 hexadecimal digits, or enough of its beginning";
    for arguments in [
        &["session", "show", ""][..],
        &["session", "renew", ""],
        &["session", "renew", "00", ""],
        &["session", "delete", ""],
        &["encrypt", ""],
        &["decrypt", " "],
        &["connect", ""],
        &["audit", "tag", "", "--data-dir", "x"],
        &["content-server", "open", "", "--api", "127.0.0.1:1"],
    ] {
        expect(&with(&[], arguments), 2, &["error: invalid value", text]);
    }
    let text = "32 hexadecimal digits, of which the beginning is enough; `rke";
    for arguments in [
        &["session", "show", "zz"][..],
        &["session", "renew", "00", "zz"],
        &["session", "delete", "zz"],
        &["encrypt", "zz"],
        &["decrypt", "zz"],
        &["connect", "zz"],
        &["export", "zz", "--label", "x"],
        &["content-server", "open", "zz", "--api", "127.0.0.1:1"],
    ] {
        expect(&with(&[], arguments), 2, &["error: invalid value 'zz'", text]);
    }
    for arguments in [&["discover", ""][..], &["keys", "forget", ""], &["ping", ""]] {
        expect(&with(&[], arguments), 2, &["it is empty; name a domain"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_file_that_does_not_help_is_named() {
    let real = Real::start(&["--require-token"]).await;
    let daemon = format!("127.0.0.1:{}", real.port());
    let (right, dir) = (real.data_dir().join("token"), tempfile::tempdir().expect("a folder"));
    let check = move || {
        let path = |name: &str| dir.path().join(name).to_str().expect("UTF-8").to_owned();
        fs::write(path("empty"), "\n").expect("written");
        fs::write(path("old"), "0".repeat(64)).expect("written");
        let all = [
            ("missing", "cannot read the daemon's token from"),
            ("empty", "it is empty"),
            (".", "Is a directory"),
            ("old", "does not accept the token in"),
        ];
        for (name, text) in all {
            let file = path(name);
            let hint = "--token-file or RKE_TOKEN_FILE names that file; name the file `token` of";
            for variable in [false, true] {
                let given = ["--token-file", file.as_str()];
                let flag = if variable { &[][..] } else { &given[..] };
                let set = [("RKE_DAEMON", daemon.as_str()), ("RKE_TOKEN_FILE", file.as_str())];
                let set = if variable { &set[..] } else { &set[..1] };
                let run = |command: &[&str]| with(set, &[command, flag].concat());
                for command in [&["status"][..], &["session", "list"], &["ping", DOMAIN]] {
                    expect(&run(command), 1, &[text, &file, hint]);
                }
                let done = run(&["doctor"]);
                assert!(done.text().contains(text) && done.text().contains(&file), "{}", done.text());
                expect(&run(&["connect", &"0".repeat(32)]), 255, &[text, &file, "name the file `token`"]);
            }
        }
        let right = right.to_str().expect("UTF-8");
        expect(&with(&[], &["status", "--daemon", &daemon, "--token-file", right]), 0, &[]);
        let none = with(&[], &["status", "--daemon", &daemon]);
        expect(&none, 1, &["This daemon requires its access token", "name the file with --token-file"]);
        // It does not ask the system's DNS server instead.
        let ping = with(&[], &["ping", DOMAIN, "--daemon", &daemon]);
        expect(&ping, 1, &["This daemon requires its access token"]);
    };
    tokio::task::spawn_blocking(check).await.expect("no panic");
}

#[test]
fn ping_needs_no_daemon_where_the_dns_server_is_named() {
    let dev = Dev::start_with(&["--listen", "127.0.0.1:0", "--require-token"]);
    again_blocking(|| {
        let done = dev.rke(&["ping", DOMAIN, "--dns-server", &dev.dns]);
        if done.code == Some(0) { Ok(()) } else { Err(done.text() + &done.err) }
    });
}

#[test]
fn advice_names_the_flag_of_the_program_that_has_it() {
    let dev = Dev::start();
    let of_daemon = "start the daemon with --dns-server IP:PORT";
    expect(&dev.rke(&["discover", "nowhere.test"]), 1, &[of_daemon]);
    let wallet = dev.wallet.to_str().expect("UTF-8");
    expect(&dev.rke(&["session", "create", "nowhere.test", "--wallet", wallet]), 1, &[of_daemon]);
    // This command has the flag itself.
    let ping = dev.rke(&["ping", "nowhere.test"]);
    expect(&ping, 2, &["or name a DNS server with --dns-server"]);
    assert!(!ping.err.contains("start the daemon"), "{}", ping.err);
}

#[test]
fn a_wallet_that_cannot_be_used_is_named() {
    let dev = Dev::start();
    let (missing, file, empty) = (dev.path("missing"), dev.path("file"), dev.path("empty"));
    fs::write(&file, "x").expect("written");
    fs::create_dir(&empty).expect("a folder");
    for (path, text) in
        [(&missing, "cannot open the wallet folder "), (&file, " is not a folder"), (&empty, " is empty")]
    {
        let path = path.to_str().expect("UTF-8");
        let create = dev.rke(&["session", "create", DOMAIN, "--wallet", path]);
        expect(&create, 1, &["Cannot use the wallet: ", text, path]);
        let check = dev.rke(&["wallet", "check", path]);
        assert!(check.text().contains(text) && check.text().matches(path).count() == 1, "{}", check.text());
    }
}

#[test]
fn data_of_another_form_is_recognised() {
    let dev = Dev::start();
    let id = dev.create_id();
    let forms = [("--seal", "leave out"), ("--raw", "--raw"), ("--lines", "--lines")];
    for (form, advice) in forms {
        let data = dev.pipe(&["encrypt", &id, form], b"some data").out;
        for (other, _) in forms {
            let done = dev.pipe(&["decrypt", &id, other], &data);
            if other == form {
                assert_eq!((done.code, done.text().as_str()), (Some(0), "some data"), "{form}: {}", done.err);
            } else {
                expect(&done, 1, &["standard input", advice]);
                assert_eq!(done.text(), "", "{form} {other}");
            }
        }
    }
    let sealed = dev.pipe(&["encrypt", &id], b"some data").out;
    expect(
        &dev.pipe(&["decrypt", &id, "--lines"], &sealed),
        1,
        &["standard input is sealed data; leave out --lines"],
    );
    let binary = dev.pipe(&["decrypt", &id, "--lines"], b"\xff\xfe is no text");
    expect(&binary, 1, &["line 1 of standard input is not what `rke encrypt --lines` writes"]);
    expect(&dev.pipe(&["decrypt", &id, "--lines"], b""), 1, &["nothing to decrypt: standard input is empty"]);
}

#[test]
fn a_folder_that_was_not_named_is_said_to_be_the_default_one() {
    let dev = Dev::start();
    let default = dev.path(".local/share/rke");
    let default = default.to_str().expect("UTF-8");
    let named = dev.path("dev/daemon");
    let named = named.to_str().expect("UTF-8");
    dev.create_id();
    let list = dev.rke(&["trust", "list"]);
    expect(&list, 0, &[default, "which is not there", "name it with --data-dir"]);
    assert!(list.text().starts_with(&format!("No known Content Servers in {default}")), "{}", list.text());
    let list = dev.rke(&["trust", "list", "--data-dir", named]);
    assert!(list.text().contains(DOMAIN) && list.err.is_empty(), "{}{}", list.text(), list.err);
    let doctor = dev.rke(&["doctor"]).text();
    let text =
        format!("{default}, the default data folder, is not there, so the daemon that responds has another");
    assert!(
        doctor.contains(&text) && doctor.contains("name the daemon's data folder with --data-dir"),
        "{doctor}"
    );
    fs::create_dir_all(default).expect("a folder");
    fs::set_permissions(default, Permissions::from_mode(0o700)).expect("a mode");
    let doctor = dev.rke(&["doctor"]).text();
    assert!(doctor.contains("the default folder is looked at; if the daemon has another"), "{doctor}");
    let doctor = dev.rke(&["doctor", "--data-dir", named]).text();
    assert!(doctor.contains(named) && !doctor.contains("default"), "{doctor}");
}

/// `rke serve` as another user than root, who owns what the test has made.
fn serve_as_another(data_dir: &Path, dir: &Path) -> Done {
    let mut command = Command::new("setpriv");
    command.args([
        "--reuid",
        "65534",
        "--clear-groups",
        env!("CARGO_BIN_EXE_rke"),
        "serve",
        "--listen",
        "127.0.0.1:0",
    ]);
    command.arg("--data-dir").arg(data_dir).current_dir(dir).env_clear().env("PATH", "/usr/bin:/bin");
    command.output().expect("setpriv runs").into()
}

#[test]
fn a_data_folder_of_another_user_says_whose_it_is() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = |name: &str| dir.path().join(name);
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).expect("a mode");
    fs::create_dir(path("roots")).expect("a folder");
    fs::set_permissions(path("roots"), Permissions::from_mode(0o700)).expect("a mode");
    for (data_dir, place) in [(path("roots"), path("roots")), (path("new"), dir.path().into())] {
        let whose = format!(
            "{} belongs to uid 0; run this as that user, with `sudo -u '#0'` in front",
            place.display()
        );
        let done = serve_as_another(&data_dir, dir.path());
        expect(&done, 1, &["this runs as the user with uid 65534", &whose, "another folder with --data-dir"]);
    }
}
