//! The value of a Secret, which nobody gets to see.

use std::fmt;

use zeroize::Zeroizing;

/// Bytes of a Secret: no `Clone`, no `Display`, a `Debug` that tells nothing, zeroed when dropped.
pub struct SecretBytes(Zeroizing<Vec<u8>>);

impl SecretBytes {
    /// Takes over bytes that are zeroed from now on.
    pub fn new(bytes: Zeroizing<Vec<u8>>) -> SecretBytes {
        SecretBytes(bytes)
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
    }
}
