//! `keyguard token inspect`: what it prints, what it ends with, and that it never prints a token.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test writes files and a test that cannot go on fails"
)]

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;

const VECTORS: &str = include_str!("../fixtures/argocd-tokens.json");

#[derive(Clone, Deserialize)]
struct Vector {
    name: String,
    value_base64: String,
    argocd_cm: BTreeMap<String, String>,
    argocd_secret_base64: BTreeMap<String, String>,
    argo_cd: String,
}

impl Vector {
    fn all() -> Vec<Vector> {
        serde_json::from_str(VECTORS).unwrap()
    }

    fn named(name: &str) -> Vector {
        let mut found = Vector::all()
            .into_iter()
            .filter(|vector| vector.name == name);
        found.next().unwrap()
    }

    fn value(&self) -> Vec<u8> {
        STANDARD.decode(&self.value_base64).unwrap()
    }

    /// A folder of manifests in which the token is in gitops/token/key, and Argo CD in the namespace argocd.
    fn state(&self) -> TempDir {
        let object = |kind: &str, namespace: &str, name: &str, data: Value| {
            json!({
                "kind": kind,
                "metadata": {
                    "name": name,
                    "namespace": namespace,
                    "labels": {"app.kubernetes.io/part-of": "argocd"},
                },
                "data": data,
            })
        };
        let objects = [
            object(
                "Secret",
                "gitops",
                "token",
                json!({"key": self.value_base64}),
            ),
            object(
                "Secret",
                "argocd",
                "argocd-secret",
                json!(self.argocd_secret_base64),
            ),
            object("ConfigMap", "argocd", "argocd-cm", json!(self.argocd_cm)),
        ];
        let folder = tempfile::tempdir().unwrap();
        for (index, object) in objects.iter().enumerate() {
            let path = folder.path().join(format!("{index}.json"));
            std::fs::write(path, object.to_string()).unwrap();
        }
        folder
    }
}

struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn inspect(arguments: &[&str], stdin: &[u8]) -> Ended {
    keyguard(&[&["token", "inspect"], arguments].concat(), stdin)
}

fn keyguard(arguments: &[&str], stdin: &[u8]) -> Ended {
    let mut child = Command::new(env!("CARGO_BIN_EXE_keyguard"))
        .args(arguments)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("keyguard starts");
    // It may have ended without reading.
    let _ = child.stdin.take().unwrap().write_all(stdin);
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).expect("its output is text");
    Ended {
        code: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Eight characters of the token in a row, if any are told.
fn told<'a>(ended: &Ended, token: &'a [u8]) -> Option<&'a str> {
    let token = std::str::from_utf8(token).unwrap_or_default().trim_end();
    (0..token.len().saturating_sub(7))
        .filter_map(|at| token.get(at..at + 8))
        .find(|run| ended.stdout.contains(run) || ended.stderr.contains(run))
}

#[test]
fn what_a_token_says_of_itself_is_printed_and_nothing_of_the_token() {
    let vector = Vector::named("valid non-expiring apiKey token");
    let state = vector.state();
    let ended = inspect(
        &[
            "--secret",
            "gitops/token/key",
            "--state",
            path(state.path()),
            "--argocd-namespace",
            "argocd",
        ],
        b"",
    );
    assert_eq!(
        ended.stdout,
        "account:    admin\n\
         capability: apiKey\n\
         id:         3f0f0d1e-7f2b-4f2a-9f5e-2a3c7a6e1c11\n\
         issued:     2026-10-19T11:06:40Z\n\
         expires:    never\n\
         algorithm:  HS256\n\
         defects:    none\n"
    );
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
}

