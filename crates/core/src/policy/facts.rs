//! What is known when a workload is judged. Not knowing is a fact like any other.

use std::collections::BTreeMap;

use crate::argocd::verification::Rejection;
use crate::runtime::credential::Reference;
use crate::runtime::mode::Mode;
use crate::runtime::name::Name;
use crate::runtime::user_name::UserName;
use crate::runtime::value::{Role, ValueDefect};

/// Why something in the cluster could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unread {
    /// keyguard's account lacks the right.
    Forbidden,
    /// The answer did not come within the deadline.
    Timeout,
    /// The API server answered with this HTTP status.
    Status(u16),
    /// No answer came: connection refused, reset, TLS.
    Unreachable,
    /// The object is larger than keyguard reads.
    TooLarge,
    /// The workload refers to more Secrets than keyguard reads for one request.
    TooMany,
    /// What came was not the object.
    Garbled,
    /// The folder of manifests that is the cluster has a fault.
    Manifests,
}

impl Unread {
    /// What happened, a clause.
    pub fn what(&self) -> String {
        match self {
            Unread::Forbidden => "keyguard's service account may not read it".to_owned(),
            Unread::Timeout => "the API server did not answer in time".to_owned(),
            Unread::Status(status) => format!("the API server answered HTTP {status}"),
            Unread::Unreachable => "the API server could not be reached".to_owned(),
            Unread::TooLarge => "it is larger than limits.maxSecretBytes".to_owned(),
            Unread::TooMany => {
                "the workload refers to more Secrets than limits.maxSecretReads".to_owned()
            }
            Unread::Garbled => "the API server's answer was not readable".to_owned(),
            Unread::Manifests => "a manifest in the folder of --state has a fault".to_owned(),
        }
    }

    /// How to mend it, a sentence.
    pub fn mend(&self) -> &'static str {
        match self {
            Unread::Forbidden => {
                "Give keyguard's service account the right to get secrets in this namespace."
            }
            Unread::TooLarge => {
                "Keep the credential in a Secret of its own, or raise limits.maxSecretBytes."
            }
            Unread::TooMany => "Refer to fewer Secrets, or raise limits.maxSecretReads.",
            Unread::Manifests => "Mend the manifest that keyguard's log names.",
            Unread::Timeout | Unread::Status(_) | Unread::Unreachable | Unread::Garbled => {
                "Try again; if it stays so, look at the API server and at keyguard's log."
            }
        }
    }
}

/// What is known of one key of one Secret in one role; the value itself never gets here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialFact {
    /// No Secret can have such a name.
    NameInvalid,
    /// The Secret does not exist.
    SecretMissing,
    /// The Secret exists and has no such key.
    KeyMissing,
    /// It could not be read.
    Unread(Unread),
    /// The value is there, with these defects; none when it is good.
    Value(Vec<ValueDefect>),
}

/// What is known of the Runtime's mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModeFact {
    /// Nothing depends on it, so nobody asked.
    NotNeeded,
    /// `cap-app-proxy-cm` does not exist.
    Missing,
    /// `cap-app-proxy-cm` could not be read.
    Unread(Unread),
    /// As `cap-app-proxy-cm` tells.
    Known(Mode),
}

impl ModeFact {
    /// The mode to decide by.
    pub fn mode(&self) -> Mode {
        match self {
            ModeFact::Known(mode) => *mode,
            ModeFact::NotNeeded | ModeFact::Missing | ModeFact::Unread(_) => Mode::Unknown,
        }
    }
}

/// Names one fact about a credential: Secret, key, role.
pub type CredentialKey = (Name, Name, Role);

/// What is known of Argo CD's own state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Verification {
    /// Nobody asked, or the Runtime has an Argo CD of its own elsewhere.
    #[default]
    NotAsked,
    /// There is no `argocd-secret` in this namespace.
    NotFound(String),
    /// An object of this namespace could not be read.
    Unread(&'static str, String, Unread),
    /// What it says of each credential.
    Known(BTreeMap<VerifiedKey, Verified>),
}

/// Names one credential: the reference to it and, of a password, whose it is.
pub type VerifiedKey = (CredentialKey, Option<UserName>);

/// What Argo CD's own state says of one credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verified {
    /// Why it is refused; nothing when it is accepted.
    Judged(Vec<Rejection>),
    /// Whose password it is cannot be told.
    UserNameUntold(Untold),
    /// It could not be found out.
    Unread(Unverified),
}

/// Why it cannot be told whose password it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Untold {
    /// The pod template does not tell.
    Template,
    /// The object that holds the name, or its key, is missing or has no text.
    Missing,
}

/// Why it could not be found out whether a credential is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unverified {
    /// The object that holds the name of the account could not be read.
    UserName(Unread),
    /// Comparing the password would take longer than keyguard takes; the cost of its hash.
    Cost(u32),
    /// Comparing the password did not end in time.
    Time,
    /// Too many passwords wait to be compared.
    Busy,
}

/// Everything known when a workload is judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// A fact for each distinct reference.
    pub credentials: BTreeMap<CredentialKey, CredentialFact>,
    /// The Runtime's mode.
    pub mode: ModeFact,
    /// What Argo CD's own state says of them.
    pub verification: Verification,
    /// Whether argocd-server has made the initial password already, and so does not make it again.
    pub initial_password_spent: bool,
}

impl Facts {
    /// What is known of a reference; what nobody looked up is unread, never assumed good.
    pub fn of(&self, reference: &Reference) -> CredentialFact {
        let key = (
            reference.secret.clone(),
            reference.key.clone(),
            reference.role,
        );
        self.credentials
            .get(&key)
            .cloned()
            .unwrap_or(CredentialFact::Unread(Unread::TooMany))
    }
}
