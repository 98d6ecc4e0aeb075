//! Files that are read again when their content changes.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// What reading a file came to.
pub type Content = io::Result<Zeroizing<Vec<u8>>>;

/// One file, or some that belong together, looked at again and again. It is their content that counts: an inode tells
/// nothing of a mounted ConfigMap or Secret, whose files are links to a folder that is replaced as a whole.
///
/// Contents are told apart by a digest, with a seed of this process: a file may hold a key, and none is kept.
#[derive(Debug)]
pub struct WatchedFiles {
    paths: Vec<PathBuf>,
    hasher: RandomState,
    in_force: u64,
    pending: Option<u64>,
    refused: Option<Refused>,
}

/// A content that is not taken.
#[derive(Debug)]
struct Refused {
    content: u64,
    /// When it may be looked at again, in Unix seconds.
    retry_at: Option<i64>,
}

/// What a look at the files came to.
#[derive(Debug)]
pub enum Look<T, E> {
    /// Nothing new.
    Unchanged,
    /// There is another content, and it is good.
    Changed(T),
    /// There is another, and it is not; told once for each content.
    Refused(E),
}

/// Why a content is not taken.
pub trait Refusal {
    /// When the same content may be good, in Unix seconds, if that is a matter of time.
    fn retry_at(&self) -> Option<i64> {
        None
    }
}

impl WatchedFiles {
    /// Reads the files for the first time; `parse` says what their contents, in the same order, mean.
    ///
    /// # Errors
    /// Those of `parse`.
    pub fn open<const N: usize, T, E>(
        paths: [&Path; N],
        parse: impl FnOnce([Content; N]) -> Result<T, E>,
    ) -> Result<(WatchedFiles, T), E> {
        let hasher = RandomState::new();
        let contents = paths.map(read);
        let files = WatchedFiles {
            paths: paths.map(Path::to_owned).to_vec(),
            in_force: digest(&hasher, &contents),
            hasher,
            pending: None,
            refused: None,
        };
        parse(contents).map(|parsed| (files, parsed))
    }

    /// Reads the files again, as many as they were, at `now`, in Unix seconds. It blocks.
    ///
    /// Another content counts only when a second look finds the same: half a file may well mean something, an empty one
    /// too, and files that belong together may be written one after the other.
    pub fn look<const N: usize, T, E: Refusal>(
        &mut self,
        now: i64,
        parse: impl FnOnce([Content; N]) -> Result<T, E>,
    ) -> Look<T, E> {
        let mut paths = self.paths.iter();
        let contents = [(); N].map(|()| match paths.next() {
            Some(path) => read(path),
            None => Err(io::ErrorKind::NotFound.into()),
        });
        let content = digest(&self.hasher, &contents);
        if content == self.in_force {
            (self.pending, self.refused) = (None, None);
            return Look::Unchanged;
        }
        let is_refused = |refused: &Refused| {
            refused.content == content && refused.retry_at.is_none_or(|retry_at| now < retry_at)
        };
        if self.refused.as_ref().is_some_and(is_refused) {
            return Look::Unchanged;
        }
        if self.pending != Some(content) {
            self.pending = Some(content);
            return Look::Unchanged;
        }
        // Should it panic, the same is not read again.
        let refused = self.refused.insert(Refused {
            content,
            retry_at: None,
        });
        match parse(contents) {
            Ok(parsed) => {
                self.in_force = content;
                (self.pending, self.refused) = (None, None);
                Look::Changed(parsed)
            }
            Err(error) => {
                refused.retry_at = error.retry_at();
                Look::Refused(error)
            }
        }
    }
}

fn read(path: &Path) -> Content {
    std::fs::read(path).map(Zeroizing::new)
}

fn digest(hasher: &RandomState, contents: &[Content]) -> u64 {
    let contents: Vec<Result<&[u8], io::ErrorKind>> = contents
        .iter()
        .map(|content| match content {
            Ok(bytes) => Ok(bytes.as_slice()),
            Err(error) => Err(error.kind()),
        })
        .collect();
    hasher.hash_one(contents)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const ONE: &str = "good one";
    const OTHER: &str = "good other";

    impl Refusal for String {}

    /// What begins with `good` is.
    fn parse([read]: [Content; 1]) -> Result<String, String> {
        let bytes = read.map_err(|error| error.kind().to_string())?;
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        match text.strip_prefix("good ") {
            Some(good) => Ok(good.to_owned()),
            None => Err(format!("{text} is not good")),
        }
    }

    fn opened(text: &str) -> (tempfile::TempDir, PathBuf, WatchedFiles) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.yaml");
        fs::write(&path, text).unwrap();
        let (file, _) = WatchedFiles::open([&path], parse).unwrap();
        (folder, path, file)
    }

    fn told(file: &mut WatchedFiles) -> String {
        match file.look(0, parse) {
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
