use super::*;
use crate::policy::facts::Unread;
use crate::policy::secret_values::{compare, suspects};
use crate::runtime::mode::Mode;
use crate::runtime::secret_bytes::{SecretBytes, SecretData};
use crate::runtime::workload::WorkloadKind;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use serde_json::{Value, json};
use zeroize::Zeroizing;

const NOW: f64 = 1_800_000_000.0;
const NAMESPACE: &str = "gitops";
const DELETED: &[(Rule, Severity)] = &[(Rule::SecretInUseDeleted, Severity::Refusal)];
const BROKEN: &[(Rule, Severity)] = &[(Rule::SecretInUseBroken, Severity::Refusal)];
const STILL_BROKEN: &[(Rule, Severity)] = &[(Rule::SecretInUseBroken, Severity::Warning)];
const NOTHING: &[(Rule, Severity)] = &[];

/// A token whose signature is these bytes over and over.
fn token(claims: &Value, signature: u8) -> Vec<u8> {
    let part = |json: &str| URL_SAFE_NO_PAD.encode(json);
    let signature = URL_SAFE_NO_PAD.encode([signature; 32]);
    let header = part(r#"{"alg":"HS256"}"#);
    format!("{header}.{}.{signature}", part(&claims.to_string())).into_bytes()
}

fn good(signature: u8) -> Vec<u8> {
    token(&claims(), signature)
}

fn claims() -> Value {
    json!({"iss": "argocd", "sub": "admin:apiKey", "iat": 1, "jti": "id"})
}

fn data(entries: &[(&str, Vec<u8>)]) -> SecretData {
    let mut data = SecretData::default();
    for (key, value) in entries {
        data.insert(key, SecretBytes::new(Zeroizing::new(value.clone())));
    }
    data
}

fn user(name: &str, env: &Value) -> User {
    let spec = json!({"template": {"spec": {"containers": [{"env": env}]}}}).to_string();
    User::of(WorkloadKind::Deployment, NAMESPACE, name, &spec).unwrap()
}

fn reads(variable: &str, secret: &str, key: &str) -> Value {
    json!({"name": variable, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}})
}

fn optional(mut variable: Value) -> Value {
    variable["valueFrom"]["secretKeyRef"]["optional"] = json!(true);
    variable
}

fn by_name(secret: &str) -> Value {
    json!([
        {"name": "ARGO_CD_TOKEN_SECRET_NAME", "value": secret},
        {"name": "ARGO_CD_TOKEN_SECRET_KEY", "value": "token"},
    ])
}

/// A change of a Secret that these workloads may use; what is known of it can be changed before it is judged.
struct Scene {
    name: Name,
    facts: SecretUse,
    on_error: OnError,
}

impl Scene {
    fn new(name: &str, users: Vec<User>, old: &SecretData, new: Option<&SecretData>) -> Scene {
        let name = Name::from(name);
        Scene {
            facts: SecretUse {
                values: compare(&name, &users, old, new, None, NOW),
                suspects: suspects(&name, old, new, NOW),
                users: Users {
                    found: users,
                    unlisted: None,
                },
                namespace_ends: false,
                mode: ModeFact::NotNeeded,
                unverified: None,
            },
            name,
            on_error: OnError::Deny,
        }
    }

    fn findings(&self) -> Vec<Finding> {
        judge(
            &self.name,
            NAMESPACE,
            None,
            Some(&self.facts),
            self.on_error,
        )
    }

    fn judged(&self) -> Vec<(Rule, Severity)> {
        let findings = self.findings();
        let judged = findings.iter();
        judged
            .map(|finding| (finding.rule, finding.severity))
            .collect()
    }
}

#[test]
fn a_secret_with_a_good_credential_goes_only_when_nobody_uses_it() {
    let old = data(&[("token", good(1))]);
    let token = |secret| user("operator", &by_name(secret));
    let table = [
        (vec![], NOTHING),
        (vec![token("other")], NOTHING),
        (vec![token("mine")], DELETED),
        (
            vec![user("p", &json!([reads("ARGO_CD_TOKEN", "mine", "token")]))],
            DELETED,
        ),
        (
            // A password may look like anything.
            vec![user(
                "p",
                &json!([reads("ARGO_CD_PASSWORD", "mine", "token")]),
            )],
            DELETED,
        ),
        (
            // It reads a key that was not there.
            vec![user(
                "p",
                &json!([reads("ARGO_CD_TOKEN", "mine", "absent")]),
            )],
            NOTHING,
        ),
        (
            vec![user(
                "p",
                &json!([optional(reads("ARGO_CD_TOKEN", "mine", "token"))]),
            )],
            &[(Rule::SecretInUseDeleted, Severity::Warning)],
        ),
    ];
    for (users, expected) in table {
        let shown = format!("{users:?}");
        let scene = Scene::new("mine", users, &old, None);
        assert_eq!(scene.judged(), expected, "{shown}");
    }
}

