use super::*;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use serde_json::{Value, json};

const NOW: f64 = 1_795_000_000.0;

/// A token that Argo CD could accept, with `changes` merged into its claims; `null` removes one.
fn token(changes: &Value) -> String {
    let mut claims = json!({"iss": "argocd", "sub": "admin:apiKey", "iat": 1_792_408_000, "nbf": 1_792_408_000, "jti": "id"});
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(name),
            value => claims
                .as_object_mut()
                .unwrap()
                .insert(name.clone(), value.clone()),
        };
    }
    signed(&json!({"alg": "HS256"}), &claims.to_string(), 32)
}

fn signed(header: &Value, payload: &str, signature: usize) -> String {
    let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    format!(
        "{}.{}.{}",
        part(header.to_string().as_bytes()),
        part(payload.as_bytes()),
        part(&vec![7; signature])
    )
}

#[test]
fn each_claim_has_its_defect() {
    use TokenDefect::*;
    let table = [
        (json!({}), vec![]),
        (json!({"extra": 1, "aud": ["x"]}), vec![]),
        (json!({"iss": "ArgoCD"}), vec![Issuer]),
        (json!({"iss": 1}), vec![Issuer]),
        (json!({"sub": null}), vec![NoSubject]),
        (json!({"sub": ""}), vec![NoSubject]),
        (json!({"sub": 5}), vec![NoSubject]),
        (
            json!({"sub": null, "federated_claims": {"user_id": "bot"}}),
            vec![],
        ),
        (
            json!({"federated_claims": {"user_id": "proj:a:b"}}),
            vec![ProjectRole],
        ),
        (json!({"federated_claims": {"user_id": ""}}), vec![]),
        (json!({"federated_claims": []}), vec![]),
        (json!({"sub": "proj:a:b"}), vec![ProjectRole]),
        (json!({"sub": "proj:a"}), vec![]),
        (json!({"sub": "proj:a:b:c"}), vec![]),
        (json!({"sub": "admin:login"}), vec![LoginSession]),
        (json!({"sub": "admin:login:x"}), vec![LoginSession]),
        (json!({"sub": "admin"}), vec![]),
        (json!({"sub": "admin:other"}), vec![]),
        (json!({"iat": null}), vec![IssuedAt]),
        (json!({"iat": "1"}), vec![IssuedAt]),
        (json!({"iat": NOW + 1e6}), vec![]),
        (json!({"jti": null}), vec![Id]),
        (json!({"jti": ""}), vec![Id]),
        (json!({"jti": 3}), vec![Id]),
        (json!({"nbf": NOW + 61.0}), vec![NotYetValid]),
        // Clocks differ, and a pod takes a moment to start.
        (json!({"nbf": NOW + 60.0}), vec![]),
        (json!({"nbf": NOW}), vec![]),
        (json!({"nbf": "1"}), vec![NotBeforeType]),
        (json!({"nbf": 0}), vec![]),
        (json!({"exp": 0}), vec![]),
        (json!({"exp": NOW}), vec![Expired]),
        (json!({"exp": -1}), vec![Expired]),
        (json!({"exp": NOW + 1.0}), vec![Expires]),
        (json!({"exp": "0"}), vec![ExpiryType]),
        (
            json!({"iss": "x", "sub": "proj:a:b", "jti": null, "exp": 1}),
            vec![Issuer, ProjectRole, Id, Expired],
        ),
    ];
    for (changes, expected) in table {
        assert_eq!(inspect(&token(&changes), NOW), expected, "{changes}");
    }
    let expiry_null = r#"{"iss":"argocd","sub":"a","iat":1,"jti":"i","exp":null}"#;
    assert_eq!(
        inspect(&signed(&json!({"alg": "HS256"}), expiry_null, 32), NOW),
        [ExpiryType]
    );
}

#[test]
fn the_algorithm_is_one_of_three_and_the_signature_as_long_as_it_gives() {
    let claims = r#"{"iss":"argocd","sub":"a","iat":1,"jti":"i"}"#;
    for (algorithm, length) in [("HS256", 32), ("HS384", 48), ("HS512", 64)] {
        let header = json!({"alg": algorithm});
        assert!(
            inspect(&signed(&header, claims, length), NOW).is_empty(),
            "{algorithm}"
        );
        let defect = TokenDefect::SignatureLength {
            found: length - 1,
            expected: length,
        };
        assert_eq!(inspect(&signed(&header, claims, length - 1), NOW), [defect]);
    }
    for header in [
        json!({}),
        json!({"alg": "hs256"}),
        json!({"alg": "RS256"}),
        json!({"alg": "none"}),
        json!({"alg": 1}),
        json!(null),
    ] {
        assert_eq!(
            inspect(&signed(&header, claims, 32), NOW),
            [TokenDefect::Algorithm],
            "{header}"
        );
    }
}

