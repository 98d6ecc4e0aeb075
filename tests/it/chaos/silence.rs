//! Connections that send nothing, or not all of it.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use serde_json::{Value, json};

use super::client::{Protocol, tls};
use super::memory::Memory;
use crate::control_plane::keyguard::Keyguard;
use crate::control_plane::users::ALICE;
use crate::control_plane::wait::wait_for;
use crate::scenarios::guard::{Guard, Scene};
use crate::scenarios::objects::{argocd_cm, deployment, token_from};
use crate::scenarios::reviews::creation;
use crate::scenarios::said::refused_by;

const SILENT: usize = 2000;
const CUT: usize = 500;

fn runtime() -> Value {
    deployment("runtime", vec![token_from("missing", "token")])
}

/// Through the API server: it decides, and rightly.
fn decides(scene: &Scene) {
    let create = scene.send(["create", "--dry-run=server"], &runtime());
    refused_by(create, &["credentials/secret-missing"]);
    let good = argocd_cm(&json!({"accounts.admin": "apiKey"}));
    let create = ["create", "--dry-run=server", "-f", "-"];
    let alice = scene.user(ALICE).stdin(good.to_string());
    alice.run(create).expect_ok();
}

fn await_connections(keyguard: &Keyguard, what: &str, wanted: impl Fn(f64) -> bool) -> f64 {
    wait_for(what, || {
        let open = keyguard.metric("keyguard_connections", &[]);
        wanted(open).then_some(open).ok_or_else(|| open.to_string())
    })
}

#[test]
fn two_thousand_connections_that_send_nothing_keep_nobody_out() {
    let guard = Guard::configured("{}");
    let (keyguard, scene) = (&guard.keyguard, guard.scene("silent"));
    let review = creation(&scene.namespace, &runtime()).to_string();
    let memory = Memory::warmed_up(keyguard, &review);
    let started = Instant::now();
    let silent = silent(keyguard);
    let opened = started.elapsed();
    let open = keyguard.metric("keyguard_connections", &[]);
    let asked = Instant::now();
    assert_eq!(keyguard.post("application/json", &review).status, 200);
    let answered = asked.elapsed();
    decides(&scene);
    assert_eq!(keyguard.ask("/readyz").status, 200);
    drop(silent);
    await_connections(keyguard, "few connections", |open| open < 64.0);
    decides(&scene);
    println!(
        "{SILENT} silent connections, opened in {opened:.1?}, {open} of them kept at once: a review beside them \
         answered in {answered:.1?}; {}",
        memory.is_as_before()
    );
}

fn silent(keyguard: &Keyguard) -> Vec<TcpStream> {
    let connect = |_| TcpStream::connect(keyguard.address).expect("it listens");
    let silent = (0..SILENT).map(connect).collect();
    await_connections(keyguard, "many connections", |open| open >= 512.0);
    silent
}

#[test]
fn bodies_cut_in_the_middle_leave_nothing_behind() {
    let guard = Guard::configured("{}");
    let (keyguard, scene) = (&guard.keyguard, guard.scene("cut"));
    let review = creation(&scene.namespace, &runtime()).to_string();
    let memory = Memory::warmed_up(keyguard, &review);
    let incomplete = || {
        let labels = [("reason", "body-incomplete")];
        keyguard.metric("keyguard_requests_rejected_total", &labels)
    };
    let started = Instant::now();
    let mut cut = 0;
    for number in 0..CUT {
        cut += usize::from(cut_body(keyguard, keyguard.address, number).is_ok());
    }
    wait_for("nothing in flight", || {
        let in_flight = keyguard.metric("keyguard_requests_in_flight", &[]);
        (in_flight < 1.0)
            .then_some(())
            .ok_or_else(|| in_flight.to_string())
    });
    let took = started.elapsed();
    assert_eq!(cut, CUT);
    decides(&scene);
    println!(
        "{CUT} bodies cut in the middle within {took:.1?}, {} of them told as such; {}",
        incomplete(),
        memory.is_as_before()
    );
}

/// Sends a header and half of the body that it announces, and goes away: every other time without a farewell.
fn cut_body(keyguard: &Keyguard, address: SocketAddr, number: usize) -> std::io::Result<()> {
    let config = tls(keyguard.authority(), Protocol::Http1);
    let name = ServerName::try_from("localhost").expect("a name");
    let session = ClientConnection::new(config, name).map_err(std::io::Error::other)?;
    let mut stream = StreamOwned::new(session, TcpStream::connect(address)?);
    let half = "0".repeat(100_000);
    write!(
        stream,
        "POST /validate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 200000\r\n\r\n{half}"
    )?;
    stream.flush()?;
    if number.is_multiple_of(2) {
        stream.conn.send_close_notify();
        stream.flush()?;
    }
    Ok(())
}
