//! `docs/rules.md` and the code say the same: the same rules, and of each what a user really reads.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on fails"
)]

mod argocd_secret;
mod examples;
mod verified;

use keyguard_core::policy::rules::Rule;

const DOCUMENT: &str = include_str!("../../docs/rules.md");
const README: &str = include_str!("../../README.md");

/// The parts that an entry has after its description and its example.
const PARTS: [&str; 2] = ["**Mend.** ", "**Not refused.** "];

/// What stands under the heading of one rule.
struct Entry {
    id: &'static str,
    description: &'static str,
    example: &'static str,
    rest: &'static str,
}

#[test]
fn every_rule_has_one_entry_in_the_order_of_the_code_and_no_entry_lacks_a_rule() {
    let documented: Vec<&str> = entries().iter().map(|entry| entry.id).collect();
    let known: Vec<&str> = Rule::ALL.iter().map(|rule| rule.id()).collect();
    assert_eq!(documented, known);
}

#[test]
fn every_example_is_what_a_user_reads() {
    let mut wrong = Vec::new();
    for entry in entries() {
        let rule = Rule::from_id(entry.id).expect("the entry has a rule");
        let real = examples::read_by_the_user(rule);
        assert!(real.contains(&format!("[{}]", entry.id)), "{real}");
        if flat(entry.example) != flat(&real) {
            wrong.push(format!("{}\n{real}\n", entry.id));
        }
    }
    assert!(
        wrong.is_empty(),
        "docs/rules.md differs from what is said:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn every_entry_describes_mends_and_tells_what_is_not_refused() {
    for entry in entries() {
        assert!(!entry.description.trim().is_empty(), "{}", entry.id);
        for part in PARTS {
            let texts: Vec<&str> = entry.rest.split(part).skip(1).collect();
            let [text] = texts.as_slice() else {
                panic!("{} has {} parts {part}", entry.id, texts.len());
            };
            assert!(!text.trim().is_empty(), "{} {part}", entry.id);
        }
    }
}

#[test]
fn the_readme_opens_with_a_refusal_as_it_is_worded() {
    let opening: Vec<&str> = README.lines().take(10).collect();
    let refusal = examples::read_by_the_user(Rule::ApiKeyRemoved);
    assert!(
        flat(&opening.join("\n")).contains(&flat(&refusal)),
        "the first ten lines must show:\n{refusal}"
    );
}

fn entries() -> Vec<Entry> {
    let mut sections = DOCUMENT.split("\n## ");
    let _head = sections.next();
    sections.map(entry).collect()
}

/// Every heading of the second level is a rule's.
fn entry(section: &'static str) -> Entry {
    let (heading, body) = section.split_once('\n').expect("a heading ends");
    let id = heading
        .strip_prefix('`')
        .and_then(|rest| rest.strip_suffix('`'))
        .unwrap_or_else(|| panic!("not the heading of a rule: {heading}"));
    let (description, rest) = body
        .split_once("```text\n")
        .unwrap_or_else(|| panic!("{id} has no example"));
    let (example, rest) = rest
        .split_once("\n```\n")
        .unwrap_or_else(|| panic!("the example of {id} does not end"));
    Entry {
        id,
        description,
        example,
        rest,
    }
}

/// The text on one line: where lines break is the document's affair.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
