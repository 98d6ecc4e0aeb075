//! From the field of a finding, such as `spec.template.spec.containers[0].env[2]`, to its place in a document.

use super::{Node, Position};

/// The place of `field` in `document`, or of the deepest part of it that is there.
pub fn position<'a>(document: &'a Node, field: &str) -> &'a Position {
    let (mut node, mut at) = (document, &document.at);
    for step in steps(field) {
        let next = match &step {
            Step::Key(key) => node.entry(key).map(|entry| (&entry.value, &entry.at)),
            Step::Index(index) => node.items().get(*index).map(|item| (item, &item.at)),
        };
        let Some((value, place)) = next else { break };
        (node, at) = (value, place);
    }
    // A key tells more than the start of a mapping below it, and a scalar more than its key.
    match node.scalar() {
        Some(scalar) if !scalar.text.is_empty() => &node.at,
        _ => at,
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

/// `a.b[0]["c.d"].e` in steps; what cannot be read ends it.
fn steps(field: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut rest = field;
    while !rest.is_empty() {
        if let Some(quoted) = rest.strip_prefix("[\"") {
            let Some((key, after)) = quoted.split_once("\"]") else {
                break;
            };
            steps.push(Step::Key(key.to_owned()));
            rest = after;
        } else if let Some(bracketed) = rest.strip_prefix('[') {
            let Some((index, after)) = bracketed.split_once(']') else {
                break;
            };
            let Ok(index) = index.parse() else { break };
            steps.push(Step::Index(index));
            rest = after;
        } else {
            let name = rest.strip_prefix('.').unwrap_or(rest);
            let end = name.find(['.', '[']).unwrap_or(name.len());
            let (key, after) = name.split_at(end);
            if key.is_empty() {
                break;
            }
            steps.push(Step::Key(key.to_owned()));
            rest = after;
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_step_by_step() {
        let key = |name: &str| Step::Key(name.to_owned());
        let table: [(&str, Vec<Step>); 6] = [
            ("", vec![]),
            ("data", vec![key("data")]),
            (
                "data[\"accounts.admin\"]",
                vec![key("data"), key("accounts.admin")],
            ),
            (
                "spec.containers[10].env",
                vec![key("spec"), key("containers"), Step::Index(10), key("env")],
            ),
            ("a[x].b", vec![key("a")]),
            ("a[\"b", vec![key("a")]),
        ];
        for (field, expected) in table {
            assert_eq!(steps(field), expected, "{field}");
        }
    }
}
