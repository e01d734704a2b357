//! Progress bars on standard error, if it is a terminal.

use std::io::{IsTerminal, stderr};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressBarIter, ProgressDrawTarget, ProgressStyle};
use tokio::io::AsyncRead;

/// How often a bar is redrawn while nothing else happens.
const TICK: Duration = Duration::from_millis(100);

/// Whether a bar would be visible.
pub(super) fn is_seen() -> bool {
    stderr().is_terminal() && std::env::var_os("TERM").is_some_and(|kind| kind != "dumb")
}

/// Whether the terminal can show characters beyond ASCII.
pub(crate) fn shows_unicode() -> bool {
    let set = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|set| !set.is_empty()));
    set.is_some_and(|set| set.to_uppercase().replace('-', "").contains("UTF8"))
}

/// A bar or a spinner. It disappears when it is dropped.
pub(crate) struct Bar(ProgressBar);

impl Bar {
    /// A bar for data of this length, or a spinner that counts if the length is unknown.
    pub(crate) fn of_bytes(what: &'static str, len: Option<u64>) -> Self {
        let template = match len {
            Some(_) => "{prefix} {bar:30} {bytes} of {total_bytes}, {binary_bytes_per_sec}, {eta} left",
            None => "{prefix} {spinner} {bytes}, {binary_bytes_per_sec}",
        };
        Self::new(len, template, |bar| bar.set_prefix(what))
    }

    pub(crate) fn hidden() -> Self {
        Self(ProgressBar::hidden())
    }

    /// A spinner followed by text.
    pub(super) fn spinner(text: String) -> Self {
        Self::new(None, "{spinner} {msg}", |bar| bar.set_message(text))
    }

    fn new(len: Option<u64>, template: &str, label: impl FnOnce(&ProgressBar)) -> Self {
        if !is_seen() {
            return Self::hidden();
        }
        let bar = ProgressBar::with_draw_target(len, ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template(template);
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(if shows_unicode() { style } else { style.progress_chars("=> ").tick_chars("|/-\\ ") });
        label(&bar);
        bar.enable_steady_tick(TICK);
        Self(bar)
    }

    pub(super) fn set_text(&self, text: String) {
        self.0.set_message(text);
    }

    /// Replaces the bar by this line, which stays.
    pub(super) fn leave(self, text: String) {
        self.0.suspend(|| super::say(&text));
    }

    /// Moves the bar on as data is read through the returned reader.
    pub(crate) fn reading<R: AsyncRead + Unpin>(&self, from: R) -> ProgressBarIter<R> {
        self.0.wrap_async_read(from)
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
