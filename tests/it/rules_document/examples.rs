//! A situation for each rule, put through the code from the review's bytes to the answer's.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use keyguard_core::policy::accounts_in_use::AccountsUse;
use keyguard_core::policy::decide::Policy;
use keyguard_core::policy::facts::{CredentialFact, Facts, ModeFact, Unread};
use keyguard_core::policy::facts::{Untold, Verification, Verified};
use keyguard_core::policy::in_use::{InUse, Search};
use keyguard_core::policy::plan::Lookups;
use keyguard_core::policy::rules::Rule;
use keyguard_core::policy::secret_values;
use keyguard_core::policy::secrets_in_use::SecretUse;
use keyguard_core::policy::users::{Unlisted, Users};
use keyguard_core::review::reply;
use keyguard_core::review::request::Request;
use keyguard_core::runtime::mode::Mode;
use keyguard_core::runtime::secret_bytes::SecretBytes;
use keyguard_core::runtime::user::User;
use keyguard_core::runtime::value::{Role, examine};
use keyguard_core::runtime::workload::WorkloadKind;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::argocd_secret;
use super::verified::state;

/// The clock of the examples, in Unix seconds.
pub(super) const NOW: f64 = 1_795_000_000.0;
/// The Secret of the examples.
pub(super) const SECRET: &str = "argocd-api-key";

/// What is asked, and what is known of the Secret that it refers to.
pub(super) struct Situation {
    pub(super) review: Value,
    pub(super) known: Known,
    pub(super) verification: Verification,
}

/// What reading the Secret comes to.
pub(super) enum Known {
    /// It does not exist.
    Missing,
    /// It has not the key.
    KeyMissing,
    /// It may not be read.
    Forbidden,
    /// It has this value.
    Value(Vec<u8>),
    /// These workloads were found that use what is changed, or not.
    Use(Users),
}

/// The lines that kubectl, Helm and Argo CD show in the rule's situation, which no other rule has a say in.
pub(super) fn read_by_the_user(rule: Rule) -> String {
    let Situation {
        review,
        known,
        verification,
    } = situation(rule);
    let mut policy = Policy::default();
    policy.guard.secrets = true;
    policy.guard.argocd_secret = true;
    if rule == Rule::LoginRemoved {
        // Nothing takes login from admin.
        policy.protected_accounts = vec!["gitops".to_owned()];
    }
    let body = serde_json::to_vec(&review).unwrap();
    let request = Request::decode(&body, 128).unwrap();
    let verdict = match policy.plan_use(&request.case) {
        Some(search) => policy.decide_in_use(&request.case, &found(search, &request, known)),
        None => {
            let lookups = policy.plan(&request.case);
            let facts = lookups.map(|lookups| gather(&lookups, &known, verification));
            policy.decide(&request.case, facts.as_ref())
        }
    };
    assert_eq!(verdict.rules(), [rule]);
    let answer: Value =
        serde_json::from_slice(&reply::encode(&request, &verdict, "record")).unwrap();
    let response = &answer["response"];
    let webhook = request.webhook.name();
    let refusal = response["status"]["message"].as_str().map(|message| {
        format!("admission webhook \"{webhook}.keyguard.dev\" denied the request: {message}")
    });
    let warnings = response["warnings"].as_array().into_iter().flatten();
    let warnings = warnings.map(|warning| format!("Warning: {}", warning.as_str().unwrap()));
    refusal
        .into_iter()
        .chain(warnings)
        .collect::<Vec<_>>()
        .join("\n")
}

