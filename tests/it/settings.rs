//! The names of all settings, as the program itself tells them to whoever misspells one.
#![expect(clippy::panic, reason = "a test that cannot go on fails")]

use keyguard::config::{Config, ConfigError};

/// Every setting, such as `onError` and `limits.maxBodyBytes`; sections are not among them.
pub(crate) fn all() -> Vec<String> {
    let sections = ["guard", "limits", "timeouts", "certificates", "verify"];
    let mut settings: Vec<String> = known("{unheard-of: 1}", "")
        .into_iter()
        .filter(|setting| !sections.contains(&setting.as_str()))
        .collect();
    for section in sections {
        settings.extend(known(
            &format!("{section}: {{unheard-of: 1}}"),
            &format!("{section}."),
        ));
    }
    assert!(settings.len() > 10, "{settings:?}");
    settings
}

/// The range of a setting that is a number, such as `1 to 1024`.
pub(crate) fn range(setting: &str) -> Option<String> {
    let (section, key) = setting.split_once('.')?;
    let faults = faults(&format!("{section}: {{{key}: -1}}"));
    let start = format!("{setting}: must be a whole number from ");
    faults
        .iter()
        .find_map(|fault| fault.strip_prefix(&start))
        .map(str::to_owned)
}

/// What the complaint about an unknown setting lists, each with `prefix` before it.
fn known(text: &str, prefix: &str) -> Vec<String> {
    let faults = faults(text);
    let complaint = format!("{prefix}unheard-of: no such setting; there are ");
    let listed = faults
        .iter()
        .find_map(|fault| fault.strip_prefix(&complaint));
    let listed = listed.unwrap_or_else(|| panic!("{faults:?}"));
    listed
        .split(", ")
        .map(|name| format!("{prefix}{name}"))
        .collect()
}

fn faults(text: &str) -> Vec<String> {
    match Config::parse("test", text) {
        Err(ConfigError::Faults { faults, .. }) => faults,
        other => panic!("no fault in {text}: {other:?}"),
    }
}
