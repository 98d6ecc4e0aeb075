//! `.keyguard.yaml`: what the tree itself cannot tell.

use std::path::Path;
use std::str::FromStr;

use serde::Deserialize;
use thiserror::Error;

use crate::report::exit::FailOn;
use keyguard_core::policy::plan::is_object_name;
use keyguard_core::runtime::name::{Name, Shown};

/// The file's name, in the root of the tree.
pub const FILE: &str = ".keyguard.yaml";

/// What a project says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Project {
    /// Secrets that a person makes in the cluster.
    pub secrets: Vec<SecretByHand>,
    /// Files that are left out, as in `.gitignore`.
    pub exclude: Vec<String>,
    /// The version of the chart, where nothing names one.
    pub chart_version: Option<String>,
    /// From which severity on findings fail.
    pub fail_on: Option<FailOn>,
}

/// A Secret that a person makes: `NAMESPACE/NAME`, with `:KEY` when only this key is known.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct SecretByHand {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// A key that it has; any when it is not said.
    pub key: Option<String>,
}

/// What is no Secret. It does not repeat what stands there: it may be a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a Secret is named as NAMESPACE/NAME or NAMESPACE/NAME:KEY")]
pub struct NoSecret;

impl FromStr for SecretByHand {
    type Err = NoSecret;

    fn from_str(text: &str) -> Result<SecretByHand, NoSecret> {
        let (namespace, rest) = text.trim().split_once('/').ok_or(NoSecret)?;
        let (name, key) = match rest.split_once(':') {
            None => (rest, None),
            Some((name, key)) => (name, Some(key)),
        };
        let is_key = |key: &str| matches!(Name::from(key).shown(), Shown::Name(_));
        if !is_object_name(namespace) || !is_object_name(name) || !key.is_none_or(is_key) {
            return Err(NoSecret);
        }
        Ok(SecretByHand {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            key: key.map(str::to_owned),
        })
    }
}

impl TryFrom<String> for SecretByHand {
    type Error = NoSecret;

    fn try_from(text: String) -> Result<SecretByHand, NoSecret> {
        text.parse()
    }
}

/// Why the project file cannot be used.
#[derive(Debug, Error)]
pub enum ProjectError {
    /// It cannot be read.
    #[error("{FILE} cannot be read")]
    Unreadable(#[from] std::io::Error),
    /// It says what it cannot say.
    #[error("{FILE}: {0}")]
    Malformed(String),
}

/// Reads the project file of `root`; without one nothing is said.
///
/// # Errors
/// When it is there and cannot be used.
pub fn read(root: &Path) -> Result<Project, ProjectError> {
    let text = match std::fs::read_to_string(root.join(FILE)) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Project::default()),
        Err(error) => return Err(error.into()),
    };
    let project: Option<Project> = serde_saphyr::from_str(&text).map_err(|error| {
        let place = error.location().map(|at| format!(" (line {})", at.line()));
        ProjectError::Malformed(format!(
            "it may have secrets, exclude, chartVersion and failOn{}; {NoSecret}",
            place.unwrap_or_default()
        ))
    })?;
    Ok(project.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_made_by_hand_is_named_with_its_namespace() {
        let secret = |namespace: &str, name: &str, key: Option<&str>| SecretByHand {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            key: key.map(str::to_owned),
        };
        let table = [
            (
                "codefresh/key:token",
                Ok(secret("codefresh", "key", Some("token"))),
            ),
            ("codefresh/key", Ok(secret("codefresh", "key", None))),
            ("key", Err(NoSecret)),
            ("/key", Err(NoSecret)),
            ("codefresh/", Err(NoSecret)),
            ("codefresh/key:", Err(NoSecret)),
            ("a/b/c", Err(NoSecret)),
        ];
        for (text, expected) in table {
            assert_eq!(text.parse(), expected, "{text}");
        }
    }

    #[test]
    fn a_project_file_is_read_and_its_faults_quote_nothing() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(folder.path()).unwrap(), Project::default());
        let write = |text: &str| std::fs::write(folder.path().join(FILE), text).unwrap();
        write(
            "secrets: [codefresh/key:token]\nexclude: [vendor/]\nchartVersion: 0.26.0\nfailOn: warning\n",
        );
        let project = read(folder.path()).unwrap();
        assert_eq!(project.secrets.len(), 1);
        assert_eq!(project.chart_version.as_deref(), Some("0.26.0"));
        assert_eq!(project.fail_on, Some(FailOn::Warning));
        for text in [
            "secret: [a/b]",
            "secrets: [hunter2]",
            "secrets: {a: b}",
            "failOn: maybe",
        ] {
            write(text);
            let error = read(folder.path()).unwrap_err().to_string();
            assert!(error.starts_with(".keyguard.yaml: it may have"), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
