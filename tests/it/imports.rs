//! `docs/architecture.md` draws how imports point, and they do.
#![expect(clippy::unwrap_used, reason = "a test reads files")]

use std::fs;
use std::path::{Path, PathBuf};

const DOCUMENT: &str = include_str!("../../docs/architecture.md");
const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The rooms of a crate in the order that the document draws.
fn drawn(of: &str) -> Vec<&'static str> {
    let mut lines = DOCUMENT.lines();
    let line = lines.find_map(|line| line.strip_prefix(of)).unwrap();
    let rooms = line.split(['→', ',']);
    rooms.map(str::trim).collect()
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files(&path, found),
            false => found.push(path),
        }
    }
}

/// Each import of a crate that points back, as `FILE imports ROOM`.
fn pointing_back(source: &str, rooms: &[&str]) -> Vec<String> {
    let root = Path::new(ROOT).join(source);
    let mut all = Vec::new();
    files(&root, &mut all);
    let place = |name: &str| rooms.iter().position(|room| *room == name);
    let mut back = Vec::new();
    for path in all {
        let name = path.strip_prefix(&root).unwrap().to_str().unwrap();
        let is_test = name.contains("tests") || name.ends_with("plan_model.rs");
        let own = name.split(['/', '.']).next().unwrap_or_default();
        let Some(own) = place(own).filter(|_| !is_test) else {
            continue;
        };
        let text = fs::read_to_string(&path).unwrap();
        let program = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        for import in program.split("crate::").skip(1) {
            let end = import.find(|letter: char| !letter.is_alphanumeric() && letter != '_');
            let imported = &import[..end.unwrap_or(import.len())];
            let room = place(imported);
            if room.is_none_or(|room| room < own) {
                back.push(format!("{name} imports {imported}"));
            }
        }
    }
    back
}

#[test]
fn imports_point_as_the_document_draws_them() {
    let program = drawn("keyguard:");
    assert!(program.len() > 10, "{program:?}");
    assert_eq!(pointing_back("src", &program), [""; 0]);
    let core = drawn("keyguard-core:");
    assert!(core.len() > 5, "{core:?}");
    assert_eq!(pointing_back("crates/core/src", &core), [""; 0]);
}
