//! Tests of whole daemons, as their clients see them.

mod differential;
mod suspend;
mod tunnels;
