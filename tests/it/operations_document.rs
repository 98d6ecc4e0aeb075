//! `docs/operations.md` leaves out no flag, variable, setting, metric or field of the log.

use std::collections::BTreeSet;

use clap::CommandFactory;
use keyguard::cli::Cli;
use keyguard::telemetry::metrics::Metrics;
use serde_json::Value;

use crate::control_plane::ControlPlane;
use crate::control_plane::keyguard::{Keyguard, Options};
use crate::settings;

const DOCUMENT: &str = include_str!("../../docs/operations.md");

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
fn every_setting_is_there_with_its_default_and_its_range() {
    let manifest = include_str!("../../deploy/manifests/config.yaml");
    let manifest: Value = serde_saphyr::from_str(manifest).unwrap();
    let defaults = manifest["data"]["config.yaml"].as_str().unwrap();
    let defaults: Value = serde_saphyr::from_str(defaults).unwrap();
    for setting in settings::all() {
        let start = format!("| `{setting}` | `");
        let row = DOCUMENT.lines().find_map(|line| line.strip_prefix(&start));
        let row = row.unwrap_or_else(|| panic!("docs/operations.md lacks {setting}"));
        let (default, text) = row.split_once('`').expect("the default ends");
        let default: Value = serde_saphyr::from_str(default).unwrap();
        let pointer = format!("/{}", setting.replace('.', "/"));
        assert_eq!(Some(&default), defaults.pointer(&pointer), "{setting}");
        if let Some(range) = settings::range(&setting) {
            assert!(text.contains(&range), "{setting}: {range}");
        }
    }
}

#[test]
fn every_metric_is_there() {
    let exposition = Metrics::new().encode();
    let types = exposition
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "));
    let metrics = types.map(|line| {
        let (name, kind) = line.split_once(' ').expect("a name and a type");
        match kind {
            "counter" => format!("{name}_total"),
            "info" => format!("{name}_info"),
            _ => name.to_owned(),
        }
    });
    assert_documented(metrics);
}

#[test]
fn every_field_of_a_decision_is_there() {
    let plane = ControlPlane::shared();
    let namespace = plane.fresh_namespace("log-fields");
    let keyguard = Keyguard::start(plane, &Options::default());
    // Its installation waits until something has been decided.
    let _installed = keyguard.install(plane, &[&namespace]);
    let line = keyguard.log_line("a decision", |line| line["message"] == "decision");
    let fields = line.as_object().unwrap();
    assert!(fields.len() > 10, "{line}");
    assert_documented(fields.keys().cloned());
}

/// Asserts that each name stands in the document as code.
fn assert_documented(names: impl IntoIterator<Item = String>) {
    let documented: BTreeSet<&str> = DOCUMENT.split('`').skip(1).step_by(2).collect();
    let missing: Vec<String> = names
        .into_iter()
        .filter(|name| !documented.contains(name.as_str()))
        .collect();
    assert!(missing.is_empty(), "docs/operations.md lacks {missing:?}");
}
