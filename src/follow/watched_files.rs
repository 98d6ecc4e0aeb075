//! Files that are read again when their content changes.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// Files that mean one thing together and are looked at again and again. Their content counts: an inode tells nothing of
/// a mounted ConfigMap or Secret, whose files are links to a folder that is replaced as a whole.
///
/// Of the content only a digest is kept, so that the files may hold a secret.
pub struct WatchedFiles<const N: usize, T, E> {
    paths: [PathBuf; N],
    parse: Parse<N, T, E>,
    hasher: RandomState,
    in_force: u64,
    pending: Option<u64>,
    refused: Option<u64>,
}

/// Says what files mean.
pub type Parse<const N: usize, T, E> = for<'a> fn([Content<'a>; N]) -> Result<T, E>;

/// A file, and what reading it came to.
pub type Content<'a> = (&'a Path, io::Result<Zeroizing<Vec<u8>>>);

impl<const N: usize, T, E> WatchedFiles<N, T, E> {
    /// Reads the files for the first time.
    ///
    /// # Errors
    /// Those of `parse`.
    pub fn open(
        paths: [PathBuf; N],
        parse: Parse<N, T, E>,
    ) -> Result<(WatchedFiles<N, T, E>, T), E> {
        let hasher = RandomState::new();
        let contents = read(&paths);
        let in_force = digest(&hasher, &contents);
        let parsed = parse(contents)?;
        let files = WatchedFiles {
            paths,
            parse,
            hasher,
            in_force,
            pending: None,
            refused: None,
        };
        Ok((files, parsed))
    }

    /// Where the files are.
    pub fn paths(&self) -> &[PathBuf; N] {
        &self.paths
    }

    /// Reads the files again; nothing when there is nothing new. A content that is bad is told once. It blocks.
    ///
    /// Another content counts only when a second look finds the same: half a file may well mean something, an empty one
    /// too, and of two files one is written first.
    pub fn look(&mut self) -> Option<Result<T, E>> {
        let contents = read(&self.paths);
        let found = digest(&self.hasher, &contents);
        if found == self.in_force {
            (self.pending, self.refused) = (None, None);
            return None;
        }
        if self.refused == Some(found) || self.pending.replace(found) != Some(found) {
            return None;
        }
        // Should it panic, the same is not parsed again.
        self.refused = Some(found);
        let parsed = (self.parse)(contents);
        if parsed.is_ok() {
            self.in_force = found;
            (self.pending, self.refused) = (None, None);
        }
        Some(parsed)
    }
}

fn read<const N: usize>(paths: &[PathBuf; N]) -> [Content<'_>; N] {
    paths
        .each_ref()
        .map(|path| (path.as_path(), std::fs::read(path).map(Zeroizing::new)))
}

/// Tells contents apart. The seed never leaves this process, so that a digest says nothing of a key.
fn digest<const N: usize>(hasher: &RandomState, contents: &[Content<'_>; N]) -> u64 {
    hasher.hash_one(contents.each_ref().map(|(_, read)| match read {
        Ok(bytes) => Ok(bytes.as_slice()),
        Err(error) => Err(error.kind()),
    }))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const ONE: &str = "good one";
    const OTHER: &str = "good other";

    /// What begins with `good` is.
    fn parse([(_, read)]: [Content<'_>; 1]) -> Result<String, String> {
        let bytes = read.map_err(|error| error.kind().to_string())?;
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        match text.strip_prefix("good ") {
            Some(good) => Ok(good.to_owned()),
            None => Err(format!("{text} is not good")),
        }
    }

    type File = WatchedFiles<1, String, String>;

    fn opened(text: &str) -> (tempfile::TempDir, PathBuf, File) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.yaml");
        fs::write(&path, text).unwrap();
        let (file, _) = File::open([path.clone()], parse).unwrap();
        (folder, path, file)
    }

    fn told(file: &mut File) -> String {
        match file.look() {
            None => "unchanged".to_owned(),
            Some(Ok(told) | Err(told)) => told,
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

    #[test]
    fn two_files_count_together_and_the_links_of_a_mounted_secret_are_followed() {
        use std::os::unix::fs::symlink;
        let volume = tempfile::tempdir().unwrap();
        let at = |name: &str| volume.path().join(name);
        for folder in ["first", "second"] {
            fs::create_dir(at(folder)).unwrap();
            for name in ["a", "b"] {
                fs::write(at(folder).join(name), format!("{name} of {folder}")).unwrap();
                let _ = symlink(Path::new("..data").join(name), at(name));
            }
        }
        symlink(at("first"), at("..data")).unwrap();
        let joined = |contents: [Content<'_>; 2]| {
            let texts =
                contents.map(|(_, read)| String::from_utf8(read.unwrap().to_vec()).unwrap());
            Ok::<_, String>(texts.join(", "))
        };
        let (mut files, first) = WatchedFiles::open([at("a"), at("b")], joined).unwrap();
        assert_eq!(first, "a of first, b of first");
        assert_eq!(files.look(), None);
        symlink(at("second"), at("..data_tmp")).unwrap();
        fs::rename(at("..data_tmp"), at("..data")).unwrap();
        assert_eq!(files.look(), None);
        assert_eq!(
            files.look(),
            Some(Ok("a of second, b of second".to_owned()))
        );
        fs::write(at("b"), "another b").unwrap();
        assert_eq!(files.look(), None);
        assert_eq!(files.look(), Some(Ok("a of second, another b".to_owned())));
    }
}