fn situation(rule: Rule) -> Situation {
    use Known::{Forbidden, KeyMissing, Missing};
    match rule {
        Rule::ApiKeyRemoved => change(json!({"accounts.admin": "login"})),
        Rule::AccountDisabled => {
            change(json!({"accounts.admin": "apiKey, login", "admin.enabled": "false"}))
        }
        Rule::LoginRemoved => update(
            argocd_cm(json!({"accounts.gitops": "apiKey, login"})),
            argocd_cm(json!({"accounts.gitops": "apiKey"})),
        ),
        Rule::Unreadable => {
            change(json!({"accounts.admin": "apiKey, login", "accounts.bob.enabled": "yes"}))
        }
        Rule::LabelMissing => {
            let mut unlabelled = argocd_cm(good());
            unlabelled["metadata"]["labels"] = json!({});
            update(argocd_cm(good()), unlabelled)
        }
        Rule::ConfigMapDeleted => config_map("DELETE", argocd_cm(good()), Value::Null),
        Rule::ApiKeyMissing => {
            let login_only = argocd_cm(json!({"accounts.admin": "login"}));
            config_map("CREATE", Value::Null, login_only)
        }
        Rule::SecretMissing => deployment(SECRET, Missing),
        Rule::KeyMissing => deployment(SECRET, KeyMissing),
        Rule::ValueMalformed => value(token(&json!({})) + "\n"),
        Rule::NotAnApiKey => value("no.token"),
        Rule::TokenNotYetValid => value(token(&json!({"nbf": NOW + 3600.0}))),
        Rule::TokenExpires => value(token(&json!({"exp": NOW + 3600.0}))),
        Rule::AccountsUnreadable => state().with("admin.tokens", "[").token(),
        Rule::TokenSignature => state().with("server.secretkey", "another").token(),
        Rule::AccountMissing => state().account("accounts.ci", None).token(),
        Rule::CredentialAccountDisabled => state()
            .account("accounts.ci.enabled", Some("false"))
            .token(),
        Rule::AccountCapability => state().account("accounts.ci", Some("login")).token(),
        Rule::TokenRevoked => state().with("accounts.ci.tokens", "[]").token(),
        Rule::TokenPasswordChanged => state()
            .with("accounts.ci.passwordMtime", "2030-01-01T00:00:00Z")
            .token(),
        Rule::PasswordWrong => state().password("another one"),
        Rule::PasswordAccountUntold => state().untold(Verified::UserNameUntold(Untold::Template)),
        Rule::ArgocdNotFound => state().told(Verification::NotFound("argocd".to_owned())),
        Rule::ArgocdUnreadable => state().told(Verification::Unread(
            "Secret \"argocd-secret\"",
            "argocd".to_owned(),
            Unread::Forbidden,
        )),
        Rule::SecretUnreadable => deployment(SECRET, Forbidden),
        Rule::SecretNotYetMade => deployment("argocd-token", Missing),
        Rule::Unresolvable => deployment("$(RELEASE)-token", Missing),
        Rule::SecretInUseDeleted => secret("DELETE", None, users(None)),
        Rule::SecretInUseBroken => {
            let newline = token(&json!({})) + "\n";
            secret("UPDATE", Some(&newline), users(None))
        }
        Rule::InUseUnknown => secret("DELETE", None, users(Some(Unread::Forbidden))),
        Rule::ArgocdSecretTokenRevoked => argocd_secret::with("accounts.ci.tokens", "[]"),
        Rule::ArgocdSecretKeyChanged => argocd_secret::with("server.secretkey", "another"),
        Rule::ArgocdSecretPasswordChanged => {
            argocd_secret::with("accounts.ci.passwordMtime", "2026-11-18T18:00:00Z")
        }
        Rule::ArgocdSecretUnreadable => argocd_secret::with("admin.tokens", "[{"),
        Rule::ArgocdSecretDeleted => argocd_secret::deletion(),
        Rule::WorkloadMalformed => {
            let mut malformed = deployment(SECRET, Missing);
            let request = &mut malformed.review["request"];
            request["kind"] =
                json!({"group": "argoproj.io", "version": "v1alpha1", "kind": "Rollout"});
            let pod = &mut request["object"]["spec"]["template"]["spec"];
            pod["containers"][0]["env"][0]["value"] = json!(80);
            malformed
        }
    }
}

/// Everything that was looked up, in a Runtime with its own Argo CD.
fn gather(lookups: &Lookups, known: &Known, verification: Verification) -> Facts {
    let fact = |role: Role| match known {
        Known::Missing => CredentialFact::SecretMissing,
        Known::KeyMissing => CredentialFact::KeyMissing,
        Known::Forbidden => CredentialFact::Unread(Unread::Forbidden),
        Known::Use(_) => unreachable!("nobody is looked for"),
        Known::Value(bytes) => {
            let bytes = SecretBytes::new(Zeroizing::new(bytes.clone()));
            CredentialFact::Value(examine(role, &bytes, NOW))
        }
    };
    let wanted = lookups.secrets.iter().flat_map(|(name, keys)| {
        keys.iter()
            .map(move |(key, role)| (name.clone(), key.clone(), *role))
    });
    Facts {
        credentials: wanted.map(|named| (named.clone(), fact(named.2))).collect(),
        mode: ModeFact::Known(Mode::BuiltIn),
        verification,
        initial_password_spent: false,
    }
}

/// The workloads that use what is changed, or why they were not found.
pub(super) fn users(unlisted: Option<Unread>) -> Known {
    let spec = json!({"template": {"spec": {"containers": [{"env": environment(SECRET)}]}}});
    let kind = WorkloadKind::Deployment;
    let user = |name| User::of(kind, "gitops", name, &spec.to_string()).unwrap();
    let found = ["argo-gateway", "gitops-operator"].map(user);
    Known::Use(match unlisted {
        None => Users {
            found: found.into(),
            unlisted: None,
        },
        Some(why) => Users {
            found: Vec::new(),
            unlisted: Some(Unlisted {
                kind: Some(kind),
                namespace: Some("gitops".to_owned()),
                why,
            }),
        },
    })
}

