//! The environment of a container: which variable counts, and whether it has a plain value.

use super::workload::EnvVar;

/// Why a mention cannot be resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnresolvedCause {
    /// The value holds `$(OTHER_VARIABLE)`.
    Expansion,
    /// The value comes from elsewhere, or is empty.
    NotPlain,
    /// There is a Secret's name and no key for it.
    NoKey,
}

/// The variable of this name that counts, with its index: as in the kubelet, the last.
pub(super) fn last<'a, 'b>(
    env: &'a [EnvVar<'b>],
    variable: &str,
) -> Option<(usize, &'a EnvVar<'b>)> {
    env.iter()
        .enumerate()
        .rfind(|(_, env)| env.name == variable)
}

/// The value of a variable, when it stands there as it is.
///
/// # Errors
/// When it does not.
pub(super) fn plain<'a>(env: &'a EnvVar<'_>) -> Result<&'a str, UnresolvedCause> {
    match env.value.as_ref().map(|value| &*value.0) {
        Some(value) if value.contains("$(") => Err(UnresolvedCause::Expansion),
        Some(value) if !value.is_empty() && env.value_from.is_none() => Ok(value),
        _ => Err(UnresolvedCause::NotPlain),
    }
}
