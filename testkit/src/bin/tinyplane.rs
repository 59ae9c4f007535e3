//! The one binary: a cluster, and every member of it, as subcommands.

use std::process::ExitCode;

fn main() -> ExitCode {
    tinyplane::cli::main()
}
