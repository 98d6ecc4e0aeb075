//! The value of a Secret, which nobody gets to see.

use std::collections::BTreeMap;
use std::fmt;

use zeroize::Zeroizing;

/// Bytes of a Secret: no `Clone`, no `Display`, a `Debug` that tells nothing, zeroed when dropped.
#[derive(Default)]
pub struct SecretBytes(Zeroizing<Vec<u8>>, Option<Version>);

/// What a Secret is known by as it was when it was read: as long as both stay, so does every value in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// The uid of the object.
    pub uid: String,
    /// Its resource version.
    pub resource_version: String,
}

impl SecretBytes {
    /// Takes over bytes that are zeroed from now on.
    pub fn new(bytes: Zeroizing<Vec<u8>>) -> SecretBytes {
        SecretBytes(bytes, None)
    }

    /// The same, of a Secret at this version.
    pub fn at(self, version: Option<Version>) -> SecretBytes {
        SecretBytes(self.0, version)
    }

    /// The version of the Secret that they are from, when that is known.
    pub fn version(&self) -> Option<&Version> {
        self.1.as_ref()
    }

    /// The bytes, to be looked at and never kept.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SecretBytes(<redacted>)")
    }
}

/// The data of a Secret; its `Debug` tells how many keys there are.
#[derive(Default)]
pub struct SecretData(BTreeMap<String, SecretBytes>);

impl SecretData {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&SecretBytes> {
        self.0.get(key)
    }

    /// Puts a value under a key and gives back the one before it.
    pub fn insert(&mut self, key: &str, value: SecretBytes) -> Option<SecretBytes> {
        self.0.insert(key.to_owned(), value)
    }

    /// Every key with its value, in the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &SecretBytes)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }
}

impl fmt::Debug for SecretData {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SecretData({} keys)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_tells_nothing() {
        let secret = SecretBytes::new(Zeroizing::new(b"sup3rs3cret".to_vec()));
        assert_eq!(
            format!("{secret:?} {secret:#?}"),
            "SecretBytes(<redacted>) SecretBytes(<redacted>)"
        );
        let mut data = SecretData::default();
        data.insert("eyJ", secret);
        assert_eq!(
            format!("{data:?} {data:#?}"),
            "SecretData(1 keys) SecretData(1 keys)"
        );
    }
}
