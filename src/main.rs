//! Dispatch and exit codes.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use keyguard::cli::token::{self, TokenCommand};
use keyguard::cli::{Cli, Command, ConfigCommand};
use keyguard::commands::{self, CommandError};
use keyguard::config::Config;

/// glibc keeps what a burst freed for the next one; this gives it back within seconds (`.cargo/config.toml` says when).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    // What goes wrong repeats paths, addresses and names.
    let typed = std::env::args_os().skip(1);
    let mut typed = typed.map(|argument| argument.to_string_lossy().into_owned());
    if typed.any(|argument| token::holds_one(&argument)) {
        return refuse(token::TYPED);
    }
    if let Some(problem) = token::variable_with_one(std::env::vars_os()) {
        return refuse(&problem);
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // What clap says repeats what was typed.
        Err(error) if error.use_stderr() && token::may_be_among(std::env::args_os()) => {
            return refuse(token::TYPED);
        }
        Err(error) => error.exit(),
    };
    let result = match cli.command {
        Command::Token(TokenCommand::Inspect(arguments)) => return inspect(&arguments),
        Command::Check(arguments) => return ended(commands::check::run(&arguments)),
        Command::Scan(arguments) => return ended(commands::scan::run(&arguments)),
        #[cfg(feature = "audit")]
        Command::Audit(command) => return ended(commands::audit::run(&command)),
        Command::Serve(arguments) => commands::serve::run(&arguments),
        Command::WebhookConfig(arguments) => {
            commands::webhook_config::render(&arguments).and_then(|yaml| print(&yaml))
        }
        Command::Config(ConfigCommand::Schema) => print(&format!("{:#}\n", Config::schema())),
        Command::SelfTest(arguments) => {
            commands::self_test::run(&arguments).and_then(|report| print(&report))
        }
        Command::Demo(arguments) => commands::demo::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain_of(&error);
            ExitCode::FAILURE
        }
    }
}

fn refuse(problem: &str) -> ExitCode {
    complain(&format!("keyguard: {problem}"));
    ExitCode::from(2)
}

/// What could not be begun is wrong usage.
fn ended(result: Result<u8, CommandError>) -> ExitCode {
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            complain_of(&error);
            ExitCode::from(2)
        }
    }
}

/// 0: good, 1: defective, 2: could not tell.
fn inspect(arguments: &token::Inspect) -> ExitCode {
    let printed = commands::token_inspect::run(arguments).and_then(|inspection| {
        print(&inspection.report)?;
        Ok(inspection.outcome)
    });
    match printed {
        Ok(outcome) => ExitCode::from(outcome as u8),
        Err(error) => {
            complain_of(&error);
            ExitCode::from(2)
        }
    }
}

/// Writes to standard output; a reader that went away is an error like any other, not a panic.
fn print(text: &str) -> Result<(), CommandError> {
    let written = std::io::stdout().write_all(text.as_bytes());
    written.map_err(CommandError::Output)
}

fn complain_of(error: &CommandError) {
    complain(&format!("keyguard: {}", error.chain()));
}

#[expect(
    clippy::print_stderr,
    reason = "the one place that tells why the program ends"
)]
fn complain(line: &str) {
    eprintln!("{}", line.replace('\n', " "));
}
