//! Who asks, and what it may see: a web page sees the sessions that it has opened and the keys that were made for them,
//! programs and the console see all. Anyone who knows a session's id may use it, whoever that is.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Viewer {
    /// A program, or a page of the daemon's own.
    Program,
    /// A page of this origin.
    Page(Page),
    /// A page without an origin. Such pages cannot be told apart, so they see nothing, not even what they have opened.
    NullOrigin,
}

impl Viewer {
    /// Whether it may see what was opened, or made, for this page; or for no page.
    pub fn sees(&self, page: Option<&Page>) -> bool {
        match self {
            Self::Program => true,
            Self::Page(own) => page == Some(own),
            Self::NullOrigin => false,
        }
    }

    /// The page that what it opens is kept for.
    pub fn page(&self) -> Option<&Page> {
        match self {
            Self::Page(page) => Some(page),
            Self::Program | Self::NullOrigin => None,
        }
    }
}

/// The origin of a web page. Clones share it; they are one word, for each session has room for that.
#[derive(Debug, Clone)]
pub struct Page(Arc<Origin>);

#[derive(Debug)]
struct Origin {
    text: Box<str>,
    /// Grows with each change in the sessions that were opened for the page.
    changes: AtomicU64,
}

impl Page {
    /// The page of an origin.
    pub fn new(origin: &str) -> Self {
        Self::of_written(as_written(origin))
    }

    fn of_written(origin: String) -> Self {
        Self(Arc::new(Origin { text: origin.into(), changes: AtomicU64::new(0) }))
    }

    /// Its origin.
    pub fn origin(&self) -> &str {
        &self.0.text
    }

    /// A number that grows when something changes in its sessions.
    pub fn changes(&self) -> u64 {
        self.0.changes.load(Ordering::Relaxed)
    }

    /// Notes such a change.
    pub fn note_change(&self) {
        self.0.changes.fetch_add(1, Ordering::Relaxed);
    }
}

impl PartialEq for Page {
    fn eq(&self, other: &Self) -> bool {
        self.origin() == other.origin()
    }
}

impl Eq for Page {}

impl Hash for Page {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.origin().hash(state);
    }
}

impl Borrow<str> for Page {
    fn borrow(&self) -> &str {
        self.origin()
    }
}

/// An origin as browsers write it, whoever has written this one.
fn as_written(origin: &str) -> String {
    let mut origin = origin.to_ascii_lowercase();
    let default_port = match origin.split_once(':') {
        Some(("http", _)) => ":80",
        Some(("https", _)) => ":443",
        _ => return origin,
    };
    if origin.ends_with(default_port) {
        origin.truncate(origin.len() - default_port.len());
    }
    origin
}

/// The pages that have asked, each once, so that all its sessions share one origin and one number of changes.
#[derive(Default)]
pub struct Pages(Mutex<HashSet<Page>>);

impl Pages {
    /// The page of an origin.
    pub fn of(&self, origin: &str) -> Page {
        let origin = as_written(origin);
        let mut pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(page) = pages.get(origin.as_str()) {
            return page.clone();
        }
        // Those that no session and no request has any longer go, rather than that the set grows.
        if pages.len() == pages.capacity() {
            pages.retain(|page| Arc::strong_count(&page.0) > 1);
        }
        let page = Page::of_written(origin);
        pages.insert(page.clone());
        page
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_sees_what_its_origin_opened_and_a_program_sees_all() {
        let (one, other) = (Page::new("http://localhost:3000"), Page::new("http://localhost:3001"));
        let viewers = [Viewer::Program, Viewer::Page(Page::new(one.origin())), Viewer::NullOrigin];
        for (opened_for, seen) in [
            (Some(&one), [true, true, false]),
            (Some(&other), [true, false, false]),
            (None, [true, false, false]),
        ] {
            assert_eq!(viewers.each_ref().map(|viewer| viewer.sees(opened_for)), seen, "{opened_for:?}");
        }
        assert_eq!(viewers.each_ref().map(Viewer::page), [None, Some(&one), None]);
    }

    #[test]
    fn a_page_is_kept_once_and_only_as_long_as_somebody_has_it() {
        let pages = Pages::default();
        let kept = pages.of("http://localhost:1");
        kept.note_change();
        for port in 2..10_000 {
            pages.of(&format!("http://localhost:{port}"));
        }
        assert_eq!(pages.of("http://localhost:1").changes(), 1);
        assert!(pages.0.lock().expect("unpoisoned").capacity() < 16);
    }

    #[test]
    fn origins_are_compared_as_browsers_write_them() {
        for (given, written) in [
            ("http://localhost:3000", "http://localhost:3000"),
            ("HTTP://LocalHost:80", "http://localhost"),
            ("https://app.example:443", "https://app.example"),
            ("http://app.example:443", "http://app.example:443"),
            ("https://[::1]:80", "https://[::1]:80"),
            ("http://[::80]", "http://[::80]"),
            ("chrome-extension://abc:80", "chrome-extension://abc:80"),
        ] {
            assert_eq!(Page::new(given).origin(), written);
        }
    }

    #[test]
    fn a_page_takes_one_word_of_a_session() {
        assert_eq!(size_of::<Option<Page>>(), size_of::<usize>());
    }
}
