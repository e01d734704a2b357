//! The terminal while `rke watch` has it: another screen, no cursor, keys as they are pressed. All of it
//! is undone when the value goes.

use std::io::{self, Write, stdout};
use std::thread;

use anstream::{AutoStream, ColorChoice};
use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers, read};
use crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen,
    LeaveAlternateScreen, disable_raw_mode, enable_raw_mode, size,
};
use crossterm::{execute, queue};
use tokio::sync::mpsc::{Receiver, channel};

use super::view::View;

/// What the person at the terminal does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Input {
    Leave,
    Resized,
}

/// A terminal that is being drawn on.
pub(super) struct Screen {
    colours: ColorChoice,
}

impl Screen {
    pub(super) fn enter() -> io::Result<Self> {
        let colours = AutoStream::choice(&stdout());
        enable_raw_mode()?;
        // From here on there is something to undo.
        let screen = Self { colours };
        execute!(stdout(), EnterAlternateScreen, Hide)?;
        Ok(screen)
    }

    /// Draws all of it, at once and without flicker.
    pub(super) fn show(&mut self, view: &View) -> io::Result<()> {
        let (width, height) = size()?;
        let lines = view.lines(width.into(), height.into());
        let mut drawn = Vec::new();
        queue!(drawn, BeginSynchronizedUpdate)?;
        for (row, line) in (0..height).zip(&lines) {
            queue!(drawn, MoveTo(0, row), Clear(ClearType::CurrentLine))?;
            match self.colours {
                ColorChoice::Never => drawn.extend(line.plain().bytes()),
                _ => drawn.extend(line.painted().bytes()),
            }
        }
        if lines.len() < usize::from(height) {
            queue!(drawn, MoveTo(0, lines.len() as u16), Clear(ClearType::FromCursorDown))?;
        }
        queue!(drawn, EndSynchronizedUpdate)?;
        let mut stdout = stdout().lock();
        stdout.write_all(&drawn)?;
        stdout.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = execute!(stdout(), Show, LeaveAlternateScreen);
        let _ = disable_raw_mode();
    }
}

/// What is done at the terminal from now on.
pub(super) fn inputs() -> Receiver<Input> {
    let (done, inputs) = channel(8);
    // It waits for a key, which may never come: it is left behind at the end.
    thread::spawn(move || {
        while let Ok(event) = read() {
            if meaning(&event).is_some_and(|input| done.blocking_send(input).is_err()) {
                return;
            }
        }
    });
    inputs
}

fn meaning(event: &Event) -> Option<Input> {
    match event {
        Event::Resize(..) => Some(Input::Resized),
        Event::Key(KeyEvent { code: KeyCode::Char('q' | 'Q') | KeyCode::Esc, .. }) => Some(Input::Leave),
        Event::Key(KeyEvent { code: KeyCode::Char('c' | 'd'), modifiers, .. })
            if modifiers.contains(KeyModifiers::CONTROL) =>
        {
            Some(Input::Leave)
        }
        _ => None,
    }
}
