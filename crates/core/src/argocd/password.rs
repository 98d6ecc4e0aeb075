//! Passwords as Argo CD compares them with their bcrypt hash.
//!
//! Source: Argo CD `util/password`, Go `golang.org/x/crypto/bcrypt`, which takes any version up to 2 with or without
//! a letter, and looks at the first 31 characters of what follows the salt.

use std::fmt;

use base64::Engine;
use base64::alphabet::BCRYPT;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

/// Go's decoder: the bits left over in the last character do not matter.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &BCRYPT,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);

/// The shortest hash.
const LEAST: usize = 59;
/// The characters of a salt.
const SALT: usize = 22;
/// The characters that are compared.
const COMPARED: usize = 31;
/// The bytes of a password that count, with the zero byte that ends it.
const MOST_PASSWORD: usize = 72;

/// A bcrypt hash, zeroed when dropped.
pub struct PasswordHash {
    cost: u32,
    salt: [u8; 16],
    compared: [u8; COMPARED],
}

impl PasswordHash {
    /// Reads a hash; `None` for what Go takes for none, with which every password is wrong.
    pub fn read(hash: &[u8]) -> Option<PasswordHash> {
        if hash.len() < LEAST {
            return None;
        }
        let (major, rest) = hash.strip_prefix(b"$")?.split_first()?;
        let rest = match rest {
            [b'$', rest @ ..] if *major <= b'2' => rest,
            [_, _, rest @ ..] if *major <= b'2' => rest,
            _ => return None,
        };
        let (cost, rest) = rest.split_at_checked(2)?;
        let cost: i32 = std::str::from_utf8(cost).ok()?.parse().ok()?;
        let cost = u32::try_from(cost)
            .ok()
            .filter(|cost| (4..=31).contains(cost))?;
        let (salt, compared) = rest.get(1..)?.split_at_checked(SALT)?;
        let mut hash = PasswordHash {
            cost,
            salt: [0; 16],
            compared: [0; COMPARED],
        };
        BASE64.decode_slice(salt, &mut hash.salt).ok()?;
        hash.compared.copy_from_slice(compared.get(..COMPARED)?);
        Some(hash)
    }

    /// The cost: each one more doubles the time that [`PasswordHash::matches`] takes. Argo CD makes hashes of 10.
    pub fn cost(&self) -> u32 {
        self.cost
    }

    /// Whether this is the hash of a password. Takes some 50 ms at cost 10: not for a thread that others wait for.
    pub fn matches(&self, password: &[u8]) -> bool {
        if password.is_empty() {
            return false;
        }
        let mut ended = Zeroizing::new(Vec::with_capacity(MOST_PASSWORD + 1));
        ended.extend(password.iter().take(MOST_PASSWORD));
        ended.push(0);
        ended.truncate(MOST_PASSWORD);
        let digest = Zeroizing::new(bcrypt::bcrypt(self.cost, self.salt, &ended));
        let mut text = Zeroizing::new([0; COMPARED]);
        let encoded = digest
            .get(..23)
            .map(|digest| BASE64.encode_slice(digest, &mut *text));
        matches!(encoded, Some(Ok(COMPARED))) && bool::from(text.ct_eq(&self.compared))
    }

    /// The bytes by which a verdict on this hash is remembered, which must be kept no longer than the hash.
    pub fn identity(&self) -> impl Iterator<Item = u8> + '_ {
        let cost = self.cost.to_be_bytes();
        cost.into_iter().chain(self.salt).chain(self.compared)
    }
}

impl Drop for PasswordHash {
    fn drop(&mut self) {
        self.salt.zeroize();
        self.compared.zeroize();
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PasswordHash(<redacted>)")
    }
}

#[cfg(test)]
#[path = "password_tests.rs"]
mod tests;
