//! The audit trail as the chart installs it: two replicas, a collector, and who reads.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::install::argocd;
use super::pod::Pod;
use super::release::Release;
use super::rendered::{object, render};
use crate::control_plane::ControlPlane;
use crate::control_plane::balancer::Balancer;
use crate::control_plane::kubectl::Finished;
use crate::control_plane::tls_http::{Asked, ask_as, post_review};
use crate::control_plane::users::ALICE;
use crate::control_plane::wait::wait_for;
use crate::control_plane::workspace::Workspace;
use crate::scenarios::audit_trail::losing_review;

const ENABLED: &str = "{audit: {enabled: true}, serviceMonitor: {enabled: true}}";
/// The names by which the test's own pods are reached; the chart's are those of Services.
const LOCAL: [&str; 2] = ["--tls-dns-name=localhost", "--tls-dns-name=127.0.0.1"];

/// The store, on the volume of the collector.
const STORE: &str = "store/audit.db";

/// A release with a collector, behind an address that stays.
struct Installed<'a> {
    plane: &'a ControlPlane,
    release: Release<'a>,
    namespace: String,
    collector: Option<Pod>,
    service: Balancer,
    reader: TempDir,
}

impl<'a> Installed<'a> {
    fn new(plane: &'a ControlPlane, values: &[&str]) -> Installed<'a> {
        let namespace = plane.fresh_namespace("argocd");
        argocd(plane, &namespace);
        let values = [&["audit.enabled=true", "audit.cluster=test"], values].concat();
        let mut installed = Installed {
            plane,
            release: Release::install(plane, &values),
            namespace,
            collector: None,
            service: Balancer::new(),
            reader: tempfile::tempdir().unwrap(),
        };
        for name in ["keyguard-one", "keyguard-two"] {
            installed.start_replica(name);
        }
        installed.release.pods.iter_mut().for_each(Pod::await_ready);
        installed.release.connect();
        installed.start_collector(Workspace::new());
        installed.sync();
        installed.let_read();
        wait_for("the key of fingerprints", || {
            let mut pods = installed.release.pods.iter();
            let without = pods.find(|pod| !pod.output().contains("records have fingerprints"));
            without.map_or(Ok(()), |pod| Err(pod.output()))
        });
        installed
    }

    /// A replica, whose collector's Service is the test's.
    fn start_replica(&mut self, name: &str) {
        let mut spec =
            self.release.get("deployment", "keyguard")["spec"]["template"]["spec"].clone();
        let address = format!("https://localhost:{}", self.service.address.port());
        for argument in spec["containers"][0]["args"].as_array_mut().unwrap() {
            let text = argument.as_str().unwrap();
            *argument = text
                .replace("https://keyguard-audit.keyguard.svc:8443", &address)
                .into();
        }
        let pod = Pod::start_named(&self.release, &spec, Some(name), Workspace::new(), &LOCAL);
        self.release.pods.push(pod);
    }

    fn start_collector(&mut self, volumes: Workspace) {
        let set = self.release.get("statefulset", "keyguard-audit");
        let spec = &set["spec"]["template"]["spec"];
        let mut pod = Pod::start_named(&self.release, spec, Some("keyguard-audit-0"), volumes, &[]);
        pod.await_ready();
        self.service.set(vec![pod.address]);
        self.collector = Some(pod);
    }

    /// Kills the collector; what is on its volume.
    fn kill_collector(&mut self) -> Workspace {
        self.service.set(Vec::new());
        self.collector.take().unwrap().kill()
    }

    fn sync(&self) {
        self.release
            .pods
            .iter()
            .for_each(|pod| pod.sync(&self.release));
    }

    /// An account that may read, its token, and the CA.
    fn let_read(&self) {
        let kubectl = || self.release.kubectl();
        kubectl()
            .run(["create", "serviceaccount", "reader"])
            .expect_ok();
        let bind = [
            "create",
            "clusterrolebinding",
            "reader",
            "--clusterrole=keyguard-audit-reader",
            "--serviceaccount=keyguard:reader",
        ];
        kubectl().run(bind).expect_ok();
        let token = self.token_of("reader", "keyguard-audit");
        fs::write(self.file("token"), token).unwrap();
        fs::write(self.file("ca.crt"), self.authority()).unwrap();
    }

    fn token_of(&self, account: &str, audience: &str) -> String {
        let audience = format!("--audience={audience}");
        let issued = self
            .release
            .kubectl()
            .run(["create", "token", account, &audience]);
        issued.expect_ok().stdout.trim().to_owned()
    }

    fn authority(&self) -> String {
        let pod = self.release.pods.first().unwrap();
        fs::read_to_string(pod.path("audit-ca/ca.crt")).unwrap()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.reader.path().join(name)
    }

    /// A change that is refused.
    fn refused(&self) {
        let patch = ["patch", "configmap", "argocd-cm", "--type=merge"];
        let data = r#"--patch={"data":{"accounts.admin":"login"}}"#;
        let patched: Finished = self
            .plane
            .kubectl()
            .as_user(ALICE)
            .namespace(&self.namespace)
            .run(patch.into_iter().chain([data]));
        let said = patched.expect_refused();
        assert!(said.contains("[accounts/api-key-removed]"), "{said}");
    }

    /// What the collector has of the namespace, asked over HTTPS.
    fn records(&self, arguments: &[&str]) -> Result<Vec<Value>, String> {
        let address = format!("https://localhost:{}", self.service.address.port());
        let output = Command::new(env!("CARGO_BIN_EXE_keyguard"))
            .args([
                "audit",
                "query",
                "--format=json",
                "--limit=10000",
                "--server",
                &address,
            ])
            .arg("--ca")
            .arg(self.file("ca.crt"))
            .arg("--token-file")
            .arg(self.file("token"))
            .args(["--namespace", &self.namespace])
            .args(arguments)
            .output()
            .unwrap();
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        let page: Value = serde_json::from_slice(&output.stdout).unwrap();
        Ok(page["records"].as_array().unwrap().clone())
    }

    /// Waits until it has so many refusals.
    fn await_refusals(&self, count: usize) -> Vec<Value> {
        wait_for("the refusals at the collector", || {
            let records = self.records(&["--decision=deny"])?;
            let log = || {
                self.release
                    .pods
                    .iter()
                    .map(Pod::output)
                    .collect::<String>()
            };
            match records.len() == count {
                true => Ok(records),
                false => Err(format!("{} of {count}\n{}", records.len(), log())),
            }
        })
    }

    /// The file of the store.
    fn store(&self) -> PathBuf {
        self.collector.as_ref().unwrap().path(STORE)
    }

    /// What the checker of another project says of the log, over HTTPS.
    fn checked_by_fsck(&self) {
        let address = format!("https://localhost:{}", self.service.address.port());
        let authority = self.authority();
        let asked = Asked {
            address: self.service.address,
            name: "localhost",
            authority: authority.as_bytes(),
            token: &fs::read_to_string(self.file("token")).unwrap(),
        };
        let weeks = ask_as(&asked, "GET /log/", "").unwrap().body;
        let weeks: Vec<String> = serde_json::from_str(&weeks).unwrap();
        let week = weeks.last().unwrap();
        let key = ask_as(&asked, &format!("GET /log/{week}/key.pub"), "").unwrap();
        fs::write(self.file("key.pub"), key.body).unwrap();
        let output = Command::new("go")
            .env("SSL_CERT_FILE", self.file("ca.crt"))
            .args([
                "run",
                "github.com/transparency-dev/tessera/cmd/fsck@v1.0.4",
                "--ui=false",
            ])
            .arg(format!("--storage_url={address}/log/{week}"))
            .arg(format!("--bearer_token={}", asked.token))
            .arg(format!("--public_key={}", self.file("key.pub").display()))
            .output()
            .expect("go is there");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
    }

    /// What `keyguard audit verify` says of the store on a volume, which must be whole.
    fn verified(&self, store: &Path) -> String {
        let key = self.release.get("secret", "keyguard-audit")["data"]["log.key"].clone();
        let key = {
            use base64::Engine as _;
            let text = key.as_str().unwrap();
            base64::engine::general_purpose::STANDARD
                .decode(text)
                .unwrap()
        };
        fs::write(self.file("log.key"), key).unwrap();
        let store = format!("sqlite:{}", store.display());
        let output = Command::new(env!("CARGO_BIN_EXE_keyguard"))
            .args(["audit", "verify", "--store", &store, "--key"])
            .arg(self.file("log.key"))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let why = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{said}{why}");
        said
    }
}

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
    for _ in 0..20 {
        installed.refused();
    }
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
    let records = installed.await_refusals(24);
    let ids: std::collections::BTreeSet<_> =
        records.iter().map(|it| it["id"].to_string()).collect();
    assert_eq!(ids.len(), 24);
    let replicas: std::collections::BTreeSet<_> = records
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
    wait_for("everything to be stored", || {
        let pods = installed.release.pods.iter();
        let waiting: f64 = pods
            .map(|pod| pod.sample("keyguard_audit_spool_bytes ").unwrap())
            .sum();
        (waiting == 0.0)
            .then_some(())
            .ok_or_else(|| format!("{waiting} bytes wait"))
    });
    let said = installed.verified(&installed.store());
    assert!(!said.contains("missing"), "{said}");
    let count = numbered.into_inner();
    let entries = said
        .split_whitespace()
        .find_map(|word| word.parse::<usize>().ok());
    assert!(entries >= Some(count), "{count} decisions: {said}");
    println!("{kills} kills, {count} decisions: {said}");
}

