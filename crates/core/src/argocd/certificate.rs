//! The serving certificate in `argocd-secret`, which Argo CD must be able to read.
//!
//! Source: Argo CD `util/settings/settings.go`, `updateSettingsFromSecret`: Go `crypto/tls`, `X509KeyPair`.

use x509_parser::der_parser::der::parse_der_sequence;
use x509_parser::parse_x509_certificate;

/// The key of the certificate.
pub const CERTIFICATE: &str = "tls.crt";
/// The key of its private key.
pub const PRIVATE_KEY: &str = "tls.key";

/// Whether the PEM and DER of a pair can be read. Whether the two belong together is not looked at.
pub fn is_readable_pair(certificate: &[u8], private_key: &[u8]) -> bool {
    let block = |bytes: &[u8], is_wanted: fn(&str) -> bool| {
        let blocks = pem::parse_many(bytes).unwrap_or_default();
        blocks.into_iter().find(|block| is_wanted(block.tag()))
    };
    let certificate = block(certificate, |tag| tag == "CERTIFICATE");
    let private_key = block(private_key, |tag| tag.ends_with("PRIVATE KEY"));
    // Go takes it for the key, and cannot read it.
    let private_key = private_key.filter(|it| !it.tag().starts_with("ENCRYPTED"));
    certificate.is_some_and(|it| parse_x509_certificate(it.contents()).is_ok())
        && private_key.is_some_and(|it| {
            let read = parse_der_sequence(it.contents()).map(|(rest, _)| rest.is_empty());
            // The copy of the key is not left behind.
            drop(zeroize::Zeroizing::new(it.into_contents()));
            read.unwrap_or(false)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_pem_or_no_der_is_not_readable() {
        let pem = |tag: &str, der: &[u8]| pem::encode(&pem::Pem::new(tag, der)).into_bytes();
        let not_der = pem("CERTIFICATE", b"no DER");
        let key = pem("PRIVATE KEY", &[0x30, 0x03, 0x02, 0x01, 0x00]);
        assert!(!is_readable_pair(b"no PEM", &key));
        assert!(!is_readable_pair(&not_der, &key));
        assert!(!is_readable_pair(b"", b""));
    }
}
