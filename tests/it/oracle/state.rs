//! States of Argo CD made at random: most of them work, and something of each does not.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyguard_core::argocd::claims::Capability;
use keyguard_core::argocd::verification::{Rejection, State};
use keyguard_core::credential::{Credential, Defect, works};
use keyguard_core::runtime::secret_bytes::SecretBytes;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::token::{Token, token};
use super::version::Version;

/// The key that Argo CD signs with, in most states.
pub(super) const KEY: &str = "Q8W-KK31-ZZTOP-77HX-L0M9";
const PASSWORD: &str = "KX7-QQ2 ZWV9 PJ40";
/// Of the password, at the lowest cost.
const HASH: &str = "$2b$04$abcdefghijklmnopqrstuuAngRcXn5iAtPuYmfvz74.UKQ61G1byu";

const PART_OF: (&str, &str) = ("app.kubernetes.io/part-of", "argocd");
const CLUSTER: (&str, &str) = ("argocd.argoproj.io/secret-type", "cluster");

type Entries = BTreeMap<String, String>;

/// A ConfigMap or a Secret, or nothing where there is none.
#[derive(Clone, Debug)]
struct Object {
    labels: Entries,
    data: Entries,
}

/// A state of Argo CD, and a credential that somebody shows it.
#[derive(Clone, Debug)]
pub(super) struct Question {
    config_map: Option<Object>,
    secret: Option<Object>,
    server_tls: Option<Object>,
    shown: Shown,
}

#[derive(Clone, Debug)]
enum Shown {
    Token(Token),
    Password(&'static str, &'static str),
}

/// One value most of the time, so that a state has about one fault.
pub(super) fn mostly<T: Clone + fmt::Debug + 'static>(
    usual: T,
    others: Vec<T>,
) -> impl Strategy<Value = T> {
    prop_oneof![19 => Just(usual), 1 => select(others)]
}

/// Of a key one of these values, or nothing; the first stands for what is usual.
type Choice<'a> = (&'a str, f64, Vec<&'a str>);

fn entries(choices: Vec<Choice<'_>>) -> impl Strategy<Value = Entries> + use<> {
    let entries: Vec<_> = choices
        .into_iter()
        .map(|(key, often, values)| {
            let (key, values) = (
                key.to_owned(),
                values.into_iter().map(str::to_owned).collect::<Vec<_>>(),
            );
            proptest::option::weighted(often, select(values))
                .prop_map(move |value| Some((key.clone(), value?)))
        })
        .collect();
    entries.prop_map(|entries| entries.into_iter().flatten().collect())
}

/// No label, or this one with one of these values.
fn labels(
    label: &str,
    usual: Option<&str>,
    others: &[&str],
) -> impl Strategy<Value = Entries> + use<> {
    let with = |value: &str| Entries::from([(label.to_owned(), value.to_owned())]);
    let others: Vec<Entries> = others
        .iter()
        .map(|value| with(value))
        .chain([Entries::new()])
        .collect();
    mostly(usual.map(with).unwrap_or_default(), others)
}

fn config_map() -> impl Strategy<Value = Option<Object>> {
    let labels = labels(PART_OF.0, Some(PART_OF.1), &["argo-cd", "ArgoCD", ""]);
    let capabilities = || {
        vec![
            "apiKey, login",
            "apiKey,login",
            "apiKey",
            "login , apiKey",
            "login",
            "apikey",
            "",
            "apiKey;login",
            "x,,apiKey",
        ]
    };
    let good = || vec!["apiKey, login", "apiKey", " login,apiKey "];
    let switches = || vec!["true", "true", "true", "T", "1", "false", "0", "F"];
    let data = entries(vec![
        (
            "accounts.admin",
            0.9,
            [
                good(),
                good(),
                good(),
                good(),
                good(),
                good(),
                capabilities(),
            ]
            .concat(),
        ),
        (
            "accounts.bob",
            0.9,
            [
                good(),
                good(),
                good(),
                good(),
                good(),
                good(),
                capabilities(),
            ]
            .concat(),
        ),
        ("accounts.bob.", 0.05, capabilities()),
        ("accounts.", 0.1, capabilities()),
        ("accounts.proj", 0.1, capabilities()),
        ("accounts.bob.enabled", 0.2, switches()),
        ("accounts.admin.enabled", 0.1, switches()),
        ("admin.enabled", 0.2, [switches(), vec!["no", ""]].concat()),
        (
            "accounts.eve.enabled",
            0.05,
            vec!["true", "false", "yes", "on", "TRUE", "tRUE"],
        ),
        ("accounts.bob.enabled.x", 0.03, vec!["yes"]),
        ("accounts.bob.login", 0.03, vec!["false"]),
        ("users.session.duration", 0.03, vec!["24h", "for ever"]),
        (
            "url",
            0.05,
            vec!["https://argocd.example.com", "::", "ftp//"],
        ),
        ("dex.config", 0.03, vec!["connectors: []", "{"]),
        (
            "oidc.config",
            0.03,
            vec!["name: x", "{", "issuer: http://[::"],
        ),
        ("additionalUrls", 0.03, vec!["- https://a.example.com", "{"]),
        ("passwordPattern", 0.03, vec!["(", "^.{8}$"]),
    ]);
    proptest::option::weighted(
        0.985,
        (labels, data).prop_map(|(labels, data)| Object { labels, data }),
    )
}

