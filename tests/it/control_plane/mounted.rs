//! A Secret or ConfigMap as the kubelet mounts it.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A folder whose files are links into `..data`, which is itself a link to the
/// folder of the content in force. Another content is a folder of its own, and
/// the link is exchanged: no inode of a file that was there ever changes.
pub(crate) struct Mounted {
    folder: PathBuf,
    contents: AtomicUsize,
}

impl Mounted {
    /// An empty one.
    pub(crate) fn new(folder: PathBuf) -> Self {
        fs::create_dir_all(&folder).expect("make a folder");
        Self {
            folder,
            contents: AtomicUsize::new(0),
        }
    }

    /// Where a file of this name is, or would be.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Exchanges all of its content at once.
    pub(crate) fn put(&self, files: &[(&str, &[u8])]) {
        let number = self.contents.fetch_add(1, Ordering::Relaxed);
        let content = format!("..{number}");
        fs::create_dir(self.path(&content)).expect("make a folder");
        for (name, text) in files {
            fs::write(self.path(&content).join(name), text).expect("write a file");
            match symlink(Path::new("..data").join(name), self.path(name)) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => panic!("{error}"),
                _ => {}
            }
        }
        symlink(&content, self.path("..data_tmp")).expect("make a link");
        fs::rename(self.path("..data_tmp"), self.path("..data")).expect("exchange a link");
        if let Some(before) = number.checked_sub(1) {
            fs::remove_dir_all(self.path(&format!("..{before}"))).expect("remove a folder");
        }
    }
}
