//! CAs that keyguard makes for itself, and what they sign: ECDSA with P-256.

use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use thiserror::Error;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;
use zeroize::Zeroizing;

use crate::certificates::kept::Authority;
use crate::certificates::trust;
use crate::tls::life::Life;
use crate::tls::serving_certificate::{Pair, PairError};

/// A CA with its private key.
pub struct Signer(Keyed);

/// A certificate with its private key, proved to belong together. Without Debug, so that nothing can show the key.
pub struct Keyed {
    pair: Arc<Pair>,
    key_pem: Zeroizing<String>,
}

/// Why nothing is signed.
#[derive(Debug, Error)]
pub enum SignError {
    /// The library for certificates fails, such as for want of random numbers.
    #[error("a certificate cannot be made")]
    Library(#[from] rcgen::Error),
    /// What was just made cannot be used.
    #[error("a certificate that was just made cannot be used")]
    Unusable(#[from] PairError),
}

impl Signer {
    /// Makes a CA of its own name and key.
    ///
    /// # Errors
    /// When the library does.
    pub fn generate(life: Life) -> Result<Signer, SignError> {
        let key = Zeroizing::new(KeyPair::generate()?);
        let mut parameters = parameters(&[], life)?;
        // Two CAs in one bundle have two names.
        let identifier = parameters.key_identifier(&*key);
        let identifier: String = identifier
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let name = format!("keyguard CA {identifier}");
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = parameters.self_signed(&*key)?;
        Keyed::new(&certificate, &key).map(Signer)
    }

    /// Reads a CA's certificate and key, PEM; nothing unless it is a CA and they belong together.
    pub fn read(certificate_pem: &[u8], key_pem: &[u8]) -> Option<Signer> {
        let keyed = Keyed::read(certificate_pem, key_pem)?;
        let can_sign = KeyPair::from_pem(&keyed.key_pem)
            .map(Zeroizing::new)
            .is_ok();
        (can_sign && keyed.own()?.is_ca()).then_some(Signer(keyed))
    }

    /// Signs a certificate for DNS names and IP addresses. It never outlives this CA.
    ///
    /// # Errors
    /// When the library does.
    pub fn issue(&self, names: &[ServerName<'_>], life: Life) -> Result<Keyed, SignError> {
        let life = life.within(self.pair.life());
        let mut parameters = parameters(names, life)?;
        parameters
            .distinguished_name
            .push(DnType::CommonName, "keyguard");
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        parameters.use_authority_key_identifier_extension = true;
        let own = Zeroizing::new(KeyPair::from_pem(&self.key_pem)?);
        let certificate = self.certificate();
        let der = CertificateDer::from(certificate.der);
        let issuer = Issuer::from_ca_cert_der(&der, &*own)?;
        let key = Zeroizing::new(KeyPair::generate()?);
        let certificate = parameters.signed_by(&*key, &issuer)?;
        Keyed::new(&certificate, &key)
    }
}

impl Deref for Signer {
    type Target = Keyed;

    fn deref(&self) -> &Keyed {
        &self.0
    }
}

impl Keyed {
    fn new(certificate: &Certificate, key: &KeyPair) -> Result<Keyed, SignError> {
        let private = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        Ok(Keyed {
            pair: Arc::new(Pair::new(vec![certificate.der().clone()], private)?),
            key_pem: Zeroizing::new(key.serialize_pem()),
        })
    }

    /// Reads a certificate and its key, PEM; nothing unless they belong together.
    pub fn read(certificate_pem: &[u8], key_pem: &[u8]) -> Option<Keyed> {
        let chain = CertificateDer::pem_slice_iter(certificate_pem);
        let chain = chain.collect::<Result<Vec<_>, _>>().ok()?;
        let key = PrivateKeyDer::from_pem_slice(key_pem).ok()?;
        Some(Keyed {
            pair: Arc::new(Pair::new(chain, key).ok()?),
            key_pem: Zeroizing::new(str::from_utf8(key_pem).ok()?.to_owned()),
        })
    }

    /// Whether a CA signed it.
    pub fn is_signed_by(&self, signer: &Signer) -> bool {
        // At its first moment: whether it is valid now is another question.
        let at = self.pair.life().from;
        trust::verify_chain(self.pair.chain(), &[signer.certificate()], at).is_ok()
    }

    /// Whether it is for all of these names.
    pub fn covers(&self, names: &[ServerName<'static>]) -> bool {
        let own = self.names();
        names.iter().all(|name| own.contains(name))
    }

    /// The DNS names and IP addresses that it is for.
    pub fn names(&self) -> Vec<ServerName<'static>> {
        let own = self.own();
        let names = own
            .as_ref()
            .and_then(|own| own.subject_alternative_name().ok()?);
        let names = names.iter().flat_map(|names| &names.value.general_names);
        let name = |name: &GeneralName<'_>| match name {
            GeneralName::DNSName(name) => Some(ServerName::try_from(*name).ok()?.to_owned()),
            GeneralName::IPAddress(octets) => {
                let v4 = <[u8; 4]>::try_from(*octets).map(IpAddr::from);
                let address = v4.or_else(|_| <[u8; 16]>::try_from(*octets).map(IpAddr::from));
                Some(ServerName::from(address.ok()?))
            }
            _ => None,
        };
        names.filter_map(name).collect()
    }

    /// The certificate without its key.
    pub fn certificate(&self) -> Authority {
        let own = self.pair.chain().first();
        Authority {
            der: own.map_or_else(Vec::new, |der| der.to_vec()),
            life: self.pair.life(),
        }
    }

    fn own(&self) -> Option<X509Certificate<'_>> {
        let (_, own) = parse_x509_certificate(self.pair.chain().first()?).ok()?;
        Some(own)
    }

    /// The certificate and the key as they are presented.
    pub fn pair(&self) -> &Arc<Pair> {
        &self.pair
    }

    /// The certificate, PEM.
    pub(crate) fn certificate_pem(&self) -> String {
        let chain = self.pair.chain().iter();
        chain.map(|der| trust::pem(der)).collect()
    }

    /// The private key, PEM, to be stored and never shown.
    pub(crate) fn key_pem(&self) -> Zeroizing<String> {
        self.key_pem.clone()
    }
}

fn parameters(names: &[ServerName<'_>], life: Life) -> Result<CertificateParams, rcgen::Error> {
    let names = names.iter().map(|name| name.to_str().into_owned());
    let mut parameters = CertificateParams::new(names.collect::<Vec<_>>())?;
    parameters.not_before = moment(life.from).into();
    parameters.not_after = moment(life.to).into();
    // The library begins with a name of its own.
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    Ok(parameters)
}

fn moment(unix_seconds: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(unix_seconds).unwrap_or_default())
}

/// A signer for tests, and the moment it is made at.
#[cfg(test)]
pub(crate) mod example {
    use super::*;

