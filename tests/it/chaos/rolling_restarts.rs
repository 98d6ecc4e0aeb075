//! Rolling restarts under load.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use axum::body::Bytes;
use futures_util::future::join_all;
use hyper::StatusCode;
use rustls::ClientConfig;

use super::client::{Connection, Protocol, Sent, tls};
use super::replicas::Service;
use crate::scenarios::objects::{deployment, secret, token_from};
use crate::scenarios::reviews::creation;
use crate::scenarios::tokens::Token;

/// Admissions, at least, over each protocol.
const ADMISSIONS: usize = 20_000;
/// Replicas that are exchanged, at least, meanwhile.
const RESTARTS: usize = 4;
const NAMESPACE: &str = "gitops";
const CONFIG: &str = "timeouts: {drainGrace: 1s}";

#[test]
fn rolling_restarts_of_two_replicas_fail_no_admission_over_http_1() {
    let figures = rolling_restarts(Protocol::Http1, 16, 1);
    assert_eq!(figures.failed, Vec::<String>::new());
}

#[test]
fn rolling_restarts_of_two_replicas_fail_no_admission_over_http_2() {
    let figures = rolling_restarts(Protocol::Http2, 4, 8);
    assert_eq!(figures.failed, Vec::<String>::new());
}

/// What came of it.
#[derive(Debug, Default)]
struct Figures {
    admitted: AtomicUsize,
    refused: AtomicUsize,
    connections: AtomicUsize,
    restarts: usize,
    failed: Vec<String>,
}

fn rolling_restarts(protocol: Protocol, connections: usize, at_once: usize) -> Figures {
    let token = Token::api_key("admin").text();
    let mut good = secret("good", "token", token);
    good["metadata"]["namespace"] = NAMESPACE.into();
    let service = Service::new(CONFIG, &good.to_string());
    let mut replicas = vec![service.start(), service.start()];
    let (done, enough) = (AtomicBool::new(false), AtomicBool::new(false));
    let load = Load {
        address: service.address(),
        tls: tls(&service.authority, protocol),
        protocol,
        reviews: ["good", "missing"].map(|secret| {
            let object = deployment("runtime", vec![token_from(secret, "token")]);
            creation(NAMESPACE, &object).to_string().into()
        }),
        enough: &enough,
        figures: Figures::default(),
        failed: RefCell::default(),
    };
    let started = Instant::now();
    let mut figures = thread::scope(|scope| {
        scope.spawn(|| service.follow_readiness(&done));
        let restarts = scope.spawn(|| {
            let mut restarts = 0;
            while restarts < RESTARTS || !enough.load(Ordering::Relaxed) {
                // maxSurge 1, maxUnavailable 0: first the new one, then the old one's end.
                replicas.push(service.start());
                service.end(replicas.remove(0));
                restarts += 1;
            }
            done.store(true, Ordering::Relaxed);
            restarts
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let end = || done.load(Ordering::Relaxed);
        let figures = runtime.block_on(load.run(connections, at_once, end));
        let restarts = restarts.join().expect("it has not panicked");
        Figures {
            restarts,
            ..figures
        }
    });
    let (admitted, refused) = (
        figures.admitted.load(Ordering::Relaxed),
        figures.refused.load(Ordering::Relaxed),
    );
    println!(
        "{protocol:?}: {} admissions, {} failed, {admitted} allowed, {refused} refused, {} restarts, {} connections, \
         {:.1?}",
        admitted + refused + figures.failed.len(),
        figures.failed.len(),
        figures.restarts,
        figures.connections.load(Ordering::Relaxed),
        started.elapsed(),
    );
    assert!(admitted + refused >= ADMISSIONS);
    figures.failed.truncate(5);
    figures
}

struct Load<'a> {
    address: SocketAddr,
    tls: Arc<ClientConfig>,
    protocol: Protocol,
    /// One that must be allowed, and one that must not.
    reviews: [Bytes; 2],
    enough: &'a AtomicBool,
    figures: Figures,
    failed: RefCell<Vec<String>>,
}

impl Load<'_> {
    async fn run(mut self, connections: usize, at_once: usize, end: impl Fn() -> bool) -> Figures {
        let (load, end) = (&self, &end);
        join_all((0..connections).map(|_| async move {
            while !end() {
                match Connection::open(load.address, Arc::clone(&load.tls), load.protocol).await {
                    Ok(connection) => {
                        load.figures.connections.fetch_add(1, Ordering::Relaxed);
                        load.use_up(connection, at_once, end).await;
                    }
                    Err(error) => load.failed.borrow_mut().push(error),
                }
            }
        }))
        .await;
        self.figures.failed = self.failed.take();
        self.figures
    }

    /// Asks again and again on one connection, so many at once, until it is not to be used any more.
    async fn use_up(&self, connection: Connection, at_once: usize, end: &impl Fn() -> bool) {
        let mut asking = Vec::new();
        for _ in 1..at_once {
            asking.push(connection.clone());
        }
        asking.push(connection);
        let asking = asking.into_iter().map(|mut connection| async move {
            let mut number = 0;
            while !end() && self.ask(&mut connection, number).await {
                number += 1;
            }
        });
        join_all(asking).await;
    }

    /// Asks once; tells whether the connection may be used again.
    async fn ask(&self, connection: &mut Connection, number: usize) -> bool {
        let bad = number % 2;
        match connection.review(self.reviews[bad].clone()).await {
            Ok(Sent::Answered(status, body, keep)) => {
                let (wanted, counter) = match bad {
                    0 => (&br#""allowed":true"#[..], &self.figures.admitted),
                    _ => (&b"[credentials/secret-missing]"[..], &self.figures.refused),
                };
                if status == StatusCode::OK && contains(&body, wanted) {
                    counter.fetch_add(1, Ordering::Relaxed);
                } else {
                    let body = String::from_utf8_lossy(&body);
                    self.failed.borrow_mut().push(format!("{status}: {body}"));
                }
                let answered = self.figures.admitted.load(Ordering::Relaxed)
                    + self.figures.refused.load(Ordering::Relaxed);
                if answered >= ADMISSIONS {
                    self.enough.store(true, Ordering::Relaxed);
                }
                keep
            }
            Ok(Sent::NotSent) => false,
            Err(error) => {
                self.failed.borrow_mut().push(error);
                false
            }
        }
    }
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}
