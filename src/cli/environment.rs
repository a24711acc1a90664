//! Variables of the environment that look like settings.

use std::{collections::BTreeSet, ffi::OsString};

use clap::{Arg, Command, CommandFactory as _};

use super::Cli;

const PREFIX: &str = "DBWIRE_";

/// Those of `names` that begin as settings do and are none of this program, sorted: misspelled, of another version, or of
/// the half that this build lacks. Flags that do not exist are an error; a variable that does not is read by nobody.
pub fn unknown_variables(names: impl IntoIterator<Item = OsString>) -> Vec<String> {
    let known = settings(&Cli::command());
    let ours = names.into_iter().filter_map(|name| name.into_string().ok());
    let unknown: BTreeSet<_> =
        ours.filter(|name| name.starts_with(PREFIX) && !known.contains(name)).collect();
    unknown.into_iter().collect()
}

/// `message`, which tells of a flag, with the variable that the flag's value came from, if it was none of `arguments`: those
/// who set a variable know no flag. `is_set` is asked for variables' names.
pub fn with_origin(message: &str, arguments: &[OsString], is_set: impl Fn(&str) -> bool) -> String {
    let flag = message.split_once("--").map(|(_, rest)| {
        let end = rest.find(|c: char| !(c.is_ascii_lowercase() || matches!(c, '.' | '-')));
        rest.get(..end.unwrap_or(rest.len())).unwrap_or_default()
    });
    let Some(flag) = flag.filter(|flag| !flag.is_empty()) else { return message.to_owned() };
    let typed = arguments.iter().filter_map(|argument| argument.to_str()?.strip_prefix("--"));
    let is_typed = typed.map(|argument| argument.split('=').next().unwrap_or(argument)).any(|it| it == flag);
    let variable = format!("{PREFIX}{}", flag.to_uppercase().replace(['.', '-'], "_"));
    if is_typed || !is_set(&variable) {
        return message.to_owned();
    }
    format!("{message} (from {variable} in the environment)")
}

/// Names of the variables that `command` and what is below it read.
fn settings(command: &Command) -> BTreeSet<String> {
    let own = command.get_arguments().filter_map(Arg::get_env);
    let own = own.map(|name| name.to_string_lossy().into_owned());
    own.chain(command.get_subcommands().flat_map(settings)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unknown(names: &[&str]) -> Vec<String> {
        unknown_variables(names.iter().map(OsString::from))
    }

    #[test]
    fn settings_of_the_daemon_and_of_the_other_commands_are_known() {
        assert!(
            unknown(&["DBWIRE_WEB_LISTEN_ADDRESS", "DBWIRE_COLLECTOR_SOCKETS", "DBWIRE_JSON"]).is_empty()
        );
        #[cfg(feature = "capture")]
        assert!(unknown(&["DBWIRE_MYSQL_PORT", "DBWIRE_LOOK", "DBWIRE_REPORT"]).is_empty());
    }

    #[test]
    fn a_complaint_names_the_variable_that_is_to_blame() {
        let told = |message: &str, arguments: &[&str]| {
            let arguments: Vec<_> = arguments.iter().map(OsString::from).collect();
            with_origin(message, &arguments, |name| name == "DBWIRE_MYSQL_SAMPLE_BITS")
        };
        let blamed = "--mysql.sample-bits=9: too many (from DBWIRE_MYSQL_SAMPLE_BITS in the environment)";
        assert_eq!(told("--mysql.sample-bits=9: too many", &["--log.level", "warn"]), blamed);
        for (message, arguments) in [
            ("--mysql.sample-bits=9: too many", &["--mysql.sample-bits", "9"][..]),
            ("--mysql.sample-bits=9: too many", &["--mysql.sample-bits=9"]),
            ("--mysql.threads=0: too few", &[]),
            ("nothing of a flag", &[]),
        ] {
            assert_eq!(told(message, arguments), message, "{arguments:?}");
        }
    }

    #[test]
    fn what_begins_like_one_is_told_and_other_peoples_variables_are_not() {
        let names = ["PATH", "DBWIRE_WEB_PORT", "DBWIRE", "MY_DBWIRE_X", "DBWIRE_NO_COLLECTOR_SOCKETS"];
        assert_eq!(unknown(&names), ["DBWIRE_NO_COLLECTOR_SOCKETS", "DBWIRE_WEB_PORT"]);
    }
}
