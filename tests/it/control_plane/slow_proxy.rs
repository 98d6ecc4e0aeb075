//! A proxy in front of the API server that can make its answers late.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::ControlPlane;
use super::users::redirect_kubeconfig;

/// What happens to the API server's answers. Requests always reach it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// They pass at once.
    Pass,
    /// Each read of at most 16 KiB is held for this long. A TLS handshake
    /// is an answer too: a new connection is late at least twice.
    Delay(Duration),
    /// They are held until the pace changes.
    Stall,
    /// The connection is closed in their place.
    Cut,
}

/// A loopback proxy that copies bytes and knows nothing of TLS: its user
/// sees the API server's own certificate. Lives until the test binary ends.
pub(crate) struct SlowProxy {
    address: SocketAddr,
    gate: Arc<Gate>,
}

impl SlowProxy {
    /// Starts a proxy that lets everything pass.
    pub(crate) fn in_front_of(plane: &ControlPlane) -> Self {
        let server = plane.address();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind a loopback port");
        let address = listener
            .local_addr()
            .expect("a bound listener has an address");
        let gate = Arc::new(Gate::default());
        let shared = Arc::clone(&gate);
        thread::spawn(move || {
            for client in listener.incoming() {
                // A client that is gone again, or an API server that is.
                let _: io::Result<()> =
                    client.and_then(|client| connect(client, server, Arc::clone(&shared)));
            }
        });
        Self { address, gate }
    }

    /// A copy of a kubeconfig that goes through this proxy.
    pub(crate) fn kubeconfig(&self, original: &Path) -> PathBuf {
        let copy = original.with_extension(format!("{}.kubeconfig", self.address.port()));
        redirect_kubeconfig(original, &format!("https://{}", self.address), &copy);
        copy
    }

    /// Changes the pace, also for answers that are being held.
    pub(crate) fn set_pace(&self, pace: Pace) {
        self.gate.lock().pace = pace;
        self.gate.changed.notify_all();
    }

    /// How many answers are being held now.
    pub(crate) fn held(&self) -> usize {
        self.gate.lock().held
    }
}

struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    pace: Pace,
    held: usize,
}

impl Default for Gate {
    fn default() -> Self {
        let state = State {
            pace: Pace::Pass,
            held: 0,
        };
        Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }
}

impl Gate {
    /// Holds the caller as long as the pace demands, and then says it.
    fn hold(&self) -> Pace {
        let mut state = self.lock();
        let pace = state.pace;
        let limit = match pace {
            Pace::Pass | Pace::Cut => return pace,
            Pace::Delay(limit) => limit,
            Pace::Stall => Duration::MAX,
        };
        state.held += 1;
        let same = |state: &mut State| state.pace == pace;
        let (mut state, _) = self
            .changed
            .wait_timeout_while(state, limit, same)
            .unwrap_or_else(PoisonError::into_inner);
        state.held -= 1;
        state.pace
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Copies in both directions, in two threads, until one side closes.
fn connect(mut client: TcpStream, server: SocketAddr, gate: Arc<Gate>) -> io::Result<()> {
    let mut server = TcpStream::connect(server)?;
    let (mut answers, mut requests) = (server.try_clone()?, client.try_clone()?);
    thread::spawn(move || {
        let _: io::Result<u64> = io::copy(&mut requests, &mut server);
        server.shutdown(Shutdown::Both)
    });
    thread::spawn(move || {
        let _: io::Result<()> = copy_slowly(&mut answers, &mut client, &gate);
        client.shutdown(Shutdown::Both)
    });
    Ok(())
}

fn copy_slowly(from: &mut TcpStream, to: &mut TcpStream, gate: &Gate) -> io::Result<()> {
    let mut buffer = [0; 16 * 1024];
    loop {
        let length = from.read(&mut buffer)?;
        if length == 0 || gate.hold() == Pace::Cut {
            return Ok(());
        }
        to.write_all(&buffer[..length])?;
    }
}
