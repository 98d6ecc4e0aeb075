use std::path::{Path, PathBuf};

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

    /// The same content in files of their own.
    fn same(&self) -> Self {
        let copy = Files {
            folder: TempDir::new().unwrap(),
            pair: KeyPair::generate().unwrap(),
        };
        put(&copy, self);
        copy
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
    let shown = format!(
        "{:?} {:?}",
        CertificateFiles::open(&files.certificate_path(), &files.key_path()),
        ServingCertificate::of_files(files.load().unwrap())
    );
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

/// 2001, in Unix seconds.
const BEGIN_2001: i64 = 978_307_200;
const BEGIN_2002: i64 = 1_009_843_200;

/// Puts the pair of `other` where that of `files` was.
fn put(files: &Files, other: &Files) {
    std::fs::copy(other.certificate_path(), files.certificate_path()).unwrap();
    std::fs::copy(other.key_path(), files.key_path()).unwrap();
}

fn open(files: &Files) -> CertificateFiles {
    CertificateFiles::open(&files.certificate_path(), &files.key_path())
        .unwrap()
        .0
}

#[test]
fn another_good_pair_is_taken_once_and_the_same_again_is_none() {
    let (files, other) = (Files::valid(), Files::valid());
    let mut watched = open(&files);
    let mut look = || watched.look(BEGIN_2001, Validity::Valid);
    assert!(matches!(look(), Look::Unchanged));
    put(&files, &files.same());
    assert!(matches!(look(), Look::Unchanged), "written again");
    put(&files, &other);
    let Look::Changed(pair) = look() else {
        panic!("another pair");
    };
    assert_eq!(pair.chain(), other.load().unwrap().chain());
    assert!(matches!(look(), Look::Unchanged));
}

#[test]
fn a_broken_pair_is_refused_once_and_only_when_it_stays() {
    let (files, other) = (Files::valid(), Files::valid());
    let mut watched = open(&files);
    let mut look = || watched.look(BEGIN_2001, Validity::Valid);
    std::fs::copy(other.certificate_path(), files.certificate_path()).unwrap();
    assert!(
        matches!(look(), Look::Unchanged),
        "the key may be on its way"
    );
    let Look::Refused(Refusal::Unusable(TlsError::Mismatch { .. })) = look() else {
        panic!("the key did not come");
    };
    assert!(matches!(look(), Look::Unchanged), "told already");
    std::fs::remove_file(files.key_path()).unwrap();
    assert!(matches!(look(), Look::Unchanged));
    let Look::Refused(Refusal::Unusable(TlsError::Unreadable { .. })) = look() else {
        panic!("there is no key");
    };
    put(&files, &other);
    assert!(matches!(look(), Look::Changed(_)), "mended");
}

#[test]
fn the_pair_in_use_put_back_is_nothing_new_and_the_next_fault_is_told_again() {
    let (files, kept) = (Files::valid(), Files::valid());
    put(&kept, &files);
    let mut watched = open(&files);
    let mut look = || watched.look(BEGIN_2001, Validity::Valid);
    for _ in 0..2 {
        std::fs::write(files.key_path(), "").unwrap();
        assert!(matches!(look(), Look::Unchanged));
        assert!(matches!(look(), Look::Refused(_)));
        put(&files, &kept);
        assert!(matches!(look(), Look::Unchanged));
    }
}

#[test]
fn one_that_is_not_valid_now_waits_while_the_one_before_is() {
    let of_2001 = || {
        let files = Files::valid();
        let pem = files.certificate_between(2001, 2002);
        files.certificate(pem)
    };
    let (files, other) = (Files::valid(), of_2001());
    let mut watched = open(&files);
    put(&files, &other);
    let mut look = |now| watched.look(now, Validity::Valid);
    assert!(matches!(look(BEGIN_2001 - 2), Look::Unchanged));
    let Look::Refused(refusal) = look(BEGIN_2001 - 2) else {
        panic!("not yet valid");
    };
    assert!(
        refusal
            .to_string()
            .ends_with("not valid before 2001-01-01T00:00:00Z")
    );
    assert!(
        matches!(look(BEGIN_2001 - 1), Look::Unchanged),
        "told already"
    );
    assert!(
        matches!(look(BEGIN_2001), Look::Changed(_)),
        "its time has come"
    );

    let (files, other) = (Files::valid(), of_2001());
    let mut watched = open(&files);
    put(&files, &other);
    assert!(matches!(
        watched.look(BEGIN_2002 + 1, Validity::Valid),
        Look::Unchanged
    ));
    let Look::Refused(refusal) = watched.look(BEGIN_2002 + 1, Validity::Valid) else {
        panic!("expired");
    };
    assert!(
        refusal
            .to_string()
            .contains("expired at 2002-01-01T00:00:00Z")
    );

    let files = Files::valid();
    let mut watched = open(&files);
    put(&files, &other);
    let look = watched.look(BEGIN_2002 + 1, Validity::Expired);
    assert!(
        matches!(look, Look::Changed(_)),
        "no worse than the one before"
    );
}

#[test]
fn the_links_of_a_mounted_secret_are_followed_when_their_folder_is_exchanged() {
    use std::os::unix::fs::symlink;
    let (first, second) = (Files::valid(), Files::valid());
    let volume = TempDir::new().unwrap();
    let at = |name: &str| volume.path().join(name);
    symlink(first.folder.path(), at("..data")).unwrap();
    for name in ["tls.crt", "tls.key"] {
        symlink(Path::new("..data").join(name), at(name)).unwrap();
    }
    let (mut watched, _) = CertificateFiles::open(&at("tls.crt"), &at("tls.key")).unwrap();
    let mut look = || watched.look(BEGIN_2001, Validity::Valid);
    assert!(matches!(look(), Look::Unchanged));
    symlink(second.folder.path(), at("..data_tmp")).unwrap();
    std::fs::rename(at("..data_tmp"), at("..data")).unwrap();
    let Look::Changed(pair) = look() else {
        panic!("the folder was exchanged");
    };
    assert_eq!(pair.chain(), second.load().unwrap().chain());
}
