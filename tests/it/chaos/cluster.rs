//! The API server and its etcd stop, start again, or hang.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::memory::Memory;
use crate::control_plane::ControlPlane;
use crate::control_plane::keyguard::{Keyguard, Options};
use crate::control_plane::users::ALICE;
use crate::control_plane::wait::wait_for;
use crate::scenarios::objects::{argocd_cm, deployment, secret, token_from};
use crate::scenarios::reviews::creation;
use crate::scenarios::tokens::Token;

const STOPPED_FOR: Duration = Duration::from_secs(10);
/// `timeoutSeconds` of the webhooks.
const WEBHOOK_TIMEOUT: Duration = Duration::from_secs(5);

/// A plane that may be stopped, a keyguard in front of which it asks, and a namespace with a good Secret.
struct Stage {
    plane: ControlPlane,
    keyguard: Keyguard,
    namespace: String,
}

impl Stage {
    fn new(config: &str) -> Self {
        let plane = ControlPlane::private();
        let keyguard = Keyguard::start(
            &plane,
            &Options {
                config: Some(config.to_owned()),
                ..Options::default()
            },
        );
        let namespace = plane.fresh_namespace("chaos");
        let stage = Self {
            plane,
            keyguard,
            namespace,
        };
        let token = Token::api_key("admin").text();
        stage
            .create(&secret("token", "token", token), &[])
            .expect("a Secret");
        stage
    }

    fn create(&self, object: &Value, further: &[&str]) -> Result<(), String> {
        let alice = self.plane.kubectl().as_user(ALICE);
        let create = alice.namespace(&self.namespace).stdin(object.to_string());
        let arguments = ["create", "--request-timeout=8s", "-f", "-"];
        let answer = create.run(arguments.iter().chain(further));
        answer.status.success().then_some(()).ok_or(answer.stderr)
    }

    /// Through the API server: a good workload is let through and a bad one refused, both rightly.
    fn decides(&self) -> Result<(), String> {
        let runtime = |secret| deployment("runtime", vec![token_from(secret, "token")]);
        self.create(&runtime("token"), &["--dry-run=server"])?;
        match self.create(&runtime("missing"), &["--dry-run=server"]) {
            Err(refusal) if refusal.contains("[credentials/secret-missing]") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    }

    /// How long it takes until everything is as it was.
    fn recovers(&self) -> Duration {
        let started = Instant::now();
        wait_for("right decisions through the API server", || self.decides());
        wait_for("readiness", || {
            let answer = self.keyguard.ask("/readyz");
            (answer.status == 200).then_some(()).ok_or(answer.body)
        });
        started.elapsed()
    }

    /// A review that needs a Secret.
    fn lookup(&self) -> String {
        let object = deployment("runtime", vec![token_from("token", "token")]);
        creation(&self.namespace, &object).to_string()
    }

    /// What it answers to a review, and how long that takes.
    fn asked(&self, review: &str) -> (String, Duration) {
        let started = Instant::now();
        let answer = self.keyguard.post("application/json", review);
        assert_eq!(answer.status, 200, "{}", answer.body);
        (answer.body, started.elapsed())
    }
}

/// A review of a loss of `argocd-cm`, for which nothing is looked up.
fn loss(namespace: &str) -> String {
    let mut review = creation(namespace, &argocd_cm(&json!({"accounts.admin": "login"})));
    let before = argocd_cm(&json!({"accounts.admin": "apiKey"}));
    review["request"]["kind"] = json!({"group": "", "version": "v1", "kind": "ConfigMap"});
    review["request"]["resource"] = json!({"group": "", "version": "v1", "resource": "configmaps"});
    review["request"]["operation"] = "UPDATE".into();
    review["request"]["oldObject"] = before;
    review.to_string()
}

/// Asks as long as `trouble` lasts: every answer comes in time, and says what is to be said.
struct Meanwhile {
    reviews: usize,
    slowest: Duration,
}

impl Meanwhile {
    fn of(stage: &Stage, lasts: Duration, unread: &str) -> Self {
        let (started, mut meanwhile) = (
            Instant::now(),
            Self {
                reviews: 0,
                slowest: Duration::ZERO,
            },
        );
        while started.elapsed() < lasts {
            let (answer, took) = stage.asked(&loss(&stage.namespace));
            assert!(answer.contains("[accounts/api-key-removed]"), "{answer}");
            assert!(took < Duration::from_secs(1), "{took:?} without any lookup");
            let (answer, took) = stage.asked(&stage.lookup());
            assert!(answer.contains(unread), "{answer}");
            assert!(
                took < WEBHOOK_TIMEOUT,
                "{took:?}: the API server has given up"
            );
            meanwhile.reviews += 2;
            meanwhile.slowest = meanwhile.slowest.max(took);
        }
        meanwhile
    }
}

#[test]
fn etcd_stopped_for_ten_seconds() {
    let stage = Stage::new("{}");
    let _installed = stage.keyguard.install_everywhere(&stage.plane);
    stage.recovers();
    let memory = Memory::warmed_up(&stage.keyguard, &stage.lookup());
    stage.plane.pause_etcd();
    let meanwhile = Meanwhile::of(&stage, STOPPED_FOR, "[credentials/secret-unreadable]");
    stage.plane.resume_etcd();
    let recovered = stage.recovers();
    println!(
        "etcd stopped for {STOPPED_FOR:?}: {} reviews meanwhile, the slowest answer after {:.1?}; all as before \
         {recovered:.1?} after it went on; {}",
        meanwhile.reviews,
        meanwhile.slowest,
        memory.is_as_before()
    );
}

#[test]
fn the_api_server_restarted() {
    let stage = Stage::new("{}");
    let _installed = stage.keyguard.install_everywhere(&stage.plane);
    stage.recovers();
    let memory = Memory::warmed_up(&stage.keyguard, &stage.lookup());
    let started = Instant::now();
    stage.plane.restart_api_server(&[]);
    let restarted = started.elapsed();
    let recovered = stage.recovers();
    println!(
        "API server restarted within {restarted:.1?}: all as before {recovered:.1?} after it was ready; {}",
        memory.is_as_before()
    );
}

#[test]
fn an_api_server_that_hangs() {
    for (on_error, unread) in [
        ("deny", "[credentials/secret-unreadable]"),
        ("allow", r#""allowed":true"#),
    ] {
        let stage = Stage::new(&format!("onError: {on_error}"));
        let installed = stage.keyguard.install_everywhere(&stage.plane);
        stage.recovers();
        let memory = Memory::warmed_up(&stage.keyguard, &stage.lookup());
        stage.plane.pause_api_server();
        let meanwhile = Meanwhile::of(&stage, STOPPED_FOR, unread);
        let ready = stage.keyguard.ask("/readyz");
        stage.plane.resume_api_server();
        // Reviews of argocd-cm need nothing of it, and onError says what its silence means for the others.
        assert_eq!(ready.status, 200, "{}", ready.body);
        let recovered = stage.recovers();
        println!(
            "API server hanging for {STOPPED_FOR:?}, onError {on_error}: {} reviews meanwhile, the slowest answer \
             after {:.1?}; all as before {recovered:.1?} after it went on; {}",
            meanwhile.reviews,
            meanwhile.slowest,
            memory.is_as_before()
        );
        drop(installed);
    }
}
