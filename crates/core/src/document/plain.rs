//! What a plain (unquoted) scalar is to the readers of Kubernetes and Helm, which follow YAML 1.1.
//!
//! Source: `go.yaml.in/yaml/v2` `resolve.go`, which sigs.k8s.io/yaml uses.

use super::ScalarKind;

impl ScalarKind {
    /// What `text` is without quotes.
    pub fn of_plain(text: &str) -> ScalarKind {
        match text {
            "" | "~" | "null" | "Null" | "NULL" => return ScalarKind::Null,
            "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "true" | "True" | "TRUE" => {
                return ScalarKind::Bool(true);
            }
            "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" | "false" | "False"
            | "FALSE" => return ScalarKind::Bool(false),
            ".nan" | ".NaN" | ".NAN" => return ScalarKind::Float,
            _ => {}
        }
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
            return ScalarKind::Float;
        }
        match unsigned.as_bytes().first() {
            Some(b'0'..=b'9' | b'.') => number(unsigned),
            _ => ScalarKind::Text,
        }
    }
}

fn number(unsigned: &str) -> ScalarKind {
    let digits = unsigned.replace('_', "");
    let of_base = |prefix: &str, base: u32| {
        digits
            .strip_prefix(prefix)
            .is_some_and(|rest| is_in_base(rest, base))
    };
    if is_in_base(&digits, 10) || of_base("0x", 16) || of_base("0b", 2) || of_base("0o", 8) {
        return ScalarKind::Integer;
    }
    if is_float(&digits) {
        return ScalarKind::Float;
    }
    ScalarKind::Text
}

fn is_in_base(digits: &str, base: u32) -> bool {
    !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(base))
}

/// `[0-9]*(\.[0-9]*)?([eE][+-]?[0-9]+)?` with a digit before the exponent.
fn is_float(text: &str) -> bool {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        None => (text, None),
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
    };
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let mantissa = all_digits(whole) && all_digits(part) && !(whole.is_empty() && part.is_empty());
    let exponent = exponent.is_none_or(|exponent| {
        let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        is_in_base(digits, 10)
    });
    mantissa && exponent
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_are_what_kubernetes_takes_them_for() {
        use ScalarKind::*;
        let table = [
            ("", Null),
            ("~", Null),
            ("null", Null),
            ("nULL", Text),
            ("true", Bool(true)),
            ("yes", Bool(true)),
            ("Off", Bool(false)),
            ("n", Bool(false)),
            ("truE", Text),
            ("0", Integer),
            ("-12", Integer),
            ("+1_000", Integer),
            ("0x1F", Integer),
            ("0o17", Integer),
            ("0b101", Integer),
            ("0xg", Text),
            ("1.5", Float),
            ("1.", Float),
            (".5", Float),
            ("1e3", Float),
            ("12e03", Float),
            ("1e", Text),
            (".", Text),
            ("-", Text),
            ("--1", Text),
            (".inf", Float),
            ("-.INF", Float),
            ("1.2.3", Text),
            ("0.26.0", Text),
            ("eyJhbGciOiJIUzI1NiJ9.e30.x", Text),
            ("12a", Text),
        ];
        for (text, expected) in table {
            assert_eq!(ScalarKind::of_plain(text), expected, "{text:?}");
        }
    }
}
