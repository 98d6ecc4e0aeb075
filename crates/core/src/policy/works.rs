//! Whether a token works: one definition, for a workload on its way in, for what workloads use, and for a person who asks.

use crate::argocd::token::TokenDefect;
use crate::argocd::verification::{Rejection, State};
use crate::runtime::secret_bytes::SecretBytes;
use crate::runtime::value::{Role, ValueDefect, examine};

/// What is wrong with a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Defect {
    /// What it shows by itself.
    Value(ValueDefect),
    /// What Argo CD's own state tells.
    Rejected(Rejection),
}

impl Defect {
    /// Whether it ends a token, today or at the next start of argocd-server.
    pub fn stops(&self) -> bool {
        match self {
            Defect::Value(defect) => {
                defect.is_certain(Role::Token) && !defect.is_accepted_for_now()
            }
            Defect::Rejected(_) => true,
        }
    }

    /// What Argo CD's own state tells, if that is what is wrong.
    pub fn rejection(self) -> Option<Rejection> {
        match self {
            Defect::Value(_) => None,
            Defect::Rejected(rejection) => Some(rejection),
        }
    }
}

/// Everything that is wrong with a token at `now`, in Unix seconds; by itself alone when Argo CD's state is not known.
pub fn defects(value: &SecretBytes, state: Option<&State<'_>>, now: f64) -> Vec<Defect> {
    let values = examine(Role::Token, value, now);
    let rejections = state.and_then(|state| rejections(value, state, &values));
    let accepted = rejections.as_ref().is_some_and(Vec::is_empty);
    let values = values
        .into_iter()
        .filter(|defect| !accepted || !is_overruled(*defect, Role::Token));
    let rejections = rejections.into_iter().flatten();
    values
        .map(Defect::Value)
        .chain(rejections.map(Defect::Rejected))
        .collect()
}

/// Whether a token works at `now`, in Unix seconds. One that will end works until then.
pub fn works(value: &SecretBytes, state: Option<&State<'_>>, now: f64) -> bool {
    !defects(value, state, now).iter().any(Defect::stops)
}

/// Why Argo CD refuses a token; `None` of what only a container resolves, about which nothing can be told.
fn rejections(
    value: &SecretBytes,
    state: &State<'_>,
    values: &[ValueDefect],
) -> Option<Vec<Rejection>> {
    if values.contains(&ValueDefect::VaultReference) {
        return None;
    }
    let text = std::str::from_utf8(value.expose()).ok()?;
    Some(state.verify(text))
}

/// Whether a defect of the value itself is none, now that Argo CD accepts it: an account may have an empty name, and a
/// password may look like anything.
pub fn is_overruled(defect: ValueDefect, role: Role) -> bool {
    match role {
        Role::Token => defect == ValueDefect::Token(TokenDefect::NoSubject),
        Role::Password => !defect.is_certain(role),
    }
}
