//! Child processes that never outlive the test binary.

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::wait::{DEADLINE, wait_for};
use super::workspace::Workspace;

/// Becomes the program, beside a shell that kills it by pid once the pipe at
/// descriptor 3 ends without a line. The kernel closes that pipe however the
/// test binary ends. A death signal of the parent would be tied to the thread
/// that spawned, and each test runs in a thread of its own.
const LEASH: &str = r#"exec 3<&0
{ read -r _ <&3 || kill -KILL $$; } >/dev/null 2>&1 &
exec "$@" 3<&- </dev/null"#;

/// How often a server is started again when another process took its port
/// between choosing and binding it.
const ATTEMPTS: usize = 5;

/// How many lines of a log a failure shows.
const TAIL: usize = 30;

/// A running program; killed when dropped and when the test binary ends.
pub(crate) struct Process {
    name: String,
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Process {
    /// Starts `program`; what it prints goes to `<name>.stdout` and
    /// `<name>.stderr` in the workspace.
    pub(crate) fn start(
        name: &str,
        program: &Path,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
        workspace: &Workspace,
    ) -> Self {
        let [stdout, stderr] =
            ["stdout", "stderr"].map(|stream| workspace.path(format!("{name}.{stream}")));
        let create = |path: &Path| File::create(path).expect("create a log file");
        let child = Command::new("sh")
            .args(["-c", LEASH, "sh"])
            .arg(program)
            .args(arguments)
            // etcd and keyguard take settings from the environment too.
            .env_clear()
            .envs(env::var_os("PATH").map(|path| ("PATH", path)))
            .stdin(Stdio::piped())
            .stdout(create(&stdout))
            .stderr(create(&stderr))
            .process_group(0)
            .spawn()
            .expect("start sh");
        Self {
            name: name.to_owned(),
            child,
            stdout,
            stderr,
        }
    }

    /// Waits until `probe` succeeds.
    ///
    /// # Errors
    /// The end of the log, when the process ended or [`DEADLINE`] passed.
    pub(crate) fn ready(&mut self, mut probe: impl FnMut() -> bool) -> Result<(), String> {
        let start = Instant::now();
        loop {
            let ready = probe();
            if let Some(status) = self.exited() {
                return Err(format!("{} ended: {status}\n{}", self.name, self.log()));
            }
            if ready {
                return Ok(());
            }
            if start.elapsed() > DEADLINE {
                let (name, log) = (&self.name, self.log());
                return Err(format!("{name} is not ready after {DEADLINE:?}\n{log}"));
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// The exit status, if it has ended.
    pub(crate) fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("wait for a child")
    }

    /// Waits until it has ended by itself.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let what = format!("the end of {}", self.name);
        wait_for(&what, || {
            self.exited().ok_or_else(|| "it still runs".to_owned())
        })
    }

    /// The process itself.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).expect("a pid is positive");
        kill(Pid::from_raw(pid), signal).expect("signal a child");
    }

    /// Stops it, and waits until none of its threads runs: the kernel takes its time.
    pub(crate) fn stop(&self) {
        self.signal(Signal::SIGSTOP);
        wait_for("a process that is stopped", || {
            let mut tasks = self.procfs().tasks().expect("it runs").flatten();
            let runs = tasks.find(|task| task.stat().is_ok_and(|stat| stat.state != 'T'));
            runs.map_or(Ok(()), |task| Err(format!("thread {} runs", task.tid)))
        });
    }

    /// The time that the kernel has given to it.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = self.procfs().stat().expect("it runs");
        let seconds = (stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64;
        Duration::from_secs_f64(seconds)
    }

    /// The memory that it has now without the program itself, in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = self.procfs().status().expect("it runs");
        status.rssanon.expect("the kernel tells it")
    }

    /// The most memory that it had, the program itself among it, in KiB.
    pub(crate) fn peak_kib(&self) -> u64 {
        let status = self.procfs().status().expect("it runs");
        status.vmhwm.expect("the kernel tells it")
    }

    fn procfs(&self) -> procfs::process::Process {
        let pid = i32::try_from(self.child.id()).expect("a pid is positive");
        procfs::process::Process::new(pid).expect("it runs")
    }

