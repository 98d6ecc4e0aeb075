//! Starts etcd and kube-apiserver on loopback ports that the kernel chose.

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use nix::sys::signal::Signal;
use rcgen::KeyPair;

use super::binaries::Binaries;
use super::certificates::Authority;
use super::kubectl::Client;
use super::process::{Process, free_address};
use super::users::{ADMIN, write_users};
use super::workspace::Workspace;

/// Writes are recorded, with what webhooks add to the record. Reads are not,
/// nor what the API server does by itself.
const AUDIT_POLICY: &str = "
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: None
    verbs: [get, list, watch]
  - level: None
    users: [system:apiserver]
  - level: Metadata
";

/// A running etcd.
pub(crate) struct Etcd {
    pub(crate) process: Process,
    url: String,
}

impl Etcd {
    /// Starts one and waits until it is ready.
    ///
    /// # Errors
    /// The end of its log.
    pub(crate) fn start(workspace: &Workspace) -> Result<Self, String> {
        let client = free_address();
        let (url, peer) = (
            format!("http://{client}"),
            format!("http://{}", free_address()),
        );
        let data = workspace.path("etcd").display().to_string();
        let process = Process::start(
            "etcd",
            &Binaries::shared().etcd,
            [
                &format!("--data-dir={data}"),
                &format!("--listen-client-urls={url}"),
                &format!("--advertise-client-urls={url}"),
                &format!("--listen-peer-urls={peer}"),
                &format!("--initial-advertise-peer-urls={peer}"),
                &format!("--initial-cluster=default={peer}"),
                "--log-level=warn",
                // The data need not survive the machine.
                "--unsafe-no-fsync",
            ],
            workspace,
        );
        // The API server waits for etcd; what must be seen here is that the
        // ports were free.
        let mut etcd = Self { process, url };
        etcd.process.ready(|| TcpStream::connect(client).is_ok())?;
        Ok(etcd)
    }
}

/// A running kube-apiserver.
pub(crate) struct ApiServer {
    process: Mutex<Process>,
    arguments: Vec<String>,
    pub(crate) address: SocketAddr,
    pub(crate) audit_log: PathBuf,
}

impl ApiServer {
    /// Starts one, writes a kubeconfig for each user, and waits until
    /// `/readyz` says so.
    ///
    /// # Errors
    /// The end of its log.
    pub(crate) fn start(
        etcd: &Etcd,
        authority: &Authority,
        workspace: &Workspace,
    ) -> Result<Self, String> {
        let address = free_address();
        let server = format!("https://{address}");
        let tls = authority.issue(&["127.0.0.1", "localhost"], workspace);
        let tokens = write_users(&server, &authority.certificate, workspace);
        let signing = KeyPair::generate().expect("make a key");
        let audit_log = workspace.path("audit.log");
        let file = |flag: &str, path: &Path| format!("--{flag}={}", path.display());
        let arguments = [
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            &format!("--secure-port={}", address.port()),
            &format!("--etcd-servers={}", etcd.url),
            &file("cert-dir", &workspace.path("kube-apiserver")),
            &file("tls-cert-file", &tls.certificate),
            &file("tls-private-key-file", &tls.key),
            &file("token-auth-file", &tokens),
            "--authorization-mode=RBAC",
            "--service-account-issuer=https://kubernetes.default.svc",
            &file(
                "service-account-key-file",
                &workspace.write("service-account.pub", signing.public_key_pem()),
            ),
            &file(
                "service-account-signing-key-file",
                &workspace.write("service-account.key", signing.serialize_pem()),
            ),
            // No controller makes the ServiceAccount that it would demand
            // of every Pod.
            "--disable-admission-plugins=ServiceAccount",
            "--service-cluster-ip-range=10.96.0.0/16",
            // An endpoint on loopback is not valid.
            "--endpoint-reconciler-type=none",
            &file(
                "audit-policy-file",
                &workspace.write("audit.yaml", AUDIT_POLICY),
            ),
            &file("audit-log-path", &audit_log),
        ];
        let arguments: Vec<_> = arguments.map(str::to_owned).into();
        Ok(Self {
            process: Mutex::new(launch(&arguments, address, workspace)?),
            arguments,
            address,
            audit_log,
        })
    }

    /// Ends it and starts it again where it was, with further arguments.
    pub(crate) fn restart(&self, further: &[String], workspace: &Workspace) {
        let mut process = self.process.lock().expect("no test has panicked here");
        process.signal(Signal::SIGTERM);
        process.wait();
        let arguments = [&self.arguments, further].concat();
        *process =
            launch(&arguments, self.address, workspace).unwrap_or_else(|log| panic!("{log}"));
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let process = self.process.lock().expect("no test has panicked here");
        process.signal(signal);
    }
}

/// Starts it and waits until `/readyz` says so.
fn launch(
    arguments: &[String],
    address: SocketAddr,
    workspace: &Workspace,
) -> Result<Process, String> {
    let binary = &Binaries::shared().kube_apiserver;
    let mut process = Process::start("kube-apiserver", binary, arguments, workspace);
    process.ready(|| {
        TcpStream::connect(address).is_ok()
            && Client::kubectl(workspace)
                .as_user(ADMIN)
                .run(["get", "--raw", "/readyz"])
                .status
                .success()
    })?;
    Ok(process)
}