    /// Unix seconds.
    pub(crate) const NOW: i64 = 1_000_000_000;
    pub(crate) const DAY: Duration = Duration::from_secs(86_400);

    pub(crate) fn signer() -> Signer {
        Signer::generate(Life::issued(NOW, 30 * DAY)).unwrap()
    }

    pub(crate) fn server_names(names: &[&str]) -> Vec<ServerName<'static>> {
        let parse = |name: &&str| ServerName::try_from((*name).to_owned()).unwrap();
        names.iter().map(parse).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::example::{DAY, NOW, server_names, signer};
    use super::*;

    fn names() -> Vec<ServerName<'static>> {
        server_names(&["keyguard.keyguard.svc", "127.0.0.1", "::1"])
    }

    fn again(issued: &Keyed, signer: &Signer) -> Option<Keyed> {
        let (certificate, key) = (issued.certificate_pem(), issued.key_pem());
        let read = Keyed::read(certificate.as_bytes(), key.as_bytes());
        read.filter(|issued| issued.is_signed_by(signer))
    }

    #[test]
    fn what_is_made_can_be_read_again_and_goes_on_signing() {
        let made = signer();
        let read = Signer::read(made.certificate_pem().as_bytes(), made.key_pem().as_bytes());
        let read = read.unwrap();
        assert_eq!(read.certificate(), made.certificate());
        assert_eq!(read.certificate().life, Life::issued(NOW, 30 * DAY));
        for signer in [&made, &read] {
            let issued = signer.issue(&names(), Life::issued(NOW, DAY)).unwrap();
            let issued = again(&issued, &made).expect("one CA signed both");
            assert_eq!(issued.names(), names());
            assert_eq!(issued.pair().life(), Life::issued(NOW, DAY));
            let covers = |names: &[&str]| issued.covers(&server_names(names));
            assert!(covers(&["keyguard.keyguard.svc"]));
            assert!(covers(&["127.0.0.1", "keyguard.keyguard.svc"]));
            assert!(!covers(&["keyguard.keyguard.svc", "other"]));
        }
    }

    #[test]
    fn a_certificate_never_outlives_its_ca() {
        let signer = signer();
        let issued = signer.issue(&names(), Life::issued(NOW, 90 * DAY)).unwrap();
        assert_eq!(issued.pair().life().to, signer.certificate().life.to);
        assert!(again(&issued, &signer).is_some());
    }

    #[test]
    fn what_does_not_belong_together_is_not_read() {
        let (ours, other) = (signer(), signer());
        let issued = ours.issue(&names(), Life::issued(NOW, DAY)).unwrap();
        let (pem, key) = (&*ours.certificate_pem(), &*ours.key_pem());
        let (leaf, leaf_key) = (&*issued.certificate_pem(), &*issued.key_pem());
        let table: [(&str, &str, &str); 8] = [
            (pem, &other.key_pem(), "another CA's key"),
            (pem, "", "no key"),
            (pem, pem, "a certificate for a key"),
            ("", key, "no certificate"),
            (key, key, "a key for a certificate"),
            (&pem[..200], key, "half a certificate"),
            (pem, &key[..100], "half a key"),
            (leaf, leaf_key, "no CA"),
        ];
        for (certificate, key, why) in table {
            let read = Signer::read(certificate.as_bytes(), key.as_bytes());
            assert!(read.is_none(), "{why}");
        }
        assert!(again(&issued, &other).is_none(), "another CA signed it");
        let key = other.issue(&names(), Life::issued(NOW, DAY)).unwrap();
        let (certificate, key) = (issued.certificate_pem(), key.key_pem());
        let stolen = Keyed::read(certificate.as_bytes(), key.as_bytes());
        assert!(stolen.is_none(), "another certificate's key");
    }

    #[test]
    fn debug_shows_no_key() {
        let issued = signer().issue(&names(), Life::issued(NOW, DAY)).unwrap();
        let shown = format!("{:?}", issued.pair());
        let key = issued.key_pem();
        let secret = key.lines().nth(1).unwrap();
        assert!(!shown.contains(&secret[..16]), "{shown}");
    }
}
