//! Records for chats, pagers and whatever else takes an HTTPS POST, signed.
//!
//! Source: Standard Webhooks (the headers `webhook-id`, `webhook-timestamp` and `webhook-signature`).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::CONTENT_TYPE;
use hyper::{Request, StatusCode, Uri};
use keyguard_audit::entry::milliseconds;
use keyguard_audit::follower::Follower;
use keyguard_audit::query::Found;
use keyguard_audit::store::{Store, StoreError};
use rustls::RootCertStore;
use serde_json::{Value, json};
use sha2::Sha256;
use thiserror::Error;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use zeroize::Zeroizing;

use super::client::{Https, https, roots};
use super::following::follow;
use crate::cli::audit::WebhookFormat;
use crate::clock;
use crate::report::ocsf;
use crate::report::records::sentence;
use crate::telemetry::collector_metrics::CollectorMetrics;
use crate::telemetry::labels::WebhookOutcome;
use keyguard_core::policy::verdict::Decision;
use keyguard_core::record::Record;

/// The files of the folder.
const URL: &str = "url";
const KEY: &str = "key";
const CA: &str = "ca.crt";
/// The name by which the store knows how far it has got.
const FOLLOWER: &str = "webhook";
/// How many records are read at once, and sent at most.
const READ: u32 = 100;
/// How many of them are told in words; a chat shows no more.
const TOLD: usize = 10;
/// How long an answer may take.
const DEADLINE: Duration = Duration::from_secs(20);
/// The first and the longest pause after a failure.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// How often a batch is sent that the other end says it does not want.
const MOST_REFUSALS: u32 = 10;
/// The fewest bytes of a key that others cannot guess.
const KEY_BYTES: usize = 24;

/// Where records go, and which.
#[derive(Clone, Debug)]
pub struct Target {
    /// The folder with the files `url`, and where they are wanted `key` and `ca.crt`: who has the URL of a chat may write to
    /// it, so it is no argument.
    pub folder: PathBuf,
    /// The decisions that are sent; all when there is none.
    pub decisions: Vec<Decision>,
    /// Rules of which a record must have one; any when there is none.
    pub rules: Vec<String>,
    /// What the body is.
    pub format: WebhookFormat,
}

/// Why nothing can be sent.
#[derive(Debug, Error)]
pub enum WebhookError {
    /// A file cannot be read.
    #[error("{path} cannot be read")]
    File {
        /// Its path.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The URL is none.
    #[error("{0}: a URL that begins with https:// and names a host is wanted, on one line")]
    Url(String),
    /// The key is too short or no base64.
    #[error(
        "{0}: a key of at least {KEY_BYTES} bytes is wanted, or whsec_ and such a key in base64"
    )]
    Key(String),
    /// The CA certificates are none.
    #[error("{0} has no CA certificate in PEM")]
    NoCa(String),
    /// The TLS library refuses the settings.
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
}

/// Sends records, one batch after the other.
pub struct Webhook {
    url: Uri,
    host: String,
    signer: Option<Hmac<Sha256>>,
    http: Https,
    target: Target,
    metrics: Arc<CollectorMetrics>,
}

impl Webhook {
    /// Reads the files.
    ///
    /// # Errors
    /// When one of them holds not what it should.
    pub fn open(target: Target, metrics: Arc<CollectorMetrics>) -> Result<Webhook, WebhookError> {
        let path = |name| target.folder.join(name);
        let shown = |name| path(name).display().to_string();
        let text = read(&path(URL))?.ok_or_else(|| WebhookError::Url(shown(URL)))?;
        let url = std::str::from_utf8(&text).ok();
        let url: Option<Uri> = url.and_then(|url| url.trim().parse().ok());
        let url = url.filter(|url| url.scheme_str() == Some("https"));
        let host = url.as_ref().and_then(Uri::host).map(str::to_owned);
        let (Some(url), Some(host)) = (url, host) else {
            return Err(WebhookError::Url(shown(URL)));
        };
        let signer = match read(&path(KEY))? {
            None => None,
            Some(key) => Some(signer(&key).ok_or_else(|| WebhookError::Key(shown(KEY)))?),
        };
        let authorities = match read(&path(CA))? {
            None => RootCertStore {
                roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
            },
            Some(pem) => roots(&pem).ok_or_else(|| WebhookError::NoCa(shown(CA)))?,
        };
        Ok(Webhook {
            http: https(authorities)?,
            url,
            host,
            signer,
            target,
            metrics,
        })
    }

    /// Sends what is new in the store, for ever; `added` tells that there is something. What the other end has not got waits
    /// in the store.
    pub async fn run(self, store: Store, added: watch::Receiver<()>) {
        let (mut pause, mut said) = (PAUSES.0, String::new());
        follow(FOLLOWER, added, async || {
            self.send_all(&store, &mut pause, &mut said).await
        })
        .await;
    }

    async fn send_all(
        &self,
        store: &Store,
        pause: &mut Duration,
        said: &mut String,
    ) -> Result<(), StoreError> {
        let mut follower = Follower::open(store.clone(), FOLLOWER).await?;
        loop {
            let found = follower.next(READ).await?;
            let Some(last) = found.last() else {
                self.metrics.webhook_behind.set(0);
                return Ok(());
            };
            let records: Result<Vec<Record>, _> = found.iter().map(Found::record).collect();
            let records = records?.into_iter();
            let wanted: Vec<Record> = records.filter(|record| self.wants(record)).collect();
            if let Some(first) = found.first().filter(|_| !wanted.is_empty()) {
                self.send(&wanted, first.time(), pause, said).await;
            }
            follower.has(last).await?;
        }
    }

