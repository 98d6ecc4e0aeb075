use std::path::PathBuf;

use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, date_time_ymd};
use tempfile::TempDir;
use x509_parser::der_parser::ber::BerObjectContent;
use x509_parser::der_parser::parse_der;

use super::*;
use crate::tls::life::Life;
use crate::tls::serving_certificate::ServingCertificate;

/// A folder with a certificate and its key; each call is one deviation.
struct Files {
    folder: TempDir,
    pair: KeyPair,
}

impl Files {
    fn valid() -> Self {
        Self::with(KeyPair::generate().unwrap())
    }

    fn with(pair: KeyPair) -> Self {
        let files = Files {
            folder: TempDir::new().unwrap(),
            pair,
        };
        let (certificate, key) = (
            files.certificate_between(1975, 4096),
            files.pair.serialize_pem(),
        );
        files.certificate(certificate).key(key)
    }

    fn certificate_between(&self, from: i32, to: i32) -> String {
        let mut params = CertificateParams::new(vec!["keyguard.test".to_owned()]).unwrap();
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(to, 1, 1);
        params.self_signed(&self.pair).unwrap().pem()
    }

    fn certificate(self, pem: impl AsRef<[u8]>) -> Self {
        std::fs::write(self.certificate_path(), pem).unwrap();
        self
    }

    fn key(self, pem: impl AsRef<[u8]>) -> Self {
        std::fs::write(self.key_path(), pem).unwrap();
        self
    }

    fn certificate_path(&self) -> PathBuf {
        self.folder.path().join("tls.crt")
    }

    fn key_path(&self) -> PathBuf {
        self.folder.path().join("tls.key")
    }

