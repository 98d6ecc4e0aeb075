use super::*;
use crate::admission::searches::Searches;
use crate::sources::source::{Bound, ConfigMapRead, WorkloadsRead};
use crate::telemetry::log::{Log, LogWriter};
use crate::telemetry::metrics::Metrics;
use keyguard_core::policy::credentials::OnError;
use keyguard_core::policy::decide::Policy;
use keyguard_core::policy::rules::Rule;
use keyguard_core::policy::verdict::Decision;
use keyguard_core::runtime::secret_bytes::SecretBytes;
use serde_json::{Value, json};
use std::future::pending;
use std::sync::{Arc, Mutex};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use zeroize::Zeroizing;

/// A cluster in which reading fails as a test wants it to, and that notes what was read.
pub(crate) struct Forced {
    secret: fn() -> Option<SecretRead>,
    config_map: fn() -> ConfigMapRead,
    read: Mutex<Vec<String>>,
}

impl Forced {
    pub(crate) fn secret(secret: fn() -> Option<SecretRead>) -> Forced {
        Forced {
            secret,
            config_map: || ConfigMapRead::Missing,
            read: Mutex::default(),
        }
    }
}

impl Source for Forced {
    async fn secret(&self, namespace: &str, name: &str, _: &[&str]) -> SecretRead {
        self.read
            .lock()
            .unwrap()
            .push(format!("{namespace}/{name}"));
        match (self.secret)() {
            Some(read) => read,
            None => pending().await,
        }
    }

    async fn argocd_secret(&self, namespace: &str, _: fn(&str) -> bool) -> SecretRead {
        self.secret(namespace, "argocd-secret", &[]).await
    }

    async fn config_map(&self, namespace: &str, name: &str) -> ConfigMapRead {
        self.read
            .lock()
            .unwrap()
            .push(format!("{namespace}/{name}"));
        (self.config_map)()
    }

    async fn workloads(&self, _: Option<&str>, _: Bound) -> WorkloadsRead {
        WorkloadsRead {
            users: Vec::new(),
            unread: None,
        }
    }

    async fn namespace_ends(&self, _: &str) -> bool {
        false
    }
}

/// A log that nobody reads.
pub(crate) fn nowhere() -> LogWriter {
    Log::start(std::io::sink(), Arc::default())
        .unwrap()
        .writer()
}

/// How much tests look through.
pub(crate) const BOUND: Bound = Bound {
    workloads: 10,
    bytes: 1 << 20,
};

pub(crate) fn admission(source: Forced) -> Admission<Forced> {
    let source = Arc::new(source);
    Admission {
        trail: None,
        policy: Policy::default(),
        source: Arc::clone(&source),
        max_json_depth: 128,
        lookup_timeout: Duration::from_millis(50),
        reads: Semaphore::new(2),
        searches: Searches::new(source, BOUND, Arc::default()),
        passwords: Arc::default(),
        decided: None,
        metrics: Arc::new(Metrics::new()),
        log: nowhere(),
    }
}

fn deployment(secrets: &[&str]) -> Request {
    let containers: Vec<Value> = secrets
        .iter()
        .map(|secret| {
            json!({"env": [{"name": "ARGO_CD_TOKEN", "valueFrom": {"secretKeyRef": {"name": secret, "key": "token"}}}]})
        })
        .collect();
    let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "u", "kind": {"group": "apps", "version": "v1", "kind": "Deployment"}, "operation": "CREATE",
        "namespace": "gitops", "name": "d",
        "object": {"metadata": {"name": "d"}, "spec": {"template": {"spec": {"containers": containers}}}}}});
    Request::decode(review.to_string().as_bytes(), 128).unwrap()
}

async fn decided(
    admission: &Admission<Forced>,
    secrets: &[&str],
    answer_by: Option<Instant>,
) -> (Decision, Vec<Rule>) {
    let verdict = admission
        .admit(deployment(secrets), answer_by)
        .await
        .verdict;
    (verdict.decision, verdict.rules())
}

#[tokio::test]
async fn a_read_that_hangs_is_decided_by_on_error_before_the_api_server_gives_up() {
    let mut admission = admission(Forced::secret(|| None));
    admission.lookup_timeout = Duration::from_secs(60);
    let soon = || Some(Instant::now() + Duration::from_millis(40));
    let unreadable = vec![Rule::SecretUnreadable];
    let in_time = tokio::time::timeout(Duration::from_secs(5), decided(&admission, &["s"], soon()));
    assert_eq!(in_time.await.unwrap(), (Decision::Deny, unreadable.clone()));
    admission.policy.on_error = OnError::Allow;
    assert_eq!(
        decided(&admission, &["s"], soon()).await,
        (Decision::Warn, unreadable)
    );
    assert!(
        admission
            .metrics
            .encode()
            .contains("keyguard_secret_reads_total{outcome=\"timeout\"} 2")
    );
}

