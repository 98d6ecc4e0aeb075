//! The container of a pod, started as the kubelet would, with what it mounts.

use std::env;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nix::sys::signal::Signal;
use serde_json::Value;

use super::release::Release;
use crate::control_plane::plain_http::{self, Answer};
use crate::control_plane::process::{Process, free_address};
use crate::control_plane::wait::{DEADLINE, wait_for};
use crate::control_plane::workspace::Workspace;

/// The program of an image, when it is named; else the one of this build.
fn program() -> PathBuf {
    env::var_os("KEYGUARD_PROGRAM").map_or_else(
        || PathBuf::from(env!("CARGO_BIN_EXE_keyguard")),
        PathBuf::from,
    )
}

/// A pod that serves; killed when dropped.
pub(super) struct Pod {
    process: Process,
    started: Instant,
    /// Where it answers reviews.
    pub(super) address: SocketAddr,
    health: SocketAddr,
    readiness: String,
    _workspace: Workspace,
}

impl Pod {
    /// Starts the container of a pod's `spec`, with its own arguments: only
    /// addresses and folders are the test's, and the token of its account is in
    /// a kubeconfig.
    pub(super) fn start(release: &Release<'_>, spec: &Value, further: &[&str]) -> Self {
        let workspace = Workspace::new();
        let (address, health) = (free_address(), free_address());
        let mut arguments = arguments(release, spec, &workspace);
        for (flag, shipped, here) in [
            ("--listen=", "0.0.0.0:8443", address),
            ("--health-listen=", "0.0.0.0:8080", health),
        ] {
            let given = arguments.iter_mut().find(|given| given.starts_with(flag));
            let given = given.unwrap_or_else(|| panic!("no {flag}"));
            assert_eq!(*given, format!("{flag}{shipped}"));
            *given = format!("{flag}{here}");
        }
        arguments.extend(further.iter().map(|&argument| argument.to_owned()));
        let container = &spec["containers"][0];
        for probe in ["livenessProbe", "readinessProbe"] {
            assert_eq!(container[probe]["httpGet"]["port"], "health");
        }
        let readiness = container["readinessProbe"]["httpGet"]["path"].as_str();
        Self {
            started: Instant::now(),
            process: Process::start("keyguard", &program(), arguments, &workspace),
            address,
            health,
            readiness: readiness.expect("a path").to_owned(),
            _workspace: workspace,
        }
    }

    /// Starts the container of a pod that ends by itself.
    pub(super) fn start_alone(release: &Release<'_>, spec: &Value, further: &[&str]) -> Task {
        let workspace = Workspace::new();
        let mut arguments = arguments(release, spec, &workspace);
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

/// The container's arguments, with what it mounts laid out here.
fn arguments(release: &Release<'_>, spec: &Value, workspace: &Workspace) -> Vec<String> {
    let container = &spec["containers"][0];
    assert!(container.get("command").is_none(), "the image has one");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let arguments = container["args"].as_array().expect("arguments");
    let mut arguments: Vec<String> = arguments.iter().map(text).collect();
    for mount in container["volumeMounts"].as_array().into_iter().flatten() {
        let volumes = spec["volumes"].as_array().expect("volumes");
        let volume = volumes
            .iter()
            .find(|volume| volume["name"] == mount["name"]);
        let volume = volume.expect("the volume of a mount");
        for (name, content) in content(release, volume) {
            workspace.write(format!("{}/{name}", text(&mount["name"])), content);
        }
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

/// The files of a volume that is a ConfigMap or a Secret.
fn content(release: &Release<'_>, volume: &Value) -> Vec<(String, Vec<u8>)> {
    let name = |name: &Value| name.as_str().map(str::to_owned);
    let (object, is_secret) = match name(&volume["secret"]["secretName"]) {
        Some(name) => (release.get("secret", &name), true),
        None => {
            let name = name(&volume["configMap"]["name"]).expect("a ConfigMap");
            (release.get("configmap", &name), false)
        }
    };
    let data = object["data"].as_object().expect("it is there");
    data.iter()
        .map(|(name, content)| {
            let content = content.as_str().expect("a text");
            let bytes = match is_secret {
                true => STANDARD.decode(content).expect("it is base64"),
                false => content.as_bytes().to_vec(),
            };
            (name.clone(), bytes)
        })
        .collect()
}
