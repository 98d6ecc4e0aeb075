//! The `timeout` in the query of a review: how long kube-apiserver waits for the answer.

use std::time::Duration;

/// Reads `timeout` from the query of a URL, such as `timeout=5s`.
///
/// It never fails: `None` when it is absent, zero, or not a duration as Go writes it.
///
/// Source: client-go `rest/request.go`, `URL()`, writes Go's `time.Duration.String()`.
pub fn in_query(query: Option<&str>) -> Option<Duration> {
    query?
        .split('&')
        .find_map(|pair| pair.strip_prefix("timeout="))
        .and_then(go_duration)
        .filter(|timeout| !timeout.is_zero())
}

/// Reads numbers with units, largest first or not: `1m0s`, `500ms`, `1.5s`. No sign, no `µs` (no timeout is that short).
fn go_duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let number_ends =
            rest.find(|character: char| character != '.' && !character.is_ascii_digit())?;
        let (number, after) = rest.split_at_checked(number_ends)?;
        let unit_ends = after
            .find(|character: char| character == '.' || character.is_ascii_digit())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(unit_ends)?;
        let seconds = number.parse::<f64>().ok()? * seconds_in(unit)?;
        total = total.checked_add(Duration::try_from_secs_f64(seconds).ok()?)?;
        rest = after;
    }
    Some(total)
}

fn seconds_in(unit: &str) -> Option<f64> {
    Some(match unit {
        "h" => 3600.0,
        "m" => 60.0,
        "s" => 1.0,
        "ms" => 0.001,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_go_duration_is_read_and_anything_odd_is_no_hint() {
        let table = [
            (Some("timeout=5s"), Some(5_000)),
            (Some("timeout=30s"), Some(30_000)),
            (Some("timeout=500ms"), Some(500)),
            (Some("timeout=1m0s"), Some(60_000)),
            (Some("timeout=1h0m0s"), Some(3_600_000)),
            (Some("timeout=1.5s"), Some(1_500)),
            (Some("timeout=2s500ms"), Some(2_500)),
            (Some("dryRun=All&timeout=10s"), Some(10_000)),
            (Some("timeout=10s&x=y"), Some(10_000)),
            (None, None),
            (Some(""), None),
            (Some("timeout"), None),
            (Some("timeout="), None),
            (Some("timeout=5"), None),
            (Some("timeout=s"), None),
            (Some("timeout=.s"), None),
            (Some("timeout=1..5s"), None),
            (Some("timeout=5s3"), None),
            (Some("timeout=5d"), None),
            (Some("timeout=-5s"), None),
            (Some("timeout=+5s"), None),
            (Some("timeout=5 s"), None),
            (Some("timeout=infs"), None),
            (Some("timeout=nans"), None),
            (Some("timeout=0s"), None),
            (Some("timeout=100%C2%B5s"), None),
            (Some("timeout=5\u{b5}s"), None),
            (Some("timeouts=5s"), None),
            (Some("timeout=99999999999999999999999999h"), None),
        ];
        for (query, milliseconds) in table {
            assert_eq!(
                in_query(query),
                milliseconds.map(Duration::from_millis),
                "{query:?}"
            );
        }
    }
}
