//! What may be in a Secret, each value told by its rule and named by its
//! defect.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::guard::Guard;
use super::objects::{deployment, password_from, secret, token_from};
use super::said::rules;
use super::tokens::{Token, random_text};

/// A value, the rules that refuse it, and the defect that is named.
pub(super) type Row = (&'static str, Vec<u8>, &'static [&'static str], &'static str);

/// Stores each value in a Secret and creates, for each of `environments`, a
/// Deployment that refers to it; nothing of a value may be said.
pub(super) fn judges(prefix: &str, rows: &[Row], environments: &[fn(&str) -> Vec<Value>]) {
    let scene = Guard::shared().scene(prefix);
    let secrets = rows
        .iter()
        .map(|(name, value, ..)| secret(name, "key", value));
    let secrets: Vec<_> = secrets.collect();
    scene.create(&secrets).expect_silence();
    let deployments = |name: &str| -> Vec<Value> {
        let environments = environments.iter().enumerate();
        environments
            .map(|(index, env)| deployment(&format!("{name}-{index}"), env(name)))
            .collect()
    };
    let all: Vec<_> = rows.iter().flat_map(|row| deployments(row.0)).collect();
    let answers = scene.create(&all);
    for (name, value, expected, defect) in rows {
        for object in deployments(name) {
            let refusal = answers.refusal(&object, &scene.namespace);
            assert_eq!(rules(refusal), *expected, "{name}: {refusal}");
            assert!(refusal.contains(defect), "{name}: {refusal}");
            if let Ok(text) = std::str::from_utf8(value)
                && text.trim().len() > 8
            {
                assert!(!refusal.contains(text.trim()), "{name}: {refusal}");
            }
        }
    }
    assert_eq!(answers.warnings(""), [] as [&str; 0]);
}

#[test]
fn the_usual_mistakes_with_a_token_are_told_as_what_they_look_like() {
    const MALFORMED: &[&str] = &["credentials/not-an-api-key"];
    const EMPTY: &[&str] = &["credentials/value-malformed"];
    const NEWLINE: &[&str] = &["credentials/value-malformed"];
    const TWICE: &[&str] = &["credentials/value-malformed"];
    const BEARER: &[&str] = &["credentials/value-malformed"];
    const QUOTED: &[&str] = &["credentials/value-malformed"];
    const PLACEHOLDER: &[&str] = &["credentials/value-malformed"];
    let good = || Token::api_key("admin").text();
    let mut cut = good().into_bytes();
    cut[7] = 0xff;
    let rows: [Row; 16] = [
        ("empty", vec![], EMPTY, "is empty"),
        ("blank", b" \t\n".to_vec(), EMPTY, "only white space"),
        ("binary", cut, &["credentials/value-malformed"], "not UTF-8"),
        (
            "newline",
            format!("{}\n", good()).into(),
            NEWLINE,
            "ends in a newline",
        ),
        (
            "crlf",
            format!("{}\r\n", good()).into(),
            NEWLINE,
            "ends in a newline",
        ),
        (
            "space",
            format!(" {}", good()).into(),
            &["credentials/value-malformed"],
            "white space around",
        ),
        (
            "twice",
            STANDARD.encode(good()).into(),
            TWICE,
            "encoded twice",
        ),
        (
            "twice-newline",
            STANDARD.encode(format!("{}\n", good())).into(),
            &["credentials/value-malformed", "credentials/value-malformed"],
            "encoded twice",
        ),
        (
            "bearer",
            format!("Bearer {}", good()).into(),
            BEARER,
            "begins with \"Bearer \"",
        ),
        (
            "quoted",
            format!("\"{}\"", good()).into(),
            QUOTED,
            "quotes around it",
        ),
        (
            "apostrophes",
            format!("'{}'", good()).into(),
            QUOTED,
            "quotes around it",
        ),
        ("angle", b"<token>".to_vec(), PLACEHOLDER, "placeholder"),
        (
            "shell",
            b"${ARGOCD_TOKEN}".to_vec(),
            PLACEHOLDER,
            "placeholder",
        ),
        (
            "yours",
            b"YOUR_ARGOCD_TOKEN".to_vec(),
            PLACEHOLDER,
            "placeholder",
        ),
        ("word", random_text().into(), MALFORMED, "1 dot-separated"),
        (
            "all",
            format!("\"Bearer {}\"\n", good()).into(),
            &[
                "credentials/value-malformed",
                "credentials/value-malformed",
                "credentials/value-malformed",
            ],
            "quotes around it",
        ),
    ];
    judges("mistakes", &rows, &[|name| vec![token_from(name, "key")]]);
}

#[test]
fn a_password_is_refused_only_for_what_can_never_work() {
    const EMPTY: &[&str] = &["credentials/value-malformed"];
    const NEWLINE: &[&str] = &["credentials/value-malformed"];
    let password = random_text();
    let rows: [Row; 8] = [
        ("good", password.clone().into(), &[], ""),
        ("spaces", format!(" {password} ").into(), &[], ""),
        ("word", b"changeme".to_vec(), &[], ""),
        ("empty", vec![], EMPTY, "is empty"),
        ("blank", b"\n".to_vec(), EMPTY, "only white space"),
        (
            "binary",
            vec![0xc3, 0x28],
            &["credentials/value-malformed"],
            "not UTF-8",
        ),
        (
            "newline",
            format!("{password}\n").into(),
            NEWLINE,
            "ends in a newline",
        ),
        (
            "sops",
            b"ENC[AES256_GCM,data:AAAA,iv:BBBB,tag:CCCC,type:str]".to_vec(),
            &["credentials/value-malformed"],
            "never decrypted",
        ),
    ];
    judges(
        "passwords",
        &rows,
        &[|name| vec![password_from(name, "key")]],
    );

    // A password may look like anything: what only looks wrong is a warning.
    let scene = Guard::shared().scene("odd-passwords");
    let table = [
        (
            "quoted",
            format!("\"{password}\""),
            "credentials/value-malformed",
        ),
        (
            "bearer",
            format!("Bearer {password}"),
            "credentials/value-malformed",
        ),
        (
            "angle",
            "<password>".to_owned(),
            "credentials/value-malformed",
        ),
        (
            "twice",
            STANDARD.encode(format!("{password}\n")),
            "credentials/value-malformed",
        ),
    ];
    for (name, value, rule) in table {
        scene
            .create(&[secret(name, "key", &value)])
            .expect_silence();
        let answers = scene.create(&[deployment(name, vec![password_from(name, "key")])]);
        assert_eq!(answers.expect_no_refusal().warnings(""), [rule], "{name}");
    }
}
