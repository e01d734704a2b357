//! The `rke` program.

fn main() {}
