//! The audit trail as the chart installs it: two replicas, a collector, and who reads.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::json;

use super::audit_installed::{Installed, REPLICAS, STORE};
use super::pod::Pod;
use super::rendered::{object, render};
use crate::control_plane::ControlPlane;
use crate::control_plane::tls_http::post_review;
use crate::control_plane::wait::wait_for;
use crate::control_plane::workspace::Workspace;
use crate::scenarios::audit_trail::losing_review;

const ENABLED: &str = "{audit: {enabled: true}, serviceMonitor: {enabled: true}}";

#[test]
fn two_replicas_send_and_each_record_is_stored_once_also_after_the_collector_was_away() {
    let plane = ControlPlane::bare();
    let mut installed = Installed::new(&plane, &[]);
    for _ in 0..4 {
        installed.refused();
    }
    let records = installed.await_refusals(4);
    let fingerprint = &records[0]["fingerprint"];
    assert!(
        records
            .iter()
            .all(|record| record["fingerprint"] == *fingerprint)
    );
    assert!(
        fingerprint.as_str().is_some_and(|text| text.len() == 24),
        "{fingerprint}"
    );

    // A replica that ends sends what it has; the API server asks the other from then on.
    let mut first = installed.release.pods.remove(0);
    first.terminate();
    installed.release.connect();
    first.await_end();
    let volumes = installed.kill_collector();
    let refused = 4 + installed.refused_while_away();
    wait_for("records that wait", || {
        let waiting = |pod: &Pod| {
            pod.sample("keyguard_audit_spool_bytes ")
                .unwrap_or_default()
        };
        let waiting: f64 = installed.release.pods.iter().map(waiting).sum();
        (waiting > 10_000.0)
            .then_some(())
            .ok_or_else(|| format!("{waiting} bytes"))
    });
    installed.start_collector(volumes);
    let records = installed.await_refusals(refused);
    let ids: BTreeSet<_> = records.iter().map(|it| it["id"].to_string()).collect();
    assert_eq!(ids.len(), refused);
    let replicas: BTreeSet<_> = records
        .iter()
        .map(|it| it["replica"].as_str().unwrap())
        .collect();
    assert_eq!(replicas, ["keyguard-one", "keyguard-two"].into());
    assert!(records.iter().all(|record| record["cluster"] == "test"));
    let said = installed.verified(&installed.store());
    assert!(!said.contains("missing"), "{said}");
    installed.checked_by_fsck();
    for pod in &installed.release.pods {
        assert!(!pod.output().contains("panic"), "{}", pod.output());
    }
}

/// How often the collector is killed.
const KILLS: &str = "KEYGUARD_KILLS";

#[test]
fn a_collector_killed_again_and_again_under_load_loses_nothing() {
    let kills = std::env::var(KILLS).map_or(4, |kills| kills.parse().unwrap());
    let plane = ControlPlane::bare();
    let mut installed = Installed::new(&plane, &[]);
    let authority = installed.authority();
    let pod = installed.release.pods.first().unwrap();
    let (address, numbered) = (pod.address, AtomicUsize::new(0));
    let review = losing_review();
    // As many as each round is for, so that the last one is not long about what waits.
    let (allowed, done) = (AtomicUsize::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                if numbered.load(Ordering::Relaxed) >= allowed.load(Ordering::Relaxed) {
                    thread::sleep(Duration::from_millis(1));
                    continue;
                }
                let answer = post_review(address, authority.as_bytes(), &review).unwrap();
                assert_eq!(answer.status, 200, "{}", answer.body);
                numbered.fetch_add(1, Ordering::Relaxed);
            }
        });
        for kill in 1..=kills {
            allowed.fetch_add(300, Ordering::Relaxed);
            let stored = || {
                installed
                    .collector
                    .as_ref()
                    .unwrap()
                    .sample("keyguard_collector_records_total ")
            };
            wait_for("records of this round", || {
                let stored = stored().unwrap_or_default();
                (stored > 20.0)
                    .then_some(())
                    .ok_or_else(|| format!("{stored}"))
            });
            let volumes = installed.kill_collector();
            let said = installed.verified(&volumes.path(STORE));
            assert!(!said.contains("missing"), "after {kill} kills: {said}");
            installed.start_collector(volumes);
            installed.checked_by_fsck();
        }
        done.store(true, Ordering::Relaxed);
    });
    let count = numbered.into_inner();
    let said = wait_for("everything to be stored", || {
        let said = installed.verified(&installed.store());
        let mut words = said.split_whitespace();
        let entries = words.find_map(|word| word.parse::<usize>().ok());
        (entries >= Some(count))
            .then_some(said.clone())
            .ok_or_else(|| format!("{count} decisions: {said}"))
    });
    assert!(!said.contains("missing"), "{said}");
    println!("{kills} kills, {count} decisions: {said}");
}

