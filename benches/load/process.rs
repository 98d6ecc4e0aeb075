//! A server as a process of its own, so that its memory and CPU are its own too.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
    /// From exec to the first 200 of `/readyz`.
    #[allow(dead_code, reason = "not every measurement asks for it")]
    pub(crate) ready_after: Duration,
}

impl Process {
    pub(crate) fn keyguard(folder: &Path) -> Process {
        let (address, health) = (free_port(), free_port());
        // Another program, to compare two builds in one run.
        let other = std::env::var_os("KEYGUARD_PROGRAM");
        let program = other.unwrap_or_else(|| env!("CARGO_BIN_EXE_keyguard").into());
        let mut command = Command::new(program);
        command
            .arg("serve")
            .arg("--state")
            .arg(folder.join("state"));
        command.args(["--health-listen", &health.to_string()]);
        let config = folder.join("config.yaml");
        if config.exists() {
            command.arg("--config").arg(config);
        }
        Process::start(command, folder, address, Some(health))
    }

    #[allow(dead_code, reason = "not every measurement compares with it")]
    pub(crate) fn constant(folder: &Path, flags: &[&str]) -> Process {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg("constant-answer").args(flags);
        Process::start(command, folder, free_port(), None)
    }

    fn start(
        mut command: Command,
        folder: &Path,
        address: SocketAddr,
        health: Option<SocketAddr>,
    ) -> Process {
        let log = fs::File::create(folder.join("log")).unwrap();
        command
            .args(["--listen", &address.to_string(), "--tls-cert"])
            .arg(folder.join("tls.crt"));
        command
            .arg("--tls-key")
            .arg(folder.join("tls.key"))
            .stdout(Stdio::from(log));
        let started = Instant::now();
        let mut child = command.spawn().expect("the server starts");
        let ready = || match health {
            Some(health) => is_ready(health),
            None => TcpStream::connect(address).is_ok(),
        };
        while !ready() {
            assert!(
                child.try_wait().unwrap().is_none(),
                "the server ended before it was ready"
            );
            assert!(
                started.elapsed() < Duration::from_secs(10),
                "the server did not become ready"
            );
            std::thread::sleep(Duration::from_micros(200));
        }
        Process {
            child,
            address,
            ready_after: started.elapsed(),
        }
    }

    /// User and system time so far.
    #[allow(dead_code, reason = "not every measurement asks for it")]
    pub(crate) fn cpu(&self) -> Duration {
        let stat = self.procfs().stat().unwrap();
        let seconds = (stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64;
        Duration::from_secs_f64(seconds)
    }

    pub(crate) fn rss_megabytes(&self) -> f64 {
        self.procfs().status().unwrap().vmrss.unwrap() as f64 / 1024.0
    }

    fn procfs(&self) -> procfs::process::Process {
        procfs::process::Process::new(self.child.id().try_into().unwrap()).unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

fn is_ready(health: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(health) else {
        return false;
    };
    let _ =
        stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: keyguard\r\nConnection: close\r\n\r\n");
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer.starts_with("HTTP/1.1 200")
}
