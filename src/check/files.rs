//! The files of a tree, read and parsed.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use ignore::WalkBuilder;
use ignore::overrides::OverrideBuilder;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::check::suppression::{Comment, comments};
use crate::report::{BrokenFile, Unseen};
use crate::sources::yaml;
use keyguard_core::document::Node;

/// The most bytes of one file: more than any manifest that the API server takes.
const MOST_BYTES: u64 = 64 << 20;
/// How standard input is shown.
pub const STANDARD_INPUT: &str = "stdin";

/// Every file that was looked at.
#[derive(Debug, Default)]
pub struct Tree {
    /// The folder that paths are relative to.
    pub root: PathBuf,
    /// The files, by path.
    pub files: Vec<File>,
    /// Files that are to be checked and are no YAML.
    pub broken: Vec<BrokenFile>,
    /// What is to be checked and could not be looked into.
    pub unseen: Vec<Unseen>,
    /// The paths of files of values that are laid over one another, in order.
    pub values: Vec<String>,
}

/// A file with its documents.
#[derive(Debug)]
pub struct File {
    /// Its path relative to the root, with `/`.
    pub path: Arc<str>,
    /// Its documents.
    pub documents: Vec<Node>,
    /// Whether findings in it are to be told; others are only known of.
    pub selected: bool,
    /// Its comments that ask to ignore findings.
    pub comments: Vec<Comment>,
}

/// Why nothing can be checked.
#[derive(Debug, Error)]
pub enum FilesError {
    /// A path does not exist, or cannot be read.
    #[error("{path} cannot be read")]
    Unreadable {
        /// What was named.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// A pattern is none.
    #[error("--exclude or exclude: {0:?} is no pattern of .gitignore")]
    Pattern(String),
}

/// The folder that paths are relative to: the one that was named, else the repository of `first`, else `first` itself.
///
/// # Errors
/// When it does not exist.
pub fn root(named: Option<&Path>, first: &Path) -> Result<PathBuf, FilesError> {
    let canonical = |path: &Path| fs::canonicalize(path).map_err(unreadable(path));
    if let Some(named) = named {
        return canonical(named);
    }
    let first = canonical(first)?;
    let repository = first
        .ancestors()
        .find(|folder| folder.join(".git").exists());
    Ok(match repository {
        Some(repository) => repository.to_owned(),
        None if first.is_dir() => first,
        None => first.parent().unwrap_or(&first).to_owned(),
    })
}

/// Reads `paths`, of which `-` is standard input, the files of `values`, and everything below `root`, but not for standard
/// input alone when nobody `named` a root. `exclude` has patterns as `.gitignore` has.
///
/// # Errors
/// When a path cannot be read or a pattern is none.
pub fn read(
    root: PathBuf,
    named: bool,
    paths: &[PathBuf],
    values: &[PathBuf],
    exclude: &[String],
) -> Result<Tree, FilesError> {
    let mut tree = Tree {
        root,
        ..Tree::default()
    };
    let mut selected = Vec::new();
    for path in values {
        let file = fs::canonicalize(path).map_err(unreadable(path))?;
        tree.values.push(tree.shown(&file));
        selected.push(file);
    }
    for path in paths.iter().filter(|path| **path != Path::new("-")) {
        selected.push(fs::canonicalize(path).map_err(unreadable(path))?);
    }
    let mut found = BTreeSet::new();
    if named || !selected.is_empty() {
        walk(&tree.root, exclude, &mut found)?;
    }
    for path in &selected {
        match path.is_dir() {
            true if path.starts_with(&tree.root) => {}
            true => walk(path, exclude, &mut found)?,
            false => drop(found.insert(path.clone())),
        }
    }
    for path in found {
        let is_selected = selected.iter().any(|chosen| path.starts_with(chosen));
        let is_named = selected.contains(&path);
        tree.add_file(&path, is_selected, is_named)?;
    }
    if paths.iter().any(|path| path == Path::new("-")) {
        let mut text = Zeroizing::new(Vec::new());
        let standard_input = io::stdin().lock().take(MOST_BYTES).read_to_end(&mut text);
        standard_input.map_err(unreadable(Path::new("standard input")))?;
        tree.add(Arc::from(STANDARD_INPUT), &text, true, true);
    }
    Ok(tree)
}

fn walk(
    folder: &Path,
    exclude: &[String],
    found: &mut BTreeSet<PathBuf>,
) -> Result<(), FilesError> {
    let mut overrides = OverrideBuilder::new(folder);
    for pattern in exclude {
        // An override without `!` names what is looked at.
        let left_out = format!("!{pattern}");
        let added = overrides.add(&left_out);
        added.map_err(|_| FilesError::Pattern(pattern.clone()))?;
    }
    let overrides = overrides.build();
    let overrides = overrides.map_err(|_| FilesError::Pattern(exclude.join(", ")))?;
    let walk = WalkBuilder::new(folder)
        .hidden(false)
        .require_git(false)
        .overrides(overrides)
        .filter_entry(|entry| entry.file_name() != ".git")
        .build();
    for entry in walk.flatten() {
        let is_file = entry.file_type().is_some_and(|kind| kind.is_file());
        let extension = entry.path().extension().and_then(|it| it.to_str());
        let is_kustomization = entry.file_name() == "Kustomization";
        if is_file && (is_kustomization || matches!(extension, Some("yaml" | "yml" | "json"))) {
            found.insert(entry.into_path());
        }
    }
    Ok(())
}

impl Tree {
    /// Adds a file; `named` when a person named it, and not only a folder with it.
    fn add_file(&mut self, path: &Path, selected: bool, named: bool) -> Result<(), FilesError> {
        let shown = self.shown(path);
        let length = fs::metadata(path).map_err(unreadable(path))?.len();
        if length > MOST_BYTES {
            if selected {
                self.unseen.push(Unseen {
                    file: shown,
                    line: 1,
                    what: "the file".to_owned(),
                    why: format!("it has more than {MOST_BYTES} bytes"),
                });
            }
            return Ok(());
        }
        let text = Zeroizing::new(fs::read(path).map_err(unreadable(path))?);
        self.add(Arc::from(shown), &text, selected, named);
        Ok(())
    }

