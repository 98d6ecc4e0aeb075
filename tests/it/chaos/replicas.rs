//! Replicas of keyguard with one certificate, behind one address, as a Deployment and its Service run them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use rcgen::CertificateParams;

use crate::control_plane::balancer::Balancer;
use crate::control_plane::certificates::{Authority, ServerCertificate};
use crate::control_plane::keyguard::enforcing_dry_runs;
use crate::control_plane::plain_http::{self, Answer};
use crate::control_plane::process::{Process, free_address};
use crate::control_plane::workspace::Workspace;

const KEYGUARD: &str = env!("CARGO_BIN_EXE_keyguard");
/// From one readiness probe to the next.
const PROBE_INTERVAL: Duration = Duration::from_millis(100);

/// What the replicas have in common.
pub(super) struct Service {
    pub(super) authority: PathBuf,
    tls: ServerCertificate,
    state: PathBuf,
    config: PathBuf,
    balancer: Balancer,
    probed: Mutex<Vec<(SocketAddr, SocketAddr)>>,
    _workspace: Workspace,
}

/// A running keyguard; killed when dropped.
pub(super) struct Replica {
    process: Process,
    pub(super) address: SocketAddr,
    health: SocketAddr,
    _workspace: Workspace,
}

impl Service {
    /// One with no replicas, over one manifest.
    pub(super) fn new(config: &str, manifest: &str) -> Self {
        Self::with_certificate(config, manifest, |_| {})
    }

    /// As [`new`](Self::new), with something of the certificate changed.
    pub(super) fn with_certificate(
        config: &str,
        manifest: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Self {
        let workspace = Workspace::new();
        let authority = Authority::new(&workspace);
        let state = workspace.write("state/manifest.json", manifest);
        Self {
            tls: authority.issue_with(&["localhost", "127.0.0.1"], &workspace, change),
            authority: authority.certificate,
            state: state.parent().expect("a folder").to_owned(),
            config: workspace.write("config.yaml", enforcing_dry_runs(config)),
            balancer: Balancer::new(),
            probed: Mutex::default(),
            _workspace: workspace,
        }
    }

    /// The one address.
    pub(super) fn address(&self) -> SocketAddr {
        self.balancer.address
    }

    /// Starts a replica and returns when it is ready and new connections may come to it.
    pub(super) fn start(&self) -> Replica {
        let mut replica = self.launch();
        let health = replica.health;
        replica
            .process
            .ready(|| is_ready(health))
            .unwrap_or_else(|log| panic!("{log}"));
        self.probed().push((replica.address, health));
        self.update();
        replica
    }

    /// Starts a replica that nobody is sent to, and does not wait for it.
    pub(super) fn launch(&self) -> Replica {
        let workspace = Workspace::new();
        let (address, health) = (free_address(), free_address());
        let file = |flag: &str, path: &Path| format!("--{flag}={}", path.display());
        let arguments = [
            "serve".to_owned(),
            format!("--listen={address}"),
            format!("--health-listen={health}"),
            file("tls-cert", &self.tls.certificate),
            file("tls-key", &self.tls.key),
            file("state", &self.state),
            file("config", &self.config),
        ];
        Replica {
            process: Process::start("keyguard", Path::new(KEYGUARD), arguments, &workspace),
            address,
            health,
            _workspace: workspace,
        }
    }

    /// Ends a replica as the kubelet does, and waits for it.
    pub(super) fn end(&self, mut replica: Replica) {
        replica.process.signal(Signal::SIGTERM);
        let status = replica.process.wait();
        assert!(status.success(), "{status}: {}", replica.process.log());
        let gone = (replica.address, replica.health);
        self.probed().retain(|probed| *probed != gone);
    }

    /// Probes the replicas again and again until `done`, and lets new connections go to those that are ready: as late
    /// as the endpoints of a Service follow.
    pub(super) fn follow_readiness(&self, done: &AtomicBool) {
        while !done.load(Ordering::Relaxed) {
            self.update();
            thread::sleep(PROBE_INTERVAL);
        }
    }

    fn update(&self) {
        let probed = self.probed().clone();
        let ready = probed.into_iter().filter(|(_, health)| is_ready(*health));
        self.balancer
            .set(ready.map(|(address, _)| address).collect());
    }

    fn probed(&self) -> std::sync::MutexGuard<'_, Vec<(SocketAddr, SocketAddr)>> {
        self.probed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Replica {
    /// What `/readyz` says.
    ///
    /// # Errors
    /// When nobody answers.
    pub(super) fn readiness(&self) -> Result<Answer, String> {
        plain_http::get(self.health, "/readyz").map_err(|error| error.to_string())
    }

    /// The memory that it has now, in KiB.
    pub(super) fn resident_kib(&self) -> u64 {
        self.process.resident_kib()
    }
}

fn is_ready(health: SocketAddr) -> bool {
    plain_http::get(health, "/readyz").is_ok_and(|answer| answer.status == 200)
}
