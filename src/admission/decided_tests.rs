//! What was decided before is decided again, without reading.

use super::*;

/// Asserts that a review is decided in the same way from what was decided before, and each Secret of it read once.
pub(super) async fn remembers(admission: &Admission<World>, review: &str, verdict: &Verdict) {
    admission.source.read.lock().unwrap().clear();
    for _ in 0..3 {
        let request = Request::decode(review.as_bytes(), 128).unwrap();
        let again = admission.admit(request, None).await.verdict;
        assert_eq!(again, *verdict);
    }
    let read = admission.source.read.lock().unwrap();
    for object in ["gitops/s", "argocd/argocd-secret"] {
        let times = read.iter().filter(|read| *read == object).count();
        assert!(times <= 1, "{object}: {read:?}");
    }
}

#[tokio::test]
async fn another_key_of_a_secret_is_looked_at_after_the_first() {
    let world = World::good().secret("gitops/s", "password", "wrong");
    let (token, password) = (by_token(), by_password());
    let both = json!([token[0], password[0], password[1]]);
    let told = decide(world, &both, verifying()).await;
    assert_eq!(told.rules, [Rule::PasswordWrong]);
    let source = Arc::new(World::good().secret("gitops/s", "password", "wrong"));
    let admission = Admission {
        trail: None,
        policy: verifying(),
        source: Arc::clone(&source),
        max_json_depth: 128,
        lookup_timeout: Duration::from_secs(10),
        reads: Semaphore::new(2),
        searches: Searches::new(source, BOUND, Arc::default()),
        passwords: Arc::default(),
        decided: Some(Decided::default()),
        metrics: Arc::new(Metrics::new()),
        log: nowhere(),
    };
    for (env, rules) in [
        (&token, vec![]),
        (&password, vec![Rule::PasswordWrong]),
        (&both, vec![Rule::PasswordWrong]),
        (&token, vec![]),
    ] {
        let request = Request::decode(review(env).as_bytes(), 128).unwrap();
        let verdict = admission.admit(request, None).await.verdict;
        assert_eq!(verdict.rules(), rules, "{env}");
    }
    let read = admission.source.read.lock().unwrap();
    let times = read.iter().filter(|read| *read == "gitops/s").count();
    assert_eq!(times, 2, "{read:?}");
}
