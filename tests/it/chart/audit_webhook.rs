//! Records that are posted to somebody else, who may be away.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;
use sha2::Sha256;

use super::audit_installed::Installed;
use crate::control_plane::ControlPlane;
use crate::control_plane::certificates::Authority;
use crate::control_plane::wait::wait_for;
use crate::control_plane::workspace::Workspace;

const KEY: &str = "a-key-that-nobody-could-guess";

/// Who gets records, over TLS: the head and the body of each request.
struct Receiver {
    address: SocketAddr,
    got: Arc<Mutex<Vec<(String, String)>>>,
    /// What it answers.
    status: Arc<Mutex<&'static str>>,
    /// Beyond so many records it says that it is too much.
    most: Arc<AtomicUsize>,
    _workspace: Workspace,
    authority: String,
}

impl Receiver {
    fn new() -> Receiver {
        let workspace = Workspace::new();
        let authority = Authority::new(&workspace);
        let certificate = authority.issue(&["localhost"], &workspace);
        let chain = CertificateDer::pem_file_iter(&certificate.certificate).unwrap();
        let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
        let key = PrivateKeyDer::from_pem_file(&certificate.key).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let receiver = Receiver {
            address: listener.local_addr().unwrap(),
            got: Arc::default(),
            status: Arc::new(Mutex::new("200 OK")),
            most: Arc::new(AtomicUsize::new(usize::MAX)),
            authority: std::fs::read_to_string(&authority.certificate).unwrap(),
            _workspace: workspace,
        };
        let (got, status) = (Arc::clone(&receiver.got), Arc::clone(&receiver.status));
        let most = Arc::clone(&receiver.most);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let session = ServerConnection::new(Arc::clone(&config)).unwrap();
                let mut stream = StreamOwned::new(session, stream.unwrap());
                let Some(request) = request(&mut stream) else {
                    continue;
                };
                let body: Value = serde_json::from_str(&request.1).unwrap();
                let status = match body["records"].as_array().unwrap().len() {
                    many if many > most.load(Ordering::Relaxed) => "413 Content Too Large",
                    _ => *status.lock().unwrap(),
                };
                if status.starts_with("200") {
                    got.lock().unwrap().push(request);
                }
                let answer =
                    format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                let _gone = stream.write_all(answer.as_bytes());
            }
        });
        receiver
    }

    fn answer(&self, status: &'static str) {
        *self.status.lock().unwrap() = status;
    }

    /// The ids of all records that it got.
    fn ids(&self) -> Vec<String> {
        let got = self.got.lock().unwrap();
        let bodies = got
            .iter()
            .map(|(_, body)| serde_json::from_str(body).unwrap());
        let records = bodies.flat_map(|body: Value| body["records"].as_array().unwrap().clone());
        records
            .map(|it| it["id"].as_str().unwrap().to_owned())
            .collect()
    }
}

fn request(stream: &mut impl std::io::Read) -> Option<(String, String)> {
    let mut read = Vec::new();
    loop {
        let mut some = [0; 4096];
        match stream.read(&mut some) {
            Ok(count) if count > 0 => read.extend_from_slice(&some[..count]),
            _ => return None,
        }
        let text = String::from_utf8_lossy(&read).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        if body.len() >= header(head, "content-length").parse::<usize>().unwrap() {
            return Some((head.to_owned(), body.to_owned()));
        }
    }
}

fn header<'a>(head: &'a str, name: &str) -> &'a str {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    let found = lines.find(|(of, _)| of.eq_ignore_ascii_case(name));
    found.map_or("", |(_, value)| value)
}

#[test]
fn what_is_refused_is_posted_signed_once_also_after_the_other_end_was_away() {
    let receiver = Receiver::new();
    let plane = ControlPlane::bare();
    let url = format!(
        "https://localhost:{}/a-secret-path",
        receiver.address.port()
    );
    let installed = Installed::with(&plane, &["audit.webhook.secretName=pager"], |kubectl| {
        let literals = [
            format!("--from-literal=url={url}"),
            format!("--from-literal=key={KEY}"),
            format!("--from-literal=ca.crt={}", receiver.authority),
        ];
        let create = ["create", "secret", "generic", "pager"].map(str::to_owned);
        kubectl.run(create.into_iter().chain(literals)).expect_ok();
    });
    installed.refused();
    installed.await_refusals(1);
    let posted = |count: usize| {
        wait_for("what is posted", || {
            let ids = receiver.ids();
            (ids.len() == count)
                .then_some(())
                .ok_or_else(|| format!("{} of {count}", ids.len()))
        });
    };
    posted(1);
    receiver.answer("503 Service Unavailable");
    let refused = 1 + installed.refused_while_away();
    let records = installed.await_refusals(refused);
    let collector = installed.collector.as_ref().unwrap();
    wait_for("the failure in the log", || {
        let output = collector.output();
        let said = output.contains("the webhook does not take records; they wait in the store");
        said.then_some(()).ok_or(output)
    });
    assert_eq!(receiver.ids().len(), 1);
    // What it does not take together it takes in smaller parts.
    receiver.most.store(2, Ordering::Relaxed);
    receiver.answer("200 OK");
    posted(refused);
    let mut ids = receiver.ids();
    let mut stored: Vec<_> = records
        .iter()
        .map(|it| it["id"].as_str().unwrap().to_owned())
        .collect();
    ids.sort();
    stored.sort();
    assert_eq!(ids, stored);
    let sent = collector.sample("keyguard_collector_webhook_records_total{outcome=\"sent\"} ");
    assert_eq!(sent, Some(refused as f64));

    let got = receiver.got.lock().unwrap();
    for (head, body) in got.iter() {
        let signed = ["webhook-id", "webhook-timestamp"].map(|name| header(head, name));
        let mut signer = Hmac::<Sha256>::new_from_slice(KEY.as_bytes()).unwrap();
        signer.update([signed[0], ".", signed[1], ".", body].concat().as_bytes());
        let signature = format!("v1,{}", STANDARD.encode(signer.finalize().into_bytes()));
        assert_eq!(header(head, "webhook-signature"), signature);
    }
    let ids: BTreeSet<_> = got
        .iter()
        .map(|(head, _)| header(head, "webhook-id"))
        .collect();
    assert_eq!(ids.len(), got.len(), "each for other records");
    let first: Value = serde_json::from_str(&got[0].1).unwrap();
    let text = first["text"].as_str().unwrap();
    let expected = format!(
        "Refused: Change ConfigMap argocd-cm in {}, by alice",
        installed.namespace
    );
    assert!(text.starts_with(&expected), "{text}");
    for secret in [KEY, "a-secret-path"] {
        assert!(!collector.output().contains(secret));
    }
    println!(
        "{refused} refusals, all of them posted once, in {} posts",
        got.len()
    );
}