    fn load(&self) -> Result<Pair, TlsError> {
        load(&self.certificate_path(), &self.key_path())
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .map(|line| str::from_utf8(line).unwrap())
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

/// The ECPrivateKey (RFC 5915) inside a PKCS #8 key.
fn sec1(pair: &KeyPair) -> Vec<u8> {
    let (_, pkcs8) = parse_der(pair.serialized_der()).unwrap();
    let BerObjectContent::OctetString(sec1) = pkcs8.as_sequence().unwrap()[2].content else {
        panic!("PKCS #8 has its key third");
    };
    sec1.to_vec()
}

#[test]
fn a_pair_of_any_common_kind_is_loaded() {
    for pair in [
        KeyPair::generate().unwrap(),
        KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap(),
        KeyPair::generate_for(&PKCS_ED25519).unwrap(),
    ] {
        let pair = Files::with(pair).load().unwrap();
        let life = Life {
            from: 157_766_400,
            to: 67_090_118_400,
        };
        assert_eq!(pair.life(), life);
    }
}

#[test]
fn a_sec1_key_and_a_key_after_its_certificate_and_a_chain_are_loaded() {
    let files = Files::valid();
    let key = pem("EC PRIVATE KEY", &sec1(&files.pair));
    let chain = files.certificate_between(2000, 2001) + &files.certificate_between(1990, 1991);
    let both = chain.clone() + &key;
    let files = files.certificate(&chain).key(&both);
    let pair = files.load().unwrap();
    assert_eq!(pair.chain().len(), 2);
    assert_eq!(
        pair.life().to,
        978_307_200,
        "the first certificate is the server's own"
    );
}

#[test]
fn what_is_wrong_with_a_file_is_said_with_the_flag_that_names_it() {
    let valid = Files::valid;
    let key_of = |files: &Files| files.pair.serialize_pem();
    let cut = |pem: &str| pem.lines().take(2).collect::<Vec<_>>().join("\n");
    let certificate = valid().certificate_between(1975, 4096);
    let key = key_of(&valid());
    let absent = valid();
    std::fs::remove_file(absent.certificate_path()).unwrap();
    let keyless = valid();
    std::fs::remove_file(keyless.key_path()).unwrap();
    let table: [(&str, Files, &str, &str); 13] = [
        (
            "no certificate file",
            absent,
            "--tls-cert",
            "cannot be read",
        ),
        ("no key file", keyless, "--tls-key", "cannot be read"),
        (
            "empty certificate",
            valid().certificate(""),
            "--tls-cert",
            "no certificate in it",
        ),
        (
            "empty key",
            valid().key(""),
            "--tls-key",
            "no private key in it",
        ),
        (
            "key as certificate",
            valid().certificate(&key),
            "--tls-cert",
            "no certificate in it",
        ),
        (
            "certificate as key",
            valid().key(&certificate),
            "--tls-key",
            "no private key in it",
        ),
        (
            "cut certificate",
            valid().certificate(cut(&certificate)),
            "--tls-cert",
            "is damaged",
        ),
        ("cut key", valid().key(cut(&key)), "--tls-key", "is damaged"),
        (
            "key on one line",
            valid().key(key.replace('\n', "")),
            "--tls-key",
            "is damaged",
        ),
        (
            "not X.509",
            valid().certificate(certificate.clone() + &pem("CERTIFICATE", b"text")),
            "--tls-cert",
            "certificate 2 in it is not X.509",
        ),
        (
            "encrypted key",
            valid().key(pem("ENCRYPTED PRIVATE KEY", b"sealed")),
            "--tls-key",
            "the private key is encrypted",
        ),
        (
            "not a key",
            valid().key(pem("PRIVATE KEY", b"text")),
            "--tls-key",
            "not a usable private key",
        ),
        (
            "another's key",
            valid().key(&key),
            "--tls-key",
            "does not belong to the first certificate",
        ),
    ];
    for (name, files, flag, what) in table {
        let error = files.load().expect_err(name);
        let text = error.to_string();
        assert!(text.starts_with(flag), "{name}: {text}");
        assert!(text.contains(what), "{name}: {text}");
        assert!(
            text.contains(files.folder.path().to_str().unwrap()),
            "{name}: {text}"
        );
        assert!(!text.contains('\n'), "{name}: {text}");
    }
}

#[test]
fn no_error_and_no_debug_output_holds_any_of_the_key() {
    let files = Files::valid();
    let key = files.pair.serialize_pem();
    let secret = key.lines().nth(1).unwrap().to_owned();
    let shown = format!("{:?}", ServingCertificate::of_files(files.load().unwrap()));
    assert!(!shown.contains(&secret));
    for damaged in [
        key.replace('\n', ""),
        key.replace("-----END", "----END"),
        key.replacen('\n', " ", 1),
        key.replacen("KEY-----\n", "KEY----", 1),
        key.replacen(&secret, &format!("{secret}!"), 1),
    ] {
        let files = Files::valid().key(&damaged);
        let error = files.load().unwrap_err();
        assert!(
            !format!("{error} {error:?}").contains(&secret[..16]),
            "{error:?}"
        );
    }
}

#[test]
fn another_pair_is_taken_once_both_files_are_there_and_a_broken_one_is_refused() {
    let (files, other) = (Files::valid(), Files::valid());
    let (mut watched, _) = open(&files.certificate_path(), &files.key_path()).unwrap();
    let mut look = || {
        watched
            .look()
            .map(|looked| looked.map_err(|error| error.to_string()))
    };
    std::fs::copy(other.certificate_path(), files.certificate_path()).unwrap();
    assert!(look().is_none(), "the key may be on its way");
    std::fs::copy(other.key_path(), files.key_path()).unwrap();
    assert!(look().is_none(), "the same must be there twice");
    let pair = look().unwrap().unwrap();
    assert_eq!(pair.chain(), other.load().unwrap().chain());
    std::fs::copy(Files::valid().key_path(), files.key_path()).unwrap();
    assert!(look().is_none());
    let refused = look().unwrap().unwrap_err();
    assert!(
        refused.contains("does not belong to the first certificate"),
        "{refused}"
    );
    assert!(look().is_none(), "told already");
}

#[test]
fn a_chain_that_is_still_being_written_is_not_taken_although_its_first_half_is_good() {
    let files = Files::valid();
    let (mut watched, _) = open(&files.certificate_path(), &files.key_path()).unwrap();
    let chain = [(1990, 4000), (1980, 4050)].map(|(from, to)| files.certificate_between(from, to));
    std::fs::write(files.certificate_path(), &chain[0]).unwrap();
    assert!(watched.look().is_none(), "half of it");
    std::fs::write(files.certificate_path(), chain.concat()).unwrap();
    assert!(watched.look().is_none(), "all of it, once");
    let pair = watched.look().unwrap().unwrap();
    assert_eq!(pair.chain().len(), 2);
}
