//! The shapes in which a workload refers to its Argo CD credential.
//!
//! Source: the `gitops-runtime` chart, versions of March 2025 to 0.30.0.

use super::environment::{UnresolvedCause, last, plain};
use super::name::Name;
use super::user_name::UserName;
use super::value::Role;
use super::workload::{Container, EnvVar, KeyRef};

/// The variable with the token.
pub const TOKEN: &str = "ARGO_CD_TOKEN";
/// The variable with the password.
pub const PASSWORD: &str = "ARGO_CD_PASSWORD";
/// The variable with the name of the Secret that the component reads its token from.
pub const TOKEN_SECRET_NAME: &str = "ARGO_CD_TOKEN_SECRET_NAME";
/// The variable with the key in that Secret.
pub const TOKEN_SECRET_KEY: &str = "ARGO_CD_TOKEN_SECRET_KEY";

/// The variables by which a workload can mention a credential: what the API server is told to look for.
pub const VARIABLES: [&str; 4] = [TOKEN, PASSWORD, TOKEN_SECRET_NAME, TOKEN_SECRET_KEY];

/// Whether text may mention a credential: it has the name of its variable, as it is or with escapes.
pub fn may_be_mentioned_in(text: &str) -> bool {
    VARIABLES.iter().any(|name| text.contains(name)) || text.contains("\\u")
}

/// A reference to one key of one Secret in the workload's namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// What the value is used as.
    pub role: Role,
    /// The variable that refers to it.
    pub variable: &'static str,
    /// The Secret's name, as given.
    pub secret: Name,
    /// The key in its data.
    pub key: Name,
    /// Whether the container starts without it.
    pub optional: bool,
    /// Whether the container shows that a person must have made the Secret: it reads the same key as
    /// its token and as its password, as charts of March to October 2025 have it in token mode.
    pub made_by_a_person: bool,
    /// Whose password it is; `None` of a token, which names its account itself.
    pub user_name: Option<UserName>,
    /// Where in the object, such as `spec.template.spec.containers[0].env[3]`.
    pub field: String,
}

/// A mention of a credential that the pod template alone does not resolve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unresolved {
    /// The variable.
    pub variable: &'static str,
    /// Why it cannot be told which Secret is meant.
    pub cause: UnresolvedCause,
    /// Where in the object.
    pub field: String,
}

/// What a workload's containers refer to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct References {
    /// References that can be looked up, in the order of the containers.
    pub found: Vec<Reference>,
    /// Mentions that cannot.
    pub unresolved: Vec<Unresolved>,
    /// Whether the pods mount a volume of the Secrets Store CSI driver, which can make Secrets when a pod starts.
    pub secrets_store: bool,
}

impl Reference {
    /// Whether the component reads the Secret itself, by its name, so that nothing else resolves what stands in it.
    pub fn is_by_name(&self) -> bool {
        self.variable == TOKEN_SECRET_NAME
    }
}

