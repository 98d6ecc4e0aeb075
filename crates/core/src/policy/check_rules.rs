//! Rules that only `check` has: about what people write, before anything of it is in a cluster.

use crate::policy::verdict::sentence;

/// Declares the closed set of rules once: variant, stable id and reason.
macro_rules! check_rules {
    ($($variant:ident $id:literal $why:literal)+) => {
        /// A rule of `check`. Ids never change once released.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum CheckRule {
            $(#[doc = concat!("`", $id, "`")] $variant,)+
        }

        impl CheckRule {
            /// Every rule, in the order of the documentation.
            pub const ALL: &'static [CheckRule] = &[$(CheckRule::$variant,)+];

            /// The stable id.
            pub fn id(self) -> &'static str {
                match self { $(CheckRule::$variant => $id,)+ }
            }

            /// Why it matters, as a clause that follows a colon.
            pub fn why(self) -> &'static str {
                match self { $(CheckRule::$variant => $why,)+ }
            }

            /// What is wrong and where, why it matters, how to mend it, which rule.
            pub fn sentence(self, what: &str, mend: &str) -> String {
                sentence(what, self.why(), mend, self.id())
            }
        }
    };
}

check_rules! {
    PathNotRead "values/path-not-read"
        "this version of the chart does not read it and renders its defaults instead, without an error"
    PathMisplaced "values/path-misplaced"
        "the chart does not read it there and renders its defaults instead, without an error"
    TypeMismatch "values/type-mismatch"
        "the chart looks only at the settings of its type"
    PlainAndReference "values/plain-and-reference"
        "the chart takes one of them and ignores the other"
    ReferenceIncomplete "values/reference-incomplete"
        "what is missing comes from the chart's default, which belongs to another Secret"
    PlainCredential "values/plain-credential"
        "everybody who reads the repository, or the ConfigMap helm-values-config, has the credential"
    PlainNotText "values/plain-not-text"
        "the chart writes it without quotes, so that it becomes something else, or the Secret is refused"
    MadeTooLate "secrets/made-too-late"
        "Helm and Argo CD apply kinds that they do not know last, and the workload is refused before the Secret is there"
    ObjectMalformed "objects/malformed"
        "the API server refuses it"
    IgnoreIncomplete "check/ignore-incomplete"
        "a finding is ignored only for a rule that exists and a reason that others can read"
    KeysUnknown "secrets/keys-unknown"
        "it cannot be told from here whether the Secret will have the key"
}
