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
    fn what_begins_like_one_is_told_and_other_peoples_variables_are_not() {
        let names = ["PATH", "DBWIRE_WEB_PORT", "DBWIRE", "MY_DBWIRE_X", "DBWIRE_NO_COLLECTOR_SOCKETS"];
        assert_eq!(unknown(&names), ["DBWIRE_NO_COLLECTOR_SOCKETS", "DBWIRE_WEB_PORT"]);
    }
}
