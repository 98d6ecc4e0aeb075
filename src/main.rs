//! Dispatch and exit codes.

use std::process::ExitCode;

use clap::Parser;
use keyguard::cli::{Cli, Command};
use keyguard::run;

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Serve(arguments) => run::serve::run(&arguments).map_err(anyhow::Error::from),
        Command::WebhookConfig(arguments) => run::webhook_config::render(&arguments)
            .map_err(anyhow::Error::from)
            .and_then(|yaml| Ok(print(&yaml)?)),
        Command::SelfTest(arguments) => run::self_test::run(&arguments)
            .map_err(anyhow::Error::from)
            .and_then(|report| Ok(print(&report)?)),
        Command::Demo(arguments) => run::demo::run(&arguments).map_err(anyhow::Error::from),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let chain: Vec<String> = error.chain().map(ToString::to_string).collect();
            complain(&format!("keyguard: {}", chain.join(": ")));
            ExitCode::FAILURE
        }
    }
}

/// Writes to standard output; a reader that went away is an error like any other, not a panic.
fn print(text: &str) -> std::io::Result<()> {
    use std::io::Write;
    std::io::stdout().write_all(text.as_bytes())
}

#[expect(
    clippy::print_stderr,
    reason = "the one place that tells why the program ends"
)]
fn complain(line: &str) {
    eprintln!("{}", line.replace('\n', " "));
}
