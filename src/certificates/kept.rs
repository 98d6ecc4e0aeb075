//! What the Secret of certificates holds.

use crate::tls::life::Life;

/// The certificate of a CA; two are the same when their bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// DER.
    pub der: Vec<u8>,
    /// Its validity.
    pub life: Life,
}

/// A serving certificate that has its key and a good signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Its validity.
    pub life: Life,
    /// Whether it is for all names that this replica is called by.
    pub covers_names: bool,
}

/// What is in the Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// There is no Secret.
    Missing,
    /// There is one, with no authority in it that could sign.
    Damaged,
    /// An authority.
    Holds {
        /// The one that signed the serving certificate.
        current: Authority,
        /// The serving certificate, unless it is missing or damaged.
        leaf: Option<Leaf>,
        /// The one that will sign the next.
        next: Option<Authority>,
    },
}
