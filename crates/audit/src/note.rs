//! Signed notes, and the checkpoints that are some.
//!
//! Source: C2SP `signed-note` and `tlog-checkpoint`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pem::Pem;
use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::merkle::Hash;

/// What a signature by Ed25519 begins with.
const ED25519_TYPE: u8 = 1;
/// The label of a private key in PEM.
const PRIVATE_KEY: &str = "PRIVATE KEY";

/// The key that signs checkpoints. `Debug` says nothing.
pub struct SigningKey(Ed25519KeyPair);

/// The public half of a [`SigningKey`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyingKey(Vec<u8>);

/// Why a key or a note cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NoteError {
    /// No key could be made.
    #[error("the system gives no random bytes for a key")]
    NoRandom,
    /// A key is none.
    #[error("not an Ed25519 private key in PEM (PKCS #8)")]
    NoKey,
    /// A note is none.
    #[error("not a checkpoint: origin, size and root in base64, an empty line, then signatures")]
    Malformed,
    /// A note is of another log.
    #[error(
        "the checkpoint is of another log: the name of the cluster must be the one that it was begun with"
    )]
    OtherOrigin,
    /// No signature fits.
    #[error("no signature of the checkpoint is by the key of this log")]
    Unsigned,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SigningKey(<redacted>)")
    }
}

impl SigningKey {
    /// Makes a key, as PEM.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn generate() -> Result<Zeroizing<String>, NoteError> {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new());
        let document = document.map_err(|_| NoteError::NoRandom)?;
        let pem = Pem::new(PRIVATE_KEY, document.as_ref());
        Ok(Zeroizing::new(pem::encode(&pem)))
    }

    /// Reads a key from PEM.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<SigningKey, NoteError> {
        let pem = pem::parse(text).map_err(|_| NoteError::NoKey)?;
        let document = Zeroizing::new(pem.into_contents());
        // openssl leaves the public key out.
        let key = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&document);
        key.map(SigningKey).map_err(|_| NoteError::NoKey)
    }

    /// Its public half.
    pub fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey(self.0.public_key().as_ref().to_vec())
    }

    /// A signed checkpoint of the log with this origin.
    pub fn sign(&self, origin: &str, size: u64, root: &Hash) -> String {
        let text = format!("{origin}\n{size}\n{}\n", STANDARD.encode(root));
        let mut signature = self.verifying_key().id(origin).to_vec();
        signature.extend(self.0.sign(text.as_bytes()).as_ref());
        format!("{text}\n\u{2014} {origin} {}\n", STANDARD.encode(signature))
    }
}

impl VerifyingKey {
    /// The key as tools read it, for the log with this origin.
    pub fn to_text(&self, origin: &str) -> String {
        let mut key = vec![ED25519_TYPE];
        key.extend(&self.0);
        format!("{}+{}", self.log_name(origin), STANDARD.encode(key))
    }

    /// What tells the log with this origin and key from every other: the origin, and the id of the key as notes have it.
    pub fn log_name(&self, origin: &str) -> String {
        let id = self.id(origin);
        let id: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{origin}+{id}")
    }

    /// Reads the text of [`VerifyingKey::to_text`]; which origin stands in it does not matter.
    ///
    /// # Errors
    /// When it is no such text.
    pub fn parse(text: &str) -> Result<VerifyingKey, NoteError> {
        let packed = text.trim().splitn(3, '+').nth(2).ok_or(NoteError::NoKey)?;
        let key = STANDARD.decode(packed).map_err(|_| NoteError::NoKey)?;
        match key.split_first() {
            Some((&ED25519_TYPE, key)) if key.len() == 32 => Ok(VerifyingKey(key.to_vec())),
            _ => Err(NoteError::NoKey),
        }
    }

    fn id(&self, origin: &str) -> [u8; 4] {
        let mut hasher = Sha256::new();
        hasher.update(origin.as_bytes());
        hasher.update([b'\n', ED25519_TYPE]);
        hasher.update(&self.0);
        let digest: Hash = hasher.finalize().into();
        let [first, second, third, fourth, ..] = digest;
        [first, second, third, fourth]
    }
}

