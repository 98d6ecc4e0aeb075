//! The configuration file, read again when its content changes.

use std::path::{Path, PathBuf};

use super::{Config, ConfigError};

/// A file that is looked at again and again. It is its content that counts: an inode tells nothing of a mounted
/// ConfigMap, whose files are links to a folder that is exchanged as a whole.
#[derive(Debug)]
pub struct ConfigFile {
    path: PathBuf,
    in_force: Content,
    unproved: Option<Content>,
    refused: Option<Content>,
}

/// What a look at the file came to.
#[derive(Debug)]
pub enum Look {
    /// Nothing new.
    Unchanged,
    /// There is another configuration, and it is good.
    Changed(Box<Config>),
    /// There is another, and it is not; told once for each content.
    Refused(ConfigError),
}

/// The text, or why there is none.
type Content = Result<String, String>;

impl ConfigFile {
    /// Reads the file for the first time, as [`Config::load`] does.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn open(path: &Path) -> Result<(ConfigFile, Config), ConfigError> {
        let text = read(path)?;
        let config = Config::parse(&path.display().to_string(), &text)?;
        let file = ConfigFile {
            path: path.to_owned(),
            in_force: Ok(text),
            unproved: None,
            refused: None,
        };
        Ok((file, config))
    }

    /// Reads the file again. It blocks.
    ///
    /// Another content counts only when a second look finds the same: half a file may well be a configuration, and
    /// an empty one is.
    pub fn look(&mut self) -> Look {
        let read = read(&self.path);
        let content = match &read {
            Ok(text) => Ok(text.clone()),
            Err(error) => Err(error.to_string()),
        };
        if content == self.in_force {
            (self.unproved, self.refused) = (None, None);
            return Look::Unchanged;
        }
        if self.refused.as_ref() == Some(&content) {
            return Look::Unchanged;
        }
        if self.unproved.as_ref() != Some(&content) {
            self.unproved = Some(content);
            return Look::Unchanged;
        }
        let name = self.path.display().to_string();
        match read.and_then(|text| Config::parse(&name, &text)) {
            Ok(config) => {
                self.in_force = content;
                (self.unproved, self.refused) = (None, None);
                Look::Changed(Box::new(config))
            }
            Err(error) => {
                self.refused = Some(content);
                Look::Refused(error)
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the configuration is a file")]
pub(super) fn read(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
        path: path.display().to_string(),
        source,
    })
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "tests write the file that is read"
)]
mod tests {
    use std::fs;

    use super::*;
    use crate::policy::credentials::OnError;

    const DENY: &str = "onError: deny";
    const ALLOW: &str = "onError: allow";

    fn opened(text: &str) -> (tempfile::TempDir, PathBuf, ConfigFile) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.yaml");
        fs::write(&path, text).unwrap();
        let (file, _) = ConfigFile::open(&path).unwrap();
        (folder, path, file)
    }

    fn told(look: Look) -> String {
        match look {
            Look::Unchanged => "unchanged".to_owned(),
            Look::Changed(config) if config.policy.on_error == OnError::Allow => "allow".to_owned(),
            Look::Changed(_) => "deny".to_owned(),
            Look::Refused(error) => error.to_string(),
        }
    }

    #[test]
    fn another_content_is_taken_once_it_has_been_seen_twice() {
        let (_folder, path, mut file) = opened(DENY);
        assert_eq!(told(file.look()), "unchanged");
        fs::write(&path, ALLOW).unwrap();
        assert_eq!(told(file.look()), "unchanged");
        assert_eq!(told(file.look()), "allow");
        assert_eq!(told(file.look()), "unchanged");
    }

    #[test]
    fn what_is_there_for_a_moment_only_counts_for_nothing() {
        let (_folder, path, mut file) = opened(DENY);
        for text in ["", ALLOW, "onError: [", DENY, ALLOW, DENY] {
            fs::write(&path, text).unwrap();
            assert_eq!(told(file.look()), "unchanged", "{text}");
        }
    }

    #[test]
    fn a_bad_one_is_refused_once_and_the_next_good_one_is_taken() {
        let (_folder, path, mut file) = opened(DENY);
        fs::write(&path, "onError: maybe").unwrap();
        let looks: Vec<_> = (0..4).map(|_| told(file.look())).collect();
        assert!(looks[1].contains("onError: must be"), "{looks:?}");
        assert_eq!([&looks[0], &looks[2], &looks[3]], ["unchanged"; 3]);
        fs::remove_file(&path).unwrap();
        let looks: Vec<_> = (0..3).map(|_| told(file.look())).collect();
        assert!(looks[1].ends_with("cannot be read"), "{looks:?}");
        fs::write(&path, ALLOW).unwrap();
        let looks: Vec<_> = (0..2).map(|_| told(file.look())).collect();
        assert_eq!(looks, ["unchanged", "allow"]);
    }

    #[test]
    fn the_same_bad_one_is_refused_again_after_a_good_one() {
        let (_folder, path, mut file) = opened(DENY);
        for _ in 0..2 {
            fs::write(&path, "nothing: 1").unwrap();
            file.look();
            assert!(told(file.look()).contains("no such setting"));
            fs::write(&path, DENY).unwrap();
            assert_eq!(told(file.look()), "unchanged");
        }
    }
}
