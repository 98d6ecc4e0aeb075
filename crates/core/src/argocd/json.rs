//! JSON as Go's `encoding/json` reads it, where that differs from what `serde_json` takes.
//!
//! Go puts U+FFFD for each byte that is not UTF-8 and for each half of a surrogate pair, goes 10,000 levels
//! deep, and takes no number into an `any` that a 64-bit float cannot hold.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

/// How deep Go goes.
const DEEPEST: usize = 10_000;

/// JSON text that was made readable as Go reads it, zeroed when dropped. It may still be no JSON.
pub(super) struct GoJson {
    text: Zeroizing<Vec<u8>>,
    numbers_fit: bool,
}

impl GoJson {
    /// Takes over text; `None` when it is nested more deeply than Go goes.
    pub(super) fn new(bytes: &[u8]) -> Option<GoJson> {
        let replaced: usize = bytes.utf8_chunks().map(|chunk| chunk.invalid().len()).sum();
        // Room for all of it: growing would leave copies behind that nothing zeroes.
        let room = bytes.len() + 2 * replaced;
        let mut text = Zeroizing::new(Vec::with_capacity(room));
        for chunk in bytes.utf8_chunks() {
            text.extend_from_slice(chunk.valid().as_bytes());
            for _ in chunk.invalid() {
                text.extend_from_slice("\u{fffd}".as_bytes());
            }
        }
        let scan = Scan::of(&mut text);
        (scan.deepest <= DEEPEST).then_some(GoJson {
            text,
            numbers_fit: scan.numbers_fit,
        })
    }

    /// The value, when this is JSON and nothing else follows it.
    pub(super) fn value(&self) -> Option<&RawValue> {
        serde_json::from_slice(&self.text).ok()
    }

    /// Whether Go takes every number in it into an `any`.
    pub(super) fn numbers_fit(&self) -> bool {
        self.numbers_fit
    }
}

/// The members of an object by name, the last of a name; `None` for anything else.
pub(super) fn members<Name: DeserializeOwned + Ord>(
    value: &RawValue,
) -> Option<BTreeMap<Name, &RawValue>> {
    value
        .get()
        .starts_with('{')
        .then(|| serde_json::from_str(value.get()).ok())
        .flatten()
}

/// The text that a string holds; `None` for anything else.
pub(super) fn text(value: &RawValue) -> Option<Zeroizing<String>> {
    let string = value.get().starts_with('"');
    let text: Option<String> = string
        .then(|| serde_json::from_str(value.get()).ok())
        .flatten();
    text.map(Zeroizing::new)
}

/// The number; `None` for anything else.
pub(super) fn number(value: &RawValue) -> Option<f64> {
    let begins = |first: char| first == '-' || first.is_ascii_digit();
    value
        .get()
        .starts_with(begins)
        .then(|| value.get().parse().ok())
        .flatten()
}

/// Whether it is `null`.
pub(super) fn is_null(value: &RawValue) -> bool {
    value.get() == "null"
}

/// What one pass over the text finds, and mends.
struct Scan {
    deepest: usize,
    numbers_fit: bool,
}

impl Scan {
    fn of(text: &mut [u8]) -> Scan {
        let mut scan = Scan {
            deepest: 0,
            numbers_fit: true,
        };
        let mut depth = 0_usize;
        let mut at = 0;
        while let Some(byte) = text.get(at) {
            at += 1;
            match byte {
                b'"' => at = string(text, at),
                b'[' | b'{' => {
                    depth += 1;
                    scan.deepest = scan.deepest.max(depth);
                }
                b']' | b'}' => depth = depth.saturating_sub(1),
                b'-' | b'0'..=b'9' => {
                    let rest = text.get(at - 1..).unwrap_or_default();
                    let length = rest.iter().take_while(|byte| is_of_number(**byte)).count();
                    let number = rest
                        .get(..length)
                        .and_then(|number| std::str::from_utf8(number).ok());
                    let number = number.and_then(|number| number.parse::<f64>().ok());
                    scan.numbers_fit &= number.is_none_or(f64::is_finite);
                    at += length - 1;
                }
                _ => {}
            }
        }
        scan
    }
}

