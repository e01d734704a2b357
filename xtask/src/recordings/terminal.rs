//! A terminal with a shell in it, which termtosvg records. What is typed goes through it, so the shell echoes it as it
//! does for a person.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::stage::Stage;

/// What the shell shows when it waits for a command.
pub(super) const PROMPT: &str = "$ ";

/// How long the program may take to show something.
const PATIENCE: Duration = Duration::from_secs(30);

/// Between two words of a person who types, and after a prompt or a command.
const WORD: Duration = Duration::from_millis(160);
const BREATH: Duration = Duration::from_millis(600);

/// Columns and rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub(super) columns: u16,
    pub(super) rows: u16,
}

/// The terminal. It is recorded until it is closed.
pub(super) struct Terminal {
    child: Child,
    input: ChildStdin,
    output: Receiver<String>,
    /// What was shown since the last [`Terminal::wait_for`].
    shown: String,
}

impl Terminal {
    /// Opens it in front of a prompt.
    pub(super) fn open(Size { columns, rows }: Size, cast: &Path, stage: &Stage) -> Result<Self> {
        let mut command = stage.command("termtosvg");
        command.arg("record").arg(cast).args(["-g", &format!("{columns}x{rows}")]);
        command.args(["-c", "bash --norc --noprofile"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::null()).spawn().context("cannot run termtosvg")?;
        let input = child.stdin.take().context("termtosvg has no input")?;
        let output = follow(child.stdout.take().context("termtosvg has no output")?);
        let mut terminal = Self { child, input, output, shown: String::new() };
        terminal.wait_for(PROMPT)?;
        terminal.pause(BREATH);
        Ok(terminal)
    }

    /// Types a line, word by word.
    pub(super) fn type_in(&mut self, line: &str) -> Result<()> {
        for word in line.split_inclusive(' ') {
            self.press(word)?;
            self.pause(WORD);
        }
        self.pause(BREATH);
        // What was typed is on the screen by now. The next thing to wait for comes after it.
        self.take_output();
        self.shown.clear();
        self.press("\r")
    }

    pub(super) fn press_ctrl_c(&mut self) -> Result<()> {
        self.press("\x03")
    }

    /// Waits until this is shown.
    pub(super) fn wait_for(&mut self, text: &str) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !self.shown.contains(text) {
            let left = deadline.saturating_duration_since(Instant::now());
            let piece = self.output.recv_timeout(left);
            self.shown += &piece.with_context(|| format!("{text:?} does not come, only {:?}", self.shown))?;
        }
        self.shown.clear();
        Ok(())
    }

    /// Leaves the screen as it is for a while, for people to read.
    pub(super) fn pause(&self, how_long: Duration) {
        thread::sleep(how_long);
    }

    /// Ends the recording with the screen as it is.
    pub(super) fn close(self) -> Result<()> {
        let Self { mut child, input, output, .. } = self;
        drop(input);
        // A program that writes to a pipe without a reader blocks in the end.
        output.iter().for_each(drop);
        let status = child.wait().context("cannot wait for termtosvg")?;
        ensure!(status.success(), "termtosvg cannot record ({status})");
        Ok(())
    }

    fn press(&mut self, keys: &str) -> Result<()> {
        self.input.write_all(keys.as_bytes()).context("the recorded shell has ended")
    }

    fn take_output(&mut self) {
        self.shown.extend(self.output.try_iter());
    }
}

/// What is shown, as it comes.
fn follow(mut output: ChildStdout) -> Receiver<String> {
    let (shows, shown) = channel();
    thread::spawn(move || {
        let mut piece = [0; 4096];
        while let Ok(len @ 1..) = output.read(&mut piece) {
            if shows.send(String::from_utf8_lossy(&piece[..len]).into_owned()).is_err() {
                return;
            }
        }
    });
    shown
}
