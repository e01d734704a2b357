//! Who makes a request, and what it may see. A web page sees the sessions that it opened and the keys that were made
//! for them; programs and the console see everything. Anyone who knows a session's id may use the session.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Who makes a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Viewer {
    /// A program, or a page of the daemon's own.
    Program,
    /// A page of this origin.
    Page(Page),
    /// A page without an origin. Such pages cannot be told apart, so they see nothing, not even what they opened.
    NullOrigin,
}

impl Viewer {
    /// Whether it may see what was opened or made for this page, or for no page.
    pub fn sees(&self, page: Option<&Page>) -> bool {
        match self {
            Self::Program => true,
            Self::Page(own) => page == Some(own),
            Self::NullOrigin => false,
        }
    }

    /// The page to record with what it opens.
    pub fn page(&self) -> Option<&Page> {
        match self {
            Self::Page(page) => Some(page),
            Self::Program | Self::NullOrigin => None,
        }
    }
}

/// The origin of a web page. Clones share it. A clone is one word, because each session holds one.
#[derive(Debug, Clone)]
pub struct Page(Arc<Origin>);

#[derive(Debug)]
struct Origin {
    text: Box<str>,
    /// Grows with each change in the sessions that were opened for the page.
    changes: AtomicU64,
    /// Grows with each change in the activity of these sessions.
    events: AtomicU64,
}

impl Page {
    /// The page of an origin.
    pub fn new(origin: &str) -> Self {
        Self::of_written(as_written(origin))
    }

    fn of_written(origin: String) -> Self {
        Self(Arc::new(Origin { text: origin.into(), changes: AtomicU64::new(0), events: AtomicU64::new(0) }))
    }

    pub fn origin(&self) -> &str {
        &self.0.text
    }

    /// A number that grows when something changes in the page's sessions.
    pub fn changes(&self) -> u64 {
        self.0.changes.load(Ordering::Relaxed)
    }

    /// Notes a change in the page's sessions.
    pub fn note_change(&self) {
        self.0.changes.fetch_add(1, Ordering::Relaxed);
    }

    /// A number that grows with each change in the activity that the page may see.
    pub(crate) fn events(&self) -> u64 {
        self.0.events.load(Ordering::Acquire)
    }

    /// Notes a change in that activity, after it was made.
    pub(crate) fn note_event(&self) {
        self.0.events.fetch_add(1, Ordering::Release);
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

/// An origin as browsers write it, however it was written.
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

/// The pages that have made requests, each once, so that all sessions of a page share one origin and one change
/// counter.
#[derive(Default)]
pub struct Pages(Mutex<HashSet<Page>>);

impl Pages {
    pub fn of(&self, origin: &str) -> Page {
        let origin = as_written(origin);
        let mut pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(page) = pages.get(origin.as_str()) {
            return page.clone();
        }
        // Instead of growing the set, drop the pages that no session and no request holds any longer.
        if pages.len() == pages.capacity() {
            pages.retain(|page| Arc::strong_count(&page.0) > 1);
        }
        let page = Page::of_written(origin);
        pages.insert(page.clone());
        page
    }
}

#[cfg(test)]
mod tests;
