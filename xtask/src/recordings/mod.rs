//! `cargo xtask recordings`: records the program in a terminal, as the animated pictures `dev.svg`, `session-create.svg`
//! and `watch.svg` in `docs/pictures`. termtosvg runs a shell, for which this types, and draws what the shell and the
//! program show.

mod picture;
mod stage;
mod terminal;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::{TESTS, cargo, need};
use picture::{at_rest, template};
use stage::Stage;
use terminal::{Size, Terminal};

/// The largest that a recording may be, in bytes: the program has it in its book.
const MOST_BYTES: usize = 30_000;

/// Where they go.
const PICTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/pictures");

/// How long a screen is shown at least, at most, and when it is the last, in milliseconds.
const SHORTEST: &str = "250";
const LONGEST: &str = "2500";
const LAST: &str = "6000";

/// What is recorded.
struct Recording {
    /// The name of its picture.
    name: &'static str,
    title: &'static str,
    size: Size,
    /// What happens, from the first prompt to the last screen.
    play: fn(&mut Terminal, &Stage) -> Result<()>,
}

const DEV: Recording = Recording {
    name: "dev",
    title: "rke dev in a terminal: a network starts, and prints where everything is and lines to paste",
    size: Size { columns: 112, rows: 38 },
    play: play_dev,
};

const SESSION_CREATE: Recording = Recording {
    name: "session-create",
    title: "rke session create in a terminal, and a session used and deleted",
    size: Size { columns: 112, rows: 18 },
    play: play_session_create,
};

const WATCH: Recording = Recording {
    name: "watch",
    title: "rke watch in a terminal, while sessions are opened and deleted",
    size: Size { columns: 108, rows: 20 },
    play: play_watch,
};

pub(crate) fn recordings() -> Result<()> {
    need("termtosvg", "termtosvg")?;
    cargo(&TESTS)?;
    let mut stage = Stage::set()?;
    record(&DEV, &stage)?;
    stage.start_network()?;
    record(&SESSION_CREATE, &stage)?;
    record(&WATCH, &stage)
}

fn record(recording: &Recording, stage: &Stage) -> Result<()> {
    let Recording { name, title, size, play } = recording;
    let cast = stage.path(&format!("{name}.cast"));
    let mut terminal = Terminal::open(*size, &cast, stage)?;
    play(&mut terminal, stage).with_context(|| format!("recording {name}"))?;
    terminal.close()?;
    let svg = at_rest(&render(&cast, &template(title), stage)?)?;
    ensure!(!svg.contains(&stage.home()), "{name}.svg names a folder of this machine: {}", stage.home());
    ensure!(svg.len() <= MOST_BYTES, "{name}.svg has {} bytes, of at most {MOST_BYTES}", svg.len());
    let path = Path::new(PICTURES).join(format!("{name}.svg"));
    fs::write(&path, svg).with_context(|| format!("cannot write {}", path.display()))
}

/// Draws what was recorded.
fn render(cast: &Path, template: &str, stage: &Stage) -> Result<String> {
    let (frame, drawn) = (stage.path("template.svg"), stage.path("drawn.svg"));
    fs::write(&frame, template).context("cannot write the template of the pictures")?;
    let mut command = Command::new("termtosvg");
    command.arg("render").arg(cast).arg(&drawn).arg("-t").arg(&frame);
    let done =
        command.args(["-m", SHORTEST, "-M", LONGEST, "-D", LAST]).output().context("cannot run termtosvg")?;
    ensure!(done.status.success(), "termtosvg cannot draw: {}", String::from_utf8_lossy(&done.stderr));
    fs::read_to_string(&drawn).context("termtosvg has drawn nothing")
}

fn play_dev(terminal: &mut Terminal, _: &Stage) -> Result<()> {
    terminal.type_in("rke dev")?;
    terminal.wait_for("Ctrl-C stops all of it.")?;
    terminal.pause(Duration::from_secs(4));
    terminal.press_ctrl_c()?;
    terminal.wait_for(terminal::PROMPT)
}

fn play_session_create(terminal: &mut Terminal, _: &Stage) -> Result<()> {
    for line in [
        "SESSION_ID=$(rke session create content.rke.test --wallet \"$WALLET\")",
        "rke session list",
        "echo 'Hello World!' | rke encrypt \"$SESSION_ID\" > letter.sealed",
        "rke decrypt \"$SESSION_ID\" < letter.sealed",
        "echo hello | rke connect \"$SESSION_ID\"",
        "rke session delete \"$SESSION_ID\" --everywhere",
        "rke decrypt \"$SESSION_ID\" < letter.sealed",
    ] {
        terminal.type_in(line)?;
        terminal.wait_for(terminal::PROMPT)?;
        terminal.pause(Duration::from_millis(900));
    }
    Ok(())
}

fn play_watch(terminal: &mut Terminal, stage: &Stage) -> Result<()> {
    terminal.type_in("rke watch")?;
    terminal.wait_for("No sessions.")?;
    let mut ids = Vec::new();
    for _ in 0..3 {
        terminal.pause(Duration::from_millis(1200));
        ids.push(stage.open_session()?);
    }
    terminal.pause(Duration::from_millis(1200));
    stage.delete_session(&ids[1])?;
    terminal.pause(Duration::from_millis(2200));
    Ok(())
}

#[cfg(test)]
mod tests;