#[test]
fn a_replica_that_is_killed_sends_what_is_in_its_spool_when_it_starts_again() {
    let plane = ControlPlane::bare();
    let mut installed = Installed::new(&plane, &[]);
    let volumes = installed.kill_collector();
    for _ in 0..5 {
        installed.refused();
    }
    wait_for("all of it in the spools", || {
        let pods = installed.release.pods.iter();
        let waiting: usize = pods.map(|pod| records_in(&pod.path("audit-spool"))).sum();
        (waiting == 5)
            .then_some(())
            .ok_or_else(|| format!("{waiting} records"))
    });
    let pods = std::mem::take(&mut installed.release.pods);
    for (pod, name) in pods.into_iter().zip(REPLICAS) {
        let spool = pod.kill();
        installed.start_replica(name, spool);
    }
    installed.release.pods.iter_mut().for_each(Pod::await_ready);
    installed.release.connect();
    installed.start_collector(volumes);
    installed.await_refusals(5);
    installed.refused();
    installed.await_refusals(6);
    let said = installed.verified(&installed.store());
    assert!(
        !said.contains("missing") && !said.contains("again"),
        "{said}"
    );
}

/// How many records wait in a spool.
fn records_in(spool: &Path) -> usize {
    let files = std::fs::read_dir(spool)
        .unwrap()
        .map(|file| file.unwrap().path());
    // What is being written, too, but not whole yet, has another ending.
    let whole = files.filter(|file| file.extension().is_some_and(|it| it == "records"));
    let texts = whole.map(std::fs::read_to_string);
    texts
        .map(|text| text.unwrap_or_default().lines().count())
        .sum()
}

#[test]
fn the_key_is_made_once_and_a_log_without_it_is_not_gone_on_with() {
    let plane = ControlPlane::bare();
    let mut installed = Installed::new(&plane, &[]);
    installed.refused();
    installed.await_refusals(1);
    let delete = ["delete", "secret", "keyguard-audit"];
    installed.release.kubectl().run(delete).expect_ok();
    let volumes = installed.kill_collector();
    let set = installed.release.get("statefulset", "keyguard-audit");
    let spec = &set["spec"]["template"]["spec"];
    let mut pod = Pod::start_named(
        &installed.release,
        spec,
        Some("keyguard-audit-0"),
        volumes,
        &[],
    );
    let why = pod.await_failure();
    assert!(why.contains("is gone; restore the Secret"), "{why}");
}

#[test]
fn of_two_collectors_on_one_store_the_later_one_writes_and_the_other_says_so() {
    let plane = ControlPlane::bare();
    let mut installed = Installed::new(&plane, &[]);
    installed.refused();
    installed.await_refusals(1);
    let first = installed.collector.take().unwrap();
    let store = first.path(STORE).display().to_string();
    let set = installed.release.get("statefulset", "keyguard-audit");
    let mut spec = set["spec"]["template"]["spec"].clone();
    for argument in spec["containers"][0]["args"].as_array_mut().unwrap() {
        let text = argument.as_str().unwrap();
        *argument = text.replace("/var/lib/keyguard/audit.db", &store).into();
    }
    let name = Some("keyguard-audit-0");
    let mut second = Pod::start_named(&installed.release, &spec, name, Workspace::new(), &[]);
    second.await_ready();
    // The replica still sends to the first; only once it is refused there does it connect anew.
    installed.service.set(vec![second.address]);
    installed.refused();
    installed.await_refusals(2);
    let said = first.await_unready("another keyguard writes to this store");
    assert!(said.body.contains("only one may"), "{}", said.body);
    installed.verified(Path::new(&store));
}

#[test]
fn what_the_chart_brings_for_it() {
    for object in render("{}") {
        let name = object["metadata"]["name"].as_str().unwrap();
        assert!(!name.contains("audit"), "{name}");
    }
    let objects = render(ENABLED);
    let deployment = object(&objects, "Deployment", "keyguard");
    let set = object(&objects, "StatefulSet", "keyguard-audit");
    assert_eq!(set["spec"]["replicas"], 1);
    // The collector has the certificate's key, and not that of the CA.
    let volume = &set["spec"]["template"]["spec"]["volumes"][0];
    let items = volume["secret"]["items"].as_array().unwrap();
    let keys: Vec<_> = items.iter().map(|item| item["key"].clone()).collect();
    assert_eq!(keys, [json!("tls.crt"), json!("tls.key")]);
    // Nothing of it keeps a webhook from starting.
    let volumes = deployment["spec"]["template"]["spec"]["volumes"]
        .as_array()
        .unwrap();
    for volume in volumes {
        if let Some(secret) = volume.get("secret") {
            assert_eq!(secret["optional"], true, "{volume}");
        }
    }
    let environment = &deployment["spec"]["template"]["spec"]["containers"][0]["env"][0];
    assert_eq!(
        environment["valueFrom"]["fieldRef"]["fieldPath"],
        "metadata.name"
    );
    let role = object(&objects, "Role", "keyguard-audit");
    let expected = json!([
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["keyguard-audit"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]},
    ]);
    assert_eq!(role["rules"], expected);
    let sender = object(&objects, "ClusterRoleBinding", "keyguard-audit-sender");
    assert_eq!(sender["subjects"][0]["name"], "keyguard");
    object(&objects, "NetworkPolicy", "keyguard-audit");
    object(&objects, "ServiceMonitor", "keyguard-audit");
    let objects = render("{audit: {enabled: true, database: {secretName: store}}}");
    let set = object(&objects, "StatefulSet", "keyguard-audit");
    assert!(set["spec"].get("volumeClaimTemplates").is_none());
    let container = &set["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(
        container["env"][0]["valueFrom"]["secretKeyRef"]["name"],
        "store"
    );
    assert!(!container["args"].to_string().contains("--store"));
}