/// Reads every shape that counts from `containers`, whose pod spec is at `pod_spec_path`.
///
/// As in the kubelet, a later duplicate of a variable wins over an earlier one.
pub fn references(containers: &[Container<'_>], pod_spec_path: &str) -> References {
    let mut references = References::default();
    for container in containers {
        let field = |index: usize| {
            format!(
                "{pod_spec_path}.{}[{}].env[{index}]",
                container.list, container.index
            )
        };
        let token = Sourced::of(&container.env, TOKEN);
        let password = Sourced::of(&container.env, PASSWORD);
        let same = match (&token, &password) {
            (Some(Sourced::Secret(_, token)), Some(Sourced::Secret(_, password))) => {
                (&token.name, &token.key) == (&password.name, &password.key)
            }
            _ => false,
        };
        for (variable, role, sourced) in [
            (TOKEN, Role::Token, token),
            (PASSWORD, Role::Password, password),
        ] {
            match sourced {
                Some(Sourced::Secret(index, source)) => references.found.push(Reference {
                    role,
                    variable,
                    secret: Name::from(&*source.name),
                    key: Name::from(&*source.key),
                    optional: source.optional.unwrap_or(false),
                    made_by_a_person: same,
                    user_name: (role == Role::Password).then(|| UserName::of(&container.env)),
                    field: field(index),
                }),
                Some(Sourced::Expansion(index)) => references.unresolved.push(Unresolved {
                    variable,
                    cause: UnresolvedCause::Expansion,
                    field: field(index),
                }),
                None => {}
            }
        }
        match by_name(&container.env) {
            None => {}
            Some((index, Ok((secret, key)))) => references.found.push(Reference {
                role: Role::Token,
                variable: TOKEN_SECRET_NAME,
                secret: Name::from(secret),
                key: Name::from(key),
                optional: false,
                made_by_a_person: false,
                user_name: None,
                field: field(index),
            }),
            Some((index, Err((variable, cause)))) => references.unresolved.push(Unresolved {
                variable,
                cause,
                field: field(index),
            }),
        }
    }
    references
}

/// Where the value of a variable comes from, if that is of interest.
enum Sourced<'a> {
    /// A key of a Secret.
    Secret(usize, &'a KeyRef<'a>),
    /// A plain value that refers to another variable.
    Expansion(usize),
}

impl<'a> Sourced<'a> {
    fn of(env: &'a [EnvVar<'a>], variable: &str) -> Option<Sourced<'a>> {
        let (index, env) = last(env, variable)?;
        let source = env.value_from.as_ref();
        match source.and_then(|from| from.0.secret_key_ref.as_ref()) {
            Some(source) => Some(Sourced::Secret(index, &source.0)),
            None => {
                (plain(env) == Err(UnresolvedCause::Expansion)).then_some(Sourced::Expansion(index))
            }
        }
    }
}

type ByName<'a> = Result<(&'a str, &'a str), (&'static str, UnresolvedCause)>;

