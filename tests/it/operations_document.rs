//! `docs/operations.md`, `docs/check.md` and `docs/audit.md` leave out no command, no flag and no variable.

use std::collections::BTreeSet;

use clap::CommandFactory;
use keyguard::cli::Cli;

const DOCUMENT: &str = concat!(
    include_str!("../../docs/operations.md"),
    include_str!("../../docs/check.md"),
    include_str!("../../docs/audit.md")
);

#[test]
fn every_flag_and_its_variable_are_there() {
    let cli = Cli::command();
    let mut wanted = Vec::new();
    let nested = cli
        .get_subcommands()
        .flat_map(clap::Command::get_subcommands);
    let commands = cli.get_subcommands().chain(nested);
    for argument in commands.flat_map(clap::Command::get_arguments) {
        wanted.extend(argument.get_long().map(|long| format!("--{long}")));
        let variable = argument.get_env().and_then(|name| name.to_str());
        wanted.extend(variable.map(str::to_owned));
    }
    assert!(wanted.len() > 20, "{wanted:?}");
    assert_documented(wanted);
}

#[test]
fn every_command_is_there() {
    let cli = Cli::command();
    let commands = cli.get_subcommands().flat_map(|command| {
        let name = format!("keyguard {}", command.get_name());
        let nested: Vec<_> = command
            .get_subcommands()
            .map(|nested| format!("{name} {}", nested.get_name()))
            .collect();
        match nested.is_empty() {
            true => vec![name],
            false => nested,
        }
    });
    assert_documented(commands);
}

/// Asserts that each name stands in the document as code.
fn assert_documented(names: impl IntoIterator<Item = String>) {
    let documented: BTreeSet<&str> = DOCUMENT.split('`').skip(1).step_by(2).collect();
    let missing: Vec<String> = names
        .into_iter()
        .filter(|name| !documented.contains(name.as_str()))
        .collect();
    assert!(
        missing.is_empty(),
        "docs/operations.md, docs/check.md and docs/audit.md lack {missing:?}"
    );
}
