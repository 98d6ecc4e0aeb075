//! The names of all settings, as the program itself tells them to whoever misspells one.

use keyguard::config::{Config, ConfigError};

/// Every setting, such as `onError` and `limits.maxBodyBytes`; sections are not among them.
pub(crate) fn all() -> Vec<String> {
    let sections = ["limits", "timeouts"];
    let mut settings: Vec<String> = known("{unheard-of: 1}", "")
        .into_iter()
        .filter(|setting| !sections.contains(&setting.as_str()))
        .collect();
    for section in sections {
        settings.extend(known(&format!("{section}: {{unheard-of: 1}}"), &format!("{section}.")));
    }
    assert!(settings.len() > 10, "{settings:?}");
    settings
}

/// What the complaint about an unknown setting lists, each with `prefix` before it.
fn known(text: &str, prefix: &str) -> Vec<String> {
    let Err(ConfigError::Faults { faults, .. }) = Config::parse("test", text) else {
        panic!("an unknown setting passes: {text}");
    };
    let complaint = format!("{prefix}unheard-of: no such setting; there are ");
    let listed = faults.iter().find_map(|fault| fault.strip_prefix(&complaint));
    let listed = listed.unwrap_or_else(|| panic!("{faults:?}"));
    listed.split(", ").map(|name| format!("{prefix}{name}")).collect()
}
