//! `verify`: whose own state tells whether credentials work.

use super::section::Section;
use keyguard_core::policy::plan::is_object_name;

const KEY: &str = "argocdNamespace";

/// Reads the section.
pub(super) fn read(root: &mut Section<'_>, argocd_namespace: &mut Option<String>) {
    let Some(mut section) = root.section("verify") else {
        return;
    };
    let mut namespace = String::new();
    section.string(KEY, &mut namespace);
    if is_object_name(&namespace) && !namespace.contains('.') {
        *argocd_namespace = Some(namespace);
    } else if !namespace.is_empty() {
        section.fault(KEY, &format!("{namespace:?} cannot be a namespace"));
    }
    section.end();
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, ConfigError};

    #[test]
    fn nothing_is_verified_unless_a_namespace_is_named() {
        for (text, expected) in [
            ("verify: {argocdNamespace: argocd}", Some("argocd")),
            ("verify: {argocdNamespace: ''}", None),
            ("verify: {argocdNamespace: }", None),
            ("verify: {}", None),
            ("verify:", None),
            ("{}", None),
        ] {
            let config = Config::parse("test", text).unwrap();
            assert_eq!(
                config.policy.argocd_namespace.as_deref(),
                expected,
                "{text}"
            );
        }
        for (text, expected) in [
            (
                "verify: {argocdNamespace: a.b}",
                "verify.argocdNamespace: \"a.b\" cannot be a namespace",
            ),
            (
                "verify: {argocdNamespace: [a]}",
                "verify.argocdNamespace: must be a string",
            ),
            ("verify: true", "verify must be a map of settings"),
        ] {
            match Config::parse("test", text) {
                Err(ConfigError::Faults { faults, .. }) => assert_eq!(faults, [expected], "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        }
    }
}