#[test]
fn nobody_sends_who_is_no_replica_and_nobody_reads_who_may_not() {
    let plane = ControlPlane::bare();
    let installed = Installed::new(&plane, &[]);
    installed.refused();
    let record = installed.await_refusals(1).remove(0);
    let collector = installed.collector.as_ref().unwrap();
    let authority = installed.authority();
    let replica = record["replica"].as_str().unwrap();
    let sender = installed
        .release
        .token("keyguard", "keyguard-audit", replica);
    let unbound = installed.token_of("keyguard", "keyguard-audit");
    let other_audience = installed.release.token("keyguard", "another", replica);
    let other_account = installed.token_of("keyguard-audit", "keyguard-audit");
    let reader = installed.token_of("reader", "keyguard-audit");
    let line = format!("{record}\n");
    let forged = line.replace(replica, "keyguard-other");
    let large = "x".repeat(10 << 20);
    let many = line.repeat(1_001);
    let newer = line.replace("\"uid\"", "\"later\":1,\"uid\"");
    let post = "POST /records";
    let table = [
        (post, "", &*line, 401, "send a ServiceAccount token"),
        (post, "none", &line, 401, "send a ServiceAccount token"),
        (
            post,
            &*other_audience,
            &line,
            401,
            "send a ServiceAccount token",
        ),
        (
            post,
            &other_account,
            &line,
            403,
            "may not post /keyguard/audit",
        ),
        (post, &reader, &line, 403, "may not post /keyguard/audit"),
        (post, &unbound, &line, 403, "was not made for a pod"),
        (
            post,
            &sender,
            &forged,
            403,
            "is of replica \"keyguard-other\"",
        ),
        (post, &sender, "{\"id\":", 400, "line 1 is no record"),
        (
            post,
            &sender,
            &newer,
            400,
            "bring the collector to the version",
        ),
        (post, &sender, &many, 413, "1000 records"),
        (post, &sender, &large, 413, "1000 records"),
        ("GET /records", "", "", 401, "send a ServiceAccount token"),
        (
            "GET /records",
            &sender,
            "",
            403,
            "may not get /keyguard/audit",
        ),
        ("GET /records?decison=deny", &reader, "", 400, "decison"),
        ("GET /records?limit=0", &reader, "", 400, "limit is from 1"),
        ("GET /log/", &other_account, "", 403, "may not get"),
        (
            "GET /log/2001-W01/checkpoint",
            &reader,
            "",
            404,
            "nothing at this path",
        ),
        (
            "GET /records?decision=deny&limit=1",
            &reader,
            "",
            200,
            "\"records\":[{",
        ),
    ];
    for (line, token, body, status, part) in table {
        let asked = Asked {
            address: collector.address,
            name: "localhost",
            authority: authority.as_bytes(),
            token,
        };
        let answer = ask_as(&asked, line, body).unwrap();
        assert_eq!(answer.status, status, "{line} {body:.80}: {}", answer.body);
        assert!(answer.body.contains(part), "{line}: {}", answer.body);
        assert!(!answer.body.contains(token) || token.is_empty(), "{line}");
    }
    // What was there already is not stored again, whoever asks.
    let asked = Asked {
        address: collector.address,
        name: "localhost",
        authority: authority.as_bytes(),
        token: &sender,
    };
    let answer = ask_as(&asked, post, &line).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(answer.body.contains("\"new\":0"), "{}", answer.body);
    assert_eq!(installed.records(&["--decision=deny"]).unwrap().len(), 1);
    let output = collector.output();
    for token in [&sender, &reader, &unbound] {
        assert!(!output.contains(token.as_str()));
    }
    installed.verified(&installed.store());
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
