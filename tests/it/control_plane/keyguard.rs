//! The real keyguard, started as its deployment starts it.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::LazyLock;

use nix::libc::O_NONBLOCK;
use nix::sys::signal::Signal;
use rcgen::CertificateParams;
use serde_json::Value;

use super::ControlPlane;
use super::certificates::Authority;
use super::mounted::Mounted;
use super::plain_http::{self, Answer};
use super::process::{Process, free_address, start_on_free_ports};
use super::wait::wait_for;
use super::workspace::Workspace;

/// `KEYGUARD_PROGRAM`, for figures and for the program of an image, or the one of this build.
pub(crate) fn program() -> PathBuf {
    std::env::var_os("KEYGUARD_PROGRAM").map_or_else(
        || PathBuf::from(env!("CARGO_BIN_EXE_keyguard")),
        PathBuf::from,
    )
}

/// What its certificate is valid for: a `url` on loopback, and the Service of
/// `deploy/manifests`.
const SUBJECTS: [&str; 3] = ["127.0.0.1", "localhost", "keyguard.keyguard.svc"];

/// The file in the mounted ConfigMap.
const CONFIG: &str = "config.yaml";

/// How a keyguard is started; the default is how it ships.
#[derive(Default)]
pub(crate) struct Options {
    /// Content of the file for `--config`.
    pub(crate) config: Option<String>,
    /// Where it reads Secrets and ConfigMaps.
    pub(crate) reads: Reads,
    /// Further arguments of `serve`.
    pub(crate) arguments: Vec<String>,
}

/// Where a keyguard reads Secrets and ConfigMaps.
#[derive(Default)]
pub(crate) enum Reads {
    /// From the control plane, as its own ServiceAccount.
    #[default]
    Plane,
    /// As this kubeconfig says.
    Kubeconfig(PathBuf),
    /// From this folder of manifests.
    State(PathBuf),
}

/// A running keyguard that is ready; ends when dropped.
pub(crate) struct Keyguard {
    process: Process,
    /// Where it answers reviews.
    pub(crate) address: SocketAddr,
    /// Where it tells how it is.
    pub(crate) health: SocketAddr,
    authority: Authority,
    tls: Mounted,
    config: Option<Mounted>,
    workspace: Workspace,
}

/// A keyguard that has ended by itself.
pub(crate) struct Attempt {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Keyguard {
    /// Starts one and waits until it is ready.
    pub(crate) fn start(plane: &ControlPlane, options: &Options) -> Self {
        let workspace = Workspace::new();
        let authority = Authority::new(&workspace);
        let tls = Mounted::new(workspace.path("tls"));
        put_certificate(&authority, &tls, &workspace, |_| {});
        let config = enforcing_dry_runs(options.config.as_deref().unwrap_or_default());
        let config = Some(mounted_config(&workspace, &config));
        let mut arguments = arguments(plane, options, &tls);
        arguments.extend(config_arguments(config.as_ref()));
        let (process, address, health) = start_on_free_ports(|| {
            let (address, health) = (free_address(), free_address());
            let listen = [
                format!("--listen={address}"),
                format!("--health-listen={health}"),
            ];
            let arguments = arguments.iter().chain(&listen);
            let mut process = Process::start("keyguard", &program(), arguments, &workspace);
            process.ready(|| {
                plain_http::get(health, "/readyz").is_ok_and(|answer| answer.status == 200)
            })?;
            Ok((process, address, health))
        });
        Self {
            process,
            address,
            health,
            authority,
            tls,
            config,
            workspace,
        }
    }

    /// Runs `keyguard serve` with arguments that it cannot start with.
    pub(crate) fn attempt(arguments: &[String]) -> Attempt {
        let workspace = Workspace::new();
        let arguments = ["serve".to_owned()].into_iter().chain(arguments.to_vec());
        let mut process = Process::start("keyguard", &program(), arguments, &workspace);
        Attempt {
            status: process.wait(),
            stdout: process.stdout(),
            stderr: process.stderr(),
        }
    }

    /// The certificate, PEM, of the authority that signed its own.
    pub(crate) fn authority(&self) -> &Path {
        &self.authority.certificate
    }

    /// The mounted Secret that its certificate and key are in.
    pub(crate) fn tls(&self) -> &Mounted {
        &self.tls
    }

    /// Issues its certificate again, as the keeper of the Secret does.
    pub(crate) fn reissue_certificate(&self) {
        self.reissue_certificate_with(|_| {});
    }

    /// As [`reissue_certificate`](Self::reissue_certificate), with something
    /// of it changed.
    pub(crate) fn reissue_certificate_with(&self, change: impl FnOnce(&mut CertificateParams)) {
        put_certificate(&self.authority, &self.tls, &self.workspace, change);
    }

    /// Exchanges its configuration, as a change of the mounted ConfigMap does.
    pub(crate) fn reconfigure(&self, text: &str) {
        let config = self.config.as_ref().expect("it was started with one");
        config.put(&[(CONFIG, enforcing_dry_runs(text).as_bytes())]);
    }

