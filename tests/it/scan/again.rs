//! Scans again and again.

use std::fs;

use serde_json::json;

use super::{State, secret, workload};
use crate::control_plane::scanner::Scanner;
use crate::control_plane::wait::wait_for;
use crate::scenarios::tokens::Token;

#[test]
fn what_changes_in_the_folder_is_seen_at_the_next_scan() {
    let state = State::of(&[workload("Deployment", "codefresh", "w", "s")]);
    let cluster = format!("--state={}", state.path().display());
    let scanner = Scanner::over(cluster, "", &["--every=1s".to_owned()]);
    let series =
        |rule: &str| format!("keyguard_findings{{rule=\"{rule}\",namespace=\"codefresh\"}}");
    let missing = series("credentials/secret-missing");
    assert_eq!(scanner.sample(&missing), Some(1.0));
    assert_eq!(scanner.sample("keyguard_scan_complete"), Some(1.0));
    assert_eq!(scanner.sample("keyguard_scan_objects"), Some(1.0));

    let expires = 4_000_000_000_i64;
    let token = Token::api_key("ci").claim("exp", expires).text();
    state.put(
        "secret.json",
        &secret("codefresh", "s", &json!({"token": token})),
    );
    let expiring = series("credentials/token-expires");
    wait_for("what expires to be seen", || {
        let seen = (scanner.sample(&missing), scanner.sample(&expiring));
        (seen == (None, Some(1.0)))
            .then_some(())
            .ok_or_else(|| scanner.log())
    });
    let expiry =
        "keyguard_credential_expiry_timestamp_seconds{namespace=\"codefresh\",secret=\"s\"}";
    assert_eq!(scanner.sample(expiry), Some(expires as f64));
    let new = scanner.log_line("credentials/token-expires");
    assert!(new.contains("2096-10-02T07:06:40Z"), "{new}");
    let gone = scanner.log_line("a finding is gone");
    assert!(gone.contains("credentials/secret-missing"), "{gone}");

    // A folder that cannot be read mends nothing.
    fs::write(state.path().join("secret.json"), "{").unwrap();
    wait_for("the scan to be incomplete", || {
        let complete = scanner.sample("keyguard_scan_complete");
        (complete == Some(0.0))
            .then_some(())
            .ok_or_else(|| scanner.log())
    });
    assert_eq!(scanner.sample(&expiring), Some(1.0));
    scanner.end();
}
