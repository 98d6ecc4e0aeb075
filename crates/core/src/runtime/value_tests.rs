use super::*;
use std::collections::HashSet;

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

/// As `base64` prints it: in lines of 76.
fn wrapped(text: &str) -> String {
    let encoded = STANDARD.encode(text);
    let lines = encoded.as_bytes().chunks(76);
    lines
        .map(|line| format!("{}\n", std::str::from_utf8(line).unwrap()))
        .collect()
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
        (
            b"Bearer \t<token>".to_vec(),
            vec![BearerPrefix, Placeholder],
        ),
        (b"\"\"".to_vec(), vec![Quoted, Empty]),
        (b"'  '".to_vec(), vec![Quoted, SurroundingSpace, Empty]),
        (b"${{ secrets.TOKEN }}".to_vec(), vec![Placeholder]),
        (b"your.token".to_vec(), vec![Placeholder]),
        (
            STANDARD.encode("<token>").into(),
            vec![Base64Twice, Placeholder],
        ),
        (
            STANDARD.encode("nonsense").into(),
            vec![Token(TokenDefect::Segments(1))],
        ),
        (wrapped(&good).into(), vec![TrailingNewline, Base64Twice]),
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
    let table: [(&[u8], &[ValueDefect]); 22] = [
        (b"correct horse battery staple", &[]),
        (b" leading and trailing ", &[]),
        (b"\xff", &[NotUtf8]),
        (b"", &[Empty]),
        (b"\n", &[Empty]),
        (b"secret\n", &[TrailingNewline]),
        (b"<password>", &[Placeholder]),
        (b"${PASSWORD}", &[Placeholder]),
        (b"${{ secrets.PASSWORD }}", &[Placeholder]),
        (b"\"${PASSWORD}\"", &[Quoted, Placeholder]),
        (b"changeme", &[]),
        (b"token", &[]),
        (b"<a><b>", &[]),
        (b"\"quoted\"", &[Quoted]),
        (b"Bearer x", &[BearerPrefix]),
        (b"c2VjcmV0cGFzc3dvcmQ=", &[Base64Twice]),
        (
            b"ENC[AES256_GCM,data:AAAA,iv:BBBB,tag:CCCC,type:str]",
            &[Encrypted],
        ),
        (b"vault:secret/data/argo#password", &[VaultReference]),
        (b">>vault:secret/data/argo#password", &[VaultReference]),
        (b"vault:no-key", &[]),
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
    assert!(TrailingNewline.is_certain(Role::Password) && !Placeholder.is_certain(Role::Password));
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
    let vectors: Vec<Vector> = serde_json::from_str(include_str!(
        "../../../../tests/fixtures/argocd-tokens.json"
    ))
    .unwrap();
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

/// A mistake on top of a credential, and what it is told as.
fn mistaken(inner: &str, mistake: u8) -> (String, ValueDefect) {
    match mistake {
        0 => (format!("Bearer {inner}"), ValueDefect::BearerPrefix),
        1 => (format!("'{inner}'"), ValueDefect::Quoted),
        2 => (STANDARD.encode(inner), ValueDefect::Base64Twice),
        _ => (URL_SAFE_NO_PAD.encode(inner), ValueDefect::Base64Twice),
    }
}

/// What `defects` say, without the one word of a value that is theirs as well.
fn said(defects: &[ValueDefect]) -> String {
    let sentences = defects
        .iter()
        .map(|defect| format!("{defect}\n{defect:?}\n{}", defect.mend()));
    let said: Vec<String> = sentences.collect();
    said.join("\n").replace("\"Bearer \"", "")
}

fn tells_a_part(said: &str, value: &[u8]) -> bool {
    let runs: HashSet<&[u8]> = said.as_bytes().windows(8).collect();
    value.windows(8).any(|part| runs.contains(part))
}

proptest! {
    #[test]
    fn up_to_four_mistakes_on_top_of_each_other_are_all_told_and_nothing_else(
        mistakes in prop::collection::vec(0_u8..4, 0..=4),
        newline in any::<bool>(),
    ) {
        let mut value = good();
        let mut expected = Vec::new();
        for mistake in mistakes {
            let (outer, defect) = mistaken(&value, mistake);
            value = outer;
            expected.retain(|known| *known != defect);
            expected.insert(0, defect);
        }
        if newline {
            value.push('\n');
            expected.insert(0, ValueDefect::TrailingNewline);
        }
        prop_assert_eq!(examine(Role::Token, &secret(&value), NOW), expected);
    }

    #[test]
    fn no_defect_of_a_token_says_a_part_of_it(
        id in "[a-z0-9-]{8,36}",
        subject in "[a-z]{8,20}(:(login|apiKey|other))?",
        issuer in "argocd|https://[a-z]{8,16}",
        mistakes in prop::collection::vec(0_u8..4, 0..=4),
    ) {
        let claims = format!(r#"{{"iss":"{issuer}","sub":"{subject}","iat":"{id}","jti":"{id}","exp":"{id}"}}"#);
        let token = format!(
            "{}.{}.{}",
            URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256"}"#),
            URL_SAFE_NO_PAD.encode(&claims),
            URL_SAFE_NO_PAD.encode([9; 32])
        );
        let value = mistakes.iter().fold(token.clone(), |inner, mistake| mistaken(&inner, *mistake).0);
        let defects = examine(Role::Token, &secret(&value), NOW);
        prop_assert!(defects.len() >= 3, "{:?}", defects);
        let said = said(&defects);
        for part in [&value, &token, &id, &subject.replace(":apiKey", "").replace(":login", "")] {
            prop_assert!(!tells_a_part(&said, part.as_bytes()), "{}", said);
        }
    }

    #[test]
    fn examining_never_panics_and_never_says_a_part_of_the_value(
        value in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            r#"[ "'`]?(Bearer )?[<$({]{0,2}[a-zA-Z0-9+/_.=-]{0,120}[>)}]{0,2}[ "'`\n]?"#.prop_map(String::into_bytes),
        ],
        now in any::<f64>(),
    ) {
        for role in [Role::Token, Role::Password] {
            let said = said(&examine(role, &secret(&value), now));
            prop_assert!(!tells_a_part(&said, &value), "{}", said);
        }
    }
}
