//! Whole daemons, seen by their clients.

mod differential;
mod suspend;
mod tunnels;
