//! Asks as kube-apiserver does: over TLS, with the CA of the webhook configuration.

use std::fmt::Display;
use std::net::SocketAddr;
use std::path::Path;

use hyper::Request;
use kube::{Client, Config};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;

use crate::commands::CommandError;
use crate::commands::demo::examples::Example;

#[derive(Deserialize)]
struct Reply {
    response: Answer,
}

/// What the server said.
#[derive(Deserialize)]
pub(crate) struct Answer {
    allowed: bool,
    #[serde(default)]
    status: Option<Status>,
    #[serde(default)]
    warnings: Vec<String>,
}

#[derive(Deserialize)]
struct Status {
    message: String,
}

impl Answer {
    /// The verdict in a word.
    pub(crate) fn verdict(&self) -> &'static str {
        match (self.allowed, self.warnings.is_empty()) {
            (false, _) => "refused",
            (true, false) => "warned",
            (true, true) => "allowed",
        }
    }

    /// What kubectl prints.
    pub(crate) fn message(&self) -> String {
        match &self.status {
            Some(status) => status.message.clone(),
            None => self.warnings.join("\n"),
        }
    }
}

/// Sends every example to a server that only `authority` can vouch for, and gives the answers.
pub(crate) async fn ask(
    examples: &[Example],
    address: SocketAddr,
    authority: &Path,
) -> Result<Vec<Answer>, CommandError> {
    let authority = CertificateDer::from_pem_file(authority).map_err(because)?;
    let mut config = Config::new(format!("https://{address}").parse().map_err(because)?);
    config.root_cert = Some(vec![authority.to_vec()]);
    let client = Client::try_from(config).map_err(because)?;
    let mut answers = Vec::with_capacity(examples.len());
    for example in examples {
        let request = Request::post("/validate?timeout=5s")
            .header("content-type", "application/json")
            .body(example.review.to_string().into_bytes())
            .map_err(because)?;
        let reply: Reply = client.request(request).await.map_err(because)?;
        answers.push(reply.response);
    }
    Ok(answers)
}

fn because(error: impl Display) -> CommandError {
    CommandError::Said(format!(
        "the demonstration's server gave no answer: {error}"
    ))
}
