//! A release with a collector, and who reads what it has.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::install::argocd;
use super::pod::Pod;
use super::release::Release;
use crate::control_plane::ControlPlane;
use crate::control_plane::balancer::Balancer;
use crate::control_plane::kubectl::{Client, Finished};
use crate::control_plane::tls_http::{Asked, ask_as};
use crate::control_plane::users::ALICE;
use crate::control_plane::wait::wait_for;
use crate::control_plane::workspace::Workspace;
use crate::scenarios::audit_trail::{FSCK, fsck_is_content};

/// The names by which the test's own pods are reached; the chart's are those of Services.
pub(super) const LOCAL: [&str; 2] = ["--tls-dns-name=localhost", "--tls-dns-name=127.0.0.1"];

pub(super) const REPLICAS: [&str; 2] = ["keyguard-one", "keyguard-two"];
/// The store, on the volume of the collector.
pub(super) const STORE: &str = "store/audit.db";

/// For how many seconds the collector, or its database, is away at least.
const AWAY: &str = "KEYGUARD_AWAY";

/// A release with a collector, behind an address that stays.
pub(super) struct Installed<'a> {
    pub(super) plane: &'a ControlPlane,
    pub(super) release: Release<'a>,
    pub(super) namespace: String,
    pub(super) collector: Option<Pod>,
    pub(super) service: Balancer,
    pub(super) reader: TempDir,
}

impl<'a> Installed<'a> {
    pub(super) fn new(plane: &'a ControlPlane, values: &[&str]) -> Installed<'a> {
        Self::with(plane, values, |_| ())
    }

    /// The same, with what must be there before the pods start.
    pub(super) fn with(
        plane: &'a ControlPlane,
        values: &[&str],
        before: impl FnOnce(Client<'_>),
    ) -> Installed<'a> {
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
        before(installed.release.kubectl());
        for name in REPLICAS {
            installed.start_replica(name, Workspace::new());
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
    pub(super) fn start_replica(&mut self, name: &str, volumes: Workspace) {
        let mut spec =
            self.release.get("deployment", "keyguard")["spec"]["template"]["spec"].clone();
        let address = format!("https://localhost:{}", self.service.address.port());
        for argument in spec["containers"][0]["args"].as_array_mut().unwrap() {
            let text = argument.as_str().unwrap();
            *argument = text
                .replace("https://keyguard-audit.keyguard.svc:8443", &address)
                .into();
        }
        let pod = Pod::start_named(&self.release, &spec, Some(name), volumes, &LOCAL);
        self.release.pods.push(pod);
    }

    pub(super) fn start_collector(&mut self, volumes: Workspace) {
        let set = self.release.get("statefulset", "keyguard-audit");
        let spec = &set["spec"]["template"]["spec"];
        let mut pod = Pod::start_named(&self.release, spec, Some("keyguard-audit-0"), volumes, &[]);
        pod.await_ready();
        self.service.set(vec![pod.address]);
        self.collector = Some(pod);
    }

    /// Kills the collector; what is on its volume.
    pub(super) fn kill_collector(&mut self) -> Workspace {
        self.service.set(Vec::new());
        self.collector.take().unwrap().kill()
    }

    pub(super) fn sync(&self) {
        self.release
            .pods
            .iter()
            .for_each(|pod| pod.sync(&self.release));
    }

    /// An account that may read, its token, and the CA.
    pub(super) fn let_read(&self) {
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

    pub(super) fn token_of(&self, account: &str, audience: &str) -> String {
        let audience = format!("--audience={audience}");
        let issued = self
            .release
            .kubectl()
            .run(["create", "token", account, &audience]);
        issued.expect_ok().stdout.trim().to_owned()
    }

    pub(super) fn authority(&self) -> String {
        let pod = self.release.pods.first().unwrap();
        fs::read_to_string(pod.path("audit-ca/ca.crt")).unwrap()
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.reader.path().join(name)
    }

    /// A change that is refused.
    pub(super) fn refused(&self) {
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

    /// Twenty changes that are refused, and more for as many seconds as are wanted; how many.
    pub(super) fn refused_while_away(&self) -> usize {
        let seconds = std::env::var(AWAY).map_or(0, |seconds| seconds.parse().unwrap());
        let (start, away) = (Instant::now(), Duration::from_secs(seconds));
        (0..)
            .take_while(|&refused| refused < 20 || start.elapsed() < away)
            .inspect(|_| self.refused())
            .count()
    }

    /// What the collector has of the namespace, asked over HTTPS.
    pub(super) fn records(&self, arguments: &[&str]) -> Result<Vec<Value>, String> {
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
            .args(self.reading())
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
    pub(super) fn await_refusals(&self, count: usize) -> Vec<Value> {
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
    pub(super) fn store(&self) -> PathBuf {
        self.collector.as_ref().unwrap().path(STORE)
    }

    /// What the checker of another project says of the log, over HTTPS.
    pub(super) fn checked_by_fsck(&self) {
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
            .args(["run", FSCK, "--ui=false"])
            .arg(format!("--storage_url={address}/log/{week}"))
            .arg(format!("--bearer_token={}", asked.token))
            .arg(format!("--public_key={}", self.file("key.pub").display()))
            .output()
            .expect("go is there");
        fsck_is_content(&output);
        // The same as files, as somebody gets it who has no token.
        let folder = tempfile::tempdir().unwrap();
        let exported = Command::new(env!("CARGO_BIN_EXE_keyguard"))
            .args(["audit", "export", "--server", &address, "--tiles"])
            .arg(folder.path())
            .args(self.reading())
            .output()
            .unwrap();
        assert!(exported.status.success(), "{exported:?}");
        let output = Command::new("go")
            .args(["run", FSCK, "--ui=false"])
            .arg(format!("--storage_url=file://{}", folder.path().display()))
            .arg(format!("--public_key={}", self.file("key.pub").display()))
            .output()
            .expect("go is there");
        fsck_is_content(&output);
    }

    /// The arguments of who reads.
    fn reading(&self) -> [String; 2] {
        [
            format!("--ca={}", self.file("ca.crt").display()),
            format!("--token-file={}", self.file("token").display()),
        ]
    }

    /// What `keyguard audit verify` says of the store on a volume, which must be whole.
    pub(super) fn verified(&self, store: &Path) -> String {
        self.verified_at(&format!("sqlite:{}", store.display()))
    }

    /// The same of a store at any address, which only the environment tells.
    pub(super) fn verified_at(&self, store: &str) -> String {
        let key = self.release.get("secret", "keyguard-audit")["data"]["log.key"].clone();
        let key = {
            use base64::Engine as _;
            let text = key.as_str().unwrap();
            base64::engine::general_purpose::STANDARD
                .decode(text)
                .unwrap()
        };
        fs::write(self.file("log.key"), key).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_keyguard"))
            .env("KEYGUARD_AUDIT_STORE", store)
            .args(["audit", "verify", "--key"])
            .arg(self.file("log.key"))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let why = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{said}{why}");
        said
    }
}