/// The token by name: two plain values in the same container.
fn by_name<'a>(env: &'a [EnvVar<'_>]) -> Option<(usize, ByName<'a>)> {
    let (name_index, name) = last(env, TOKEN_SECRET_NAME)?;
    let name = match plain(name) {
        Ok(name) => name,
        Err(cause) => return Some((name_index, Err((TOKEN_SECRET_NAME, cause)))),
    };
    let Some((key_index, key)) = last(env, TOKEN_SECRET_KEY) else {
        return Some((name_index, Err((TOKEN_SECRET_KEY, UnresolvedCause::NoKey))));
    };
    match plain(key) {
        Ok(key) => Some((name_index, Ok((name, key)))),
        Err(cause) => Some((key_index, Err((TOKEN_SECRET_KEY, cause)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::workload::WorkloadKind;
    use serde_json::json;

    fn read(env: serde_json::Value) -> References {
        let spec = json!({"template": {"spec": {"containers": [{"env": env}]}}});
        let spec = spec.to_string();
        let kind = WorkloadKind::Deployment;
        references(
            &kind.template(&spec).unwrap().containers,
            kind.pod_spec_path(),
        )
    }

    fn secret(name: &str, variable: &str) -> serde_json::Value {
        json!({"name": variable, "valueFrom": {"secretKeyRef": {"name": name, "key": "token"}}})
    }

    #[test]
    fn each_shape_of_the_chart_is_found_with_its_role_and_place() {
        let found = read(json!([
            {"name": "OTHER", "value": "x"},
            secret("a", TOKEN),
            {"name": PASSWORD, "valueFrom": {"secretKeyRef": {"name": "b", "key": "pw", "optional": true}}},
            {"name": TOKEN_SECRET_KEY, "value": "k"},
            {"name": TOKEN_SECRET_NAME, "value": "c"},
        ]))
        .found;
        let short: Vec<_> = found
            .iter()
            .map(|found| {
                (
                    found.role,
                    found.secret.as_str(),
                    found.key.as_str(),
                    found.optional,
                    found.field.as_str(),
                )
            })
            .collect();
        assert_eq!(
            short,
            [
                (
                    Role::Token,
                    "a",
                    "token",
                    false,
                    "spec.template.spec.containers[0].env[1]"
                ),
                (
                    Role::Password,
                    "b",
                    "pw",
                    true,
                    "spec.template.spec.containers[0].env[2]"
                ),
                (
                    Role::Token,
                    "c",
                    "k",
                    false,
                    "spec.template.spec.containers[0].env[4]"
                ),
            ]
        );
    }

    #[test]
    fn a_credential_may_be_mentioned_by_its_variable_and_by_escapes() {
        assert!(!may_be_mentioned_in(r#"{"containers":{"a":1}}"#));
        for text in ["ARGO_CD_TOKEN", r"ARGO\u005fCD_TOKEN"] {
            assert!(may_be_mentioned_in(text));
        }
    }

    #[test]
    fn a_later_duplicate_wins() {
        let found = read(json!([secret("first", TOKEN), secret("second", TOKEN)])).found;
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].secret, "second");
        let plain = read(json!([secret("first", TOKEN), {"name": TOKEN, "value": "inline"}]));
        assert_eq!(plain, References::default());
    }

    #[test]
    fn the_same_key_as_token_and_as_password_is_one_that_a_person_made() {
        let made = |env| {
            let found = read(env).found;
            found
                .iter()
                .map(|found| found.made_by_a_person)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            made(json!([secret("a", TOKEN), secret("a", PASSWORD)])),
            [true, true]
        );
        assert_eq!(
            made(json!([secret("a", TOKEN), secret("b", PASSWORD)])),
            [false, false]
        );
        assert_eq!(made(json!([secret("a", TOKEN)])), [false]);
    }

    #[test]
    fn what_the_template_does_not_tell_is_unresolved_and_no_reference() {
        let table = [
            (
                json!([{"name": TOKEN_SECRET_NAME, "value": "$(X)-token"}, {"name": TOKEN_SECRET_KEY, "value": "k"}]),
                TOKEN_SECRET_NAME,
                UnresolvedCause::Expansion,
            ),
            (
                json!([{"name": TOKEN_SECRET_NAME, "value": "a"}, {"name": TOKEN_SECRET_KEY, "value": "$(K)"}]),
                TOKEN_SECRET_KEY,
                UnresolvedCause::Expansion,
            ),
            (
                json!([{"name": TOKEN_SECRET_NAME, "value": "a"}]),
                TOKEN_SECRET_KEY,
                UnresolvedCause::NoKey,
            ),
            (
                json!([{"name": TOKEN_SECRET_NAME, "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}},
                    {"name": TOKEN_SECRET_KEY, "value": "k"}]),
                TOKEN_SECRET_NAME,
                UnresolvedCause::NotPlain,
            ),
            (
                json!([{"name": TOKEN_SECRET_NAME, "value": ""}, {"name": TOKEN_SECRET_KEY, "value": "k"}]),
                TOKEN_SECRET_NAME,
                UnresolvedCause::NotPlain,
            ),
        ];
        let expansions = [TOKEN, PASSWORD].map(|variable| {
            let env = json!([{"name": variable, "value": "prefix-$(OTHER)"}]);
            (env, variable, UnresolvedCause::Expansion)
        });
        for (env, variable, cause) in table.into_iter().chain(expansions) {
            let references = read(env.clone());
            assert!(references.found.is_empty(), "{env}");
            assert_eq!(references.unresolved.len(), 1, "{env}");
            assert_eq!(
                (
                    references.unresolved[0].variable,
                    references.unresolved[0].cause
                ),
                (variable, cause)
            );
        }
        assert_eq!(
            read(json!([{"name": TOKEN_SECRET_KEY, "value": "k"}])),
            References::default()
        );
    }
}