/// Everything that was looked up about who uses what is changed.
fn found(search: Search, request: &Request, known: Known) -> InUse {
    let Known::Use(users) = known else {
        unreachable!("users are looked for");
    };
    let name = match search {
        Search::Secret { name, .. } => name,
        Search::ArgocdSecret => return argocd_secret::found(request, users),
        Search::Accounts => {
            return InUse::Accounts(AccountsUse {
                unlisted: users.unlisted.into_iter().collect(),
                ..AccountsUse::default()
            });
        }
    };
    let old = request.secret.old.as_ref().unwrap();
    let new = request.secret.new.as_ref();
    InUse::Secret(SecretUse {
        values: secret_values::compare(&name, &users.found, old, new, None, NOW),
        suspects: secret_values::suspects(&name, old, new, NOW),
        users,
        namespace_ends: false,
        mode: ModeFact::NotNeeded,
        unverified: None,
    })
}

/// A change of the Secret from a good token to another value, or its end.
fn secret(operation: &str, value: Option<&str>, known: Known) -> Situation {
    let state = |value: &str| {
        json!({
            "metadata": {"name": SECRET, "namespace": "gitops"},
            "data": {"token": STANDARD.encode(value)},
        })
    };
    let kind = json!({"group": "", "version": "v1", "kind": "Secret"});
    let old = state(&token(&json!({})));
    Situation {
        review: review(operation, &kind, old, value.map_or(Value::Null, state)),
        known,
        verification: Verification::NotAsked,
    }
}

fn good() -> Value {
    json!({"accounts.admin": "apiKey, login"})
}

/// A change of the data, from good.
fn change(data: Value) -> Situation {
    update(argocd_cm(good()), argocd_cm(data))
}

fn update(old: Value, new: Value) -> Situation {
    config_map("UPDATE", old, new)
}

fn argocd_cm(data: Value) -> Value {
    json!({
        "metadata": {
            "name": "argocd-cm",
            "namespace": "argocd",
            "labels": {"app.kubernetes.io/part-of": "argocd"},
        },
        "data": data,
    })
}

fn config_map(operation: &str, old: Value, new: Value) -> Situation {
    let kind = json!({"group": "", "version": "v1", "kind": "ConfigMap"});
    Situation {
        review: review(operation, &kind, old, new),
        known: Known::Missing,
        verification: Verification::NotAsked,
    }
}

/// A Deployment that is created with the value in its Secret.
fn value(bytes: impl Into<Vec<u8>>) -> Situation {
    deployment(SECRET, Known::Value(bytes.into()))
}

fn deployment(secret: &str, known: Known) -> Situation {
    deployment_of(&environment(secret), known)
}

pub(super) fn deployment_of(env: &Value, known: Known) -> Situation {
    let object = json!({
        "metadata": {"name": "gitops-operator", "namespace": "gitops"},
        "spec": {"template": {"spec": {"containers": [{"name": "manager", "env": env}]}}},
    });
    let kind = json!({"group": "apps", "version": "v1", "kind": "Deployment"});
    Situation {
        review: review("CREATE", &kind, Value::Null, object),
        known,
        verification: Verification::NotAsked,
    }
}

fn environment(secret: &str) -> Value {
    json!([
        {"name": "ARGO_CD_URL", "value": "argocd-server:80"},
        {"name": "ARGO_CD_TOKEN_SECRET_NAME", "value": secret},
        {"name": "ARGO_CD_TOKEN_SECRET_KEY", "value": "token"},
    ])
}

pub(super) fn review(operation: &str, kind: &Value, old: Value, new: Value) -> Value {
    let object = if new.is_null() { &old } else { &new };
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "example",
            "kind": kind,
            "name": object["metadata"]["name"],
            "namespace": object["metadata"]["namespace"],
            "operation": operation,
            "userInfo": {"username": "alice"},
            "object": new,
            "oldObject": old,
        },
    })
}

/// A token as Argo CD makes it, with these claims changed; its signature is made up.
fn token(changes: &Value) -> String {
    signed("HS256", &claims(changes))
}

fn claims(changes: &Value) -> Value {
    let mut claims = json!({
        "iss": "argocd",
        "sub": "admin:apiKey",
        "iat": NOW - 3600.0,
        "jti": "example",
    });
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

fn signed(algorithm: &str, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = json!({"alg": algorithm, "typ": "JWT"});
    let signature = URL_SAFE_NO_PAD.encode([7; 32]);
    format!("{}.{}.{signature}", part(&header), part(claims))
}
