//! A real control plane: etcd and kube-apiserver on loopback, driven by the
//! real kubectl and helm, with RBAC on and no controllers.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test reads files and clocks, and says what is wrong by panicking"
)]

mod audit;
pub(crate) mod balancer;
pub(crate) mod binaries;
pub(crate) mod certificates;
pub(crate) mod fleet;
pub(crate) mod keyguard;
pub(crate) mod kubectl;
pub(crate) mod mounted;
mod namespaces;
pub(crate) mod plain_http;
pub(crate) mod process;
pub(crate) mod recipe;
pub(crate) mod scanner;
mod servers;
pub(crate) mod slow_proxy;
mod smoke;
mod smoke_keyguard;
pub(crate) mod tls_http;
pub(crate) mod users;
pub(crate) mod wait;
pub(crate) mod webhook;
pub(crate) mod workspace;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::OnceLock;

use nix::sys::signal::Signal;

use self::certificates::Authority;
use self::kubectl::Client;
use self::process::start_on_free_ports;
use self::servers::{ApiServer, Etcd};
use self::workspace::Workspace;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// What the tests need on every control plane.
const FIXTURES: [&str; 2] = [
    "tests/fixtures/developer-role.yaml",
    "tests/fixtures/rollout-crd.yaml",
];

/// keyguard's account and rights as they ship, where Helm does not bring them.
const MANIFESTS: [&str; 3] = [
    "deploy/manifests/namespace.yaml",
    "deploy/manifests/service-account.yaml",
    "deploy/manifests/rbac.yaml",
];

/// A running control plane; ends when dropped and when the test binary ends.
pub(crate) struct ControlPlane {
    // Dropped in this order: the folder last.
    api_server: ApiServer,
    etcd: Etcd,
    authority: Authority,
    workspace: Workspace,
}

impl ControlPlane {
    /// The one of this test binary, started on first use.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<ControlPlane> = OnceLock::new();
        SHARED.get_or_init(Self::private)
    }

    /// One that belongs to a single test, which may stop it, slow it, or
    /// install webhooks that concern every namespace.
    pub(crate) fn private() -> Self {
        let plane = Self::bare();
        plane.create(&MANIFESTS);
        plane
    }

    /// As [`private`](Self::private), with nothing of keyguard on it.
    pub(crate) fn bare() -> Self {
        let workspace = Workspace::new();
        let authority = Authority::new(&workspace);
        let etcd = start_on_free_ports(|| Etcd::start(&workspace));
        let api_server = start_on_free_ports(|| ApiServer::start(&etcd, &authority, &workspace));
        let plane = Self {
            api_server,
            etcd,
            authority,
            workspace,
        };
        plane.create(&FIXTURES);
        plane.await_rollouts();
        plane
    }

    fn create(&self, files: &[&str]) {
        let files = files.iter().map(|file| format!("--filename={ROOT}/{file}"));
        let create = ["create".to_owned()].into_iter().chain(files);
        self.kubectl().run(create).expect_ok();
    }

    fn await_rollouts(&self) {
        let established = [
            "wait",
            "--for=condition=Established",
            "--timeout=60s",
            "crd/rollouts.argoproj.io",
        ];
        self.kubectl().run(established).expect_ok();
    }

    /// kubectl, as [`users::ADMIN`] unless told otherwise.
    pub(crate) fn kubectl(&self) -> Client<'_> {
        Client::kubectl(&self.workspace)
    }

    /// helm, as [`users::ADMIN`] unless told otherwise.
    pub(crate) fn helm(&self) -> Client<'_> {
        Client::helm(&self.workspace)
    }

    /// The kubeconfig of one of the [`users`].
    pub(crate) fn kubeconfig_for(&self, user: &str) -> PathBuf {
        users::kubeconfig_for(user, &self.workspace)
    }

    /// Writes a kubeconfig with a token that the API server issued to this
    /// ServiceAccount; its rights are those that RBAC gives it.
    pub(crate) fn kubeconfig_for_service_account(&self, namespace: &str, name: &str) -> PathBuf {
        let issue = self.kubectl().namespace(namespace);
        let issued = issue.run(["create", "token", name]).expect_ok();
        users::write_kubeconfig(
            &format!("system:serviceaccount:{namespace}:{name}"),
            &format!("https://{}", self.api_server.address),
            &self.authority.certificate,
            issued.stdout.trim(),
            &self.workspace,
        )
    }

    /// Where the API server listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.api_server.address
    }

    /// Keeps etcd from answering anything.
    pub(crate) fn pause_etcd(&self) {
        self.etcd.process.stop();
    }

    /// Lets a paused etcd run on.
    pub(crate) fn resume_etcd(&self) {
        self.etcd.process.signal(Signal::SIGCONT);
    }

    /// Ends the API server and starts it again, with further arguments.
    pub(crate) fn restart_api_server(&self, further: &[String]) {
        self.api_server.restart(further, &self.workspace);
    }

    /// Keeps the API server from answering anything: connections are
    /// accepted by the kernel, and then nothing comes.
    pub(crate) fn pause_api_server(&self) {
        self.api_server.signal(Signal::SIGSTOP);
    }

    /// Lets a paused API server run on.
    pub(crate) fn resume_api_server(&self) {
        self.api_server.signal(Signal::SIGCONT);
    }
}
