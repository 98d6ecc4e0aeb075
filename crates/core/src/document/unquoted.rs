//! What becomes of a text that a template writes into YAML without quotes.

use super::ScalarKind;

/// What a reader of YAML makes of `key: TEXT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unquoted {
    /// The same text.
    Same,
    /// Another kind of value.
    Other(ScalarKind),
    /// The same text up to a `#`, or nothing at all.
    CutAtComment,
    /// The text without the white space around it.
    Trimmed,
    /// No YAML, or something with a structure.
    Broken,
}

/// What becomes of `text`. A newline at the end does no harm.
pub fn unquoted(text: &str) -> Unquoted {
    let text = text.trim_end_matches(['\n', '\r']);
    let trimmed = text.trim_matches([' ', '\t']);
    if begins_something_else(trimmed) || has_structure(trimmed) {
        return Unquoted::Broken;
    }
    if trimmed.starts_with('#') || trimmed.contains(" #") || trimmed.contains("\t#") {
        return Unquoted::CutAtComment;
    }
    match ScalarKind::of_plain(trimmed) {
        ScalarKind::Text if trimmed.len() == text.len() => Unquoted::Same,
        ScalarKind::Text => Unquoted::Trimmed,
        kind => Unquoted::Other(kind),
    }
}

fn begins_something_else(text: &str) -> bool {
    const INDICATORS: [char; 15] = [
        '[', ']', '{', '}', ',', '&', '*', '!', '|', '>', '\'', '"', '%', '@', '`',
    ];
    let block = ["- ", "? ", ": "]
        .iter()
        .any(|start| text.starts_with(start));
    text.starts_with(INDICATORS) || block || matches!(text, "-" | "?" | ":" | "<<")
}

fn has_structure(text: &str) -> bool {
    let value = text.find(": ").or_else(|| text.find(":\t"));
    // What follows a comment counts no more.
    let comment = text.find(" #").unwrap_or(text.len());
    value.is_some_and(|value| value < comment)
        || text.ends_with(':')
        || text
            .chars()
            .any(|character| character.is_control() && character != '\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_without_quotes_is_what_yaml_makes_of_it() {
        use Unquoted::*;
        let table = [
            ("eyJhbGciOiJIUzI1NiJ9.e30.x-_y", Same),
            ("pass word", Same),
            ("a#b", Same),
            ("a:b", Same),
            ("-secret", Same),
            ("?x", Same),
            ("12a", Same),
            ("token\n", Same),
            ("12345", Other(ScalarKind::Integer)),
            ("1.5", Other(ScalarKind::Float)),
            ("1e5", Other(ScalarKind::Float)),
            ("true", Other(ScalarKind::Bool(true))),
            ("no", Other(ScalarKind::Bool(false))),
            ("~", Other(ScalarKind::Null)),
            ("null", Other(ScalarKind::Null)),
            (" 12 ", Other(ScalarKind::Integer)),
            ("abc #def", CutAtComment),
            ("abc # : def", CutAtComment),
            ("#abc", CutAtComment),
            (" abc", Trimmed),
            ("abc\t", Trimmed),
            ("a: b", Broken),
            ("abc:", Broken),
            ("{a}", Broken),
            ("[a", Broken),
            ("*abc", Broken),
            ("&abc", Broken),
            ("!abc", Broken),
            ("@abc", Broken),
            ("`abc", Broken),
            ("%abc", Broken),
            ("|abc", Broken),
            (">abc", Broken),
            ("'abc", Broken),
            ("\"abc\"", Broken),
            ("- a", Broken),
            ("-", Broken),
            ("a\nb", Broken),
        ];
        for (text, expected) in table {
            assert_eq!(unquoted(text), expected, "{text:?}");
        }
    }
}
