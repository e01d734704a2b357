//! The real pieces together: UDP, DNS, HTTP, the program itself. One test binary, because each of
//! them would link everything again.

#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot go on ends by a panic")]

mod api;
mod attacks;
mod audit;
mod bodies;
mod browser;
mod chromium;
mod client;
mod clients;
mod commands;
mod connections;
mod console;
mod cuts;
mod data_dirs;
mod dependencies;
mod dev;
mod doctor;
mod doors;
mod errors;
mod everywhere;
mod faults;
mod files;
mod guardians;
mod hardening;
mod key;
mod leaks;
mod liars;
mod lifetimes;
mod listener;
mod many_domains;
mod names;
mod openapi;
mod operate;
mod page;
mod pages;
mod printed;
mod program;
mod real;
mod records;
mod refused;
mod relay;
mod reload;
mod sandbox;
mod sealed;
mod servers;
mod storm;
mod streams;
mod support;
mod systemd;
mod tunnel;
mod victims;
mod watch;
mod weak;
mod wire;
