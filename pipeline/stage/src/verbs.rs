//! What every command of every binary owes its user, as a test can ask for it.

use clap::Command;

/// The exit codes, for the end of a binary's help.
pub const EXIT_CODES: &str = "\
Exit codes:
  0   everything asked for is there
  1   the input has to change: flags, spec, paths, weights; or what was checked is not as it must be
  2   a bug or a failing machine
  3   done, and some samples are in quarantine
  75  interrupted: the same command goes on
With --json one JSON document is all that stands on standard output. Progress and errors stand on standard
error, with --log-format json an object a line; what failed has the message `failed`, and error, causes, hint
and exit_code.";

/// What a binary's commands lack of help: one line a shortcoming, none where all is well.
///
/// Every command without subcommands must say what it does, take `--json`, and have an example that
/// begins with its own name and that its own parser takes; every flag must be explained; and the
/// binary itself must list its exit codes.
pub fn shortcomings(binary: &Command) -> Vec<String> {
    let mut binary = binary.clone();
    // Hands global flags down and fills in the names of subcommands.
    binary.build();
    let mut found = Vec::new();
    if !help_of(&binary).contains("Exit codes:") {
        found.push(format!("`{}` does not list its exit codes", binary.get_name()));
    }
    look_at(&binary, &binary, &mut vec![binary.get_name().to_owned()], &mut found);
    found
}

fn look_at(binary: &Command, command: &Command, path: &mut Vec<String>, found: &mut Vec<String>) {
    let name = path.join(" ");
    if command.get_about().is_none() {
        found.push(format!("`{name}` does not say what it does"));
    }
    for flag in command.get_arguments().filter(|flag| flag.get_help().is_none()) {
        found.push(format!("`{name}` does not explain `{}`", flag.get_id()));
    }
    let mut verbs = command.get_subcommands().filter(|verb| verb.get_name() != "help").peekable();
    if verbs.peek().is_none() {
        look_at_verb(binary, command, &name, found);
    }
    for verb in verbs {
        path.push(verb.get_name().to_owned());
        look_at(binary, verb, path, found);
        path.pop();
    }
}

fn look_at_verb(binary: &Command, verb: &Command, name: &str, found: &mut Vec<String>) {
    if verb.get_arguments().all(|flag| flag.get_long() != Some("json")) {
        found.push(format!("`{name}` has no `--json`"));
    }
    let help = help_of(verb);
    let examples = help.split_once("Example:\n").map_or("", |(_, examples)| examples);
    let own = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '));
    let examples: Vec<&str> = examples.lines().map(str::trim).filter(own).collect();
    if examples.is_empty() {
        found.push(format!("`{name}` has no example"));
    }
    for example in examples {
        if let Err(error) = binary.clone().try_get_matches_from(words(example)) {
            let first = error.to_string().lines().next().unwrap_or_default().to_owned();
            found.push(format!("`{example}` does not run: {first}"));
        }
    }
}

fn help_of(command: &Command) -> String {
    command.get_after_help().map(ToString::to_string).unwrap_or_default()
}

/// The words of a command line as a shell splits it, single quotes included.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, part) in line.split('\'').enumerate() {
        let quoted = index % 2 == 1;
        match quoted {
            true => words.push(part.to_owned()),
            false => words.extend(part.split_whitespace().map(str::to_owned)),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use clap::{Arg, ArgAction};

    use super::*;

    fn binary(verb: Command) -> Command {
        Command::new("tool").about("Does it").after_help(EXIT_CODES).subcommand(verb)
    }

    fn json() -> Arg {
        Arg::new("json").long("json").help("Print JSON").action(ArgAction::SetTrue)
    }

    #[test]
    fn a_verb_with_everything_lacks_nothing() {
        let verb = Command::new("look").about("Looks").arg(json()).after_help("Example:\n  tool look --json\n");
        assert_eq!(shortcomings(&binary(verb)), Vec::<String>::new());
    }

    #[test]
    fn each_thing_that_is_missing_is_named() {
        let bare = Command::new("look").arg(Arg::new("where").long("where"));
        assert_eq!(
            shortcomings(&binary(bare)),
            [
                "`tool look` does not say what it does",
                "`tool look` does not explain `where`",
                "`tool look` has no `--json`",
                "`tool look` has no example",
            ]
        );
        let wrong = Command::new("look").about("Looks").arg(json()).after_help("Example:\n  tool look --jsno\n");
        let found = shortcomings(&binary(wrong).after_help(""));
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(found[0], "`tool` does not list its exit codes");
        assert!(found[1].starts_with("`tool look --jsno` does not run: "), "{found:?}");
    }

    #[test]
    fn quoted_words_stay_together() {
        assert_eq!(words("a --where 'item=*.png' b"), ["a", "--where", "item=*.png", "b"]);
    }
}