#[test]
fn a_change_in_place_is_judged_by_what_is_left() {
    let mut newline = good(2);
    newline.push(b'\n');
    let mut expiring = claims();
    expiring["exp"] = json!(NOW + 60.0);
    let expiring = token(&expiring, 1);
    let one = |value: Vec<u8>| data(&[("token", value)]);
    let table = [
        // another good token, and something beside it
        (one(good(1)), one(good(2)), NOTHING),
        (
            data(&[("token", good(1)), ("other", vec![1])]),
            one(good(1)),
            NOTHING,
        ),
        // broken
        (one(good(1)), one(newline.clone()), BROKEN),
        (one(good(1)), one(Vec::new()), BROKEN),
        // It works until it expires.
        (one(good(1)), one(expiring.clone()), STILL_BROKEN),
        (one(good(1)), one(vec![0xff]), BROKEN),
        (one(good(1)), data(&[]), BROKEN),
        (one(good(1)), data(&[("Token", good(1))]), BROKEN),
        // as bad as before, mended in part, mended
        (one(newline.clone()), one(newline.clone()), STILL_BROKEN),
        (one(Vec::new()), one(newline.clone()), STILL_BROKEN),
        (one(expiring.clone()), data(&[]), BROKEN),
        (one(newline), one(good(1)), NOTHING),
        (data(&[]), one(good(1)), NOTHING),
        (data(&[]), one(expiring), STILL_BROKEN),
        (data(&[]), data(&[("other", vec![1])]), NOTHING),
    ];
    for (number, (old, new, expected)) in table.into_iter().enumerate() {
        let users = vec![user("operator", &by_name("mine"))];
        let scene = Scene::new("mine", users, &old, Some(&new));
        assert_eq!(scene.judged(), expected, "{number}");
        let scene = Scene::new("mine", Vec::new(), &old, Some(&new));
        assert_eq!(scene.judged(), NOTHING, "{number}");
    }
}

#[test]
fn what_only_looks_odd_in_a_password_is_warned_of_once() {
    let users = || vec![user("p", &json!([reads("ARGO_CD_PASSWORD", "mine", "k")]))];
    let one = |value: &str| data(&[("k", value.as_bytes().to_vec())]);
    let table = [
        ("plain", "other", NOTHING),
        ("plain", "\"quoted\"", STILL_BROKEN),
        ("\"quoted\"", "\"other\"", NOTHING),
        ("plain", "line\n", BROKEN),
        ("plain", "", BROKEN),
    ];
    for (old, new, expected) in table {
        let scene = Scene::new("mine", users(), &one(old), Some(&one(new)));
        assert_eq!(scene.judged(), expected, "{old:?} {new:?}");
    }
}

#[test]
fn what_app_proxy_makes_by_itself_is_its_own() {
    let old = data(&[("token", good(1))]);
    let empty = data(&[]);
    let change = |new: Option<&SecretData>, mode, env: &Value| {
        let mut scene = Scene::new("argocd-token", vec![user("w", env)], &old, new);
        scene.facts.mode = mode;
        scene.judged()
    };
    let own = by_name("argocd-token");
    let deleted = |mode| change(None, mode, &own);
    for mode in [Mode::BuiltIn, Mode::ExternalPassword, Mode::Password] {
        assert_eq!(deleted(ModeFact::Known(mode)), NOTHING, "{mode:?}");
        let emptied = change(Some(&empty), ModeFact::Known(mode), &own);
        assert_eq!(emptied, NOTHING, "{mode:?}");
    }
    assert_eq!(deleted(ModeFact::Known(Mode::ExternalToken)), DELETED);
    for mode in [
        ModeFact::Missing,
        ModeFact::Unread(Unread::Timeout),
        ModeFact::Known(Mode::Unknown),
    ] {
        let warned = [(Rule::SecretInUseDeleted, Severity::Warning)];
        assert_eq!(deleted(mode.clone()), warned, "{mode:?}");
    }
    // Charts of March 2025 show in the container itself that a person made it.
    let both = json!([
        reads("ARGO_CD_TOKEN", "argocd-token", "token"),
        optional(reads("ARGO_CD_PASSWORD", "argocd-token", "token")),
    ]);
    assert_eq!(change(None, ModeFact::Missing, &both), DELETED);
    let newline = data(&[("token", [good(1), b"\n".to_vec()].concat())]);
    assert_eq!(change(Some(&newline), ModeFact::Missing, &both), BROKEN);
}

#[test]
fn the_first_password_of_argo_cd_is_made_once() {
    let old = data(&[("password", b"sup3rs3cret".to_vec())]);
    let secret = "argocd-initial-admin-secret";
    let env = json!([reads("ARGO_CD_PASSWORD", secret, "password")]);
    for mode in [Mode::BuiltIn, Mode::ExternalPassword, Mode::Unknown] {
        let mut scene = Scene::new(secret, vec![user("w", &env)], &old, None);
        scene.facts.mode = ModeFact::Known(mode);
        assert_eq!(scene.judged(), DELETED, "{mode:?}");
    }
    assert!(mode_matters(secret) && mode_matters("argocd-token"));
    assert!(!mode_matters("mine"));
}