#[tokio::test]
async fn every_way_to_fail_to_read_is_counted_and_never_taken_for_missing() {
    let table: [(fn() -> Option<SecretRead>, &str); 4] = [
        (|| Some(SecretRead::Unread(Unread::Forbidden)), "forbidden"),
        (|| Some(SecretRead::Unread(Unread::Status(500))), "error"),
        (|| Some(SecretRead::Unread(Unread::TooLarge)), "too-large"),
        (|| Some(SecretRead::Unread(Unread::Unreachable)), "error"),
    ];
    for (secret, outcome) in table {
        let admission = admission(Forced::secret(secret));
        let verdict = decided(&admission, &["s"], None).await;
        assert_eq!(
            verdict,
            (Decision::Deny, vec![Rule::SecretUnreadable]),
            "{outcome}"
        );
        let counted = format!("keyguard_secret_reads_total{{outcome=\"{outcome}\"}} 1");
        assert!(admission.metrics.encode().contains(&counted), "{outcome}");
    }
}

#[tokio::test]
async fn each_secret_is_read_once_and_the_mode_only_when_it_matters() {
    let admission = admission(Forced::secret(|| Some(SecretRead::Missing)));
    decided(&admission, &["a", "b", "a", "a"], None).await;
    assert_eq!(
        *admission.source.read.lock().unwrap(),
        ["gitops/a", "gitops/b"]
    );
    admission.source.read.lock().unwrap().clear();
    let verdict = decided(&admission, &["argocd-token"], None).await;
    assert_eq!(verdict, (Decision::Warn, vec![Rule::SecretNotYetMade]));
    assert_eq!(
        *admission.source.read.lock().unwrap(),
        ["gitops/argocd-token", "gitops/cap-app-proxy-cm"]
    );
}

#[tokio::test]
async fn what_was_read_decides_and_its_value_is_told_nowhere() {
    let admission = admission(Forced::secret(|| {
        let value = SecretBytes::new(Zeroizing::new(b"sup3rs3cretpassw0rd\n".to_vec()));
        Some(SecretRead::Found(BTreeMap::from([(
            "token".to_owned(),
            value,
        )])))
    }));
    let outcome = admission.admit(deployment(&["s"]), None).await;
    assert_eq!(
        outcome.verdict.rules(),
        [Rule::ValueMalformed, Rule::NotAnApiKey]
    );
    let told = format!("{:?}", outcome.verdict);
    assert!(!told.contains("sup3rs3cret"), "{told}");
    assert_eq!(outcome.secrets, ["s"]);
}

#[tokio::test]
async fn the_reads_end_before_the_api_server_gives_up_however_late_they_began() {
    let mut admission = admission(Forced::secret(|| None));
    admission.lookup_timeout = Duration::from_secs(3);
    let table = [
        // seconds left, least and most for the reads
        (None, 3.0, 3.0),
        (Some(30.0), 3.0, 3.0),
        (Some(5.0), 3.0, 3.0),
        (Some(2.5), 1.9, 2.0),
        (Some(0.4), 0.1, 0.2),
        (Some(0.0), 0.0, 0.0),
    ];
    for (left, least, most) in table {
        let answer_by = left.map(|left| Instant::now() + Duration::from_secs_f64(left));
        let limit = admission.limit(answer_by).as_secs_f64();
        assert!((least..=most).contains(&limit), "{left:?}: {limit}");
    }
}

#[tokio::test]
async fn no_more_secrets_are_read_at_once_than_allowed_and_those_that_wait_are_unread_in_time() {
    let admission = admission(Forced::secret(|| None));
    let names = ["a", "b", "c", "d"];
    let deciding = decided(&admission, &names, None);
    let mut deciding = std::pin::pin!(deciding);
    let brief = Duration::from_millis(10);
    assert!(timeout(brief, deciding.as_mut()).await.is_err());
    assert_eq!(admission.source.read.lock().unwrap().len(), 2);
    let unreadable = vec![Rule::SecretUnreadable];
    assert_eq!(deciding.await, (Decision::Deny, unreadable));
    let admission = self::admission(Forced::secret(|| Some(SecretRead::Missing)));
    decided(&admission, &names, None).await;
    assert_eq!(admission.source.read.lock().unwrap().len(), 4);
}
