//! The terminal while `rke watch` uses it: the alternate screen, no cursor, keys as they are pressed. Dropping
//! [`Screen`] restores it.

use std::io::{self, Write, stdout};
use std::thread;

use anstream::{AutoStream, ColorChoice};
use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers, read};
use crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen,
    LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use crossterm::{execute, queue};
use tokio::sync::mpsc::{Receiver, channel};

use super::view::{Scroll, View};
use crate::terminal::size;

/// What the user does at the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Input {
    Leave,
    /// Closes the help if it is open, else leaves the program.
    Back,
    Help,
    Scroll(Scroll),
    Resized,
    Other,
}

/// The terminal, set up for drawing.
pub(super) struct Screen {
    colours: ColorChoice,
}

impl Screen {
    pub(super) fn enter() -> io::Result<Self> {
        let colours = AutoStream::choice(&stdout());
        enable_raw_mode()?;
        // From here on, dropping `screen` restores the terminal.
        let screen = Self { colours };
        execute!(stdout(), EnterAlternateScreen, Hide)?;
        Ok(screen)
    }

    /// Draws the whole view at once, without flicker.
    pub(super) fn show(&mut self, view: &mut View) -> io::Result<()> {
        let (width, height) = size();
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

/// The user's inputs from now on.
pub(super) fn inputs() -> Receiver<Input> {
    let (done, inputs) = channel(8);
    // This thread waits for a key that may never be pressed, so nobody joins it at the end.
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
        Event::Key(KeyEvent { code: KeyCode::Char('c' | 'd'), modifiers, .. })
            if modifiers.contains(KeyModifiers::CONTROL) =>
        {
            Some(Input::Leave)
        }
        Event::Key(KeyEvent { code, .. }) => Some(match code {
            KeyCode::Char('q' | 'Q') => Input::Leave,
            KeyCode::Esc => Input::Back,
            KeyCode::Char('?' | 'h') => Input::Help,
            KeyCode::Down | KeyCode::Char('j') => Input::Scroll(Scroll::Lines(1)),
            KeyCode::Up | KeyCode::Char('k') => Input::Scroll(Scroll::Lines(-1)),
            KeyCode::PageDown | KeyCode::Char(' ') => Input::Scroll(Scroll::Pages(1)),
            KeyCode::PageUp => Input::Scroll(Scroll::Pages(-1)),
            KeyCode::Home | KeyCode::Char('g') => Input::Scroll(Scroll::First),
            KeyCode::End | KeyCode::Char('G') => Input::Scroll(Scroll::Last),
            _ => Input::Other,
        }),
        _ => None,
    }
}
