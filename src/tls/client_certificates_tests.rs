use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
};

use super::*;

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

fn authority() -> Authority {
    let mut parameters = CertificateParams::default();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let pem = parameters.self_signed(&key).unwrap().pem();
    Authority {
        issuer: Issuer::new(parameters, key),
        pem,
    }
}

impl Authority {
    fn authorities(&self) -> Authorities {
        super::authorities(Path::new("ca.crt"), Ok(self.pem.clone().into_bytes())).unwrap()
    }

    fn issue(
        &self,
        common: &str,
        dns: &[&str],
        usage: ExtendedKeyUsagePurpose,
    ) -> CertificateDer<'static> {
        let dns: Vec<_> = dns.iter().map(ToString::to_string).collect();
        let mut parameters = CertificateParams::new(dns).unwrap();
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        parameters
            .distinguished_name
            .push(DnType::CommonName, common);
        parameters.extended_key_usages = vec![usage];
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        certificate.der().clone()
    }

    fn client(&self, common: &str, dns: &[&str]) -> CertificateDer<'static> {
        self.issue(common, dns, ExtendedKeyUsagePurpose::ClientAuth)
    }
}

fn refusal(
    clients: &ClientCertificates,
    certificate: &CertificateDer<'_>,
) -> Option<ClientRefusal> {
    let verified = clients.verify_client_cert(certificate, &[], UnixTime::now());
    let error = io::Error::new(io::ErrorKind::InvalidData, verified.err()?);
    Some(super::refusal(&error).unwrap())
}

#[test]
fn a_client_needs_a_certificate_of_the_ca_for_clients() {
    let (ours, other) = (authority(), authority());
    let clients = ClientCertificates::new(ours.authorities(), Vec::new());
    assert_eq!(refusal(&clients, &ours.client("anybody", &[])), None);
    let not_trusted = Some(ClientRefusal::NotTrusted);
    assert_eq!(
        refusal(&clients, &other.client("anybody", &[])),
        not_trusted
    );
    let server = ours.issue("anybody", &[], ExtendedKeyUsagePurpose::ServerAuth);
    assert_eq!(refusal(&clients, &server), not_trusted);
    assert!(clients.offer_client_auth() && clients.client_auth_mandatory());
}

#[test]
fn with_names_one_of_them_must_be_its_common_name_or_a_dns_name() {
    let authority = authority();
    let names = vec!["kube-apiserver".to_owned(), "api.example".to_owned()];
    let clients = ClientCertificates::new(authority.authorities(), names);
    let table: [(&str, &[&str], bool); 7] = [
        ("kube-apiserver", &[], true),
        ("kube-apiserver-other", &[], false),
        ("Kube-Apiserver", &[], false),
        ("nobody", &["api.example"], true),
        ("nobody", &["first.example", "API.example"], true),
        ("nobody", &["*.example", "example"], false),
        ("", &[], false),
    ];
    for (common, dns, is_let_in) in table {
        let certificate = authority.client(common, dns);
        let expected = (!is_let_in).then_some(ClientRefusal::OtherName);
        assert_eq!(
            refusal(&clients, &certificate),
            expected,
            "{common} {dns:?}"
        );
    }
}

#[test]
fn another_ca_counts_from_the_next_handshake_on() {
    let (before, after) = (authority(), authority());
    let clients = ClientCertificates::new(before.authorities(), Vec::new());
    clients.store(after.authorities());
    assert_eq!(refusal(&clients, &after.client("a", &[])), None);
    let not_trusted = Some(ClientRefusal::NotTrusted);
    assert_eq!(refusal(&clients, &before.client("a", &[])), not_trusted);
}

#[test]
fn both_of_two_cas_in_a_file_count() {
    let (one, two) = (authority(), authority());
    let both = [one.pem.as_bytes(), two.pem.as_bytes()].concat();
    let both = super::authorities(Path::new("ca.crt"), Ok(both)).unwrap();
    let clients = ClientCertificates::new(both, Vec::new());
    assert_eq!(refusal(&clients, &one.client("a", &[])), None);
    assert_eq!(refusal(&clients, &two.client("a", &[])), None);
}

#[test]
fn a_file_without_a_ca_is_told_by_its_flag_and_never_quoted() {
    let key = KeyPair::generate().unwrap().serialize_pem();
    let damaged = authority().pem.replace("MII", "secret");
    let missing = io::Error::from(io::ErrorKind::NotFound);
    let table = [
        (Ok(Vec::new()), "no usable CA certificate"),
        (Ok(key.into_bytes()), "no usable CA certificate"),
        (Ok(damaged.into_bytes()), "no usable CA certificate"),
        (Err(missing), "cannot be read"),
    ];
    for (read, expected) in table {
        let error = super::authorities(Path::new("ca.crt"), read).unwrap_err();
        let message = error.to_string();
        assert!(message.starts_with("--client-ca ca.crt"), "{message}");
        assert!(message.contains(expected), "{message}");
        assert!(
            !format!("{message}{error:?}").contains("secret"),
            "{message}"
        );
    }
}

#[test]
fn a_handshake_that_failed_for_another_reason_is_no_refusal() {
    let of = |error| super::refusal(&io::Error::other(error));
    assert_eq!(
        of(Error::NoCertificatesPresented),
        Some(ClientRefusal::NoCertificate)
    );
    assert_eq!(of(Error::DecryptError), None);
    assert_eq!(
        super::refusal(&io::Error::from(io::ErrorKind::UnexpectedEof)),
        None
    );
}
