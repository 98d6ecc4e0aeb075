//! Texts that others wrote, at a length that can be shown.

use std::borrow::Cow;

/// What stands for the rest.
const REST: char = '…';

/// `text` in at most `most` bytes, the mark for what was left out among them.
pub fn cut(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most {
        return Cow::Borrowed(text);
    }
    let mut end = most.saturating_sub(REST.len_utf8());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut kept = text.get(..end).unwrap_or_default().to_owned();
    kept.push(REST);
    Cow::Owned(kept)
}

/// In quotes, with control characters escaped, and cut where it would drown the message.
pub(super) fn quoted(text: &str) -> String {
    const MOST: usize = 64;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{:?}…", text.get(..end).unwrap_or_default()),
        None => format!("{text:?}"),
    }
}

/// A key of `data`, as a message has it.
pub(super) fn data_field(key: &str) -> String {
    format!("data[{}]", quoted(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters_and_shows_that_it_was() {
        let table = [
            ("", 8, ""),
            ("12345678", 8, "12345678"),
            ("123456789", 8, "12345…"),
            ("ääääää", 8, "ää…"),
            ("ab", 1, "…"),
        ];
        for (text, most, expected) in table {
            assert_eq!(cut(text, most), expected, "{text} {most}");
        }
    }
}
