//! The container of a pod, started as the kubelet would, with what it mounts.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nix::sys::signal::Signal;
use serde_json::Value;

use super::release::Release;
use crate::control_plane::keyguard::program;
use crate::control_plane::plain_http::{self, Answer};
use crate::control_plane::process::{Process, free_address};
use crate::control_plane::wait::{DEADLINE, wait_for};
use crate::control_plane::workspace::Workspace;

/// A pod that serves; killed when dropped.
pub(super) struct Pod {
    process: Process,
    started: Instant,
    /// Where it answers reviews.
    pub(super) address: SocketAddr,
    health: SocketAddr,
    /// Where its page is, if it is a collector.
    pub(super) page: SocketAddr,
    readiness: String,
    spec: Value,
    workspace: Workspace,
}

impl Pod {
    /// Starts the container of a pod's `spec`, with its own arguments: only
    /// addresses and folders are the test's, and the token of its account is in
    /// a kubeconfig.
    pub(super) fn start(release: &Release<'_>, spec: &Value, further: &[&str]) -> Self {
        Self::start_named(release, spec, None, Workspace::new(), further)
    }

    /// The same with the name of the pod, for which it has tokens, and with what another pod left on its volumes.
    pub(super) fn start_named(
        release: &Release<'_>,
        spec: &Value,
        name: Option<&str>,
        workspace: Workspace,
        further: &[&str],
    ) -> Self {
        let (address, health) = (free_address(), free_address());
        let mut arguments = arguments(release, spec, name, &workspace);
        for (flag, shipped, here) in [
            ("--listen=", "0.0.0.0:8443", address),
            ("--health-listen=", "0.0.0.0:8080", health),
        ] {
            let given = arguments.iter_mut().find(|given| given.starts_with(flag));
            let given = given.unwrap_or_else(|| panic!("no {flag}"));
            assert_eq!(*given, format!("{flag}{shipped}"));
            *given = format!("{flag}{here}");
        }
        let page = free_address();
        for given in &mut arguments {
            if given.starts_with("--page-listen=") {
                *given = format!("--page-listen={page}");
            }
        }
        arguments.extend(further.iter().map(|&argument| argument.to_owned()));
        let container = &spec["containers"][0];
        for probe in ["livenessProbe", "readinessProbe"] {
            assert_eq!(container[probe]["httpGet"]["port"], "health");
        }
        let readiness = container["readinessProbe"]["httpGet"]["path"].as_str();
        // What the kubelet calls a container's host.
        let host = format!("HOSTNAME={}", name.unwrap_or_default());
        let mut line = vec![host];
        line.extend(environment(release, container));
        line.push(program().display().to_string());
        line.extend(arguments);
        Self {
            started: Instant::now(),
            process: Process::start("keyguard", Path::new("env"), line, &workspace),
            address,
            health,
            page,
            readiness: readiness.expect("a path").to_owned(),
            spec: spec.clone(),
            workspace,
        }
    }

    /// Brings what is in its ConfigMaps and Secrets by now, as the kubelet does.
    pub(super) fn sync(&self, release: &Release<'_>) {
        mount(release, &self.spec, None, &self.workspace);
    }

    /// What is on a volume of it.
    pub(super) fn path(&self, volume: &str) -> PathBuf {
        self.workspace.path(volume)
    }

    /// The value of a metric without labels, or with these.
    pub(super) fn sample(&self, series: &str) -> Option<f64> {
        let answer = plain_http::get(self.health, "/metrics").ok()?;
        let mut lines = answer.body.lines();
        lines.find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
    }

    /// Kills it, as nothing asks a process before; what its volumes hold is for the next.
    pub(super) fn kill(self) -> Workspace {
        self.process.signal(Signal::SIGKILL);
        self.workspace
    }

    /// Starts the container of a pod that ends by itself.
    pub(super) fn start_alone(release: &Release<'_>, spec: &Value, further: &[&str]) -> Task {
        let workspace = Workspace::new();
        let mut arguments = arguments(release, spec, None, &workspace);
        arguments.extend(further.iter().map(|&argument| argument.to_owned()));
        Task {
            process: Process::start("task", &program(), arguments, &workspace),
            _workspace: workspace,
        }
    }

    /// Waits until its readiness probe succeeds.
    pub(super) fn await_ready(&mut self) {
        let (health, path) = (self.health, &self.readiness);
        self.process
            .ready(|| plain_http::get(health, path).is_ok_and(|answer| answer.status == 200))
            .unwrap_or_else(|log| panic!("{log}"));
    }

