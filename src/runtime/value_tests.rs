use super::*;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use proptest::prelude::*;
use serde::Deserialize;

const NOW: f64 = 1_795_000_000.0;

fn secret(value: impl AsRef<[u8]>) -> SecretBytes {
    SecretBytes::new(Zeroizing::new(value.as_ref().to_vec()))
}

fn good() -> String {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let claims = r#"{"iss":"argocd","sub":"admin:apiKey","iat":1,"jti":"an-id"}"#;
    format!(
        "{}.{}.{}",
        part(r#"{"alg":"HS256"}"#),
        part(claims),
        URL_SAFE_NO_PAD.encode([9; 32])
    )
}

#[test]
fn every_mistake_with_a_token_is_told_as_what_it_looks_like() {
    use ValueDefect::*;
    let good = good();
    let table: Vec<(Vec<u8>, Vec<ValueDefect>)> = vec![
        (good.clone().into(), vec![]),
        (vec![0xff, 0xfe], vec![NotUtf8]),
        (b"".to_vec(), vec![Empty]),
        (" \n\t\u{a0}".into(), vec![Empty]),
        (format!("{good}\n").into(), vec![TrailingNewline]),
        (format!("{good}\r\n").into(), vec![TrailingNewline]),
        (format!(" {good}").into(), vec![SurroundingSpace]),
        (
            format!("{good} \n").into(),
            vec![TrailingNewline, SurroundingSpace],
        ),
        (format!("Bearer {good}").into(), vec![BearerPrefix]),
        (
            format!("bearer {good}\n").into(),
            vec![TrailingNewline, BearerPrefix],
        ),
        (format!("\"{good}\"").into(), vec![Quoted]),
        (format!("'{good}\n'").into(), vec![Quoted, TrailingNewline]),
        (STANDARD.encode(&good).into(), vec![Base64Twice]),
        (STANDARD_NO_PAD.encode(&good).into(), vec![Base64Twice]),
        (
            STANDARD.encode(format!("{good}\n")).into(),
            vec![Base64Twice, TrailingNewline],
        ),
        (
            STANDARD.encode(STANDARD.encode(&good)).into(),
            vec![Base64Twice],
        ),
        (
            format!("\"Bearer {good}\"").into(),
            vec![Quoted, BearerPrefix],
        ),
        (b"<token>".to_vec(), vec![Placeholder]),
        (
            b"<your-argocd-token>\n".to_vec(),
            vec![TrailingNewline, Placeholder],
        ),
        (b"${ARGOCD_TOKEN}".to_vec(), vec![Placeholder]),
        (b"{{ .Values.token }}".to_vec(), vec![Placeholder]),
        (b"YOUR_TOKEN".to_vec(), vec![Placeholder]),
        (b"changeme".to_vec(), vec![Placeholder]),
        (b"xxxxxxxx".to_vec(), vec![Placeholder]),
        (b"Bearer <token>".to_vec(), vec![BearerPrefix, Placeholder]),
        (b"nonsense".to_vec(), vec![Token(TokenDefect::Segments(1))]),
    ];
    for (value, expected) in table {
        assert_eq!(
            examine(Role::Token, &secret(&value), NOW),
            expected,
            "{}",
            String::from_utf8_lossy(&value)
        );
    }
}

#[test]
fn a_password_may_look_like_anything_that_is_not_certainly_wrong() {
    use ValueDefect::*;
    let table: [(&[u8], &[ValueDefect]); 16] = [
        (b"correct horse battery staple", &[]),
        (b" leading and trailing ", &[]),
        (b"\xff", &[NotUtf8]),
        (b"", &[Empty]),
        (b"\n", &[Empty]),
        (b"secret\n", &[TrailingNewline]),
        (b"<password>", &[Placeholder]),
        (b"${PASSWORD}", &[Placeholder]),
        (b"changeme", &[]),
        (b"token", &[]),
        (b"<a><b>", &[]),
        (b"\"quoted\"", &[Quoted]),
        (b"Bearer x", &[BearerPrefix]),
        (b"c2VjcmV0cGFzc3dvcmQ=", &[Base64Twice]),
        (b"abcdefgh", &[]),
        (b"Zm9vYmFyYmF6cXV4", &[]),
    ];
    for (value, expected) in table {
        assert_eq!(
            examine(Role::Password, &secret(value), NOW),
            expected,
            "{}",
            String::from_utf8_lossy(value)
        );
    }
    assert!(!Quoted.is_certain(Role::Password) && Quoted.is_certain(Role::Token));
    assert!(TrailingNewline.is_certain(Role::Password) && Placeholder.is_certain(Role::Password));
}

#[derive(Deserialize)]
struct Vector {
    name: String,
    value_base64: String,
    now: f64,
    argo_cd: String,
    has_exp: bool,
}

/// Reasons that only Argo CD's own Secret and accounts tell.
const NOT_IN_THE_TOKEN: [&str; 6] = [
    "token signature is invalid",
    "account ",
    "accounts: ",
    "account password has changed",
    "does not exist",
    "does not have",
];

#[test]
fn all_71_tokens_are_refused_exactly_when_the_token_itself_shows_why() {
    let vectors: Vec<Vector> =
        serde_json::from_str(include_str!("../../tests/fixtures/argocd-tokens.json")).unwrap();
    let mut refused = 0;
    for vector in &vectors {
        let value = STANDARD.decode(&vector.value_base64).unwrap();
        let defects = examine(Role::Token, &secret(&value), vector.now);
        let accepted = vector.argo_cd == "accepted";
        let elsewhere = NOT_IN_THE_TOKEN
            .iter()
            .any(|reason| vector.argo_cd.starts_with(reason));
        let unusable = match vector.name.as_str() {
            // An exp of 0 is none.
            "exp zero" => false,
            // HS384 never gives a signature of 32 bytes.
            "header says HS384 signed HS256" => true,
            // The account with the empty name is not the reason: there is no subject at all.
            "sub missing" => true,
            "sub login session" | "trailing newline" | "trailing CRLF" => true,
            _ => (!accepted && !elsewhere) || (vector.has_exp && vector.name != "exp zero"),
        };
        assert_eq!(
            !defects.is_empty(),
            unusable,
            "{}: {} {defects:?}",
            vector.name,
            vector.argo_cd
        );
        refused += usize::from(unusable);
    }
    assert_eq!(vectors.len(), 71);
    assert_eq!(refused, 31);
}

proptest! {
    #[test]
    fn examining_never_panics_and_never_says_a_part_of_the_value(
        value in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            r#"[ "'`]?(Bearer )?[<$({]{0,2}[a-zA-Z0-9+/_.=-]{0,120}[>)}]{0,2}[ "'`\n]?"#.prop_map(String::into_bytes),
        ],
        now in any::<f64>(),
    ) {
        for role in [Role::Token, Role::Password] {
            for defect in examine(role, &secret(&value), now) {
                let text = format!("{defect} {defect:?} {}", defect.mend());
                let told = value.windows(8).any(|part| {
                    part.iter().any(u8::is_ascii_digit) && text.as_bytes().windows(8).any(|said| said == part)
                });
                prop_assert!(!told, "{}", text);
            }
        }
    }
}
