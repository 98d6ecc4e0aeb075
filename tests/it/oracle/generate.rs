//! States of Argo CD made at random: most of them work, and something of each does not.

use std::fmt;
use std::sync::OnceLock;

use proptest::prelude::*;
use proptest::sample::select;

use super::state::{CLUSTER, Entries, Object, PART_OF, Question, Shown};
use super::token::token;

/// The key that Argo CD signs with, in most states.
pub(super) const KEY: &str = "Q8W-KK31-ZZTOP-77HX-L0M9";
const PASSWORD: &str = "KX7-QQ2 ZWV9 PJ40";
/// Of the password, at the lowest cost.
const HASH: &str = "$2b$04$abcdefghijklmnopqrstuuAngRcXn5iAtPuYmfvz74.UKQ61G1byu";

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
    let usually = || {
        let good = ["apiKey, login", "apiKey", " login,apiKey "];
        [good.repeat(6), capabilities()].concat()
    };
    let switches = || vec!["true", "true", "true", "T", "1", "false", "0", "F"];
    let data = entries(vec![
        ("accounts.admin", 0.9, usually()),
        ("accounts.bob", 0.9, usually()),
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
        ("admin.tokens", 0.95, [good().repeat(4), lists()].concat()),
        (
            "accounts.bob.tokens",
            0.95,
            [good().repeat(4), lists()].concat(),
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
