//! The real `keyguard scan --every`.

use std::net::SocketAddr;
use std::path::Path;

use nix::sys::signal::Signal;

use super::keyguard::program;
use super::plain_http;
use super::process::{Process, free_address, start_on_free_ports};
use super::wait::wait_for;
use super::workspace::Workspace;

/// A running scan; ends when dropped.
pub(crate) struct Scanner {
    process: Process,
    address: SocketAddr,
    _workspace: Workspace,
}

impl Scanner {
    /// Starts one over a cluster with this configuration and further arguments, and waits until it is ready.
    pub(crate) fn start(kubeconfig: &Path, config: &str, arguments: &[String]) -> Scanner {
        let cluster = format!("--kubeconfig={}", kubeconfig.display());
        Self::over(cluster, config, arguments)
    }

    /// The same over what the argument `cluster` says.
    pub(crate) fn over(cluster: String, config: &str, arguments: &[String]) -> Scanner {
        let workspace = Workspace::new();
        let config = workspace.write("config.yaml", config);
        let (process, address) = start_on_free_ports(|| {
            let address = free_address();
            let own = [
                "scan".to_owned(),
                format!("--listen={address}"),
                cluster.clone(),
                format!("--config={}", config.display()),
            ];
            let arguments = own.iter().chain(arguments);
            let mut process = Process::start("scan", &program(), arguments, &workspace);
            let ready =
                || plain_http::get(address, "/readyz").is_ok_and(|answer| answer.status == 200);
            process.ready(ready)?;
            Ok((process, address))
        });
        Scanner {
            process,
            address,
            _workspace: workspace,
        }
    }

    /// Its metrics.
    pub(crate) fn metrics(&self) -> String {
        let answer = plain_http::get(self.address, "/metrics");
        answer.expect("it answers").body
    }

    /// The sample of a series, as it is written.
    pub(crate) fn sample(&self, series: &str) -> Option<f64> {
        let metrics = self.metrics();
        let mut lines = metrics.lines();
        let value = lines.find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.map(|value| value.parse().expect("a sample is a number"))
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        self.process.stdout()
    }

    /// The first line of its log that has `part`. A thread of its own writes the log, so that a line may come after
    /// the metrics that tell the same.
    pub(crate) fn log_line(&self, part: &str) -> String {
        wait_for(&format!("the log line with {part:?}"), || {
            let log = self.log();
            let line = log.lines().find(|line| line.contains(part));
            line.map(str::to_owned).ok_or(log)
        })
    }

    /// The most memory that it had, in KiB.
    pub(crate) fn peak_kib(&self) -> u64 {
        self.process.peak_kib()
    }

    /// The time that the kernel has given to it.
    pub(crate) fn cpu(&self) -> std::time::Duration {
        self.process.cpu()
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn end(mut self) {
        self.process.signal(Signal::SIGTERM);
        assert!(self.process.wait().success(), "{}", self.process.log());
    }
}
