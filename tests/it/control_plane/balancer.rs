//! What a Service does: one address, and a replica behind it for each connection.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// A loopback balancer that copies bytes and knows nothing of TLS. Lives until
/// the test binary ends.
pub(crate) struct Balancer {
    pub(crate) address: SocketAddr,
    replicas: Arc<Mutex<Vec<SocketAddr>>>,
}

impl Balancer {
    /// One with nobody behind it.
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind a loopback port");
        let address = listener
            .local_addr()
            .expect("a bound listener has an address");
        let replicas = Arc::<Mutex<Vec<SocketAddr>>>::default();
        let shared = Arc::clone(&replicas);
        thread::spawn(move || {
            for (number, client) in listener.incoming().enumerate() {
                let replica = {
                    let replicas = shared.lock().unwrap_or_else(PoisonError::into_inner);
                    replicas.get(number % replicas.len().max(1)).copied()
                };
                let _: io::Result<()> = client.and_then(|client| connect(client, replica));
            }
        });
        Self { address, replicas }
    }

    /// Lets new connections go to these in turn.
    pub(crate) fn set(&self, replicas: Vec<SocketAddr>) {
        *self.replicas.lock().unwrap_or_else(PoisonError::into_inner) = replicas;
    }
}

fn connect(client: TcpStream, replica: Option<SocketAddr>) -> io::Result<()> {
    let Some(replica) = replica else {
        return Ok(());
    };
    let server = TcpStream::connect(replica)?;
    for (from, to) in [(client.try_clone()?, server.try_clone()?), (server, client)] {
        from.set_nodelay(true)?;
        thread::spawn(move || copy(&from, &to));
    }
    Ok(())
}

fn copy(mut from: &TcpStream, mut to: &TcpStream) {
    let _: io::Result<u64> = io::copy(&mut from, &mut to);
    let _: io::Result<()> = to.shutdown(Shutdown::Write);
}