#[test]
fn each_shape_has_its_defect() {
    use Segment::{Header, Payload, Signature};
    use TokenDefect::*;
    let good = token(&json!({}));
    let [header, payload, signature] = good.split('.').collect::<Vec<_>>()[..] else {
        panic!()
    };
    let table = [
        (String::new(), vec![Segments(1)]),
        ("a.b".to_owned(), vec![Segments(2)]),
        (format!("{good}.x"), vec![Segments(4)]),
        ("..".to_owned(), vec![NotJson(Header), NotJson(Payload)]),
        (format!(" {good}"), vec![NotBase64Url(Header)]),
        (
            format!("{header}.{payload}=.{signature}"),
            vec![NotBase64Url(Payload)],
        ),
        (
            format!("{header}.{payload}.{signature}="),
            vec![NotBase64Url(Signature)],
        ),
        (
            format!("{header}.{payload}.+{}", &signature[1..]),
            vec![NotBase64Url(Signature)],
        ),
        (format!("{header}.{payload}.\n{signature}"), vec![LineBreak]),
        (
            format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode("[]")),
            vec![NotJson(Payload)],
        ),
        (
            format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode("{} {}")),
            vec![NotJson(Payload)],
        ),
        (
            format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode("null")),
            vec![Issuer, NoSubject, IssuedAt, Id],
        ),
    ];
    for (token, expected) in table {
        assert_eq!(inspect(&token, NOW), expected, "{token}");
    }
}

#[test]
fn json_that_go_reads_is_read() {
    let claims = b"{\"iss\":\"argocd\",\"sub\":\"a\",\"iat\":1,\"jti\":\"\xff\"}";
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256"}"#);
    let token = format!(
        "{header}.{}.{}",
        URL_SAFE_NO_PAD.encode(claims),
        URL_SAFE_NO_PAD.encode([0; 32])
    );
    // Go puts U+FFFD there; nobody writes it.
    assert_eq!(
        inspect(&token, NOW),
        [TokenDefect::NotJson(Segment::Payload)]
    );
    let claims = r#""iss":"argocd","sub":"a","iat":1,"jti":"id""#;
    let deep = format!(r#""deep":{}{}"#, "[".repeat(500), "]".repeat(500));
    let table = [
        (r#""name":"\ud800""#, vec![]),
        (&deep, vec![]),
        (r#""sub":"proj:a:b""#, vec![TokenDefect::ProjectRole]),
        (r#""iss":null"#, vec![TokenDefect::Issuer]),
        (r#""ISS":"other","Sub":"proj:a:b""#, vec![]),
        (
            r#""federated_claims":{"user_id":"x","user_id":"proj:a:b"}"#,
            vec![TokenDefect::ProjectRole],
        ),
        (r#""\u0065xp":1"#, vec![TokenDefect::Expired]),
        (r#""jti":"\u0000""#, vec![]),
    ];
    for (more, expected) in table {
        let token = signed(
            &json!({"alg": "HS256"}),
            &format!("{{{claims},{more}}}"),
            32,
        );
        assert_eq!(inspect(&token, NOW), expected, "{more}");
    }
}

#[test]
fn times_count_in_whole_seconds() {
    let table = [
        (json!({"nbf": NOW + 60.75}), vec![]),
        (json!({"nbf": NOW + 61.25}), vec![TokenDefect::NotYetValid]),
        (json!({"exp": NOW + 0.75}), vec![TokenDefect::Expired]),
        (json!({"exp": NOW + 1.75}), vec![TokenDefect::Expires]),
        (json!({"exp": -0.0}), vec![]),
        (json!({"exp": 0.5}), vec![TokenDefect::Expired]),
    ];
    for (changes, expected) in table {
        assert_eq!(inspect(&token(&changes), NOW + 0.5), expected, "{changes}");
    }
}

#[test]
fn a_token_of_nothing_but_dots_is_counted() {
    let dots = ".".repeat(100_000);
    assert_eq!(inspect(&dots, NOW), [TokenDefect::Segments(100_001)]);
}

proptest! {
    #[test]
    fn inspecting_never_panics(token in "[a-zA-Z0-9_.=+/ \n-]{0,200}", now in any::<f64>()) {
        let _ = inspect(&token, now);
    }

    #[test]
    fn claims_never_panic_and_no_defect_says_a_part_of_the_token(payload in r#"[{}\[\]":,a-z0-9. ]{0,80}"#) {
        let token = signed(&json!({"alg": "HS256"}), &payload, 32);
        for defect in inspect(&token, NOW) {
            let text = format!("{defect} {defect:?}");
            let told = token.as_bytes().windows(8).any(|part| text.as_bytes().windows(8).any(|said| said == part));
            prop_assert!(!told, "{}", text);
        }
    }
}