fn secret() -> impl Strategy<Value = Option<Object>> {
    let labels = labels(
        CLUSTER.0,
        None,
        &[CLUSTER.1, CLUSTER.1, "repository", "Cluster"],
    );
    let good = || {
        vec![
            r#"[{"id":"one","iat":1780000000}]"#,
            r#"[{"id":"two","iat":1},{"id":"one","iat":1,"exp":0}]"#,
            r#"[{"ID":"one","IAT":1}]"#,
        ]
    };
    let lists = || {
        vec![
            r#"[{"id":"two","iat":1}]"#,
            "[]",
            "null",
            "",
            "{}",
            "[{",
            r#"[{"id":1}]"#,
            r#"[{"id":"one","iat":"1"}]"#,
            r#"[{"id":"one"},null]"#,
            r#"[{"id":"one","iat":1.5}]"#,
            r#"[{"id":"one","exp":1e3}]"#,
            r#"[{"id":"one","x":[1e400]}]"#,
            r#"[{"id":"two","Id":"one"}]"#,
            r#"[{"id":"one"}] "#,
            r#"[{"id":"one"}]x"#,
            r#"["one"]"#,
            r#"[{"id":null}]"#,
        ]
    };
    let times = || {
        vec![
            "2026-01-01T00:00:00Z",
            "2026-01-01T00:00:00+02:00",
            "2026-05-28T20:26:40Z",
            "2026-05-28T20:26:40.5Z",
            "2026-05-28T20:26:41Z",
            "2026-11-01T00:00:00Z",
            "2026-11-01T00:00:00UTC",
            "",
            "yesterday",
            "0001-01-01T00:00:00Z",
            "2099-01-01T00:00:00Z",
            "2026-1-1T00:00:00Z",
        ]
    };
    let early = || vec!["2026-01-01T00:00:00Z"; 40];
    let hashes = || {
        vec![
            HASH,
            HASH,
            HASH,
            HASH,
            HASH,
            "",
            "none",
            "$2a$04$short",
            "$2y$04$abcdefghijklmnopqrstuuAngRcXn5iAtPuYmfvz74.UKQ61G1byu",
        ]
    };
    let pair = pair();
    let data = entries(vec![
        (
            "server.secretkey",
            0.97,
            [vec![KEY; 40], vec!["another", ""]].concat(),
        ),
        (
            "admin.tokens",
            0.95,
            [[good(), good(), good(), good()].concat(), lists()].concat(),
        ),
        (
            "accounts.bob.tokens",
            0.95,
            [[good(), good(), good(), good()].concat(), lists()].concat(),
        ),
        ("accounts..tokens", 0.2, good()),
        ("accounts.proj.tokens", 0.2, good()),
        ("accounts.admin.tokens", 0.05, lists()),
        ("admin.passwordMtime", 0.9, [early(), times()].concat()),
        (
            "accounts.bob.passwordMtime",
            0.6,
            [early(), early(), times()].concat(),
        ),
        ("accounts.eve.passwordMtime", 0.05, times()),
        ("accounts.admin.passwordMtime", 0.03, times()),
        ("admin.password", 0.9, hashes()),
        ("accounts.bob.password", 0.9, hashes()),
        (
            "tls.crt",
            0.1,
            vec![
                &pair.0,
                &pair.0,
                &pair.0,
                "no PEM",
                "",
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            ],
        ),
        (
            "tls.key",
            0.1,
            vec![
                &pair.1,
                &pair.1,
                &pair.1,
                "no PEM",
                "",
                "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
            ],
        ),
        ("webhook.github.secret", 0.05, vec!["x"]),
    ]);
    proptest::option::weighted(
        0.985,
        (labels, data).prop_map(|(labels, data)| Object { labels, data }),
    )
}

/// The certificate that argocd-server takes before that of `argocd-secret`: good, or half of one.
fn server_tls() -> impl Strategy<Value = Option<Object>> {
    let pair = pair();
    let data = entries(vec![
        ("tls.crt", 0.8, vec![&pair.0]),
        ("tls.key", 0.8, vec![&pair.1]),
    ]);
    let object = data.prop_map(|data| Object {
        labels: Entries::new(),
        data,
    });
    proptest::option::weighted(0.15, object)
}

