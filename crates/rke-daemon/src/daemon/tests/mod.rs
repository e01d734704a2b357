//! Whole daemons, seen by their clients.

mod suspend;
mod tunnels;
