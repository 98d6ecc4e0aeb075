//! The wall clock, and how moments are written.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// 9999-12-31T23:59:59Z, the last moment that RFC 3339 can write.
const LAST_RFC3339: Duration = Duration::from_secs(253_402_300_799);

/// Now, in Unix seconds.
pub fn now() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    i64::try_from(since).unwrap_or(i64::MAX)
}

/// A moment, given in Unix seconds, as RFC 3339 writes it; in seconds where it cannot.
pub fn rfc3339(unix_seconds: i64) -> String {
    u64::try_from(unix_seconds)
        .ok()
        .and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds)))
        .filter(|time| *time < UNIX_EPOCH + LAST_RFC3339)
        .map_or_else(
            || format!("{unix_seconds} (Unix seconds)"),
            |time| humantime::format_rfc3339_seconds(time).to_string(),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_that_rfc_3339_cannot_write_is_given_in_seconds() {
        let table = [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "-1 (Unix seconds)"),
            (253_402_300_798, "9999-12-31T23:59:58Z"),
            (i64::MAX, "9223372036854775807 (Unix seconds)"),
        ];
        for (seconds, text) in table {
            assert_eq!(rfc3339(seconds), text);
        }
    }
}
