//! The certificate and private key that TLS presents, what is known of them, and the TLS settings.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{
    ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use thiserror::Error;
use x509_parser::parse_x509_certificate;
use zeroize::Zeroize;

use crate::clock::rfc3339;
use crate::telemetry::labels::ReloadOutcome;
use crate::telemetry::metrics::Metrics;
use crate::tls::life::Life;

/// What is presented from now on. Debug shows the dates only.
#[derive(Debug)]
pub struct ServingCertificate {
    /// Where it comes from.
    pub origin: Origin,
    /// Why the API server does not verify what is presented, as far as the last look at the cluster that succeeded told:
    /// one line that says what to do. At first nothing is wrong.
    pub unverified: ArcSwapOption<String>,
    /// What keeps certificates from being renewed, if anything does. While the one that is there serves, this is no reason
    /// not to be ready.
    pub keeper_error: ArcSwapOption<String>,
    pair: ArcSwapOption<Pair>,
}

/// Where certificates come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Two files, which keyguard only reads.
    Files,
    /// A Secret that keyguard itself keeps.
    Kept,
}

/// A certificate chain and its private key, proved to belong together.
///
/// Debug shows the dates only.
pub struct Pair {
    certified: Arc<CertifiedKey>,
    life: Life,
}

/// Why a chain and a key are no [`Pair`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PairError {
    /// The chain is empty.
    #[error(
        "no certificate in it; it must hold the PEM chain, beginning with the server's own certificate (BEGIN CERTIFICATE)"
    )]
    NoCertificate,
    /// A certificate is none; its place in the chain, from 1.
    #[error("certificate {0} in it is not X.509; issue it again")]
    NotX509(usize),
    /// A key of an algorithm that TLS here does not sign with.
    #[error(
        "not a usable private key; use ECDSA (P-256, P-384), Ed25519 or RSA of 2048 to 8192 bits"
    )]
    UnusableKey,
    /// The key is another certificate's.
    #[error("the private key does not belong to the certificate")]
    Mismatch,
}

impl Pair {
    /// Takes the server's own certificate first, and zeroes `key` once it is understood.
    ///
    /// An expired or not yet valid certificate is no error here: [`Pair::life`] tells.
    ///
    /// # Errors
    /// When one of them is unusable, or they do not belong together.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        mut key: PrivateKeyDer<'static>,
    ) -> Result<Pair, PairError> {
        let signing_key = ring::sign::any_supported_type(&key);
        key.zeroize();
        let life = life(&chain)?;
        let signing_key = signing_key.map_err(|_| PairError::UnusableKey)?;
        let certified = CertifiedKey::new(chain, signing_key);
        certified.keys_match().map_err(|_| PairError::Mismatch)?;
        Ok(Pair {
            certified: Arc::new(certified),
            life,
        })
    }

    /// The validity of the server's own certificate.
    pub fn life(&self) -> Life {
        self.life
    }

    /// The chain, the server's own certificate first.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.certified.cert
    }
}

impl fmt::Debug for Pair {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("Pair");
        shown.field("life", &self.life).finish_non_exhaustive()
    }
}