#[test]
fn with_the_namespace_everything_goes() {
    let old = data(&[("token", good(1))]);
    let users = vec![user("w", &by_name("mine"))];
    let mut scene = Scene::new("mine", users, &old, None);
    scene.facts.namespace_ends = true;
    scene.facts.users.unlisted = Some(unlisted(Unread::Forbidden));
    assert_eq!(scene.judged(), NOTHING);
}

fn unlisted(why: Unread) -> Unlisted {
    Unlisted {
        kind: Some(WorkloadKind::Rollout),
        namespace: Some(NAMESPACE.to_owned()),
        why,
    }
}

#[test]
fn when_workloads_cannot_be_listed_only_what_looks_like_a_credential_is_refused() {
    let token_data = data(&[("token", good(1))]);
    let text = data(&[("password", b"sup3rs3cret".to_vec())]);
    let initial = "argocd-initial-admin-secret";
    let refused = Severity::Refusal;
    let table = [
        ("mine", &token_data, OnError::Deny, refused),
        ("mine", &token_data, OnError::Allow, Severity::Warning),
        ("mine", &text, OnError::Deny, Severity::Warning),
        (initial, &text, OnError::Deny, refused),
        (initial, &text, OnError::Allow, Severity::Warning),
    ];
    for (name, old, on_error, severity) in table {
        for why in [Unread::Forbidden, Unread::TooMany] {
            let mut scene = Scene::new(name, Vec::new(), old, None);
            scene.on_error = on_error;
            scene.facts.users.unlisted = Some(unlisted(why));
            let expected = [(Rule::InUseUnknown, severity)];
            assert_eq!(scene.judged(), expected, "{name} {on_error:?}");
        }
    }
    // Another good token leaves nothing to suspect, and a user that was found decides.
    let rotated = data(&[("token", good(2))]);
    let mut scene = Scene::new("mine", Vec::new(), &token_data, Some(&rotated));
    scene.facts.users.unlisted = Some(unlisted(Unread::Forbidden));
    let warned = [(Rule::InUseUnknown, Severity::Warning)];
    assert_eq!(scene.judged(), warned);
    let users = vec![user("w", &by_name("mine"))];
    let mut scene = Scene::new("mine", users, &token_data, None);
    scene.facts.users.unlisted = Some(unlisted(Unread::TooMany));
    assert_eq!(scene.judged(), DELETED);
    let name = Name::from("mine");
    let findings = judge(&name, NAMESPACE, None, None, OnError::Deny);
    assert_eq!(findings[0].rule, Rule::InUseUnknown);
    assert_eq!(findings[0].severity, refused);
}

#[test]
fn the_workloads_that_would_stop_are_named_and_the_rest_counted() {
    let old = data(&[("token", good(1))]);
    let users: Vec<User> = (0..8)
        .map(|number| user(&format!("w{number}"), &by_name("mine")))
        .collect();
    let [finding] = Scene::new("mine", users.clone(), &old, None)
        .findings()
        .try_into()
        .unwrap();
    assert!(
        finding.what.starts_with(
            "Secret \"mine\" in namespace \"gitops\" would be deleted, and Deployment \"w0\", "
        ),
        "{}",
        finding.what
    );
    assert!(
        finding.what.contains("\"w4\" and 3 more"),
        "{}",
        finding.what
    );
    assert_eq!(finding.fields, ["data[\"token\"]"]);
    let empty = data(&[]);
    let [finding] = Scene::new("mine", users, &old, Some(&empty))
        .findings()
        .try_into()
        .unwrap();
    assert!(
        finding
            .what
            .contains("loses its key \"token\", which has the token of Deployment \"w0\""),
        "{}",
        finding.what
    );
}

proptest! {
    /// Whatever stands in a Secret: no run of eight characters of it is told.
    #[test]
    fn nothing_of_a_value_is_told(
        old in "[ -~\n]{0,60}",
        new in prop::option::of("[ -~\n]{0,60}"),
        form in 0..3,
    ) {
        let of = |text: &str| match form {
            0 => text.as_bytes().to_vec(),
            1 => format!("Bearer {text}").into_bytes(),
            _ => token(&json!({"sub": text}), 7),
        };
        let state = |text: &str| data(&[("token", of(text))]);
        let users = vec![
            user("w", &by_name("mine")),
            user("p", &json!([reads("ARGO_CD_PASSWORD", "mine", "token")])),
        ];
        let new_state = new.as_deref().map(state);
        let mut scene = Scene::new("mine", users, &state(&old), new_state.as_ref());
        scene.facts.users.unlisted = Some(unlisted(Unread::Forbidden));
        let told = format!("{:?} {:?}", scene.findings(), scene.facts);
        // What every such message has by itself.
        let empty = Scene::new("mine", Vec::new(), &data(&[]), None);
        let usual = format!("{:?}", judge(&empty.name, NAMESPACE, None, None, OnError::Deny));
        for value in [Some(old), new].into_iter().flatten() {
            for piece in value.as_bytes().windows(8).filter_map(|piece| std::str::from_utf8(piece).ok()) {
                prop_assert!(!told.contains(piece) || usual.contains(piece), "{piece:?} in {told}");
            }
        }
    }
}
