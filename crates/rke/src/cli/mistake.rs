//! What clap says of a wrong command line, made right where variables of the environment play a part.

use std::env::var_os;

use clap::error::{ContextKind, ContextValue};
use clap::{Command, Error};

/// Completes clap's error for the command line of this process. To clap, a flag that a variable sets is as good as given: it
/// shows the flag as required in the usage line, and blames it for what the variable says. Without variables the same command
/// line shows what is otherwise.
pub(super) fn explain(mut error: Error, command: Command) -> Error {
    let without = without_variables(command.clone()).try_get_matches().err();
    let without = |kind| without.as_ref().and_then(|without| without.get(kind));
    let is_set = error.get(ContextKind::InvalidArg) != without(ContextKind::InvalidArg);
    if let (Some(_), Some(usage)) = (error.get(ContextKind::Usage), without(ContextKind::Usage)) {
        error.insert(ContextKind::Usage, usage.clone());
    }
    if let Some(variable) =
        wrong_flag(&error).filter(|_| is_set).and_then(|flag| variable_of(command, flag, &error))
    {
        let tip =
            format!("the environment variable {variable} has this value; set it to another, or unset it");
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    }
    error
}

/// The one flag that the error is about, as clap writes it.
fn wrong_flag(error: &Error) -> Option<&str> {
    match error.get(ContextKind::InvalidArg)? {
        ContextValue::String(flag) => Some(flag),
        _ => None,
    }
}

/// The variable that gives a flag the wrong value.
fn variable_of(mut command: Command, flag: &str, error: &Error) -> Option<String> {
    let Some(ContextValue::String(value)) = error.get(ContextKind::InvalidValue) else { return None };
    // Only then does a flag know how it is written.
    command.build();
    find_variable(&command, flag, value)
}

/// Several commands have a flag of the same name, each with a variable of its own.
fn find_variable(command: &Command, flag: &str, value: &str) -> Option<String> {
    let flags = command.get_arguments().filter(|arg| arg.to_string() == flag);
    let mut variables = flags.filter_map(|arg| Some(arg.get_env()?.to_string_lossy().into_owned()));
    let own = variables.find(|variable| var_os(variable).is_some_and(|set| set.to_string_lossy() == value));
    own.or_else(|| command.get_subcommands().find_map(|command| find_variable(command, flag, value)))
}

fn without_variables(command: Command) -> Command {
    command.mut_args(|arg| arg.env(None::<&'static str>)).mut_subcommands(without_variables)
}