/// The life of the first certificate. Only the server's own counts: a chain may carry an expired cross-signed
/// certificate that clients pass over.
fn life(chain: &[CertificateDer<'_>]) -> Result<Life, PairError> {
    let mut first = None;
    for (index, der) in chain.iter().enumerate() {
        let (_, certificate) =
            parse_x509_certificate(der).map_err(|_| PairError::NotX509(index + 1))?;
        first.get_or_insert(Life::of(&certificate));
    }
    first.ok_or(PairError::NoCertificate)
}

impl ServingCertificate {
    /// Presents a pair from two files.
    pub fn of_files(pair: Pair) -> ServingCertificate {
        ServingCertificate {
            origin: Origin::Files,
            pair: ArcSwapOption::from_pointee(pair),
            ..ServingCertificate::to_be_kept()
        }
    }

    /// Presents nothing, so that no handshake succeeds until [`Self::present`].
    pub fn to_be_kept() -> ServingCertificate {
        ServingCertificate {
            origin: Origin::Kept,
            unverified: ArcSwapOption::empty(),
            keeper_error: ArcSwapOption::empty(),
            pair: ArcSwapOption::empty(),
        }
    }

    /// The TLS settings: TLS 1.2 and 1.3, `h2` and `http/1.1` by ALPN. They follow [`Self::present`]. `clients` verifies
    /// clients; without it, none is asked for a certificate.
    ///
    /// # Errors
    /// When the TLS library refuses them.
    pub fn server_config(
        self: &Arc<Self>,
        clients: Option<Arc<dyn ClientCertVerifier>>,
    ) -> Result<Arc<ServerConfig>, rustls::Error> {
        let clients = clients.unwrap_or_else(WebPkiClientVerifier::no_client_auth);
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_client_cert_verifier(clients)
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        // kube-apiserver keeps connections and never resumes a session (client-go sets no session cache):
        // without tickets there is no ticket key to rotate, and no session outlives its certificate.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Arc::new(config))
    }

    /// What is presented, if there is anything yet.
    pub fn pair(&self) -> Option<Arc<Pair>> {
        self.pair.load_full()
    }

    /// Presents a pair from the next handshake on, and puts that on record, unless it is presented already. Connections
    /// that stand are not touched.
    pub fn present(&self, pair: Arc<Pair>, metrics: &Metrics) {
        let before = self.pair();
        if before
            .as_ref()
            .is_some_and(|before| before.chain() == pair.chain())
        {
            return;
        }
        let life = pair.life();
        self.pair.store(Some(pair));
        metrics.certificate_not_after.set(life.to);
        if before.is_some() {
            metrics.certificate_reloads.inc(ReloadOutcome::Served);
        }
        tracing::info!(not_after = rfc3339(life.to), "a certificate is presented");
    }
}

impl ResolvesServerCert for ServingCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let pair = self.pair.load();
        pair.as_ref().map(|pair| Arc::clone(&pair.certified))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    fn pair(from: i32, to: i32) -> Pair {
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::new(vec!["keyguard.test".to_owned()]).unwrap();
        parameters.not_before = date_time_ymd(from, 1, 1);
        parameters.not_after = date_time_ymd(to, 1, 1);
        let certificate = parameters.self_signed(&key).unwrap();
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        Pair::new(vec![certificate.der().clone()], key).unwrap()
    }

    #[test]
    fn what_is_handed_over_is_presented() {
        let serving = Arc::new(ServingCertificate::to_be_kept());
        let config = serving.server_config(None).unwrap();
        assert_eq!(
            config.alpn_protocols,
            [b"h2".to_vec(), b"http/1.1".to_vec()]
        );
        assert!(serving.pair().is_none());
        for (from, to, not_after) in [(1999, 2000, 946_684_800), (2001, 2002, 1_009_843_200)] {
            serving.present(Arc::new(pair(from, to)), &Metrics::new());
            assert_eq!(serving.pair().map(|pair| pair.life().to), Some(not_after));
        }
    }

    #[test]
    fn a_chain_and_a_key_must_belong_together() {
        let chain = || pair(1999, 2000).chain().to_vec();
        let key = || PrivateKeyDer::Pkcs8(KeyPair::generate().unwrap().serialize_der().into());
        let garbage = CertificateDer::from(b"text".to_vec());
        let with_garbage = [chain(), vec![garbage]].concat();
        let table = [
            (chain(), key(), PairError::Mismatch),
            (Vec::new(), key(), PairError::NoCertificate),
            (with_garbage, key(), PairError::NotX509(2)),
            (
                chain(),
                PrivateKeyDer::Pkcs8(b"text".to_vec().into()),
                PairError::UnusableKey,
            ),
        ];
        for (chain, key, expected) in table {
            assert_eq!(Pair::new(chain, key).unwrap_err(), expected);
        }
    }
}
