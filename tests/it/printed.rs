//! What documents and the chart list is printed from the code: settings, metrics, rules, and the schemas.
//!
//! `KEYGUARD_PRINT=1 cargo test --test it printed`, as `deploy/render` does, writes it; without the variable each text is
//! compared.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on fails"
)]

use std::fmt::Write;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use keyguard::config::Config;
use keyguard::telemetry::collector_metrics::CollectorMetrics;
use keyguard::telemetry::metrics::Metrics;
use keyguard::telemetry::scan_metrics::{ScanMetrics, Told};
use keyguard_core::policy::check_rules::CheckRule;
use keyguard_core::policy::rules::Rule;
use keyguard_core::policy::subject::Operation;
use keyguard_core::policy::verdict::Decision;
use keyguard_core::record::Record;
use keyguard_core::review::request::Webhook;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

/// Compares the file at `path` with what `change` makes of it, or writes that.
fn is_printed(path: &str, change: impl FnOnce(&str) -> String) {
    // Two tables are in one file.
    static WRITING: Mutex<()> = Mutex::new(());
    let _writing = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let before = std::fs::read_to_string(&path).unwrap_or_default();
    let after = change(&before);
    if std::env::var_os("KEYGUARD_PRINT").is_some() {
        std::fs::write(&path, after).unwrap();
    } else {
        let shown = path.display();
        assert!(
            before == after,
            "{shown} is not as the code prints it: run deploy/render"
        );
    }
}

/// `text` with what is between the lines `begin` and `end` replaced.
fn between(text: &str, begin: &str, end: &str, printed: &str) -> String {
    let (head, rest) = text.split_once(begin).expect("it has the first mark");
    let (_, tail) = rest.split_once(end).expect("it has the last mark");
    format!("{head}{begin}\n{printed}{end}{tail}")
}

fn table(document: &str, name: &str, printed: &str) {
    is_printed(document, |text| {
        let begin = format!("<!-- {name}, printed by deploy/render -->");
        between(text, &begin, "<!-- end -->", &format!("\n{printed}\n"))
    });
}

#[test]
fn the_reference_has_every_setting_with_its_default_and_its_range() {
    let mut rows = "| setting | default | |\n| --- | --- | --- |\n".to_owned();
    for (name, setting) in settings(&Config::schema()) {
        let default = match &setting["default"] {
            Value::String(text) if !text.is_empty() => text.clone(),
            other => other.to_string(),
        };
        let range = match (
            &setting["minimum"],
            &setting["maximum"],
            &setting["x-range"],
        ) {
            (Value::Number(min), Value::Number(max), _) => format!("; {min} to {max}"),
            (_, _, Value::String(range)) => format!("; {range}"),
            _ => String::new(),
        };
        let choices = choices(&setting).map_or(String::new(), |names| format!(": {names}"));
        let text = flat(&setting["description"]);
        writeln!(rows, "| `{name}` | `{default}` | {text}{choices}{range} |").unwrap();
    }
    table("docs/operations.md", "settings", &rows);
}

#[test]
fn the_reference_has_every_metric_with_its_labels() {
    let metrics = Metrics::new();
    metrics.decided(Webhook::ArgocdCm, Operation::Create, Decision::Allow, None);
    table(
        "docs/operations.md",
        "metrics",
        &metric_rows(&metrics.encode()),
    );
}

#[test]
fn the_reference_has_every_metric_of_a_scan_with_its_labels() {
    let metrics = ScanMetrics::new();
    let rule = Rule::SecretMissing.id();
    metrics.tell(Told {
        findings: [((rule, "namespace".to_owned()), 1)].into(),
        expiries: vec![(1, "namespace".to_owned(), "secret".to_owned())],
        ..Told::default()
    });
    table("docs/scan.md", "metrics", &metric_rows(&metrics.encode()));
}

#[test]
fn the_reference_has_every_metric_of_the_collector_with_its_labels() {
    let rows = metric_rows(&CollectorMetrics::new().encode());
    table("docs/audit.md", "metrics", &rows);
}

fn metric_rows(exposition: &str) -> String {
    let mut rows = "| metric | labels | |\n| --- | --- | --- |\n".to_owned();
    for part in exposition.split("# HELP ").skip(1) {
        let (help, rest) = part.split_once('\n').unwrap();
        let (name, help) = help.split_once(' ').unwrap();
        let kind = rest.lines().find_map(|line| line.strip_prefix("# TYPE "));
        let suffix = match kind.and_then(|kind| kind.split_once(' ')) {
            Some((_, "counter")) => "_total",
            Some((_, "info")) => "_info",
            _ => "",
        };
        let sample = rest
            .lines()
            .find(|line| line.starts_with(name))
            .unwrap_or_default();
        let labels = sample
            .split_once('{')
            .and_then(|(_, rest)| rest.split_once('}'));
        let labels = labels.map_or("", |(labels, _)| labels).split(',');
        let labels: Vec<String> = labels
            .filter_map(|label| label.split_once('='))
            .filter(|(label, _)| *label != "le")
            .map(|(label, _)| format!("`{label}`"))
            .collect();
        let (labels, help) = (labels.join(", "), help.trim_end_matches('.'));
        writeln!(rows, "| `{name}{suffix}` | {labels} | {help} |").unwrap();
    }
    rows
}

