//! Just enough HTTP over TLS for what no kubectl shows: the whole answer of the
//! API server, and what keyguard says to something that is not the API server.

use std::fs;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;

use super::ControlPlane;
use super::certificates::ServerCertificate;
use super::keyguard::Keyguard;
use super::plain_http::{Answer, parse};
use super::wait::DEADLINE;

impl ControlPlane {
    /// Sends a request as one of the [`users`](super::users), such as
    /// `PATCH /api/v1/…`.
    pub(crate) fn ask(&self, user: &str, line: &str, media_type: &str, body: &str) -> Answer {
        let kubeconfig = fs::read(self.kubeconfig_for(user)).expect("read a kubeconfig");
        let kubeconfig: Value = serde_json::from_slice(&kubeconfig).expect("one of ours");
        let token = &kubeconfig["users"][0]["user"]["token"];
        let token = token.as_str().expect("each user has a token");
        let authorization = format!("Authorization: Bearer {token}\r\n");
        exchange(
            self.address(),
            &pem(&self.authority.certificate),
            &request(line, media_type, &authorization, body),
        )
        .unwrap_or_else(|error| panic!("{line}: {error}"))
    }
}

impl Keyguard {
    /// Posts a review as the API server does, or something that is none.
    pub(crate) fn post(&self, media_type: &str, body: &str) -> Answer {
        let line = "POST /validate?timeout=5s";
        exchange(
            self.address,
            &pem(self.authority()),
            &request(line, media_type, "", body),
        )
        .unwrap_or_else(|error| panic!("{line}: {error}"))
    }
}

/// Posts a review to a keyguard that these CA certificates, PEM, must verify.
///
/// # Errors
/// Whatever the connection says, such as that they do not.
pub(crate) fn post_review(address: SocketAddr, bundle: &[u8], body: &str) -> io::Result<Answer> {
    let request = request("POST /validate?timeout=5s", "application/json", "", body);
    exchange(address, bundle, &request)
}

fn pem(path: &Path) -> Vec<u8> {
    fs::read(path).expect("read a certificate")
}

/// As [`post_review`], with this certificate of the client's.
pub(crate) fn post_review_as(
    client: &ServerCertificate,
    address: SocketAddr,
    bundle: &[u8],
    body: &str,
) -> io::Result<Answer> {
    let request = request("POST /validate?timeout=5s", "application/json", "", body);
    let server = (address, ServerName::from(address.ip()));
    exchange_as(Some(client), server, bundle, &request)
}

/// Gets a path of `localhost`, with headers and perhaps a certificate of the client's.
///
/// # Errors
/// Whatever the connection says, such as that it wants another certificate.
pub(crate) fn get_with(
    client: Option<&ServerCertificate>,
    address: SocketAddr,
    bundle: &[u8],
    path: &str,
    headers: &str,
) -> io::Result<Answer> {
    let request = request(&format!("GET {path}"), "text/plain", headers, "");
    let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
    exchange_as(client, (address, name), bundle, &request)
}

/// Who is asked, as whom.
pub(crate) struct Asked<'a> {
    pub(crate) address: SocketAddr,
    /// The name that its certificate must be for.
    pub(crate) name: &'static str,
    /// The CA certificates that must verify it, PEM.
    pub(crate) authority: &'a [u8],
    /// None when it is empty.
    pub(crate) token: &'a str,
}

/// Sends a request with a token to anything that answers over TLS.
///
/// # Errors
/// Whatever the connection says.
pub(crate) fn ask_as(asked: &Asked<'_>, line: &str, body: &str) -> io::Result<Answer> {
    let authorization = match asked.token {
        "" => String::new(),
        token => format!("Authorization: Bearer {token}\r\n"),
    };
    let request = request(line, "application/json", &authorization, body);
    let name = ServerName::try_from(asked.name).map_err(io::Error::other)?;
    exchange_as(None, (asked.address, name), asked.authority, &request)
}

/// HTTP/1.0, to which no answer comes in chunks.
fn request(line: &str, media_type: &str, headers: &str, body: &str) -> String {
    format!(
        "{line} HTTP/1.0\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n{headers}Content-Type: {media_type}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn exchange(address: SocketAddr, bundle: &[u8], request: &str) -> io::Result<Answer> {
    exchange_as(
        None,
        (address, ServerName::from(address.ip())),
        bundle,
        request,
    )
}

fn exchange_as(
    client: Option<&ServerCertificate>,
    (address, name): (SocketAddr, ServerName<'static>),
    bundle: &[u8],
    request: &str,
) -> io::Result<Answer> {
    let mut roots = RootCertStore::empty();
    for authority in CertificateDer::pem_slice_iter(bundle) {
        let authority = authority.map_err(io::Error::other)?;
        roots.add(authority).map_err(io::Error::other)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots);
    let config = match client {
        Some(client) => {
            let chain = CertificateDer::pem_file_iter(&client.certificate);
            let chain = chain.and_then(Iterator::collect);
            let key = PrivateKeyDer::from_pem_file(&client.key).map_err(io::Error::other)?;
            config
                .with_client_auth_cert(chain.map_err(io::Error::other)?, key)
                .map_err(io::Error::other)?
        }
        None => config.with_no_client_auth(),
    };
    let session = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    let mut stream = StreamOwned::new(session, stream);
    // Who is answered before all is sent may find the rest unwanted.
    let sent = stream.write_all(request.as_bytes());
    let mut text = Vec::new();
    match stream.read_to_end(&mut text) {
        // Who closes without a farewell may still have said everything.
        Err(error) if error.kind() != ErrorKind::UnexpectedEof && text.is_empty() => {
            return Err(sent.err().unwrap_or(error));
        }
        _ => {}
    }
    let text = String::from_utf8_lossy(&text);
    parse(&text).ok_or_else(|| io::Error::other(format!("not an HTTP answer: {text}")))
}
