//! A file that is read again when its content changes.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// A file that is looked at again and again. It is its content that counts: an inode tells nothing of a mounted
/// ConfigMap or Secret, whose files are links to a folder that is exchanged as a whole.
///
/// The content is kept and shown by Debug: it is for files that hold no secret.
#[derive(Debug)]
pub struct WatchedFile {
    path: PathBuf,
    in_force: Content,
    unproved: Option<Content>,
    refused: Option<Content>,
}

/// What a look at the file came to.
#[derive(Debug)]
pub enum Look<T, E> {
    /// Nothing new.
    Unchanged,
    /// There is another content, and it is good.
    Changed(T),
    /// There is another, and it is not; told once for each content.
    Refused(E),
}

/// The content, or why there is none.
type Content = Result<Vec<u8>, ErrorKind>;

impl WatchedFile {
    /// Reads the file for the first time; `parse` says what its content means.
    ///
    /// # Errors
    /// Those of `parse`.
    pub fn open<T, E>(
        path: &Path,
        parse: impl FnOnce(io::Result<Vec<u8>>) -> Result<T, E>,
    ) -> Result<(WatchedFile, T), E> {
        let bytes = read(path);
        let in_force = content(&bytes);
        let file = WatchedFile {
            path: path.to_owned(),
            in_force,
            unproved: None,
            refused: None,
        };
        parse(bytes).map(|parsed| (file, parsed))
    }

    /// Reads the file again. It blocks.
    ///
    /// Another content counts only when a second look finds the same: half a file may well mean something, and an
    /// empty one too.
    pub fn look<T, E>(
        &mut self,
        parse: impl FnOnce(io::Result<Vec<u8>>) -> Result<T, E>,
    ) -> Look<T, E> {
        let bytes = read(&self.path);
        let content = content(&bytes);
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
        // Should it panic, the same is not read again.
        self.refused = Some(content.clone());
        match parse(bytes) {
            Ok(parsed) => {
                self.in_force = content;
                (self.unproved, self.refused) = (None, None);
                Look::Changed(parsed)
            }
            Err(error) => Look::Refused(error),
        }
    }
}

fn content(read: &io::Result<Vec<u8>>) -> Content {
    match read {
        Ok(bytes) => Ok(bytes.clone()),
        Err(error) => Err(error.kind()),
    }
}

/// Reads a file as it is.
///
/// # Errors
/// What the operating system says.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    std::fs::read(path)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const ONE: &str = "good one";
    const OTHER: &str = "good other";

    /// What begins with `good` is.
    fn parse(read: io::Result<Vec<u8>>) -> Result<String, String> {
        let bytes = read.map_err(|error| error.kind().to_string())?;
        let text = String::from_utf8(bytes).unwrap();
        match text.strip_prefix("good ") {
            Some(good) => Ok(good.to_owned()),
            None => Err(format!("{text} is not good")),
        }
    }

    fn opened(text: &str) -> (tempfile::TempDir, PathBuf, WatchedFile) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.yaml");
        fs::write(&path, text).unwrap();
        let (file, _) = WatchedFile::open(&path, parse).unwrap();
        (folder, path, file)
    }

    fn told(file: &mut WatchedFile) -> String {
        match file.look(parse) {
            Look::Unchanged => "unchanged".to_owned(),
            Look::Changed(told) | Look::Refused(told) => told,
        }
    }

    #[test]
    fn another_content_is_taken_once_it_has_been_seen_twice() {
        let (_folder, path, mut file) = opened(ONE);
        assert_eq!(told(&mut file), "unchanged");
        fs::write(&path, OTHER).unwrap();
        assert_eq!(told(&mut file), "unchanged");
        assert_eq!(told(&mut file), "other");
        assert_eq!(told(&mut file), "unchanged");
    }

    #[test]
    fn what_is_there_for_a_moment_only_counts_for_nothing() {
        let (_folder, path, mut file) = opened(ONE);
        for text in ["", OTHER, "half a ", ONE, OTHER, ONE] {
            fs::write(&path, text).unwrap();
            assert_eq!(told(&mut file), "unchanged", "{text}");
        }
    }

    #[test]
    fn a_bad_one_is_refused_once_and_the_next_good_one_is_taken() {
        let (_folder, path, mut file) = opened(ONE);
        fs::write(&path, "bad").unwrap();
        let looks: Vec<_> = (0..4).map(|_| told(&mut file)).collect();
        assert!(looks[1] == "bad is not good", "{looks:?}");
        assert_eq!([&looks[0], &looks[2], &looks[3]], ["unchanged"; 3]);
        fs::remove_file(&path).unwrap();
        let looks: Vec<_> = (0..3).map(|_| told(&mut file)).collect();
        assert!(looks[1] == "entity not found", "{looks:?}");
        fs::write(&path, OTHER).unwrap();
        let looks: Vec<_> = (0..2).map(|_| told(&mut file)).collect();
        assert_eq!(looks, ["unchanged", "other"]);
    }

    #[test]
    fn the_same_bad_one_is_refused_again_after_a_good_one() {
        let (_folder, path, mut file) = opened(ONE);
        for _ in 0..2 {
            fs::write(&path, "bad").unwrap();
            assert_eq!(told(&mut file), "unchanged");
            assert_eq!(told(&mut file), "bad is not good");
            fs::write(&path, ONE).unwrap();
            assert_eq!(told(&mut file), "unchanged");
        }
    }
}
