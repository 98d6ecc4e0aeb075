//! Certificate authorities and server certificates, made for each run.

use std::path::PathBuf;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use super::workspace::Workspace;

/// A certificate authority that nobody but this test trusts.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate, PEM.
    pub(crate) certificate: PathBuf,
}

/// A server's certificate and private key, PEM.
pub(crate) struct ServerCertificate {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Authority {
    /// Makes an authority and writes its certificate to `ca.crt`.
    pub(crate) fn new(workspace: &Workspace) -> Self {
        let mut parameters = CertificateParams::default();
        parameters
            .distinguished_name
            .push(DnType::CommonName, "keyguard tests");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("make a key");
        let certificate = parameters.self_signed(&key).expect("sign a certificate");
        Self {
            certificate: workspace.write("ca.crt", certificate.pem()),
            issuer: Issuer::new(parameters, key),
        }
    }

    /// Issues a certificate for DNS names and IP addresses, and writes it and
    /// its key to `tls.crt` and `tls.key`.
    pub(crate) fn issue(&self, subjects: &[&str], workspace: &Workspace) -> ServerCertificate {
        self.issue_with(subjects, workspace, |_| {})
    }

    /// Issues a certificate for a client of this common name.
    pub(crate) fn issue_for_client(&self, name: &str, workspace: &Workspace) -> ServerCertificate {
        self.issue_with(&[], workspace, |parameters| {
            parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            parameters.distinguished_name.push(DnType::CommonName, name);
        })
    }

    /// As [`issue`](Self::issue), with something of it changed.
    pub(crate) fn issue_with(
        &self,
        subjects: &[&str],
        workspace: &Workspace,
        change: impl FnOnce(&mut CertificateParams),
    ) -> ServerCertificate {
        let subjects: Vec<_> = subjects.iter().map(ToString::to_string).collect();
        let mut parameters = CertificateParams::new(subjects).expect("valid subject names");
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        change(&mut parameters);
        let key = KeyPair::generate().expect("make a key");
        let certificate = parameters
            .signed_by(&key, &self.issuer)
            .expect("sign a certificate");
        ServerCertificate {
            certificate: workspace.write("tls.crt", certificate.pem()),
            key: workspace.write("tls.key", key.serialize_pem()),
        }
    }
}