fn is_of_number(byte: u8) -> bool {
    byte.is_ascii_digit() || b"+-.eE".contains(&byte)
}

/// Passes over a string from behind its first quote to behind its last, and puts U+FFFD for halves of pairs.
fn string(text: &mut [u8], mut at: usize) -> usize {
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => match unit(text, at) {
                None => at += 2,
                Some(0xd800..=0xdbff) if matches!(unit(text, at + 6), Some(0xdc00..=0xdfff)) => {
                    at += 12;
                }
                Some(0xd800..=0xdfff) => {
                    if let Some(digits) = text.get_mut(at + 2..at + 6) {
                        digits.copy_from_slice(b"fffd");
                    }
                    at += 6;
                }
                Some(_) => at += 6,
            },
            _ => at += 1,
        }
    }
    at
}

/// The UTF-16 unit that is written as `\uXXXX` at this place, if one is.
fn unit(text: &[u8], at: usize) -> Option<u32> {
    let digits = text.get(at..at + 6)?.strip_prefix(b"\\u")?;
    let mut digits = digits.iter().map(|digit| char::from(*digit).to_digit(16));
    digits.try_fold(0, |unit, digit| Some(unit * 16 + digit?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Option<String> {
        let json = GoJson::new(bytes)?;
        Some(text(json.value()?)?.to_string())
    }

    #[test]
    fn what_is_no_text_becomes_u_fffd_as_in_go() {
        let table: [(&[u8], Option<&str>); 13] = [
            (b"\"plain\"", Some("plain")),
            (b"\"\xff\"", Some("\u{fffd}")),
            (b"\"\xe2\x82\"", Some("\u{fffd}\u{fffd}")),
            (b"\"\xf0\x9f\x98x\"", Some("\u{fffd}\u{fffd}\u{fffd}x")),
            (br#""\ud800""#, Some("\u{fffd}")),
            (br#""\udc00x""#, Some("\u{fffd}x")),
            (br#""\ud83d\ude00""#, Some("\u{1f600}")),
            (br#""\ud83d\ud83d\ude00""#, Some("\u{fffd}\u{1f600}")),
            (br#""\\ud800""#, Some("\\ud800")),
            (br#""a\"b""#, Some("a\"b")),
            (br#""\ud80""#, None),
            (b"\xff\"a\"", None),
            (b"\"a\nb\"", None),
        ];
        for (bytes, expected) in table {
            assert_eq!(
                read(bytes).as_deref(),
                expected,
                "{:?}",
                bytes.escape_ascii().to_string()
            );
        }
    }

    #[test]
    fn numbers_that_no_float_holds_are_found_wherever_they_stand() {
        let table = [
            ("1e308", true),
            ("1e309", false),
            ("-1e999", false),
            ("1e-999", true),
            (r#"{"a": [1, {"b": 1E+400}]}"#, false),
            (r#"{"1e999": "1e999"}"#, true),
            (r#"["\"", 1e999]"#, false),
            (r#"["\\", 1e999]"#, false),
        ];
        for (text, fit) in table {
            assert_eq!(
                GoJson::new(text.as_bytes()).unwrap().numbers_fit(),
                fit,
                "{text}"
            );
        }
        assert!(GoJson::new(&[b'1'; 400]).is_some_and(|json| !json.numbers_fit()));
    }

    #[test]
    fn ten_thousand_levels_are_read_and_no_more() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        let deepest = GoJson::new(nested(10_000).as_bytes()).unwrap();
        assert!(deepest.value().is_some());
        assert!(GoJson::new(nested(10_001).as_bytes()).is_none());
        assert!(GoJson::new(b"]]]][").is_some_and(|json| json.value().is_none()));
    }
}
