//! Comments that ask to ignore a finding: `# keyguard:ignore RULE REASON`.

use crate::report::Finding;

const MARK: &str = "keyguard:ignore";

/// A comment that asks to ignore findings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    /// The line in which it stands, from 1.
    pub line: u32,
    /// The line that it is about: its own, or the next that has more than a comment.
    pub about: u32,
    /// The rule; empty when it names none.
    pub rule: String,
    /// Why; empty when it does not say.
    pub reason: String,
}

impl Comment {
    /// Whether it asks to ignore `finding`.
    pub fn ignores(&self, finding: &Finding) -> bool {
        let lines = finding.line..=finding.end_line.max(finding.line);
        !self.reason.is_empty() && self.rule == finding.rule && lines.contains(&self.about)
    }
}

/// All such comments of a file.
pub(crate) fn comments(text: &str) -> Vec<Comment> {
    if !text.contains(MARK) {
        return Vec::new();
    }
    let mut comments: Vec<Comment> = Vec::new();
    // Those that stand alone, before it is known what they are about.
    let mut waiting = 0;
    for (line, number) in text.lines().zip(1..) {
        let alone = line.trim_start().starts_with('#');
        if !alone && !line.trim().is_empty() {
            let first = comments.len() - waiting;
            comments
                .iter_mut()
                .skip(first)
                .for_each(|comment| comment.about = number);
            waiting = 0;
        }
        let Some((_, comment)) = line.split_once('#') else {
            continue;
        };
        let Some((_, asked)) = comment.split_once(MARK) else {
            continue;
        };
        let (rule, reason) = asked
            .trim()
            .split_once(char::is_whitespace)
            .unwrap_or((asked.trim(), ""));
        comments.push(Comment {
            line: number,
            about: number,
            rule: rule.to_owned(),
            reason: reason.trim().to_owned(),
        });
        waiting += usize::from(alone);
    }
    comments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_is_about_its_line_or_the_next_that_is_not_only_a_comment() {
        let text = "a: 1 # keyguard:ignore r/one because\n\n# keyguard:ignore r/two it is so\n# more\n\nb: 2\nc: '#' # keyguard:ignore r/three\n# keyguard:ignore\n";
        let found: Vec<_> = comments(text)
            .into_iter()
            .map(|comment| (comment.line, comment.about, comment.rule, comment.reason))
            .collect();
        let row = |line, about, rule: &str, reason: &str| {
            (line, about, rule.to_owned(), reason.to_owned())
        };
        assert_eq!(
            found,
            [
                row(1, 1, "r/one", "because"),
                row(3, 6, "r/two", "it is so"),
                row(7, 7, "r/three", ""),
                row(8, 8, "", ""),
            ]
        );
    }
}