    /// The time from its start until its readiness probe succeeds, to the
    /// millisecond.
    pub(super) fn measure_ready(&mut self) -> Duration {
        loop {
            let answer = plain_http::get(self.health, &self.readiness);
            if answer.is_ok_and(|answer| answer.status == 200) {
                return self.started.elapsed();
            }
            assert_eq!(self.process.exited(), None, "{}", self.process.log());
            assert!(self.started.elapsed() < DEADLINE, "{}", self.process.log());
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// The part of a core that it has had so far.
    pub(super) fn cores(&self) -> f64 {
        self.process.cpu().as_secs_f64() / self.started.elapsed().as_secs_f64()
    }

    /// The memory that it holds.
    pub(super) fn resident_kib(&self) -> u64 {
        self.process.resident_kib()
    }

    /// What its readiness probe says, once it says `wanted`.
    pub(super) fn await_unready(&self, wanted: &str) -> Answer {
        wait_for(wanted, || {
            let answer =
                plain_http::get(self.health, &self.readiness).map_err(|error| error.to_string())?;
            (answer.status == 503 && answer.body.contains(wanted))
                .then_some(answer)
                .ok_or_else(|| self.process.log())
        })
    }

    /// Everything that it has written so far.
    pub(super) fn output(&self) -> String {
        self.process.stdout() + &self.process.stderr()
    }

    /// Asks it to end, as the kubelet does.
    pub(super) fn terminate(&self) {
        self.process.signal(Signal::SIGTERM);
    }

    /// Waits for its end, which must be a bad one; what it says.
    pub(super) fn await_failure(&mut self) -> String {
        let status = self.process.wait();
        assert!(!status.success(), "{status}");
        self.output()
    }

    /// Waits for its end, which must be a good one.
    pub(super) fn await_end(&mut self) {
        let status = self.process.wait();
        assert!(status.success(), "{status}");
    }
}

/// A pod that ends by itself.
pub(super) struct Task {
    process: Process,
    _workspace: Workspace,
}

impl Task {
    pub(super) fn wait(&mut self) -> ExitStatus {
        self.process.wait()
    }

    pub(super) fn stdout(&self) -> String {
        self.process.stdout()
    }

    pub(super) fn stderr(&self) -> String {
        self.process.stderr()
    }
}

/// What the container's environment has from Secrets.
fn environment(release: &Release<'_>, container: &Value) -> Vec<String> {
    let variables = container["env"].as_array().into_iter().flatten();
    let from_secret = |variable: &Value| {
        let wanted = variable["valueFrom"].get("secretKeyRef")?;
        let secret = release.get("secret", &text(&wanted["name"]));
        let value = STANDARD.decode(text(&secret["data"][text(&wanted["key"])]));
        let value = String::from_utf8(value.expect("it is base64")).expect("a text");
        Some(format!("{}={value}", text(&variable["name"])))
    };
    variables.filter_map(from_secret).collect()
}

/// The container's arguments, with what it mounts laid out here.
fn arguments(
    release: &Release<'_>,
    spec: &Value,
    pod: Option<&str>,
    workspace: &Workspace,
) -> Vec<String> {
    let container = &spec["containers"][0];
    assert!(container.get("command").is_none(), "the image has one");
    mount(release, spec, pod, workspace);
    let arguments = container["args"].as_array().expect("arguments");
    let mut arguments: Vec<String> = arguments.iter().map(text).collect();
    for mount in container["volumeMounts"].as_array().into_iter().flatten() {
        let folder = workspace.path(text(&mount["name"])).display().to_string();
        for argument in &mut arguments {
            *argument = argument.replace(&text(&mount["mountPath"]), &folder);
        }
    }
    let account = text(&spec["serviceAccountName"]);
    let kubeconfig = release
        .plane
        .kubeconfig_for_service_account("keyguard", &account);
    arguments.push(format!("--kubeconfig={}", kubeconfig.display()));
    arguments
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

/// Lays out what the volumes of a pod hold.
fn mount(release: &Release<'_>, spec: &Value, pod: Option<&str>, workspace: &Workspace) {
    let mounts = spec["containers"][0]["volumeMounts"].as_array();
    for mount in mounts.into_iter().flatten() {
        let name = text(&mount["name"]);
        let folder = workspace.path(&name);
        std::fs::create_dir_all(&folder).expect("make a folder");
        let mut volumes = spec["volumes"].as_array().into_iter().flatten();
        // A claim of a StatefulSet is no volume of the pod's own: a folder stands for it, as for an emptyDir.
        let Some(volume) = volumes.find(|volume| volume["name"] == mount["name"]) else {
            continue;
        };
        for (file, content) in content(release, spec, volume, pod) {
            workspace.write(format!("{name}/{file}"), content);
        }
    }
}

/// The files of a volume.
fn content(
    release: &Release<'_>,
    spec: &Value,
    volume: &Value,
    pod: Option<&str>,
) -> Vec<(String, Vec<u8>)> {
    if volume.get("emptyDir").is_some() {
        return Vec::new();
    }
    if let Some(sources) = volume["projected"]["sources"].as_array() {
        let token = |source: &Value| {
            let wanted = &source["serviceAccountToken"];
            let token = release.token(
                &text(&spec["serviceAccountName"]),
                &text(&wanted["audience"]),
                pod?,
            );
            Some((text(&wanted["path"]), token.into_bytes()))
        };
        return sources.iter().filter_map(token).collect();
    }
    let (source, kind, named) = match volume.get("secret") {
        Some(secret) => (secret, "secret", &secret["secretName"]),
        None => (
            &volume["configMap"],
            "configmap",
            &volume["configMap"]["name"],
        ),
    };
    let object = release.get(kind, &text(named));
    if object.is_null() && source["optional"] == true {
        return Vec::new();
    }
    let data = object["data"].as_object().expect("it is there");
    let wanted = |name: &str| match source["items"].as_array() {
        Some(items) => items.iter().any(|item| item["key"] == *name),
        None => true,
    };
    data.iter()
        .filter(|(name, _)| wanted(name))
        .map(|(name, content)| {
            let content = content.as_str().expect("a text");
            let bytes = match kind {
                "secret" => STANDARD.decode(content).expect("it is base64"),
                _ => content.as_bytes().to_vec(),
            };
            (name.clone(), bytes)
        })
        .collect()
}
