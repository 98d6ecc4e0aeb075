//! Asks again and again while something else happens.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use serde_json::{Value, json};

use super::guard::Scene;
use super::objects::{argocd_cm, deployment, token_from};
use super::reviews::creation;
use crate::control_plane::fleet::{Fleet, Replica};
use crate::control_plane::keyguard::Keyguard;
use crate::control_plane::tls_http::post_review;
use crate::control_plane::users::ALICE;

/// Asks once.
///
/// # Errors
/// What came instead of the right answer.
pub(crate) type Ask<'a> = &'a (dyn Fn() -> Result<(), String> + Sync);

/// What came of asking.
#[derive(Debug)]
pub(crate) struct Tally {
    /// How often an answer was right.
    pub(crate) right: usize,
    /// What came instead, each time it was not.
    pub(crate) wrong: Vec<String>,
}

/// Lets each of `asks` ask without a pause, in a thread of its own, while
/// `work` is done.
pub(crate) fn under_load<T>(asks: &[Ask<'_>], work: impl FnOnce() -> T) -> (T, Tally) {
    let (done, right, wrong) = (
        AtomicBool::new(false),
        AtomicUsize::new(0),
        Mutex::new(Vec::new()),
    );
    let worked = thread::scope(|scope| {
        let _end = End(&done);
        for ask in asks {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    match ask() {
                        Ok(()) => drop(right.fetch_add(1, Ordering::Relaxed)),
                        Err(what) => wrong
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .push(what),
                    }
                }
            });
        }
        work()
    });
    let tally = Tally {
        right: right.into_inner(),
        wrong: wrong.into_inner().unwrap_or_else(PoisonError::into_inner),
    };
    (worked, tally)
}

/// Ends the asking, also when the work panics.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Through the API server: a change that must be refused by its rule, and one
/// that must go through. Nothing is stored.
pub(super) fn through_the_api_server(scene: &Scene) -> Result<(), String> {
    let post = |resource: &str, object: &Value| {
        let line = format!(
            "POST /{resource_group}/namespaces/{}/{resource}?dryRun=All",
            scene.namespace,
            resource_group = match resource {
                "deployments" => "apis/apps/v1",
                _ => "api/v1",
            }
        );
        let json = "application/json";
        scene.plane.ask(ALICE, &line, json, &object.to_string())
    };
    let refused = post("deployments", &runtime());
    if !refused.body.contains("[credentials/secret-missing]") {
        return Err(format!("{}: {}", refused.status, refused.body));
    }
    let allowed = post(
        "configmaps",
        &argocd_cm(&json!({"accounts.admin": "apiKey"})),
    );
    if allowed.status != 201 {
        return Err(format!("{}: {}", allowed.status, allowed.body));
    }
    Ok(())
}

/// As the API server asks, each time with a handshake of its own.
pub(super) fn directly(keyguard: &Keyguard, scene: &Scene) -> Result<(), String> {
    let review = creation(&scene.namespace, &runtime());
    let answer = keyguard.post("application/json", &review.to_string());
    let refused = answer.body.contains("[credentials/secret-missing]");
    (answer.status == 200 && refused)
        .then_some(())
        .ok_or_else(|| format!("{}: {}", answer.status, answer.body))
}

/// As the API server asks each replica, with a handshake of its own that the
/// `caBundle` in force must verify.
pub(super) fn directly_by_the_bundle(
    fleet: &Fleet<'_>,
    replicas: &[Replica],
) -> Result<(), String> {
    let review = creation(&fleet.guarded, &runtime()).to_string();
    for replica in replicas {
        for bundle in fleet.bundles() {
            let answer = post_review(replica.address, bundle.as_bytes(), &review)
                .map_err(|error| error.to_string())?;
            let refused = answer.body.contains("[credentials/secret-missing]");
            if answer.status != 200 || !refused {
                return Err(format!("{}: {}", answer.status, answer.body));
            }
        }
    }
    Ok(())
}

/// A workload whose token is in a Secret that does not exist.
fn runtime() -> Value {
    deployment("runtime", vec![token_from("absent", "token")])
}