#[test]
fn the_list_of_rules_has_every_rule_and_why_it_exists() {
    let mut rows = "| rule | why |\n| --- | --- |\n".to_owned();
    for rule in Rule::ALL {
        let (id, why) = (rule.id(), rule.why());
        let anchor = id.replace('/', "");
        writeln!(rows, "| [`{id}`](#{anchor}) | {why} |").unwrap();
    }
    table("docs/rules.md", "rules", &rows);
}

#[test]
fn the_list_of_the_rules_of_check_has_every_rule_and_why_it_exists() {
    let mut rows = "| rule | why |\n| --- | --- |\n".to_owned();
    for rule in CheckRule::ALL {
        writeln!(rows, "| `{}` | {} |", rule.id(), rule.why()).unwrap();
    }
    table("docs/check.md", "check rules", &rows);
}

#[test]
fn the_values_of_the_chart_have_every_setting_with_its_default() {
    let schema = Config::schema();
    let mut printed = "config:\n".to_owned();
    values(&mut printed, &schema, "  ");
    is_printed("deploy/chart/values.yaml", |text| {
        let (begin, end) = (
            "# Settings, printed by deploy/render: begin",
            "# Settings: end",
        );
        between(text, begin, end, &printed)
    });
}

#[test]
fn the_schema_of_the_values_has_that_of_the_configuration() {
    is_printed("deploy/chart/values.schema.json", |text| {
        let mut values: Value = serde_json::from_str(text).unwrap();
        let mut config = Config::schema();
        for key in ["$schema", "title"] {
            config.as_object_mut().unwrap().remove(key);
        }
        values["properties"]["config"] = config;
        format!("{values:#}\n")
    });
}

#[test]
fn the_schema_of_records_is_printed() {
    is_printed("docs/record.schema.json", |_| {
        let mut settings = SchemaSettings::draft2020_12();
        settings.inline_subschemas = true;
        let schema = settings.into_generator().into_root_schema_for::<Record>();
        format!("{:#}\n", schema.to_value())
    });
}

#[test]
fn the_reference_has_every_member_of_a_record() {
    let schema = SchemaSettings::draft2020_12();
    let schema = schema
        .into_generator()
        .into_root_schema_for::<Record>()
        .to_value();
    let mut rows = "| member | |\n| --- | --- |\n".to_owned();
    let mut row = |name: &str, schema: &Value| {
        writeln!(rows, "| `{name}` | {} |", flat(&schema["description"])).unwrap();
    };
    for (name, member) in schema["properties"].as_object().unwrap() {
        row(name, member);
        let (of, nested) = match &member["items"]["properties"] {
            Value::Null => (format!("{name}."), &member["properties"]),
            items => (format!("{name}[]."), items),
        };
        for (name, member) in nested.as_object().into_iter().flatten() {
            row(&format!("{of}{name}"), member);
        }
    }
    table("docs/operations.md", "record", &rows);
}

/// Each setting with its schema: those of no section first.
fn settings(schema: &Value) -> Vec<(String, Value)> {
    let properties = schema["properties"].as_object().unwrap();
    let is_section = |(_, value): &(&String, &Value)| value["properties"].is_object();
    let (sections, plain): (Vec<_>, Vec<_>) = properties.iter().partition(is_section);
    let of_sections = sections.into_iter().flat_map(|(section, schema)| {
        let settings = schema["properties"].as_object().unwrap().iter();
        settings.map(move |(name, value)| (format!("{section}.{name}"), value.clone()))
    });
    let plain = plain
        .into_iter()
        .map(|(name, value)| (name.clone(), value.clone()));
    plain.chain(of_sections).collect()
}

fn values(printed: &mut String, schema: &Value, indent: &str) {
    let empty = Map::new();
    for (name, setting) in schema["properties"].as_object().unwrap_or(&empty) {
        let mut text = without_links(&flat(&setting["description"]));
        text.extend(choices(setting).map(|names| format!(": {names}")));
        for line in wrapped(&format!("{text}."), 112 - indent.len()) {
            writeln!(printed, "{indent}# {line}").unwrap();
        }
        if setting["properties"].is_object() {
            writeln!(printed, "{indent}{name}:").unwrap();
            values(printed, setting, &format!("{indent}  "));
        } else {
            let default = &setting["default"];
            let default = match default.as_str() {
                Some(text) if !text.is_empty() => text.to_owned(),
                _ => default.to_string(),
            };
            writeln!(printed, "{indent}{name}: {default}").unwrap();
        }
    }
}

fn choices(setting: &Value) -> Option<String> {
    let choices = setting["oneOf"].as_array()?.iter();
    let names: Vec<String> = choices
        .map(|choice| format!("`{}`", choice["const"].as_str().unwrap()))
        .collect();
    Some(names.join(" or "))
}

fn flat(text: &Value) -> String {
    let words = text.as_str().unwrap_or_default().split_whitespace();
    words.collect::<Vec<_>>().join(" ")
}

/// A document's links, `[text](target)`, as their text.
fn without_links(text: &str) -> String {
    let mut parts = text.split('[');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (link, rest) = part.split_once(']').unwrap();
        let (_, rest) = rest.split_once(')').unwrap();
        plain.extend([link, rest]);
    }
    plain
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().unwrap();
        if !line.is_empty() && line.len() + 1 + word.len() > width {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}