    /// A path as reports show it: relative to the root, with `/`.
    fn shown(&self, path: &Path) -> String {
        let path = path.strip_prefix(&self.root).unwrap_or(path);
        let parts = path.components().map(|part| match part {
            Component::RootDir => String::new(),
            part => part.as_os_str().to_string_lossy().into_owned(),
        });
        parts.collect::<Vec<_>>().join("/")
    }

    fn add(&mut self, path: Arc<str>, text: &[u8], selected: bool, named: bool) {
        let broken = |line, column, why: &str| BrokenFile {
            file: path.to_string(),
            line,
            column,
            why: why.to_owned(),
        };
        let parsed = match std::str::from_utf8(text) {
            Err(_) => Err(broken(0, 0, "is not UTF-8")),
            Ok(text) => match yaml::read(text, &path) {
                Err(error) => Err(broken(error.line, error.column, error.why)),
                Ok(documents) => Ok((documents, comments(text))),
            },
        };
        match parsed {
            Ok((documents, comments)) => self.files.push(File {
                path,
                documents,
                selected,
                comments,
            }),
            Err(_) if !selected => {}
            Err(broken) => match Template::of(text) {
                Some(Template::Deciding) => self.unseen.push(Unseen {
                    file: path.to_string(),
                    line: 1,
                    what: "a template that mentions the credential or the accounts of Argo CD"
                        .to_owned(),
                    why: "it is no YAML before it is rendered; check what helm template prints"
                        .to_owned(),
                }),
                Some(Template::Other) => {}
                // A folder has JSON of many tools, with comments in it.
                None if path.ends_with(".json") && !named => {}
                None => self.broken.push(broken),
            },
        }
    }
}

/// A file that becomes YAML only when it is rendered.
enum Template {
    /// It mentions what keyguard looks at.
    Deciding,
    Other,
}

impl Template {
    fn of(text: &[u8]) -> Option<Template> {
        const WORDS: [&str; 4] = [
            "ARGO_CD_TOKEN",
            "ARGO_CD_PASSWORD",
            "argocd-cm",
            "accounts.",
        ];
        let text = String::from_utf8_lossy(text);
        text.contains("{{")
            .then(|| match WORDS.iter().any(|word| text.contains(word)) {
                true => Template::Deciding,
                false => Template::Other,
            })
    }
}

fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> FilesError + use<> {
    let path = path.display().to_string();
    move |source| FilesError::Unreadable { path, source }
}
