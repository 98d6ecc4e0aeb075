//! Runs the real kubectl and helm.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;

use super::binaries::Binaries;
use super::users::{ADMIN, kubeconfig_for};
use super::workspace::Workspace;

/// A command line client that is about to run, as [`ADMIN`] unless told
/// otherwise.
pub(crate) struct Client<'a> {
    program: &'static Path,
    arguments: Vec<String>,
    workspace: &'a Workspace,
    kubeconfig: Option<PathBuf>,
    stdin: String,
}

impl<'a> Client<'a> {
    /// kubectl, which gives up when a request takes a minute.
    pub(crate) fn kubectl(workspace: &'a Workspace) -> Self {
        let mut client = Self::new(&Binaries::shared().kubectl, workspace);
        client.arguments.push("--request-timeout=60s".to_owned());
        client
    }

    /// helm.
    pub(crate) fn helm(workspace: &'a Workspace) -> Self {
        Self::new(&Binaries::shared().helm, workspace)
    }

    fn new(program: &'static Path, workspace: &'a Workspace) -> Self {
        Self {
            program,
            arguments: Vec::new(),
            workspace,
            kubeconfig: None,
            stdin: String::new(),
        }
    }

    /// Speaks as one of the [`users`](super::users).
    #[expect(clippy::wrong_self_convention, reason = "it is said as whom to speak")]
    pub(crate) fn as_user(self, user: &str) -> Self {
        let kubeconfig = kubeconfig_for(user, self.workspace);
        self.with_kubeconfig(&kubeconfig)
    }

    /// Speaks as the user that the kubeconfig names, to the server that it says.
    pub(crate) fn with_kubeconfig(self, kubeconfig: &Path) -> Self {
        Self {
            kubeconfig: Some(kubeconfig.to_owned()),
            ..self
        }
    }

    pub(crate) fn namespace(mut self, namespace: &str) -> Self {
        self.arguments.push(format!("--namespace={namespace}"));
        self
    }

    /// What it reads when told `-f -`.
    pub(crate) fn stdin(self, text: impl Into<String>) -> Self {
        Self {
            stdin: text.into(),
            ..self
        }
    }

    /// Runs it to its end.
    #[must_use = "say what is expected of it"]
    pub(crate) fn run(self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Finished {
        let home = self.workspace.path("home");
        let mut command = Command::new(self.program);
        command
            .args(&self.arguments)
            .args(arguments)
            // Its caches and settings, not those of the person who tests.
            .env("HOME", &home)
            .env(
                "KUBECONFIG",
                self.kubeconfig
                    .unwrap_or_else(|| kubeconfig_for(ADMIN, self.workspace)),
            )
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let description = format!("{command:?}");
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", self.program.display()));
        let mut stdin = child.stdin.take().expect("standard input is a pipe");
        let output = thread::scope(|scope| {
            // It may end without having read everything.
            scope.spawn(move || stdin.write_all(self.stdin.as_bytes()).ok());
            child.wait_with_output().expect("wait for a child")
        });
        let text = |bytes| String::from_utf8(bytes).expect("its output is text");
        Finished {
            command: description,
            status: output.status,
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}

/// What a client that has ended said.
pub(crate) struct Finished {
    command: String,
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Finished {
    /// Expects success.
    pub(crate) fn expect_ok(self) -> Self {
        assert!(self.status.success(), "{}", self.describe());
        self
    }

    /// Expects that an admission webhook refused the change, and returns what
    /// the person reads.
    pub(crate) fn expect_refused(self) -> String {
        let stderr = self.stderr.as_str();
        let refused =
            stderr.contains("admission webhook \"") && stderr.contains("\" denied the request: ");
        assert!(
            refused && !self.status.success(),
            "not refused: {}",
            self.describe()
        );
        self.stderr
    }

    /// Expects a failure other than a refusal by an admission webhook, and
    /// returns what the person reads.
    pub(crate) fn expect_error(self) -> String {
        let refused = self.stderr.contains("denied the request: ");
        assert!(
            !refused && !self.status.success(),
            "no error: {}",
            self.describe()
        );
        self.stderr
    }

    /// The warnings that the API server sent along.
    pub(crate) fn warnings(&self) -> Vec<&str> {
        self.stderr
            .lines()
            .filter_map(|line| line.strip_prefix("Warning: "))
            .collect()
    }

    fn describe(&self) -> String {
        let Self {
            command,
            status,
            stdout,
            stderr,
        } = self;
        format!("{command}: {status}\n{stdout}{stderr}")
    }
}
