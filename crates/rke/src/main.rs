//! The `rke` program. All that it does is in the library `rke-cli`, which is compiled to be small; what puts
//! the whole program together here is told to make it fast (`Cargo.toml` of the workspace).

use std::process::ExitCode;

fn main() -> ExitCode {
    rke_cli::main()
}
