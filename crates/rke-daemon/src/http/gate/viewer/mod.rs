//! The viewer of a request that has passed: a page, known by its origin, or else a program.

use rke_engine::model::viewer::Viewer;

use super::caller::{Caller, Way};
use super::origin::{self, Own};
use super::request_head::RequestHead;
use super::{Admission, fetch};
use crate::http::policy::Audience;

impl Admission {
    /// The viewer. A page of the daemon's own origin counts as a program, because the console shows everything.
    pub(super) fn viewer(&self, head: &RequestHead<'_>, caller: Option<&Caller>) -> Viewer {
        let way = caller.map_or(Way::Tcp, |caller| caller.way);
        let named = origin::named(head).and_then(|origin| std::str::from_utf8(origin).ok());
        let is_own = |origin| Own::of(head, way).is_some_and(|own| own.is(origin));
        // Other routes show nothing about sessions, and there any Referer may be sent.
        match named.filter(|_| head.policy.audience == Audience::Applications) {
            // Behind a proxy that does TLS for the daemon, only the browser knows its own origin.
            Some(origin) if is_own(origin) || fetch::is_from_same_origin(head) => Viewer::Program,
            Some("null") => Viewer::NullOrigin,
            Some(origin) => Viewer::Page(self.pages.of(origin)),
            None => Viewer::Program,
        }
    }
}

#[cfg(test)]
mod tests;
