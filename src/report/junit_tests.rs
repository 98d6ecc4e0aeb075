//! What is written, parsed again and held to the rules of Jenkins' `junit-10.xsd`: elements, what is in them, attributes.

use roxmltree::{Document, Node};

use super::*;
use crate::report::odd_report::{RIGHT_TO_LEFT, odd_report};

/// An element of `junit-10.xsd`: its name, the attributes that it must and may have, and what may be in it.
type Element = (
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
    &'static [&'static str],
);

/// The part of `junit-10.xsd` that names elements which are written here.
const ELEMENTS: &[Element] = &[
    (
        "testsuites",
        &[],
        &["name", "time", "tests", "failures", "errors"],
        &["testsuite"],
    ),
    (
        "testsuite",
        &["name", "tests", "failures", "errors"],
        &[
            "group",
            "time",
            "skipped",
            "timestamp",
            "hostname",
            "id",
            "package",
            "file",
            "log",
            "url",
        ],
        &[
            "testsuite",
            "properties",
            "testcase",
            "system-out",
            "system-err",
        ],
    ),
    (
        "testcase",
        &["name"],
        &["time", "classname", "group"],
        &["skipped", "error", "failure", "system-out", "system-err"],
    ),
    ("properties", &[], &[], &["property"]),
    ("property", &["name", "value"], &[], &[]),
    ("skipped", &[], &["type", "message"], &[]),
    ("error", &[], &["type", "message"], &[]),
    ("failure", &[], &["type", "message"], &[]),
];

/// The elements in which the schema allows text.
const MIXED: &[&str] = &["skipped", "error", "failure"];

fn holds(node: Node<'_, '_>) {
    let name = node.tag_name().name();
    let (_, must, may, inside) = ELEMENTS
        .iter()
        .find(|(element, ..)| *element == name)
        .unwrap_or_else(|| panic!("no element {name}"));
    for attribute in *must {
        assert!(node.has_attribute(*attribute), "{name} without {attribute}");
    }
    for attribute in node.attributes() {
        let attribute = attribute.name();
        assert!(
            must.contains(&attribute) || may.contains(&attribute),
            "{name}: {attribute}"
        );
    }
    for child in node.children() {
        if child.is_element() {
            assert!(
                inside.contains(&child.tag_name().name()),
                "{child:?} in {name}"
            );
            holds(child);
        } else {
            let blank = child.text().unwrap_or_default().trim().is_empty();
            assert!(blank || MIXED.contains(&name), "text in {name}");
        }
    }
}

/// Checks it against the rules of the schema, and that the counts are right.
fn valid(text: &str) -> Document<'_> {
    let document = Document::parse(text).unwrap();
    let root = document.root_element();
    assert_eq!(root.tag_name().name(), "testsuites");
    holds(root);
    let suite = root.first_element_child().unwrap();
    for (attribute, element) in [
        ("tests", "testcase"),
        ("failures", "failure"),
        ("errors", "error"),
        ("skipped", "skipped"),
    ] {
        let count = suite
            .descendants()
            .filter(|node| node.has_tag_name(element))
            .count();
        assert_eq!(
            suite.attribute(attribute),
            Some(count.to_string().as_str()),
            "{attribute}"
        );
    }
    document
}

#[test]
fn an_empty_report_is_a_suite_with_a_test_that_passed() {
    let text = render(&Report::default());
    let document = valid(&text);
    let test = document
        .descendants()
        .find(|node| node.has_tag_name("testcase"));
    assert_eq!(
        test.unwrap().attribute("name"),
        Some("files and objects were checked")
    );
    assert!(!test.unwrap().has_children());
}

#[test]
fn errors_fail_and_all_else_is_shown_as_skipped() {
    let text = render(&odd_report());
    let document = valid(&text);
    let outcomes: Vec<(&str, &str, &str)> = document
        .descendants()
        .filter(|node| node.has_tag_name("testcase"))
        .map(|test| {
            (
                test.attribute("classname").unwrap(),
                test.attribute("name").unwrap(),
                test.first_element_child()
                    .map_or("", |outcome| outcome.tag_name().name()),
            )
        })
        .collect();
    let properties: Vec<_> = document
        .descendants()
        .filter(|node| node.has_tag_name("property"))
        .map(|property| (property.attribute("name"), property.attribute("value")))
        .collect();
    assert_eq!(
        properties,
        [(Some("files"), Some("4")), (Some("objects"), Some("7"))]
    );
    assert_eq!(
        outcomes,
        [
            ("keyguard", "files and objects were checked", ""),
            (
                "keyguard.errors",
                "Deployment codefresh/cap-app-proxy",
                "failure"
            ),
            ("keyguard.errors", "apps/a b%,:日本.yaml", "failure"),
            ("keyguard.warnings", "apps/a b%,:日本.yaml", "skipped"),
            (
                "keyguard.warnings",
                "bell\u{fffd}\u{fffd}[31m.yaml",
                "skipped"
            ),
            ("keyguard.unreadable", "broken.yaml:2:7", "error"),
            ("keyguard.unseen", "app.yaml:9", "skipped"),
            ("keyguard.ignored", "apps/a b%,:日本.yaml:20:5", "skipped"),
        ]
    );
}

#[test]
fn a_reader_has_the_texts_as_they_were() {
    let text = render(&odd_report());
    let document = valid(&text);
    let failure = document
        .descendants()
        .filter(|node| node.has_tag_name("failure"))
        .nth(1)
        .unwrap();
    let report = odd_report();
    let message = &report.findings[1].message;
    assert_eq!(
        failure.attribute("message"),
        Some(format!("accounts/api-key-removed: {message}").as_str())
    );
    assert_eq!(
        failure.text(),
        Some(
            format!(
                "error accounts/api-key-removed · apps/a b%,:日本.yaml:3:5 · ConfigMap argocd/{RIGHT_TO_LEFT} · \
                 data[\"accounts.admin\"]\n{message}"
            )
            .as_str()
        )
    );
    let note = document.descendants().find(|node| {
        node.attribute("message")
            .is_some_and(|text| text.contains("keys-unknown"))
    });
    assert_eq!(
        note.unwrap().attribute("message"),
        Some("secrets/keys-unknown: ]]> \u{fffd}\u{fffd}\u{fffd} --> ::error::x")
    );
}

#[test]
fn several_errors_of_a_file_are_one_test() {
    let mut report = odd_report();
    let mut second = report.findings[1].clone();
    second.line = 4;
    report.findings.insert(2, second);
    let text = render(&report);
    let document = valid(&text);
    let failures = document
        .descendants()
        .filter(|node| node.has_tag_name("failure"));
    let messages: Vec<&str> = failures
        .filter_map(|node| node.attribute("message"))
        .collect();
    assert_eq!(messages.len(), 2);
    assert!(messages[1].starts_with("2 findings, the first: accounts/api-key-removed: "));
}