    /// What it has written to its standard output.
    pub(crate) fn stdout(&self) -> String {
        fs::read_to_string(&self.stdout).expect("read a log file")
    }

    /// What it has written to its standard error.
    pub(crate) fn stderr(&self) -> String {
        fs::read_to_string(&self.stderr).expect("read a log file")
    }

    /// The last lines of what it has written, for a failure's message.
    pub(crate) fn log(&self) -> String {
        [&self.stdout, &self.stderr]
            .iter()
            .flat_map(|path| {
                let text = fs::read(path).unwrap_or_default();
                let text = String::from_utf8_lossy(&text).into_owned();
                let lines: Vec<_> = text.lines().map(str::to_owned).collect();
                lines[lines.len().saturating_sub(TAIL)..].to_vec()
            })
            .map(|line| format!("  {}| {line}\n", self.name))
            .collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{}", self.log());
        }
        let _: io::Result<_> = self.child.kill();
        let _: io::Result<_> = self.child.wait();
        // The pid is free from here on: let the leash go before it kills
        // the process that gets it next.
        if let Some(mut leash) = self.child.stdin.take() {
            let _: io::Result<_> = leash.write_all(b"\n");
        }
    }
}

/// A loopback address whose port the kernel says is free now, and that this
/// test binary has not had before: a server that starts meanwhile is never
/// taken for another.
pub(crate) fn free_address() -> SocketAddr {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    loop {
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|listener| listener.local_addr())
            .expect("ask the kernel for a free port");
        let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
        if given.insert(address.port()) {
            return address;
        }
    }
}

/// Calls `start` again, which chooses other ports, while it fails because a
/// port was taken meanwhile.
pub(crate) fn start_on_free_ports<T>(mut start: impl FnMut() -> Result<T, String>) -> T {
    for _ in 1..ATTEMPTS {
        match start() {
            Ok(started) => return started,
            Err(log) if log.to_lowercase().contains("already in use") => {}
            Err(log) => panic!("{log}"),
        }
    }
    start().unwrap_or_else(|log| panic!("{log}"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    fn sleeper(workspace: &Workspace) -> Process {
        let script = "echo started; exec sleep 1000";
        let mut sleeper = Process::start("sleeper", Path::new("sh"), ["-c", script], workspace);
        let started = fs::canonicalize(&sleeper.stdout).expect("the log file is there");
        let is_running = || fs::read(&started).is_ok_and(|log| log == b"started\n");
        sleeper.ready(is_running).expect("sleep starts");
        sleeper
    }

    #[test]
    fn a_process_is_killed_when_the_pipe_to_it_closes_as_at_the_end_of_the_binary() {
        let workspace = Workspace::new();
        let mut process = sleeper(&workspace);
        drop(process.child.stdin.take());
        assert_eq!(process.wait().signal(), Some(Signal::SIGKILL as i32));
    }

    #[test]
    fn a_process_is_gone_when_it_has_been_dropped() {
        let workspace = Workspace::new();
        let process = sleeper(&workspace);
        let pid = Pid::from_raw(i32::try_from(process.child.id()).expect("a pid is positive"));
        drop(process);
        assert_eq!(kill(pid, None), Err(nix::errno::Errno::ESRCH));
    }

    #[test]
    fn a_process_that_ends_before_it_is_ready_shows_its_log() {
        let workspace = Workspace::new();
        let script = "echo no such flag >&2; exit 3";
        let mut process = Process::start("broken", Path::new("sh"), ["-c", script], &workspace);
        let error = process.ready(|| false).expect_err("it has ended");
        assert!(error.contains("exit status: 3"), "{error}");
        assert!(error.contains("broken| no such flag"), "{error}");
    }

    #[test]
    fn a_taken_port_makes_a_server_start_again_on_another() {
        let mut attempts = 0;
        let started = start_on_free_ports(|| {
            attempts += 1;
            let taken = "listen: Address already in use".to_owned();
            (attempts == 3).then_some(attempts).ok_or(taken)
        });
        assert_eq!(started, 3);
    }
}