#[test]
fn each_of_the_71_tokens_ends_as_argo_cd_decides_and_none_is_told() {
    let mut codes = BTreeMap::new();
    for vector in Vector::all() {
        let state = vector.state();
        let ended = inspect(
            &[
                "--secret",
                "gitops/token/key",
                "--state",
                path(state.path()),
                "--argocd-namespace",
                "argocd",
            ],
            b"",
        );
        let Vector { name, argo_cd, .. } = &vector;
        assert_eq!(
            told(&ended, &vector.value()),
            None,
            "{name}: {}{}",
            ended.stdout,
            ended.stderr
        );
        let code = ended.code.unwrap();
        // What Argo CD accepts may still be of no use; and what was not valid yet by the verdict's clock may be now.
        if argo_cd != "accepted" && name != "nbf in future" {
            assert_eq!(code, 1, "{name}: {}", ended.stdout);
        }
        assert_eq!(
            code == 0,
            ended.stdout.contains("defects:    none"),
            "{name}"
        );
        *codes.entry(code).or_insert(0) += 1;
    }
    assert_eq!(codes.values().sum::<i32>(), 71);
    assert!(codes[&0] >= 19, "{codes:?}");
    assert!(!codes.contains_key(&2), "{codes:?}");
}

#[test]
fn the_three_places_tell_the_same() {
    let vector = Vector::named("secret tokens without this id");
    let state = vector.state();
    let file: PathBuf = state.path().join("token");
    std::fs::write(&file, vector.value()).unwrap();
    let rest = [
        "--state",
        path(state.path()),
        "--argocd-namespace",
        "argocd",
    ];
    let outputs = [
        (["--secret", "gitops/token/key"].to_vec(), &b""[..]),
        (["--file", path(&file)].to_vec(), b""),
        (["-"].to_vec(), &vector.value()),
    ]
    .map(|(place, stdin)| inspect(&[&place[..], &rest].concat(), stdin));
    for ended in &outputs {
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        assert!(
            ended.stdout.contains("[credentials/token-revoked]"),
            "{}",
            ended.stdout
        );
        assert_eq!(ended.stdout, outputs[0].stdout);
    }
    // Without Argo CD's own state there is nothing wrong to be seen, and no cluster is needed.
    let ended = inspect(&["-"], &vector.value());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[test]
fn what_cannot_be_told_ends_with_2_and_a_reason() {
    let good = Vector::named("valid non-expiring apiKey token");
    let state = good.state();
    let folder = path(state.path());
    let table: [(&[&str], &str); 6] = [
        (
            &["--secret", "gitops/other/key", "--state", folder],
            "the Secret does not exist",
        ),
        (
            &["--secret", "gitops/token/other", "--state", folder],
            "the Secret has no such key",
        ),
        (
            &["--secret", "token", "--state", folder],
            "--secret must be NAMESPACE/NAME/KEY",
        ),
        (&["--file", "/nowhere/token"], "--file cannot be read"),
        (
            &["-", "--argocd-namespace", "a/b", "--state", folder],
            "cannot be a namespace",
        ),
        (
            &[
                "-",
                "--kubeconfig",
                "/nowhere",
                "--argocd-namespace",
                "argocd",
            ],
            "--kubeconfig",
        ),
    ];
    for (arguments, reason) in table {
        let ended = inspect(arguments, &good.value());
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (Some(2), ""),
            "{arguments:?}"
        );
        assert!(
            ended.stderr.contains(reason),
            "{arguments:?}: {}",
            ended.stderr
        );
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    }
    let arguments = ["-", "--argocd-namespace", "elsewhere", "--state", folder];
    let ended = inspect(&arguments, &good.value());
    assert_eq!(ended.code, Some(2));
    assert!(
        ended.stdout.contains(
            "untold:     whether Argo CD accepts it: there is no Secret \"argocd-secret\""
        ),
        "{}",
        ended.stdout
    );
    // A defect that can be seen is one, whatever else cannot be told.
    let expiring = Vector::named("expires in the future");
    assert_eq!(inspect(&arguments, &expiring.value()).code, Some(1));
}