    fn wants(&self, record: &Record) -> bool {
        let Target {
            decisions, rules, ..
        } = &self.target;
        let by_rule = |rule: &String| record.rules.iter().any(|it| it.id() == rule);
        (decisions.is_empty() || decisions.contains(&record.decision))
            && (rules.is_empty() || rules.iter().any(by_rule))
    }

    /// Sends a batch again and again, until the other end has it or has said often that it does not want it.
    async fn send(&self, records: &[Record], since: i64, pause: &mut Duration, said: &mut String) {
        let mut refusals = 0;
        let count = u64::try_from(records.len()).unwrap_or(0);
        loop {
            let behind = clock::now().saturating_sub(since / 1000).max(0);
            self.metrics.webhook_behind.set(behind);
            let failure = match self.post(records).await {
                Ok(()) => {
                    if !std::mem::take(said).is_empty() {
                        tracing::info!(host = self.host, "the webhook takes records again");
                    }
                    *pause = PAUSES.0;
                    self.metrics.webhook.inc_by(WebhookOutcome::Sent, count);
                    return;
                }
                Err(failure) => failure,
            };
            if *said != failure.what {
                tracing::error!(
                    host = self.host,
                    reason = failure.what,
                    "the webhook does not take records; they wait in the store"
                );
                said.clone_from(&failure.what);
            }
            refusals += u32::from(failure.is_final);
            if refusals == MOST_REFUSALS {
                let first = records.first().map(|record| record.id.as_str());
                tracing::error!(
                    host = self.host,
                    first,
                    count,
                    "the webhook does not want these records; they are left out"
                );
                self.metrics.webhook.inc_by(WebhookOutcome::Refused, count);
                return;
            }
            sleep(*pause).await;
            *pause = PAUSES.1.min(*pause * 2);
        }
    }

    async fn post(&self, records: &[Record]) -> Result<(), Failure> {
        let body = body(records, self.target.format);
        // The same for the same records, so that who gets them twice knows it.
        let id = records.first().map_or("", |record| record.id.as_str());
        let time = clock::now();
        let mut request = Request::post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", time);
        if let Some(signer) = &self.signer {
            request = request.header("webhook-signature", signature(signer, id, time, &body));
        }
        let request = request.body(Full::new(Bytes::from(body)));
        let request = request.map_err(|error| Failure::passing(error.to_string()))?;
        let answer = timeout(DEADLINE, self.http.request(request)).await;
        let answer = answer
            .map_err(|_| Failure::passing(format!("no answer within {} s", DEADLINE.as_secs())))?;
        // Its own words would repeat the URL.
        let answer = answer.map_err(|error| {
            let is_connect = error.is_connect();
            let what = if is_connect {
                "it cannot be reached"
            } else {
                "it broke off"
            };
            Failure::passing(what.to_owned())
        })?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            status => Err(Failure {
                what: format!("it answers {status}"),
                // Of the others, that which is to be mended there can pass.
                is_final: matches!(
                    status,
                    StatusCode::BAD_REQUEST
                        | StatusCode::PAYLOAD_TOO_LARGE
                        | StatusCode::UNPROCESSABLE_ENTITY
                ),
            }),
        }
    }
}

struct Failure {
    what: String,
    is_final: bool,
}

impl Failure {
    fn passing(what: String) -> Failure {
        Failure {
            what,
            is_final: false,
        }
    }
}

fn body(records: &[Record], format: WebhookFormat) -> String {
    let time = |record: &Record| milliseconds(&record.time).unwrap_or_default();
    match format {
        WebhookFormat::Ocsf => {
            let events = records.iter();
            let events = events.map(|record| ocsf::activity(record, time(record)));
            Value::Array(events.collect()).to_string()
        }
        WebhookFormat::Json => {
            let mut told: Vec<String> = records.iter().take(TOLD).map(sentence).collect();
            if let Some(more) = records.len().checked_sub(TOLD).filter(|more| *more > 0) {
                told.push(format!("and {more} more"));
            }
            json!({"text": told.join("\n"), "records": records}).to_string()
        }
    }
}

fn signer(key: &[u8]) -> Option<Hmac<Sha256>> {
    let key = key.trim_ascii();
    let key = match key.strip_prefix(b"whsec_") {
        Some(base64) => STANDARD.decode(base64).ok()?,
        None => key.to_vec(),
    };
    let key = Zeroizing::new(key);
    let is_long = key.len() >= KEY_BYTES;
    Hmac::new_from_slice(&key).ok().filter(|_| is_long)
}

fn signature(signer: &Hmac<Sha256>, id: &str, time: i64, body: &str) -> String {
    let mut signer = signer.clone();
    signer.update(format!("{id}.{time}.").as_bytes());
    signer.update(body.as_bytes());
    format!("v1,{}", STANDARD.encode(signer.finalize().into_bytes()))
}

/// A file, if it is there.
fn read(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, WebhookError> {
    match fs::read(path) {
        Ok(content) => Ok(Some(Zeroizing::new(content))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(WebhookError::File {
            path: path.display().to_string(),
            source,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_standard_webhooks() {
        // The example of its specification.
        let signer = signer(b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
        let signed = signature(
            &signer,
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
        );
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        for wrong in [&b""[..], b"short", b"whsec_%%%", b"whsec_c2hvcnQ="] {
            assert!(super::signer(wrong).is_none());
        }
    }
}
