//! A release of the chart on a control plane without nodes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::pod::Pod;
use super::rendered::chart;
use crate::control_plane::ControlPlane;
use crate::control_plane::balancer::Balancer;
use crate::control_plane::kubectl::{Client, Finished};
use crate::control_plane::wait::wait_for;

/// The release `keyguard` in the namespace `keyguard`, and who stands in for
/// pods' network: the Service is an ExternalName of loopback, behind whose port
/// a balancer knows the pods.
pub(super) struct Release<'a> {
    pub(super) plane: &'a ControlPlane,
    balancer: Balancer,
    pub(super) pods: Vec<Pod>,
}

impl<'a> Release<'a> {
    /// Runs `helm install keyguard deploy/chart -n keyguard --create-namespace`;
    /// no pod runs yet.
    pub(super) fn install(plane: &'a ControlPlane, values: &[&str]) -> Self {
        let release = Self {
            plane,
            balancer: Balancer::new(),
            pods: Vec::new(),
        };
        wait_for("the namespaces that every cluster has", || {
            let get = [
                "get",
                "namespaces",
                "kube-system",
                "default",
                "--output=name",
            ];
            let found = plane.kubectl().run(get);
            found.status.success().then_some(()).ok_or(found.stderr)
        });
        release.helm_with("install", values).expect_ok();
        let external = json!({"spec": {"type": "ExternalName", "externalName": "localhost"}});
        let patch = external.to_string();
        release
            .kubectl()
            .run(["patch", "service", "keyguard", "--patch", &patch])
            .expect_ok();
        release
    }

    /// Runs `helm upgrade` with these values.
    pub(super) fn upgrade(&self, values: &[&str]) {
        self.helm_with("upgrade", values).expect_ok();
    }

    /// Runs another command of helm on the release.
    #[must_use = "say what is expected of it"]
    pub(super) fn helm<const N: usize>(&self, arguments: [&str; N]) -> Finished {
        self.plane.helm().namespace("keyguard").run(arguments)
    }

    fn helm_with(&self, verb: &str, values: &[&str]) -> Finished {
        let port = format!("service.port={}", self.balancer.address.port());
        let chart = chart().display().to_string();
        let mut arguments = vec![verb, "keyguard", &*chart];
        if verb == "install" {
            arguments.push("--create-namespace");
        }
        for value in values.iter().chain([&&*port]) {
            arguments.extend(["--set", *value]);
        }
        self.plane.helm().namespace("keyguard").run(arguments)
    }