    /// Puts a pipe in the place of its configuration, and returns once it reads
    /// from it, for as long as the result is held.
    pub(crate) fn configure_by_a_pipe(&self) -> File {
        let path = self.config.as_ref().expect("it was started with one");
        let path = path.path(CONFIG);
        fs::remove_file(&path).expect("remove the file");
        let made = Command::new("mkfifo").arg(&path).status();
        assert!(made.expect("run mkfifo").success());
        wait_for("it to read from the pipe", || {
            let mut options = File::options();
            let options = options.write(true).custom_flags(O_NONBLOCK);
            options.open(&path).map_err(|error| error.to_string())
        })
    }

    /// Asks the health address, such as `/healthz`.
    pub(crate) fn ask(&self, path: &str) -> Answer {
        plain_http::get(self.health, path).unwrap_or_else(|error| panic!("GET {path}: {error}"))
    }

    /// The sum of all samples of a metric that have these labels.
    pub(crate) fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let metrics = self.ask("/metrics").body;
        let samples = metrics.lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let (found, rest) = series.split_once('{').unwrap_or((series, ""));
            let has =
                |(label, value): &(&str, &str)| rest.contains(&format!("{label}=\"{value}\""));
            (found == name && labels.iter().all(has)).then(|| value.parse::<f64>())
        });
        samples
            .map(|value| value.expect("a sample is a number"))
            .sum()
    }

    /// Everything that it has written so far.
    pub(crate) fn output(&self) -> String {
        self.process.stdout() + &self.process.stderr()
    }

    /// The JSON lines that it has logged so far. Each that is a decision is valid by the schema of records.
    pub(crate) fn log(&self) -> Vec<Value> {
        let lines = self.process.stdout();
        let lines = lines
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        lines.inspect(is_valid_if_it_is_a_record).collect()
    }

    /// The first logged line that is `wanted`.
    pub(crate) fn log_line(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        wait_for(&format!("the log line of {what}"), || {
            let mut lines = self.log().into_iter();
            lines.find(&wanted).ok_or_else(|| "not logged".to_owned())
        })
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The memory that it has now, in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        self.process.resident_kib()
    }

    /// Asks it to end, as the kubelet does.
    pub(crate) fn terminate(&self) {
        self.process.signal(Signal::SIGTERM);
    }

    /// Waits until it has ended by itself.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.process.wait()
    }

    /// What `keyguard webhook-config` prints for this keyguard, reached as
    /// `target` says: `--url=…` or `--service=…`.
    pub(crate) fn webhook_config(&self, target: &str) -> String {
        let output = Command::new(program())
            .args(["webhook-config", target, "--ca-bundle"])
            .arg(self.authority())
            .args(config_arguments(self.config.as_ref()))
            .output()
            .expect("run keyguard");
        let text = |bytes| String::from_utf8(bytes).expect("its output is text");
        assert!(
            output.status.success(),
            "webhook-config: {}",
            text(output.stderr)
        );
        text(output.stdout)
    }
}

fn is_valid_if_it_is_a_record(line: &Value) {
    static SCHEMA: LazyLock<jsonschema::Validator> = LazyLock::new(|| {
        let schema = include_str!("../../../docs/record.schema.json");
        let schema = serde_json::from_str(schema).expect("it is JSON");
        jsonschema::validator_for(&schema).expect("it is a schema")
    });
    if line["decision"].is_string() {
        let fault = SCHEMA.validate(line).err();
        assert!(fault.is_none(), "{fault:?}: {line}");
    }
}

/// The configuration with dry runs that are refused like any other request, unless it says what they are for: most tests
/// try a change by a dry run, so that it can be tried again.
pub(crate) fn enforcing_dry_runs(config: &str) -> String {
    match config.trim_start().strip_prefix('{') {
        _ if config.contains("dryRun") => config.to_owned(),
        Some(rest) if rest.trim_start().starts_with('}') => "{\"dryRun\": \"enforce\"}".to_owned(),
        Some(rest) => format!("{{\"dryRun\": \"enforce\", {rest}"),
        None => format!("dryRun: enforce\n{config}"),
    }
}

fn put_certificate(
    authority: &Authority,
    tls: &Mounted,
    workspace: &Workspace,
    change: impl FnOnce(&mut CertificateParams),
) {
    let issued = authority.issue_with(&SUBJECTS, workspace, change);
    let read = |path: &Path| std::fs::read(path).expect("it was just issued");
    tls.put(&[
        ("tls.crt", &read(&issued.certificate)),
        ("tls.key", &read(&issued.key)),
    ]);
}

fn arguments(plane: &ControlPlane, options: &Options, tls: &Mounted) -> Vec<String> {
    let cluster = match &options.reads {
        Reads::Plane => {
            let account = plane.kubeconfig_for_service_account("keyguard", "keyguard");
            format!("--kubeconfig={}", account.display())
        }
        Reads::Kubeconfig(path) => format!("--kubeconfig={}", path.display()),
        Reads::State(path) => format!("--state={}", path.display()),
    };
    let mut arguments = vec![
        "serve".to_owned(),
        format!("--tls-cert={}", tls.path("tls.crt").display()),
        format!("--tls-key={}", tls.path("tls.key").display()),
        cluster,
    ];
    arguments.extend_from_slice(&options.arguments);
    arguments
}

fn mounted_config(workspace: &Workspace, text: &str) -> Mounted {
    let config = Mounted::new(workspace.path("config"));
    config.put(&[(CONFIG, text.as_bytes())]);
    config
}

fn config_arguments(config: Option<&Mounted>) -> Option<String> {
    config.map(|config| format!("--config={}", config.path(CONFIG).display()))
}
