//! The limits to compare with: the same listener and TLS, every byte of the body read, nothing decided.
//!
//! Twice: with an answer that is always the same bytes, and with one that carries the uid of its request, as an API
//! server demands of every answer, for which the body must be parsed.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::routing::post;
use hyper_util::service::TowerToHyperService;
use keyguard::tls::certificate_files;
use keyguard::http::health::Draining;
use keyguard::http::listener::{Bound, Limits, Transport};
use keyguard::live::Live;
use keyguard::telemetry::metrics::Metrics;
use keyguard::tls::serving_certificate::ServingCertificate;
use serde::Deserialize;

const ANSWER: &str = r#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":"705ab4f5-6393-11e8-b7cc-42010a800002","allowed":true}}"#;

/// As little of a review as an answer needs.
#[derive(Deserialize)]
struct Review<'a> {
    #[serde(borrow)]
    request: Request<'a>,
}

#[derive(Deserialize)]
struct Request<'a> {
    uid: &'a str,
}

pub(crate) fn serve(arguments: &[String]) {
    let after = |flag: &str| {
        let at = arguments
            .iter()
            .position(|argument| argument == flag)
            .unwrap();
        arguments[at + 1].clone()
    };
    let address: SocketAddr = after("--listen").parse().unwrap();
    let (certificate, key) = (after("--tls-cert"), after("--tls-key"));
    let certificate = certificate_files::load(Path::new(&certificate), Path::new(&key)).unwrap();
    let certificate = ServingCertificate::of_files(certificate).unwrap();
    let router = if arguments.iter().any(|argument| argument == "--echo-uid") {
        Router::new().route("/validate", post(echo))
    } else {
        Router::new().route("/validate", post(answer))
    };
    let transport = Transport::Tls {
        config: certificate.server_config(),
        metrics: Arc::new(Metrics::new()),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let bound = Bound::bind("--listen", address).await.unwrap();
        bound
            .serve(
                transport,
                TowerToHyperService::new(router),
                Arc::new(Live::new(Limits::default())),
                Draining::default(),
                std::future::pending(),
            )
            .await;
    });
}

async fn answer(body: Bytes) -> ([(axum::http::HeaderName, &'static str); 1], &'static str) {
    assert!(!body.is_empty());
    ([(CONTENT_TYPE, "application/json")], ANSWER)
}

async fn echo(body: Bytes) -> ([(axum::http::HeaderName, &'static str); 1], String) {
    let review: Review<'_> = serde_json::from_slice(&body).unwrap();
    let answer = format!(
        r#"{{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{{"uid":"{}","allowed":true}}}}"#,
        review.request.uid
    );
    ([(CONTENT_TYPE, "application/json")], answer)
}