/// What a checkpoint says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log.
    pub origin: String,
    /// How many entries it had.
    pub size: u64,
    /// The root of its tree then.
    pub root: Hash,
}

impl Checkpoint {
    /// Reads a checkpoint without looking at its signatures.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(note: &str) -> Result<Checkpoint, NoteError> {
        let mut lines = note.lines();
        let mut line = || lines.next().filter(|line| !line.is_empty());
        let (Some(origin), Some(size), Some(root)) = (line(), line(), line()) else {
            return Err(NoteError::Malformed);
        };
        let plain = size == "0" || !size.starts_with('0');
        let size = size.parse().ok().filter(|_| plain);
        let root = STANDARD.decode(root).ok().and_then(|it| it.try_into().ok());
        match (size, root) {
            (Some(size), Some(root)) => Ok(Checkpoint {
                origin: origin.to_owned(),
                size,
                root,
            }),
            _ => Err(NoteError::Malformed),
        }
    }

    /// Reads a checkpoint of the log with this origin that is signed by the key.
    ///
    /// # Errors
    /// When it is none, of another log, or not signed by the key.
    pub fn verify(note: &str, origin: &str, key: &VerifyingKey) -> Result<Checkpoint, NoteError> {
        let checkpoint = Checkpoint::parse(note)?;
        if checkpoint.origin != origin {
            return Err(NoteError::OtherOrigin);
        }
        let (text, signatures) = note.split_once("\n\n").ok_or(NoteError::Malformed)?;
        let text = format!("{text}\n");
        let public = UnparsedPublicKey::new(&ED25519, &key.0);
        let is_ours = |line: &str| {
            let rest = line.strip_prefix("\u{2014} ")?.strip_prefix(origin)?;
            let packed = STANDARD.decode(rest.strip_prefix(' ')?).ok()?;
            let signature = packed.strip_prefix(&key.id(origin))?;
            public.verify(text.as_bytes(), signature).ok()
        };
        let mut lines = signatures.lines();
        match lines.any(|line| is_ours(line).is_some()) {
            true => Ok(checkpoint),
            false => Err(NoteError::Unsigned),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> SigningKey {
        SigningKey::parse(&SigningKey::generate().unwrap()).unwrap()
    }

    #[test]
    fn what_is_signed_is_read_by_its_own_key_and_no_other() {
        let (key, other) = (key(), key());
        let note = key.sign("keyguard/here/2026-W48", 17, &[7; 32]);
        let public = key.verifying_key();
        let read = Checkpoint::verify(&note, "keyguard/here/2026-W48", &public).unwrap();
        assert_eq!((read.size, read.root), (17, [7; 32]));
        let text = public.to_text("keyguard/here/2026-W48");
        assert_eq!(VerifyingKey::parse(&text), Ok(public.clone()));

        let origin = "keyguard/here/2026-W48";
        let changed = note.replacen("17", "18", 1);
        let table = [
            (changed.as_str(), origin, &public, NoteError::Unsigned),
            (
                &note,
                "keyguard/there/2026-W48",
                &public,
                NoteError::OtherOrigin,
            ),
            (&note, origin, &other.verifying_key(), NoteError::Unsigned),
            ("", origin, &public, NoteError::Malformed),
            (
                "keyguard/here/2026-W48\n017\nAA==\n",
                origin,
                &public,
                NoteError::Malformed,
            ),
        ];
        for (note, origin, key, expected) in table {
            assert_eq!(
                Checkpoint::verify(note, origin, key),
                Err(expected),
                "{note}"
            );
        }
    }

    #[test]
    fn a_key_of_openssl_is_read_and_debug_tells_no_key() {
        let openssl = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";
        let key = SigningKey::parse(openssl).unwrap();
        assert_eq!(format!("{key:?}"), "SigningKey(<redacted>)");
        assert_eq!(SigningKey::parse("x").unwrap_err(), NoteError::NoKey);
    }
}
