//! A token that somebody took for a name is told nowhere.

use super::tests::{Forced, admission};
use super::*;
use crate::telemetry::log::Log;
use crate::telemetry::test_log::TestLog;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use keyguard_core::runtime::secret_bytes::SecretBytes;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::Arc;
use zeroize::Zeroizing;

/// What reading the Secret comes to.
const READS: [fn() -> Option<SecretRead>; 3] = [
    || Some(SecretRead::Missing),
    || Some(SecretRead::Unread(Unread::Forbidden)),
    || Some(SecretRead::Found(BTreeMap::new())),
];

/// Everything that is told of a workload with this environment: the answer with its message, causes,
/// warnings and audit annotations, then the log line.
fn told(env: &Value, source: Forced, unchanged: bool) -> [String; 2] {
    let spec = json!({"template": {"spec": {"containers": [{"name": "main", "env": env}]}}});
    let object = json!({"metadata": {"name": "runtime"}, "spec": spec});
    let review = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "u-1", "name": "runtime", "namespace": "gitops",
            "kind": {"group": "argoproj.io", "version": "v1alpha1", "kind": "Rollout"},
            "operation": if unchanged { "UPDATE" } else { "CREATE" },
            "userInfo": {"username": "alice"},
            "object": object, "oldObject": if unchanged { object.clone() } else { Value::Null },
        },
    });
    let text = TestLog::default();
    let log = Log::start(text.clone(), Arc::default()).unwrap();
    let subscriber = tracing_subscriber::fmt().with_writer(log.writer()).finish();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let admission = Admission {
        log: log.writer(),
        ..admission(source)
    };
    let answer = tracing::subscriber::with_default(subscriber, || {
        runtime.block_on(admission.review(review.to_string().into(), ReviewMode::Guarded, None))
    });
    // Everything is written then.
    drop(log);
    let Answer::Review(answer) = answer else {
        panic!("{answer:?}")
    };
    [String::from_utf8(answer.to_vec()).unwrap(), text.text()]
}

fn assert_secret(token: &str, texts: &[String; 2]) {
    let pieces: Vec<&str> = (0..token.len() - 7)
        .filter_map(|at| token.get(at..at + 8))
        .collect();
    for text in texts {
        for piece in &pieces {
            assert!(!text.contains(piece), "{piece} of {token} is in {text}");
        }
    }
}

/// The environments in which the token stands where a name or a key belongs.
fn misplaced(token: &str) -> Vec<Value> {
    let reference = |variable: &str, name: &str, key: &str| json!([{"name": variable, "valueFrom": {"secretKeyRef": {"name": name, "key": key}}}]);
    let by_name = |name: &str, key: &str| {
        json!([
            {"name": "ARGO_CD_TOKEN_SECRET_NAME", "value": name},
            {"name": "ARGO_CD_TOKEN_SECRET_KEY", "value": key},
        ])
    };
    vec![
        reference("ARGO_CD_TOKEN", "s", token),
        reference("ARGO_CD_TOKEN", token, "k"),
        reference("ARGO_CD_PASSWORD", "s", token),
        reference("ARGO_CD_PASSWORD", token, token),
        by_name("s", token),
        by_name(token, "k"),
        by_name(token, token),
        by_name("argocd-token", token),
        json!([{"name": "ARGO_CD_TOKEN", "value": token}]),
        json!([{"name": "ARGO_CD_TOKEN", "value": format!("{token}$(X)")}]),
        json!([{"name": "ARGO_CD_TOKEN", "value": {token: token}}, {"name": token}]),
    ]
}

fn token() -> impl Strategy<Value = String> {
    let bytes = |least: usize| prop::collection::vec(any::<u8>(), least..64);
    (bytes(8), bytes(24), bytes(32), 0..6).prop_map(|(header, payload, signature, form)| {
        let header = URL_SAFE_NO_PAD.encode([br#"{"alg":""#.as_slice(), &header].concat());
        let payload = URL_SAFE_NO_PAD.encode([br#"{""#.as_slice(), &payload].concat());
        let signature = URL_SAFE_NO_PAD.encode(signature);
        let token = format!("{header}.{payload}.{signature}");
        match form {
            0 => format!("Bearer {token}"),
            1 => format!("\"{token}\""),
            2 => STANDARD_NO_PAD.encode(token),
            3 => format!("{token}\n"),
            4 => format!("token-{token}"),
            _ => token,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn no_eight_characters_of_a_misplaced_token_are_told(token in token(), unchanged in any::<bool>()) {
        for env in misplaced(&token) {
            for read in READS {
                let source = Forced::secret(read);
                assert_secret(&token, &told(&env, source, unchanged));
            }
        }
    }
}

#[test]
fn a_misplaced_token_is_told_as_such_with_what_to_do() {
    let token = format!("eyJ{}.eyJ{}.{}", "hbGciOiJI", "pc3MiOiJh", "Zm9vYmFyYmF6");
    for env in misplaced(&token).into_iter().take(8) {
        let [answer, log] = told(&env, Forced::secret(READS[0]), false);
        for text in [&answer, &log] {
            assert!(
                text.contains("looks like a token (38 characters)"),
                "{text}"
            );
            assert!(text.contains("because manifests are not secret"), "{text}");
        }
    }
    let secret = || {
        let value = SecretBytes::new(Zeroizing::new(b" ".to_vec()));
        let token = format!("eyJ{}.eyJ{}.{}", "hbGciOiJI", "pc3MiOiJh", "Zm9vYmFyYmF6");
        Some(SecretRead::Found(BTreeMap::from([(token, value)])))
    };
    let env = misplaced(&token).swap_remove(0);
    let texts = told(&env, Forced::secret(secret), false);
    assert!(
        texts[0].contains("[credentials/value-malformed]"),
        "{texts:?}"
    );
    assert_secret(&token, &texts);
}
