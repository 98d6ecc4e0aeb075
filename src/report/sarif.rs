//! SARIF 2.1.0, with all that GitHub code scanning asks for.

mod log;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::rules::{self, RuleDescription};
use super::{Finding, Report, Severity, Suppressed};
use log::{
    ArtifactLocation, BaseDescription, Configuration, Driver, Fingerprints, Invocation, Location,
    Log, LogicalLocation, MarkdownText, Notification, OriginalBases, PhysicalLocation, Region,
    Result as SarifResult, RuleDescriptor, Run, Suppression, Text, Tool,
};

/// Where the standard says that its schema is.
const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";
/// What locations are relative to: the root of the tree.
const BASE: &str = "%SRCROOT%";
/// What a path keeps; all else is percent-encoded, a colon among it, which would begin a scheme.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// One log with one run, indented, with a line break at its end. Ignored findings are results with a suppression; what
/// could not be seen or read is a notification of the tool.
///
/// # Errors
/// As far as serde_json has them.
pub fn render(report: &Report) -> serde_json::Result<String> {
    let rules: Vec<RuleDescription> = rules::all().collect();
    let log = Log {
        schema: SCHEMA,
        version: "2.1.0",
        runs: [run(report, &rules)],
    };
    let mut text = serde_json::to_string_pretty(&log)?;
    text.push('\n');
    Ok(text)
}

fn run<'a>(report: &'a Report, rules: &[RuleDescription]) -> Run<'a> {
    let found = report.findings.iter();
    let found = found.map(|finding| result(finding, None, rules));
    let ignored = report.suppressed.iter();
    let ignored =
        ignored.map(|Suppressed { finding, reason }| result(finding, Some(reason), rules));
    Run {
        tool: Tool {
            driver: Driver {
                name: "keyguard",
                version: env!("CARGO_PKG_VERSION"),
                semantic_version: env!("CARGO_PKG_VERSION"),
                rules: rules.iter().map(descriptor).collect(),
            },
        },
        original_uri_base_ids: OriginalBases {
            root: BaseDescription {
                description: Text::new("The root of the tree that was checked."),
            },
        },
        column_kind: "unicodeCodePoints",
        invocations: [Invocation {
            execution_successful: report.broken.is_empty(),
            tool_execution_notifications: notifications(report),
        }],
        results: found.chain(ignored).collect(),
    }
}

fn descriptor(rule: &RuleDescription) -> RuleDescriptor {
    let (title, why) = (rule.title(), rules::sentence_case(rule.why));
    let documentation = &rule.documentation;
    let ignore = format!("# keyguard:ignore {} <reason>", rule.id);
    let help = format!(
        "{why}. The message says how to fix it; {documentation} of keyguard says more. \
         To ignore it at one place, write there: {ignore}"
    );
    let markdown = format!(
        "**{title}.** {why}.\n\nThe message says how to fix it; `{documentation}` of keyguard says more. To \
         ignore it at one place, write there:\n\n```yaml\n{ignore}\n```\n"
    );
    RuleDescriptor {
        id: rule.id,
        short_description: Text::new(title),
        full_description: Text::new(format!("{why}.")),
        help: MarkdownText {
            text: help,
            markdown,
        },
        default_configuration: Configuration {
            level: rule.severity.name(),
        },
    }
}

fn result<'a>(
    finding: &'a Finding,
    ignored: Option<&'a String>,
    rules: &[RuleDescription],
) -> SarifResult<'a> {
    let location = location(finding);
    SarifResult {
        rule_id: finding.rule,
        rule_index: rules.iter().position(|rule| rule.id == finding.rule),
        level: finding.severity.name(),
        message: Text::new(&finding.message),
        locations: location.into_iter().collect(),
        partial_fingerprints: Fingerprints {
            primary_location_line_hash: &finding.fingerprint,
            keyguard: &finding.fingerprint,
        },
        suppressions: ignored
            .map(|justification| Suppression {
                kind: "inSource",
                justification,
            })
            .into_iter()
            .collect(),
    }
}

/// Nothing only when neither file nor object is known.
fn location(finding: &Finding) -> Option<Location> {
    let physical_location = physical(
        &finding.file,
        Region {
            start_line: finding.line,
            start_column: finding.column,
            end_line: finding.end_line,
            end_column: finding.end_column,
        },
    );
    let logical_locations: Vec<LogicalLocation> = finding
        .object
        .iter()
        .map(|object| {
            let parts = [
                &object.api_version,
                &object.kind,
                &object.namespace,
                &object.name,
            ];
            let parts: Vec<&str> = parts
                .into_iter()
                .map(String::as_str)
                .filter(|part| !part.is_empty())
                .collect();
            LogicalLocation {
                name: object.name.clone(),
                fully_qualified_name: parts.join("/"),
                kind: "resource",
            }
        })
        .collect();
    let somewhere = physical_location.is_some() || !logical_locations.is_empty();
    somewhere.then_some(Location {
        physical_location,
        logical_locations,
    })
}

/// GitHub wants all four numbers; what is not known is the first line.
fn physical(file: &str, region: Region) -> Option<PhysicalLocation> {
    let start_line = region.start_line.max(1);
    let start_column = region.start_column.max(1);
    let end_line = region.end_line.max(start_line);
    let least = if end_line == start_line {
        start_column
    } else {
        1
    };
    (!file.is_empty()).then(|| PhysicalLocation {
        artifact_location: ArtifactLocation {
            uri: utf8_percent_encode(file, PATH).to_string(),
            uri_base_id: BASE,
        },
        region: Region {
            start_line,
            start_column,
            end_line,
            end_column: region.end_column.max(least),
        },
    })
}

fn notifications(report: &Report) -> Vec<Notification> {
    let broken = report.broken.iter().map(|broken| {
        let message = format!("{}: {}", broken.file, broken.why);
        notification(
            Severity::Error,
            message,
            &broken.file,
            broken.line,
            broken.column,
        )
    });
    let unseen = report.unseen.iter().map(|unseen| {
        let message = format!("Not seen: {}: {}", unseen.what, unseen.why);
        notification(Severity::Warning, message, &unseen.file, unseen.line, 1)
    });
    broken.chain(unseen).collect()
}

fn notification(
    level: Severity,
    message: String,
    file: &str,
    line: u32,
    column: u32,
) -> Notification {
    let region = Region {
        start_line: line,
        start_column: column,
        end_line: line,
        end_column: column,
    };
    let location = physical(file, region).map(|physical_location| Location {
        physical_location: Some(physical_location),
        logical_locations: Vec::new(),
    });
    Notification {
        level: level.name(),
        message: Text::new(message),
        locations: location.into_iter().collect(),
    }
}

#[cfg(test)]
#[path = "sarif_tests.rs"]
mod tests;
