//! Tests that every command's help has examples, and that clap accepts them.

use clap::{Command, CommandFactory, Parser};

use super::Cli;

/// Calls `look` on every command with its help, the outermost first.
fn walk(command: &Command, path: &str, look: &mut dyn FnMut(&str, &str)) {
    let path = format!("{path} {}", command.get_name());
    look(path.trim(), &command.clone().render_long_help().to_string());
    command.get_subcommands().for_each(|inner| walk(inner, &path, look));
}

/// Splits an example into words as a shell does. Leaves out comments in parentheses, redirections, and the commands of
/// a pipe before the last one.
fn words(example: &str) -> Vec<String> {
    let command = example.split("   (").next().unwrap_or(example);
    let command = command.rsplit(" | ").next().unwrap_or(command);
    let command = command.split(" > ").next().unwrap_or(command);
    let mut words = vec![];
    for (at, piece) in command.split('\'').enumerate() {
        if at % 2 == 1 {
            words.push(piece.to_owned());
        } else {
            words.extend(piece.split_whitespace().map(str::to_owned));
        }
    }
    words
}

#[test]
fn every_command_has_examples_and_clap_takes_them() {
    let mut seen = 0;
    walk(&Cli::command(), "", &mut |path, help| {
        let (_, examples) =
            help.split_once("\nExample").unwrap_or_else(|| panic!("`{path}` has no example:\n{help}"));
        let examples: Vec<&str> = examples.lines().skip(1).filter(|line| !line.trim().is_empty()).collect();
        assert!(!examples.is_empty(), "`{path}` has no example");
        for example in examples {
            let words = words(example);
            assert!(words.join(" ").starts_with(path), "`{example}` is no example of `{path}`");
            if let Err(error) = Cli::try_parse_from(&words) {
                panic!("`{example}` of `{path}`: {error}");
            }
            seen += 1;
        }
    });
    assert!(seen > 40, "{seen}");
}
