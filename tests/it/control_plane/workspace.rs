//! A temporary folder that is removed whatever way the test binary ends.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{fs, io};

/// Removes the folder `$1` when its standard input ends, and tries again
/// while processes that still end put files back.
const REMOVE_AT_END: &str =
    r#"read -r _; for _ in 1 2 3 4 5 6 7 8 9 10; do rm -rf "$1" && exit; sleep 0.2; done"#;

/// A temporary folder, readable by its owner only, with everything that a
/// control plane or a keyguard reads and writes.
///
/// Statics are never dropped, and a killed binary drops nothing at all: so a
/// shell holds the other end of a pipe and removes the folder when the pipe
/// closes, which the kernel does in every case.
pub(crate) struct Workspace {
    path: PathBuf,
    remover: Child,
}

impl Workspace {
    /// Makes an empty folder.
    pub(crate) fn new() -> Self {
        use std::os::unix::process::CommandExt as _;
        let path = tempfile::Builder::new()
            .prefix("keyguard-test-")
            .tempdir()
            .expect("make a temporary folder")
            .keep();
        let remover = Command::new("sh")
            .args(["-c", REMOVE_AT_END, "sh"])
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C reaches the foreground group; the remover must outlive it.
            .process_group(0)
            .spawn()
            .expect("start sh");
        Self { path, remover }
    }

    /// Where a file of this name is, or would be.
    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a file, and the folders above it, and returns its path. A
    /// reader meanwhile finds the whole old or the whole new content.
    pub(crate) fn write(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let path = self.path(name);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let partial = self.path(format!("{count}.partial"));
        path.parent()
            .map_or(Ok(()), fs::create_dir_all)
            .and_then(|()| fs::write(&partial, content))
            .and_then(|()| fs::rename(&partial, &path))
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        path
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        drop(self.remover.stdin.take());
        let _: io::Result<_> = self.remover.wait();
    }
}

#[test]
fn a_workspace_is_removed_with_what_is_in_it() {
    let workspace = Workspace::new();
    let file = workspace.write("file", "content");
    assert!(file.is_file());
    let folder = workspace.path.clone();
    drop(workspace);
    assert!(!folder.exists());
}
