//! What the operator decided: defaults, the configuration file, all of its faults at once.

mod bounded;
mod names;
pub mod project;
mod settings;

use std::io::{self, ErrorKind};
use std::path::Path;

use schemars::generate::SchemaSettings;
use serde::Deserialize;
use serde_json::{Value, json};
use thiserror::Error;

use keyguard_core::runtime::name::without_tokens;

pub use self::names::AccountName;
pub use self::settings::{Certificates, Config, Guard, Limits, Timeouts, Verify};

/// Why a configuration file cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("--config {path} cannot be read")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// It is neither YAML nor JSON.
    #[error("--config {path} is neither YAML nor JSON: {problem}")]
    Syntax {
        /// The file.
        path: String,
        /// What is wrong, in one line.
        problem: String,
    },
    /// It says things that make no sense; all of them.
    #[error("--config {path} has {} fault(s): {}", .faults.len(), .faults.join("; "))]
    Faults {
        /// The file.
        path: String,
        /// Each fault: where, what, what to write instead.
        faults: Vec<String>,
    },
}

impl Config {
    /// Reads a configuration file; without one, the defaults.
    ///
    /// # Errors
    /// When the file cannot be used, with everything that is wrong with it.
    pub fn load(path: Option<&Path>) -> Result<Config, ConfigError> {
        match path {
            None => Ok(Config::default()),
            Some(path) => Config::of_file(path, std::fs::read(path)),
        }
    }

    /// Makes a configuration of what reading the file at `path` came to.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn of_file(path: &Path, read: io::Result<impl AsRef<[u8]>>) -> Result<Config, ConfigError> {
        let path = path.display().to_string();
        let text = read.and_then(|bytes| {
            let text = str::from_utf8(bytes.as_ref()).map(str::to_owned);
            text.map_err(|_| io::Error::new(ErrorKind::InvalidData, "not UTF-8"))
        });
        match text {
            Ok(text) => Config::parse(&path, &text),
            Err(source) => Err(ConfigError::Unreadable { path, source }),
        }
    }

    /// Parses the text of a configuration file that is called `path`.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(path: &str, text: &str) -> Result<Config, ConfigError> {
        let path = path.to_owned();
        let mut value: Value = match serde_saphyr::from_str::<Option<Value>>(text) {
            Ok(value) => value.unwrap_or_else(|| json!({})),
            Err(error) => {
                let problem = error.to_string();
                let problem = without_tokens(problem.lines().next().unwrap_or_default());
                return Err(ConfigError::Syntax { path, problem });
            }
        };
        remove_nulls(&mut value);
        let read = Config::deserialize(&value);
        let faults = match read {
            Ok(config) => match config.contradictions() {
                faults if faults.is_empty() => return Ok(config),
                faults => faults,
            },
            Err(error) => match faults(&value) {
                faults if faults.is_empty() => vec![without_tokens(&error.to_string())],
                faults => faults,
            },
        };
        Err(ConfigError::Faults { path, faults })
    }

    /// The JSON Schema of the configuration file (draft 2020-12), with defaults.
    pub fn schema() -> Value {
        let mut settings = SchemaSettings::draft2020_12();
        settings.inline_subschemas = true;
        settings
            .into_generator()
            .into_root_schema_for::<Config>()
            .to_value()
    }
}

/// A setting that is not given a value has its default.
fn remove_nulls(value: &mut Value) {
    if let Value::Object(map) = value {
        map.retain(|_, value| !value.is_null());
        map.values_mut().for_each(remove_nulls);
    }
}

/// What is wrong with each setting, read alone: reading all at once ends at the first fault.
fn faults(value: &Value) -> Vec<String> {
    let Value::Object(root) = value else {
        return vec!["the file must be a map of settings".to_owned()];
    };
    let alone = root.iter().flat_map(|(section, value)| match value {
        Value::Object(map) if !map.is_empty() => map
            .iter()
            .map(|(key, value)| (format!("{section}.{key}"), json!({section: {key: value}})))
            .collect(),
        value => vec![(section.clone(), json!({section: value}))],
    });
    alone
        .filter_map(|(place, value)| {
            let error = Config::deserialize(value).err()?;
            Some(without_tokens(&format!("{place}: {error}")))
        })
        .collect()
}

#[cfg(test)]
mod tests;