    /// kubectl of the administrator, in the namespace of the release.
    pub(super) fn kubectl(&self) -> Client<'a> {
        self.plane.kubectl().namespace("keyguard")
    }

    /// An object of the release, or null.
    pub(super) fn get(&self, kind: &str, name: &str) -> Value {
        let get = ["get", kind, name, "--ignore-not-found", "--output=json"];
        let found = self.kubectl().run(get).expect_ok().stdout;
        serde_json::from_str(&found).unwrap_or_default()
    }

    /// The `caBundle` of each webhook, as it stands.
    pub(super) fn bundles(&self) -> Vec<String> {
        let configuration = self.get("validatingwebhookconfiguration", "keyguard");
        let webhooks = configuration["webhooks"].as_array().expect("webhooks");
        let bundle = |webhook: &Value| {
            webhook["clientConfig"]["caBundle"]
                .as_str()
                .map(str::to_owned)
        };
        webhooks.iter().filter_map(bundle).collect()
    }

    /// Starts as many pods as the Deployment asks for and waits until all are
    /// ready and called.
    pub(super) fn start_pods(&mut self) {
        let replicas = self.get("deployment", "keyguard")["spec"]["replicas"].clone();
        for _ in 0..replicas.as_u64().expect("a number of replicas") {
            let pod = self.start_pod();
            self.pods.push(pod);
        }
        self.pods.iter_mut().for_each(Pod::await_ready);
        self.connect();
    }

    /// A token of an account for a pod, which is made when it is not there, as the kubelet asks for it.
    pub(super) fn token(&self, account: &str, audience: &str, pod: &str) -> String {
        let manifest = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": pod},
            "spec": {
                "serviceAccountName": account,
                "automountServiceAccountToken": false,
                "containers": [{"name": "keyguard", "image": "keyguard"}],
            },
        });
        let client = self.kubectl().stdin(manifest.to_string());
        client.run(["apply", "-f", "-"]).expect_ok();
        let issue = [
            "create",
            "token",
            account,
            "--bound-object-kind=Pod",
            &format!("--bound-object-name={pod}"),
            &format!("--audience={audience}"),
        ];
        self.kubectl()
            .run(issue)
            .expect_ok()
            .stdout
            .trim()
            .to_owned()
    }

    /// Starts a pod of the Deployment as it stands, which is not called yet.
    pub(super) fn start_pod(&self) -> Pod {
        let deployment = self.get("deployment", "keyguard");
        Pod::start(self, &deployment["spec"]["template"]["spec"], &[])
    }

    /// Replaces each pod as the Deployment's strategy says, with one more than
    /// there must be, and none less.
    pub(super) fn roll(&mut self) {
        let strategy =
            self.get("deployment", "keyguard")["spec"]["strategy"]["rollingUpdate"].clone();
        assert_eq!(strategy, json!({"maxUnavailable": 0, "maxSurge": 1}));
        for _ in 0..self.pods.len() {
            let mut next = self.start_pod();
            next.await_ready();
            self.pods.push(next);
            self.connect();
            let mut last = self.pods.remove(0);
            last.terminate();
            self.connect();
            last.await_end();
        }
    }

    /// Stops every pod.
    pub(super) fn stop_pods(&mut self) {
        self.balancer.set(Vec::new());
        self.pods.clear();
    }

    pub(super) fn connect(&self) {
        self.balancer
            .set(self.pods.iter().map(|pod| pod.address).collect());
    }

    /// Ends the pods as soon as the Deployment is gone, while `work` is done.
    pub(super) fn with_pods_following<T>(&mut self, work: impl FnOnce(&Self) -> T) -> T {
        let done = AtomicBool::new(false);
        let pods = std::mem::take(&mut self.pods);
        let this = &*self;
        thread::scope(|scope| {
            let follower = scope.spawn(|| {
                let mut pods = pods;
                while !done.load(Ordering::Relaxed) && !this.get("deployment", "keyguard").is_null()
                {
                    thread::sleep(Duration::from_millis(5));
                }
                pods.iter().for_each(Pod::terminate);
                this.balancer.set(Vec::new());
                pods.iter_mut().for_each(Pod::await_end);
            });
            let result = work(this);
            done.store(true, Ordering::Relaxed);
            follower.join().expect("the pods end");
            result
        })
    }

    /// `helm test`, whose pod is run here, under its own account, once the API
    /// server has it; what helm said, and what the pod printed.
    pub(super) fn test(&self) -> (Finished, String) {
        self.test_within("30s")
    }

    /// As [`test`](Self::test); the pod gives up after this time.
    pub(super) fn test_within(&self, timeout: &str) -> (Finished, String) {
        let timeout = format!("--timeout={timeout}");
        thread::scope(|scope| {
            let running = scope.spawn(|| self.helm(["test", "keyguard", "--timeout=60s"]));
            let pod = wait_for("the pod of the test", || {
                let pod = self.get("pod", "keyguard-self-test");
                // One of a test before has ended.
                let waits = pod["status"]["phase"] == "Pending";
                if !waits && running.is_finished() {
                    return Ok(None);
                }
                waits.then_some(Some(pod)).ok_or("not there".to_owned())
            });
            let mut printed = String::new();
            if let Some(pod) = pod {
                let mut process = Pod::start_alone(self, &pod["spec"], &[&timeout]);
                let status = process.wait();
                printed = process.stdout() + &process.stderr();
                let phase = if status.success() {
                    "Succeeded"
                } else {
                    "Failed"
                };
                let patch = json!({"status": {"phase": phase}}).to_string();
                let arguments = [
                    "patch",
                    "pod",
                    "keyguard-self-test",
                    "--subresource=status",
                    "--type=merge",
                    "--patch",
                    &patch,
                ];
                self.kubectl().run(arguments).expect_ok();
            }
            (running.join().expect("helm ends"), printed)
        })
    }
}
