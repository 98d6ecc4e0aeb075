use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{sleep, timeout};

use super::*;
use crate::sources::source::{ConfigMapRead, SecretRead};

const ROUND: Duration = Duration::from_secs(1);

/// A cluster that takes a second for a round, and counts them.
#[derive(Default)]
struct Slow {
    begun: AtomicUsize,
    in_progress: AtomicUsize,
    most: AtomicUsize,
}

impl Source for Slow {
    async fn secret(&self, _: &str, _: &str, _: &[&str]) -> SecretRead {
        SecretRead::Missing
    }

    async fn argocd_secret(&self, _: &str, _: fn(&str) -> bool) -> SecretRead {
        SecretRead::Missing
    }

    async fn config_map(&self, _: &str, _: &str) -> ConfigMapRead {
        ConfigMapRead::Missing
    }

    async fn workloads(&self, _: Option<&str>, _: Bound) -> WorkloadsRead {
        self.begun.fetch_add(1, Ordering::Relaxed);
        let now = self.in_progress.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(now, Ordering::Relaxed);
        sleep(ROUND).await;
        self.in_progress.fetch_sub(1, Ordering::Relaxed);
        WorkloadsRead {
            users: Vec::new(),
            unread: None,
        }
    }

    async fn namespace_ends(&self, _: &str) -> bool {
        false
    }
}

fn searches() -> (Arc<Searches<Slow>>, Arc<Slow>) {
    let source = Arc::new(Slow::default());
    let bound = Bound {
        workloads: 10,
        bytes: 10,
    };
    let searches = Searches::new(Arc::clone(&source), bound, Arc::default());
    (searches, source)
}

/// Asks after a while.
async fn ask(searches: &Arc<Searches<Slow>>, after: u64, namespace: &str) {
    sleep(Duration::from_millis(after)).await;
    searches.workloads(Some(namespace)).await;
}

#[tokio::test(start_paused = true)]
async fn a_hundred_in_a_second_cost_three_rounds_at_most() {
    let (searches, source) = searches();
    join_all((0..100).map(|number| ask(&searches, number * 10, "gitops"))).await;
    let begun = source.begun.load(Ordering::Relaxed);
    assert!((2..=3).contains(&begun), "{begun}");
    assert_eq!(source.most.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_round_that_has_begun_serves_nobody_who_comes_later() {
    let (searches, source) = searches();
    tokio::join!(ask(&searches, 0, "gitops"), ask(&searches, 1, "gitops"));
    assert_eq!(source.begun.load(Ordering::Relaxed), 2);
    ask(&searches, 0, "gitops").await;
    assert_eq!(
        source.begun.load(Ordering::Relaxed),
        3,
        "nothing is remembered"
    );
}

#[tokio::test(start_paused = true)]
async fn one_that_gives_up_ends_no_round_that_another_waits_for() {
    let (searches, source) = searches();
    let [gives_up, waits] = [(); 2].map(|()| searches.workloads(Some("gitops")));
    let (gives_up, _) = tokio::join!(timeout(ROUND / 2, gives_up), waits);
    assert!(gives_up.is_err());
    assert_eq!(source.begun.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn namespaces_do_not_wait_for_each_other_up_to_a_bound_and_leave_nothing_behind() {
    let (searches, source) = searches();
    let names: Vec<String> = (0..6).map(|number| format!("ns-{number}")).collect();
    join_all(names.iter().map(|name| ask(&searches, 0, name))).await;
    assert_eq!(source.most.load(Ordering::Relaxed), AT_ONCE);
    ask(&searches, 0, "last").await;
    assert_eq!(searches.places().len(), 1);
}
