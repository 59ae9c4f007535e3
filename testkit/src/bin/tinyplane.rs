//! The one binary: a cluster, and every member of it, as subcommands.

use std::process::ExitCode;

/// Objects are trees of small pieces, made and dropped with every request: glibc's allocator takes a third of the time.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    tinyplane::cli::main()
}
