//! The limits to compare with: plain hyper on the same TLS, every byte of the body read, nothing decided.
//!
//! Twice: with an answer that is always the same bytes, and with one that carries the uid of its request, as an API
//! server demands of every answer, for which the body must be parsed.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request as HttpRequest, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use keyguard::tls::certificate_files;
use keyguard::tls::serving_certificate::ServingCertificate;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

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
    let certificate = Arc::new(ServingCertificate::of_files(certificate));
    let with_uid = arguments.iter().any(|argument| argument == "--echo-uid");
    let acceptor = TlsAcceptor::from(certificate.server_config(None).unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind(address).await.unwrap();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // One that only looks whether the port is open shakes no hands.
                let Ok(stream) = acceptor.accept(stream).await else {
                    return;
                };
                let service = service_fn(move |request| answer(request, with_uid));
                let http = auto::Builder::new(TokioExecutor::new());
                let _ = http.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
}

async fn answer(
    request: HttpRequest<Incoming>,
    with_uid: bool,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = request.into_body().collect().await.unwrap().to_bytes();
    assert!(!body.is_empty());
    let answer = match with_uid {
        false => Bytes::from_static(ANSWER.as_bytes()),
        true => {
            let review: Review<'_> = serde_json::from_slice(&body).unwrap();
            let uid = review.request.uid;
            format!(
                r#"{{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{{"uid":"{uid}","allowed":true}}}}"#
            )
            .into()
        }
    };
    let mut response = Response::new(Full::new(answer));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    Ok(response)
}