/// A certificate and its private key in PEM.
fn pair() -> &'static (String, String) {
    static PAIR: OnceLock<(String, String)> = OnceLock::new();
    PAIR.get_or_init(|| {
        let made = rcgen::generate_simple_self_signed(["argocd-server".to_owned()]);
        let made = made.expect("a certificate");
        (made.cert.pem(), made.signing_key.serialize_pem())
    })
}

/// A state and what is shown to it at `now`, in Unix seconds. Few passwords: Argo CD sleeps over each.
pub(super) fn question(now: i64) -> impl Strategy<Value = Question> {
    let password = (
        select(vec![
            "admin",
            "bob",
            "bob",
            "eve",
            "",
            "a-name-that-is-longer-than-32-bytes",
        ]),
        mostly(PASSWORD, vec!["another", "", "KX7-QQ2 ZWV9 PJ40\n"]),
    );
    let shown = prop_oneof![
        49 => token(now).prop_map(Shown::Token),
        1 => password.prop_map(|(user, password)| Shown::Password(user, password)),
    ];
    (config_map(), secret(), server_tls(), shown).prop_map(
        |(config_map, secret, server_tls, shown)| Question {
            config_map,
            secret,
            server_tls,
            shown,
        },
    )
}

impl Question {
    /// Why keyguard says that Argo CD refuses it; `started`: after the next start of argocd-server.
    pub(super) fn refused(&self, version: Version, now: f64, started: bool) -> Vec<String> {
        let config_map = self.config_map.as_ref().filter(|map| map.has(PART_OF));
        let hidden = |secret: &&Object| version.hides_clusters() && secret.has(CLUSTER);
        let secret = self.secret.as_ref().filter(|secret| !hidden(secret));
        let overridden = self
            .server_tls
            .as_ref()
            .is_some_and(|tls| tls.data.len() == 2);
        let entries = secret.into_iter().flat_map(|secret| &secret.data);
        let entries = entries.filter(|(key, _)| !overridden || !key.starts_with("tls."));
        let state = State::read(
            entries.map(|(key, value)| (key.as_str(), value.as_bytes())),
            config_map.map(|map| {
                map.data
                    .iter()
                    .map(|(key, value)| (key.as_str(), value.as_str()))
            }),
        );
        let state = match started {
            true => state.after_start(now),
            false => state,
        };
        let bytes = |text: &str| SecretBytes::new(Zeroizing::new(text.as_bytes().to_vec()));
        let defects = match &self.shown {
            Shown::Token(token) => {
                works(&Credential::Token(&bytes(&token.text())), Some(&state), now)
            }
            Shown::Password(user, password) => {
                let hash = state.password_hash(user);
                let password = Credential::Password {
                    user,
                    matches: hash.map(|hash| hash.matches(password.as_bytes())),
                    value: &bytes(password),
                };
                works(&password, Some(&state), now)
            }
        };
        let stops = defects.err().into_iter().flatten();
        // Argo CD lets it log in all the same; that it can make no API key shows only then.
        let stops = stops.filter(|defect| {
            let no_api_key = matches!(
                defect,
                Defect::Rejected(Rejection::Capability(_, Capability::ApiKey))
            );
            !(no_api_key && matches!(self.shown, Shown::Password(..)))
        });
        stops.map(|defect| format!("{defect:?}")).collect()
    }

    pub(super) fn is_valid_soon(&self) -> bool {
        matches!(&self.shown, Shown::Token(token) if token.is_valid_soon())
    }

    pub(super) fn has_signing_key(&self) -> bool {
        let secret = self.secret.as_ref();
        secret.is_some_and(|secret| secret.data.contains_key("server.secretkey"))
    }

    pub(super) fn is_login(&self) -> bool {
        matches!(self.shown, Shown::Password(..))
    }

    pub(super) fn has_federated_claims(&self) -> bool {
        matches!(&self.shown, Shown::Token(token) if token.claims.contains_key("federated_claims"))
    }

    /// As the program that asks Argo CD reads it, under this number.
    pub(super) fn to_json(&self, id: usize) -> Value {
        let config_map = self.config_map.as_ref();
        let secret = |secret: &Object| {
            let data = secret
                .data
                .iter()
                .map(|(key, value)| (key, STANDARD.encode(value)));
            json!({"labels": secret.labels, "data": data.collect::<BTreeMap<_, _>>()})
        };
        let mut question = json!({
            "id": id,
            "configMap": config_map.map(|map| json!({"labels": map.labels, "data": map.data})),
            "secret": self.secret.as_ref().map(secret),
            "serverTLS": self.server_tls.as_ref().map(secret),
        });
        match &self.shown {
            Shown::Token(token) => question["token"] = token.text().into(),
            Shown::Password(user, password) => {
                question["user"] = (*user).into();
                question["password"] = (*password).into();
            }
        }
        question
    }
}

impl Object {
    fn has(&self, (label, value): (&str, &str)) -> bool {
        self.labels.get(label).is_some_and(|found| found == value)
    }
}

impl fmt::Display for Question {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.to_json(0))
    }
}
