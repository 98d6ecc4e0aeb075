//! `keyguard check`: from paths to a report and an exit code.

use std::fs;
use std::io::{IsTerminal, Write, stdout};
use std::path::Path;
use std::sync::Arc;

use crate::check::{Check, files};
use crate::cli::check as cli;
use crate::commands::CommandError;
use crate::commands::serve::source;
use crate::config::{Config, project};
use crate::report::findings::finish;
use crate::report::{Format, Report, exit, render};
use keyguard_core::runtime::chart::version::ChartVersion;

/// Checks what was named and prints the report.
///
/// # Errors
/// When it cannot begin, or what it found cannot be written.
pub fn run(arguments: &cli::Check) -> Result<u8, CommandError> {
    let config = Config::load(arguments.config.as_deref())?;
    let here = Path::new(".");
    let first = arguments.paths.iter().find(|path| *path != Path::new("-"));
    let root = files::root(arguments.root.as_deref(), first.map_or(here, |path| path))?;
    let project = project::read(&root)?;
    let exclude = [&project.exclude[..], &arguments.exclude].concat();
    let chart_version = arguments.chart_version.clone().or(project.chart_version);
    if let Some(version) = &chart_version
        && ChartVersion::parse(version) == ChartVersion::Unknown
    {
        let said = "--chart-version or chartVersion: it is no version as in Chart.yaml, such as 0.30.0 or 0.30.x";
        return Err(CommandError::Said(said.to_owned()));
    }
    let (paths, values) = (&arguments.paths, &arguments.values);
    let tree = files::read(root, arguments.root.is_some(), paths, values, &exclude)?;
    let fail_on = arguments.fail_on.or(project.fail_on).unwrap_or_default();
    let by_hand = [&project.secrets[..], &arguments.secret].concat();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CommandError::no("timer"))?;
    let mut report = runtime.block_on(async {
        let read = &arguments.read;
        let cluster = match read.kubeconfig.is_some() || read.state.is_some() {
            true => Some(source(read, *config.limits.max_secret_bytes, &Arc::default()).await?),
            false => None,
        };
        let check = Check {
            tree,
            by_hand,
            cluster,
            config,
            chart_version,
        };
        check.run().await.map_err(CommandError::no("thread"))
    })?;
    finish(&mut report);
    write(&report, arguments.format, arguments.output.as_deref())?;
    Ok(exit::code(&report, fail_on))
}

/// Writes a report to `--output`, or to standard output.
pub(super) fn write(
    report: &Report,
    format: Format,
    output: Option<&Path>,
) -> Result<(), CommandError> {
    let colours = output.is_none()
        && stdout().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let text = render(report, format, colours).map_err(|error| {
        CommandError::Failed("the report cannot be written".to_owned(), error.into())
    })?;
    let Some(file) = output else {
        let written = stdout().write_all(text.as_bytes());
        return written.map_err(CommandError::Output);
    };
    fs::write(file, text).map_err(|error| {
        let what = format!("--output {} cannot be written", file.display());
        CommandError::Failed(what, error.into())
    })
}
