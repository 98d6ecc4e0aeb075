//! Whether a certificate is verified by a `caBundle`, as the API server does it: chain, name and time.

use std::time::Duration;

use pem::{EncodeConfig, LineEnding, Pem, encode_config};
use rustls::RootCertStore;
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error};
use thiserror::Error;
use x509_parser::parse_x509_certificate;

use crate::certificates::kept::Authority;
use crate::tls::life::Life;

/// Why a certificate is not verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum VerifyError {
    /// No CA certificate that is valid now is in the bundle.
    #[error("holds no CA certificate that is valid now")]
    NoAuthority,
    /// Another CA signed it.
    #[error("does not verify the certificate that is presented: another CA signed that")]
    OtherAuthority,
    /// It is for other names.
    #[error("is called by a name that the certificate presented is not for")]
    OtherName,
    /// It is expired or not yet valid.
    #[error("verifies the certificate that is presented, which is not valid now")]
    OtherTime,
    /// Anything else that is wrong with it, such as a CA without the right to sign.
    #[error("does not verify the certificate that is presented")]
    Unusable,
}

/// The certificates in a PEM bundle; everything else in it is passed over, as the API server does.
pub fn authorities(bundle: &[u8]) -> Vec<Authority> {
    let certificates = CertificateDer::pem_slice_iter(bundle).filter_map(Result::ok);
    let authority = |der: CertificateDer<'_>| {
        let (_, certificate) = parse_x509_certificate(&der).ok()?;
        let life = Life::of(&certificate);
        Some(Authority {
            der: der.to_vec(),
            life,
        })
    };
    certificates.filter_map(authority).collect()
}

/// A certificate in PEM, which is also an entry of a bundle.
pub fn pem(der: &[u8]) -> String {
    let config = EncodeConfig::new().set_line_ending(LineEnding::LF);
    encode_config(&Pem::new("CERTIFICATE", der), config)
}

/// Verifies `chain`, the server's own certificate first, with the authorities of a bundle, at `now` in Unix seconds.
///
/// # Errors
/// Why it is not verified.
pub fn verify(
    chain: &[CertificateDer<'_>],
    bundle: &[Authority],
    name: &ServerName<'_>,
    now: i64,
) -> Result<(), VerifyError> {
    verify_chain(chain, bundle, now)?;
    let own = chain.first().ok_or(VerifyError::Unusable)?;
    verify_server_name(&parsed(own)?, name).map_err(|_| VerifyError::OtherName)
}

/// The same for any name.
///
/// # Errors
/// Why it is not verified.
pub fn verify_chain(
    chain: &[CertificateDer<'_>],
    bundle: &[Authority],
    now: i64,
) -> Result<(), VerifyError> {
    let (own, intermediates) = chain.split_first().ok_or(VerifyError::Unusable)?;
    // The API server looks at the validity of a CA, too; webpki does not.
    let valid = bundle
        .iter()
        .filter(|authority| authority.life.contains(now));
    let mut roots = RootCertStore::empty();
    for authority in valid {
        // A certificate may be its own CA: the API server takes what is in the bundle as it is.
        if authority.der == own.as_ref() {
            return Ok(());
        }
        // What cannot be a root verifies nothing.
        let _ = roots.add(CertificateDer::from(authority.der.as_slice()));
    }
    if roots.is_empty() {
        return Err(VerifyError::NoAuthority);
    }
    let seconds = u64::try_from(now).unwrap_or_default();
    let algorithms = ring::default_provider().signature_verification_algorithms;
    verify_server_cert_signed_by_trust_anchor(
        &parsed(own)?,
        &roots,
        intermediates,
        UnixTime::since_unix_epoch(Duration::from_secs(seconds)),
        algorithms.all,
    )
    .map_err(|error| verify_error(&error))
}

fn parsed<'a>(der: &'a CertificateDer<'_>) -> Result<ParsedCertificate<'a>, VerifyError> {
    ParsedCertificate::try_from(der).map_err(|_| VerifyError::Unusable)
}

fn verify_error(error: &Error) -> VerifyError {
    match error {
        Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        ) => VerifyError::OtherAuthority,
        Error::InvalidCertificate(
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. },
        ) => VerifyError::OtherTime,
        _ => VerifyError::Unusable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificates::authority::example::{DAY, NOW, server_names, signer};
    use rcgen::{CertificateParams, KeyPair};

    #[test]
    fn what_the_api_server_verifies_is_verified_and_nothing_else() {
        let (ours, other) = (signer(), signer());
        let names = server_names(&["keyguard.keyguard.svc", "127.0.0.1"]);
        let issued = ours.issue(&names, Life::issued(NOW, DAY)).unwrap();
        let (ours, other) = (ours.certificate(), other.certificate());
        let service = "keyguard.keyguard.svc";
        let later = NOW + 2 * 86_400;
        let table: [(&[&Authority], &str, i64, Result<(), VerifyError>, &str); 9] = [
            (&[&ours], service, NOW, Ok(()), "the Service"),
            (&[&ours], "127.0.0.1", NOW, Ok(()), "an address"),
            (&[&other, &ours], service, NOW, Ok(()), "beside another"),
            (
                &[],
                service,
                NOW,
                Err(VerifyError::NoAuthority),
                "an empty bundle",
            ),
            (
                &[&other],
                service,
                NOW,
                Err(VerifyError::OtherAuthority),
                "another CA",
            ),
            (
                &[&ours],
                "keyguard.other.svc",
                NOW,
                Err(VerifyError::OtherName),
                "another name",
            ),
            (
                &[&ours],
                service,
                later,
                Err(VerifyError::OtherTime),
                "expired",
            ),
            (
                &[&ours],
                service,
                NOW - 86_401,
                Err(VerifyError::NoAuthority),
                "a CA that is not valid yet",
            ),
            (
                &[&ours],
                service,
                NOW + 31 * 86_400,
                Err(VerifyError::NoAuthority),
                "a CA that has expired",
            ),
        ];
        for (bundle, name, now, expected, why) in table {
            let bundle: Vec<Authority> = bundle.iter().copied().cloned().collect();
            let name = ServerName::try_from(name).unwrap();
            let verified = verify(issued.pair().chain(), &bundle, &name, now);
            assert_eq!(verified, expected, "{why}");
        }
    }

    #[test]
    fn a_certificate_that_is_its_own_ca_is_verified_by_itself() {
        let key = KeyPair::generate().unwrap();
        let parameters = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        let bundle = authorities(certificate.pem().as_bytes());
        let chain = [certificate.der().clone()];
        let verified = |name| verify(&chain, &bundle, &ServerName::try_from(name).unwrap(), NOW);
        assert_eq!(verified("localhost"), Ok(()));
        assert_eq!(verified("elsewhere"), Err(VerifyError::OtherName));
    }

    #[test]
    fn what_is_no_certificate_in_a_bundle_is_passed_over() {
        let ours = signer();
        let pem = ours.certificate_pem();
        let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for bundle in [
            format!("words\n{pem}more\n"),
            format!("{garbage}{pem}"),
            format!("{pem}-----BEGIN"),
        ] {
            let found = authorities(bundle.as_bytes());
            assert_eq!(found, [ours.certificate()], "{bundle}");
        }
        assert_eq!(authorities(b"words"), []);
    }
}
