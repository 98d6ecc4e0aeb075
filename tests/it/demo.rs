//! The demonstration, as a person runs it.

use std::process::Command;

#[test]
fn the_demonstration_ends_well_when_every_verdict_is_the_expected_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let demo = Command::new(env!("CARGO_BIN_EXE_keyguard"))
        .args(["demo", "--once", "--directory"])
        .arg(folder.path())
        .output()
        .expect("the demonstration runs");
    let told = String::from_utf8_lossy(&demo.stdout);
    let complained = String::from_utf8_lossy(&demo.stderr);
    assert!(demo.status.success(), "{told}\n{complained}");
    assert!(
        told.contains("17 reviews over TLS, 17 as expected, 0 not."),
        "{told}"
    );
    assert!(told.contains("[accounts/api-key-removed]"), "{told}");
    for file in ["ca.crt", "tls.crt", "tls.key", "manifests/good.json"] {
        assert!(folder.path().join(file).exists(), "{file}");
    }

    // Each is on record, and the commands that it prints say so.
    let store = format!("sqlite:{}", folder.path().join("audit.db").display());
    assert!(
        told.contains(&format!("keyguard audit verify --store {store}")),
        "{told}"
    );
    let audit = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keyguard"));
        let output = command
            .arg("audit")
            .args(arguments)
            .args(["--store", &store])
            .output();
        String::from_utf8_lossy(&output.expect("it runs").stdout).into_owned()
    };
    let refused = audit(&["query", "--decision", "deny"]);
    assert!(refused.contains("accounts/api-key-removed"), "{refused}");
    assert!(
        audit(&["verify"]).contains("intact    17 entries"),
        "{refused}"
    );
}
