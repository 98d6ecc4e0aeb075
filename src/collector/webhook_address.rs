//! Where a webhook is, as the files of a folder say.

use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use hyper::Uri;
use rustls::RootCertStore;
use sha2::Sha256;
use thiserror::Error;
use tokio::fs;
use zeroize::Zeroizing;

use super::client::{Https, https, roots};

/// The files of the folder.
const URL: &str = "url";
const KEY: &str = "key";
const CA: &str = "ca.crt";
/// The fewest bytes of a key that others cannot guess.
const KEY_BYTES: usize = 24;

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
    #[error(
        "{0}: a URL that begins with https:// and names a host is wanted, on one line, without a user name or a password"
    )]
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

/// What the files hold.
#[derive(PartialEq, Eq)]
struct Files {
    url: Option<Zeroizing<Vec<u8>>>,
    key: Option<Zeroizing<Vec<u8>>>,
    ca: Option<Zeroizing<Vec<u8>>>,
}

/// Where records go, and how.
pub(super) struct Address {
    folder: PathBuf,
    files: Files,
    pub(super) url: Uri,
    pub(super) host: String,
    signer: Option<Hmac<Sha256>>,
    pub(super) http: Https,
}

impl Address {
    /// Reads the files.
    ///
    /// # Errors
    /// When one of them holds not what it should.
    pub(super) async fn read(folder: &Path) -> Result<Address, WebhookError> {
        let files = Files::read(folder).await?;
        let shown = |name| folder.join(name).display().to_string();
        let url = files
            .url
            .as_ref()
            .and_then(|url| std::str::from_utf8(url).ok());
        let url: Option<Uri> = url.and_then(|url| url.trim().parse().ok());
        let has_no_user = |url: &Uri| url.authority().is_some_and(|it| !it.as_str().contains('@'));
        let url = url.filter(|url| url.scheme_str() == Some("https") && has_no_user(url));
        let host = url.as_ref().and_then(Uri::host).map(str::to_owned);
        let (Some(url), Some(host)) = (url, host) else {
            return Err(WebhookError::Url(shown(URL)));
        };
        let signer = match &files.key {
            None => None,
            Some(key) => Some(signer(key).ok_or_else(|| WebhookError::Key(shown(KEY)))?),
        };
        let authorities = match &files.ca {
            None => RootCertStore {
                roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
            },
            Some(pem) => roots(pem).ok_or_else(|| WebhookError::NoCa(shown(CA)))?,
        };
        Ok(Address {
            http: https(authorities)?,
            folder: folder.to_owned(),
            files,
            url,
            host,
            signer,
        })
    }

    /// Reads them again when one has changed.
    ///
    /// # Errors
    /// When one of them holds not what it should; it stays what it was then.
    pub(super) async fn refresh(&mut self) -> Result<(), WebhookError> {
        if Files::read(&self.folder).await? != self.files {
            *self = Address::read(&self.folder).await?;
        }
        Ok(())
    }

    /// The signature of a body, if there is a key.
    pub(super) fn signature(&self, id: &str, time: i64, body: &str) -> Option<String> {
        Some(signature(self.signer.as_ref()?, id, time, body))
    }
}

impl Files {
    async fn read(folder: &Path) -> Result<Files, WebhookError> {
        Ok(Files {
            url: read(&folder.join(URL)).await?,
            key: read(&folder.join(KEY)).await?,
            ca: read(&folder.join(CA)).await?,
        })
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
async fn read(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, WebhookError> {
    match fs::read(path).await {
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

    #[tokio::test]
    async fn files_that_change_count_at_once_and_those_that_are_wrong_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        put(URL, "https://one.example/hook\n");
        let mut address = Address::read(folder.path()).await.unwrap();
        assert_eq!(address.signature("id", 1, "{}"), None);
        put(URL, "https://two.example/hook");
        put(KEY, "a-key-that-nobody-could-guess");
        address.refresh().await.unwrap();
        assert_eq!(address.host, "two.example");
        assert!(address.signature("id", 1, "{}").is_some());
        for wrong in [
            "http://three.example",
            "https://user:word@three.example",
            "",
        ] {
            put(URL, wrong);
            assert!(address.refresh().await.is_err(), "{wrong}");
            assert_eq!(address.host, "two.example");
        }
    }

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
