use super::*;
use proptest::prelude::*;
use serde::de::IgnoredAny;

fn ours(text: &str) -> bool {
    let mut reader = Reader::new(text, 127);
    reader.skip().and_then(|()| reader.end()).is_ok()
}

fn theirs(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

#[test]
fn every_corner_of_the_grammar_is_judged_as_serde_json_judges_it() {
    let texts = [
        "",
        " ",
        "null",
        "nul",
        "nulls",
        "true",
        "tru",
        "false",
        "0",
        "-0",
        "00",
        "01",
        "-",
        "1.",
        ".5",
        "1.5",
        "1e",
        "1e+",
        "1e5",
        "1E-5",
        "+1",
        "1 2",
        "\"\"",
        "\"a",
        "\"\\\"\"",
        "\"\\",
        "\"\\u\"",
        "\"\\u12\"",
        "\"\\u123g\"",
        "\"\\u1234\"",
        "\"\\ud800\"",
        "\"\\x\"",
        "\"\n\"",
        "\"\u{7f}ä→\"",
        "\"12345678\n\"",
        "\"1234567\\\"8\"",
        "[]",
        "[ ]",
        "[1]",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[",
        "]",
        "{}",
        "{ }",
        "{\"a\":1}",
        "{\"a\":1,}",
        "{\"a\" 1}",
        "{\"a\":}",
        "{a:1}",
        "{1:1}",
        "{\"a\":1 \"b\":2}",
        "{\"a\":{\"b\":[{}]}}",
        "{]",
        "[}",
        "\t\r\n {} \t",
        "{}x",
        "\u{feff}{}",
        "\u{a0}1",
        "'a'",
        "NaN",
        "/**/1",
        "\"\u{0}\"",
    ];
    for text in texts {
        assert_eq!(ours(text), theirs(text), "{text:?}");
    }
}

#[test]
fn nesting_is_limited_and_counts_open_brackets_only() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let skip = |text: &str, limit| Reader::new(text, limit).skip();
    assert!(skip(&nested(5), 5).is_ok());
    assert_eq!(
        skip(&nested(6), 5).unwrap_err(),
        Error {
            problem: Problem::Depth,
            at: 5
        }
    );
    assert!(skip("[[],[],{\"a\":\"[[[[[[\"}]", 2).is_ok());
}

#[test]
fn values_are_read_where_they_are_asked_for() {
    let text =
        r#"{"a": "plain", "b": "esc\"\u0041", "c": null, "d": [true, false], "e": {"f": 1}}"#;
    let mut read = Vec::new();
    let mut reader = Reader::new(text, 8);
    reader
        .object(|key, reader| {
            match key {
                "a" | "b" => read.push(reader.string()?.into_owned()),
                "c" => assert_eq!(reader.optional(|reader| reader.string())?, None),
                "d" => reader.array(|reader| {
                    read.push(reader.boolean()?.to_string());
                    Ok(())
                })?,
                _ => read.push(reader.raw()?.to_owned()),
            }
            Ok(())
        })
        .unwrap();
    reader.end().unwrap();
    assert_eq!(read, ["plain", "esc\"A", "true", "false", r#"{"f": 1}"#]);
}

#[test]
fn a_value_of_another_type_is_told_from_no_value() {
    let error = |text| Reader::new(text, 8).string().unwrap_err().problem;
    assert_eq!(error("12"), Problem::Type);
    assert_eq!(error("[1]"), Problem::Type);
    assert_eq!(error("[1"), Problem::Unfinished);
    assert_eq!(error(""), Problem::Unfinished);
    assert_eq!(error("?"), Problem::Syntax);
    assert_eq!(
        Reader::new("\"\\ud800\"", 8).string().unwrap_err().problem,
        Problem::Syntax
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_text_is_judged_as_serde_json_judges_it(text in r#"[{}\[\]",:0-9eE.+\-truefalsn \\u/ä\n]{0,40}"#) {
        prop_assert_eq!(ours(&text), theirs(&text), "{:?}", text);
    }

    #[test]
    fn json_with_one_byte_changed_is_judged_as_serde_json_judges_it(
        values in prop::collection::vec((".{0,20}", prop_oneof![Just("1.5e3"), Just("null"), Just("[[],{}]"), Just("\"x\"")]), 0..5),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let fields: Vec<String> = values
            .iter()
            .map(|(key, value)| format!("{}: {value}", serde_json::to_string(key).unwrap()))
            .collect();
        let text = format!("{{{}}}", fields.join(" , "));
        prop_assert!(ours(&text));
        let mut bytes = text.into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(text) = String::from_utf8(bytes) {
            prop_assert_eq!(ours(&text), theirs(&text), "{:?}", text);
        }
    }

    #[test]
    fn a_run_ends_at_the_first_odd_byte(bytes in prop::collection::vec(prop_oneof![Just(b'a'), Just(0x80), any::<u8>()], 0..64)) {
        let expected = bytes.iter().take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..0x20)).count();
        prop_assert_eq!(plain_run(&bytes), expected);
    }
}