#[test]
fn a_token_that_is_typed_is_refused_and_not_repeated() {
    let token = Vector::named("valid non-expiring apiKey token").value();
    let text = std::str::from_utf8(&token).unwrap();
    let option = format!("--token={text}");
    let secret = format!("--secret={text}");
    let header = format!("Bearer {text}");
    for arguments in [
        vec!["token", "inspect", text],
        vec!["token", "inspect", &option],
        vec!["token", "inspect", &header],
        vec!["token", "inspect", "-", text],
        vec!["token", "inspect", "--file", text],
        vec!["token", "inspect", &secret],
        vec![
            "token",
            "inspect",
            "--secret",
            "a/b/c",
            "--kubeconfig",
            text,
        ],
        vec!["token", "inspect", "--secret", "a/b/c", "--state", text],
        vec!["token", "inspect", "-", "--argocd-namespace", text],
        vec![
            "token",
            "inspect",
            "--argocd-namespace",
            text,
            "--no-such",
            "-",
        ],
        vec!["token", text],
        vec!["inspect", text],
    ] {
        let ended = keyguard(&arguments, b"");
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (Some(2), ""),
            "{arguments:?}"
        );
        assert!(
            ended.stderr.contains("a token on the command line"),
            "{}",
            ended.stderr
        );
        assert_eq!(told(&ended, &token), None, "{}", ended.stderr);
    }
    let other = inspect(&["hunter2hunter2"], b"");
    assert_eq!(other.code, Some(2));
    assert!(!other.stderr.contains("hunter2"), "{}", other.stderr);
}

/// Whatever its JSON looks like: with a space it has no `eyJ`.
#[test]
fn a_token_where_anything_else_belongs_is_repeated_by_no_command() {
    let part = |text: &[u8]| URL_SAFE_NO_PAD.encode(text);
    let spaced = format!(
        "{}.{}.{}",
        part(br#"{ "alg": "HS256", "typ": "JWT"}"#),
        part(br#"{ "iss": "argocd", "sub": "admin:apiKey", "iat": 1, "jti": "x"}"#),
        part(&[7; 32])
    );
    let usual = Vector::named("valid non-expiring apiKey token").value();
    let usual = String::from_utf8(usual).unwrap();
    for token in [&spaced, &usual] {
        let rest = token.split_once('.').unwrap().1;
        for command in [
            "token inspect --secret a/b/c --kubeconfig",
            "token inspect --secret a/b/c --state",
            "token inspect - --argocd-namespace",
            "token inspect --file",
            "token",
            "",
            "serve --config",
            "serve --listen",
            "serve --tls-key k --tls-cert",
            "webhook-config --url",
            "webhook-config --service",
            "webhook-config --url https://h --config",
            "webhook-config --url https://h --ca-bundle",
            "webhook-config --url https://h --namespace",
        ] {
            // Alone, in a path, with the scheme in front, and without its first part.
            for text in [
                token.clone(),
                format!("./a/{token}"),
                format!("Bearer {token}"),
                rest.to_owned(),
            ] {
                let typed: Vec<&str> = command.split_whitespace().chain([&*text]).collect();
                let ended = keyguard(&typed, b"");
                assert_eq!(ended.code, Some(2), "{command}");
                assert_eq!(told(&ended, token.as_bytes()), None, "{command}");
                assert!(
                    ended.stderr.contains("a token on the command line"),
                    "{command}: {}",
                    ended.stderr
                );
            }
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_keyguard"));
        let command = command.args(["token", "inspect", "--secret", "a/b/c"]);
        let output = command.env("KEYGUARD_KUBECONFIG", token).output().unwrap();
        let told_of = String::from_utf8(output.stderr).unwrap();
        assert!(told_of.contains("KEYGUARD_KUBECONFIG"), "{told_of}");
        assert!(!told_of.contains(&token[40..56]));
        assert_eq!(output.status.code(), Some(2));
    }
}
