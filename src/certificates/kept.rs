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

/// What is in a Secret with an authority that can sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The one that signed the serving certificate.
    pub current: Authority,
    /// The serving certificate, unless it is missing or damaged.
    pub leaf: Option<Leaf>,
    /// The one that will sign the next.
    pub next: Option<Authority>,
}
