//! Flags that are built when their subcommand is called. Each member is a process of this program, and would otherwise hold the
//! flags of all the others.

use clap::{ArgMatches, Args, Command, Error, FromArgMatches};

/// Arguments of a subcommand, built late.
#[derive(Debug)]
pub(super) struct Late<T>(pub(super) T);

/// Adds the flags. What the subcommand is about stays in its own words: a struct of flags brings its doc comment along.
fn add_flags<T: Args>(command: Command) -> Command {
    let about = command.get_about().cloned();
    let long_about = command.get_long_about().cloned();
    let command = T::augment_args(command);
    let command = match about {
        Some(words) => command.about(words),
        None => command.about(None),
    };
    match long_about {
        Some(words) => command.long_about(words),
        None => command.long_about(None),
    }
}

impl<T: Args> Args for Late<T> {
    fn augment_args(command: Command) -> Command {
        command.defer(add_flags::<T>)
    }

    fn augment_args_for_update(command: Command) -> Command {
        T::augment_args_for_update(command)
    }
}

impl<T: FromArgMatches> FromArgMatches for Late<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        T::from_arg_matches(matches).map(Self)
    }

    fn from_arg_matches_mut(matches: &mut ArgMatches) -> Result<Self, Error> {
        T::from_arg_matches_mut(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        self.0.update_from_arg_matches(matches)
    }
}
