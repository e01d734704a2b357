//! What users see in a real terminal: `rke watch`, and the progress bar while a session is opened.

use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::dev::Dev;
use crate::support::DOMAIN;

/// A terminal with a shell in it.
struct Terminal {
    name: String,
    dir: std::path::PathBuf,
}

impl Terminal {
    fn open(dev: &Dev, (width, height): (u16, u16)) -> Self {
        // Two terminals of one test have the same daemon, so the width is part of the name.
        let name = format!("rke-{}-{width}", dev.daemon.replace([':', '.'], "-"));
        let terminal = Self { name, dir: dev.dir.path().into() };
        let shell =
            format!("env -i PATH=$PATH TERM=$TERM LANG=C.UTF-8 PS1='$ ' RKE_DAEMON={} sh", dev.daemon);
        let (width, height) = (width.to_string(), height.to_string());
        terminal.tmux(&["-f", "/dev/null", "new-session", "-d", "-x", &width, "-y", &height, &shell]);
        terminal.wait("a shell", |screen| screen.starts_with('$'));
        terminal
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("tmux");
        command.args(["-L", &self.name]).args(arguments).current_dir(&self.dir);
        let output = command.output().expect("tmux is needed for this test");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn type_in(&self, text: &str) {
        self.tmux(&["send-keys", "-l", text]);
        self.tmux(&["send-keys", "Enter"]);
    }

    fn press(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    fn resize(&self, width: u16, height: u16) {
        self.tmux(&["resize-window", "-x", &width.to_string(), "-y", &height.to_string()]);
    }

    fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// Waits until the screen is as it should be, and returns it.
    fn wait(&self, what: &str, is_so: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let screen = self.screen();
            if is_so(&screen) {
                return screen;
            }
            assert!(Instant::now() < deadline, "{what} does not come: {screen}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The process that the shell is running.
    fn running(&self) -> Pid {
        let shell = self.tmux(&["display-message", "-p", "#{pane_pid}"]).trim().to_owned();
        let child =
            std::fs::read_to_string(format!("/proc/{shell}/task/{shell}/children")).expect("children");
        child.trim().parse().ok().and_then(Pid::from_raw).expect("one child")
    }

    /// Whether the alternate screen, the one without a history, is shown.
    fn is_other_screen(&self) -> bool {
        self.tmux(&["display-message", "-p", "#{alternate_on}"]).trim() == "1"
    }

    /// Checks that the terminal is as a shell needs it: the earlier screen, line input, echo.
    fn assert_restored(&self) {
        self.wait("the screen from before", |screen| screen.contains("before"));
        assert!(!self.is_other_screen());
        self.type_in("stty -a | tr ' ' '\\n' | grep -x -e icanon -e echo -e isig | tr '\\n' '+'");
        self.wait("a terminal in order", |screen| screen.contains("isig+icanon+echo+"));
        assert_eq!(self.tmux(&["display-message", "-p", "#{cursor_flag}"]).trim(), "1", "the cursor");
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = Command::new("tmux").args(["-L", &self.name, "kill-server"]).output();
    }
}

/// How the user ends the program.
#[derive(Clone, Copy)]
enum End {
    Key(&'static str),
    Signal(Signal),
}

fn watch(terminal: &Terminal) {
    terminal.type_in(&format!("echo before; {} watch", env!("CARGO_BIN_EXE_rke")));
}

#[test]
fn watch_shows_what_changes_and_leaves_the_terminal_as_it_was() {
    let dev = Dev::start();
    let terminal = Terminal::open(&dev, (100, 30));
    watch(&terminal);
    terminal.wait("the first look", |screen| {
        screen.contains("0 of 16 sessions") && screen.contains("No sessions.")
    });
    assert!(terminal.is_other_screen());
    let id = dev.create_id();
    let screen = terminal.wait("the session", |screen| screen.contains(&id[..8]));
    assert!(!screen.contains(&id), "only the beginning of the id: {screen}");
    assert!(screen.contains(" min") && screen.contains(DOMAIN), "{screen}");
    // As many RAIDAs as a key needs. On a busy machine, the others may not be heard in time.
    terminal
        .wait("the RAIDAs", |screen| screen.matches('●').count() >= 14 && screen.contains("spare RAIDAs: "));
    terminal.wait("what the signs mean", |screen| {
        screen.contains("● healthy   ⊘ no response   ◇ no key set   ▲ wrong share")
    });
    terminal.press("?");
    terminal.wait("help", |screen| screen.contains("Ctrl-C    leave") && !screen.contains(DOMAIN));
    terminal.press("Escape");
    terminal.wait("the session again", |screen| screen.contains(DOMAIN));
    terminal.press("q");
    terminal.assert_restored();
}

#[test]
fn watch_fits_every_size_and_ends_with_ctrl_c_and_signals() {
    let dev = Dev::start();
    dev.create_id();
    let terminal = Terminal::open(&dev, (100, 30));
    for end in [End::Key("C-c"), End::Key("Escape"), End::Signal(Signal::TERM), End::Signal(Signal::HUP)] {
        watch(&terminal);
        terminal.wait("the first look", |screen| screen.contains("1 of 16 sessions"));
        for (width, height) in [(20, 6), (7, 2), (30, 40), (100, 30)] {
            terminal.resize(width, height);
            let way_out = &"q quits   ? help"[..16.min(usize::from(width))];
            let last = |screen: &str| screen.trim_end().lines().last().unwrap_or_default().to_owned();
            terminal.wait("the way out", |screen| last(screen).starts_with(way_out));
        }
        match end {
            End::Key(key) => terminal.press(key),
            End::Signal(signal) => kill_process(terminal.running(), signal).expect("a signal"),
        }
        terminal.assert_restored();
        terminal.type_in("clear");
        terminal.wait("an empty screen", |screen| !screen.contains("before"));
    }
}

#[test]
fn watch_scrolls_through_sessions() {
    let dev = Dev::start();
    let ids: Vec<String> = (0..6).map(|_| dev.create_id()).collect();
    let shown = |screen: &str| ids.iter().filter(|id| screen.contains(&id[..8])).cloned().collect::<Vec<_>>();
    let terminal = Terminal::open(&dev, (100, 16));
    watch(&terminal);
    let screen = terminal.wait("the first", |screen| screen.contains("1 to 3 of 6"));
    let first = shown(&screen);
    for (key, range) in [
        ("Down", "2 to 4 of 6"),
        ("NPage", "4 to 6 of 6"),
        ("j", "4 to 6 of 6"),
        ("k", "3 to 5 of 6"),
        ("G", "4 to 6 of 6"),
    ] {
        terminal.press(key);
        terminal.wait(range, |screen| screen.contains(range));
    }
    let last = shown(&terminal.screen());
    assert!(
        first.len() == 3 && last.len() == 3 && !first.iter().any(|id| last.contains(id)),
        "{first:?} {last:?}"
    );
    terminal.press("Home");
    terminal.wait("the first again", |screen| shown(screen) == first);
    terminal.press("q");
    terminal.assert_restored();
}

#[test]
fn a_narrow_terminal_never_breaks_an_id_and_shows_what_matters() {
    let dev = Dev::start();
    let id = dev.create_id();
    let program = env!("CARGO_BIN_EXE_rke");
    for (width, shown, left_out) in [
        (130, &["STATE", "EXPIRES", "CS ID", "DECRYPTED"][..], &[][..]),
        (80, &["STATE", "EXPIRES", "CS ID", DOMAIN], &["DECRYPTED", &id[8..]]),
        (60, &["STATE", "EXPIRES", DOMAIN], &["DECRYPTED", &id[8..]]),
        (44, &["STATE", "EXPIRES", DOMAIN], &["DECRYPTED", "CS ID", &id[8..]]),
    ] {
        let terminal = Terminal::open(&dev, (width, 30));
        terminal.type_in(&format!("clear; {program} session list; echo it is done | tr a-z A-Z"));
        let screen = terminal.wait("the list", |screen| screen.contains("IT IS DONE"));
        let id = if width < 130 { &id[..8] } else { &id };
        assert!(screen.lines().any(|line| line.starts_with(&format!("{id} "))), "{width}: {screen}");
        assert!(shown.iter().all(|title| screen.contains(title)), "{width}: {screen}");
        assert!(!left_out.iter().any(|title| screen.contains(title)), "{width}: {screen}");
    }
}

#[test]
fn help_fits_the_terminal_and_one_without_a_width_has_eighty_columns() {
    let dev = Dev::start();
    let id = dev.create_id();
    let program = env!("CARGO_BIN_EXE_rke");
    let terminal = Terminal::open(&dev, (50, 120));
    terminal.type_in(&format!("clear; {program} help; echo it is done | tr a-z A-Z"));
    let screen = terminal.wait("help", |screen| screen.contains("IT IS DONE"));
    let at = |words: &str| screen.lines().any(|line| line.trim_end().ends_with(words));
    assert!(
        at("serve           Run the daemon against the real")
            && at("session         Open, list, show, renew and"),
        "{screen}"
    );
    let terminal = Terminal::open(&dev, (130, 90));
    let words =
        format!("clear; stty cols 0; {program} session list; {program} help; echo it is done | tr a-z A-Z");
    terminal.type_in(&words);
    let screen = terminal.wait("help", |screen| screen.contains("IT IS DONE"));
    let id = &id[..8];
    assert!(screen.lines().any(|line| line.starts_with(id)) && !screen.contains("DECRYPTED"), "{screen}");
    let after =
        screen.split("IT IS DONE").next().and_then(|text| text.split(id).nth(1)).expect("what was printed");
    assert!(after.lines().all(|line| line.chars().count() <= 80), "{screen}");
}

#[test]
fn watch_says_that_the_daemon_went_away_and_shows_it_again() {
    let mut dev = Dev::start();
    let terminal = Terminal::open(&dev, (80, 24));
    watch(&terminal);
    terminal.wait("the first look", |screen| screen.contains("0 of 16 sessions"));
    dev.kill();
    let screen =
        terminal.wait("the end of the daemon", |screen| screen.contains("Waiting for it to come back."));
    assert!(screen.contains("no daemon responds at"), "{screen}");
    let again = Dev::start_at(&dev.daemon);
    terminal.wait("the daemon again", |screen| screen.contains("0 of 16 sessions"));
    drop(again);
    terminal.press("q");
    terminal.assert_restored();
}

#[test]
fn the_places_of_a_new_key_fill_as_raidas_answer() {
    let dev = Dev::start();
    let terminal = Terminal::open(&dev, (100, 30));
    let program = env!("CARGO_BIN_EXE_rke");
    terminal.type_in(&format!("{program} session create {DOMAIN} --wallet {}", dev.wallet.display()));
    let screen = terminal.wait("the session", |screen| screen.contains("opened with new shares"));
    assert!(screen.matches('✓').count() >= 13 && screen.contains("of 25 RAIDAs answered, "), "{screen}");
    let piped =
        dev.rke(&["session", "create", DOMAIN, "--wallet", dev.wallet.to_str().expect("UTF-8"), "--fresh"]);
    assert!(
        !piped.err.contains('✓') && !piped.err.contains('\x1b'),
        "no bar without a terminal: {}",
        piped.err
    );
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let dev = Dev::start();
    let terminal = Terminal::open(&dev, (120, 30));
    let program = env!("CARGO_BIN_EXE_rke");
    let red = "\x1b[31m";
    for (settings, sign) in [("NO_COLOR=1", "plain"), ("", "coloured"), ("TERM=dumb", "dumb")] {
        terminal.type_in(&format!("clear; {settings} {program} session show 00; echo {sign} | tr a-z A-Z"));
        let done =
            |screen: &str| screen.contains("Session not found") && screen.contains(&sign.to_uppercase());
        terminal.wait("the error", done);
        let coloured = terminal.tmux(&["capture-pane", "-p", "-e"]).contains(red);
        assert_eq!(coloured, sign == "coloured", "{sign}");
    }
    for (settings, styled) in [("NO_COLOR=1", false), ("", true)] {
        terminal.type_in(&format!("clear; {settings} {program} watch"));
        terminal.wait("the first look", |screen| screen.contains("No sessions."));
        let bold = terminal.tmux(&["capture-pane", "-p", "-e"]).contains("\x1b[1mrke watch");
        assert_eq!(bold, styled, "{settings}");
        terminal.press("q");
        terminal.wait("the shell", |screen| !screen.contains("No sessions."));
    }
}
