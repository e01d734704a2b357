//! The real pieces together: UDP, DNS, HTTP, the program itself. One test binary, because each of
//! them would link everything again.

mod api;
mod dependencies;
mod key;
mod page;
mod program;
mod support;
