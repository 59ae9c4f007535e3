//! The built-in shell: `sh -c`, scripts, and the interactive one, in the words of the POSIX shell.

mod arithmetic;
mod ast;
mod builtins;
mod expand;
mod glob;
mod interactive;
mod job;
mod main;
mod parameter;
mod parser;
mod redirect;
mod run;
mod state;
mod test;
mod word;

pub(crate) use glob::{Pattern, class};
pub(crate) use main::sh;
pub(crate) use test::test;

#[cfg(test)]
mod tests;
