//! The files of a tree, read and parsed.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read};
use std::ops::Bound;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use ignore::WalkBuilder;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::check::suppression::{Comment, comments};
use crate::report::{BrokenFile, Unseen};
use crate::sources::yaml;
use keyguard_core::document::Node;
use keyguard_core::runtime::name::without_tokens;

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
    /// Folders of charts with a template that makes Secrets and cannot be read before it is rendered.
    pub rendered: Vec<String>,
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
    if let Some(named) = named {
        return canonical(named);
    }
    // What a shell makes of `<(…)` lies nowhere.
    let first = match is_pipe(first) {
        true => canonical(Path::new("."))?,
        false => canonical(first)?,
    };
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
    let mut selected = BTreeSet::new();
    for path in values {
        let file = canonical(path)?;
        tree.values.push(tree.shown(&file));
        selected.insert(file);
    }
    let mut folders = Vec::new();
    for path in paths.iter().filter(|path| **path != Path::new("-")) {
        let path = canonical(path)?;
        if path.is_dir() {
            folders.push(path.clone());
        }
        selected.insert(path);
    }
    let mut found = BTreeSet::new();
    let left_out = left_out(&tree.root, exclude)?;
    let has_place = selected.iter().any(|path| !is_pipe(path));
    if (named || has_place) && !folders.contains(&tree.root) {
        // What nobody asked about and cannot be read is not known.
        walk(&tree.root, &left_out, &mut found);
    }
    for folder in &folders {
        // A folder that a person names is looked into, also when .gitignore leaves it out.
        for error in walk(folder, &left_out, &mut found) {
            tree.not_seen(
                &tree.shown(folder),
                "a part of the folder",
                &error.to_string(),
            );
        }
        let first = found.range::<Path, _>((Bound::Excluded(folder.as_path()), Bound::Unbounded));
        if !first.take(1).any(|path| path.starts_with(folder)) {
            let why = "it has no file with YAML or JSON that is not left out";
            tree.not_seen(&tree.shown(folder), "the folder", why);
        }
    }
    let is_file = |path: &&PathBuf| !folders.contains(path);
    found.extend(selected.iter().filter(is_file).cloned());
    let is_asked_about = |path: &Path| path.ancestors().any(|folder| selected.contains(folder));
    for path in &found {
        let is_named = selected.contains(path);
        // What is found by a link as well is told of once, by its own name.
        let real = fs::canonicalize(path).ok().filter(|real| real != path);
        let is_again = real.is_some_and(|real| found.contains(&real) && is_asked_about(&real));
        let is_selected = is_named || (is_asked_about(path) && !is_again);
        tree.add_file(path, is_selected, is_named)?;
    }
    if paths.iter().any(|path| path == Path::new("-")) {
        let text = read_all(io::stdin().lock());
        let text = text.map_err(unreadable(Path::new("standard input")))?;
        let before = tree.files.len();
        tree.add(Arc::from(STANDARD_INPUT), &text, true, true);
        let mut added = tree.files.iter().skip(before);
        let has_object = |document: &Node| document.get("kind").is_some();
        if added.any(|file| !file.documents.iter().any(has_object)) {
            tree.not_seen(
                STANDARD_INPUT,
                "standard input",
                "it has no object of Kubernetes",
            );
        }
    }
    Ok(tree)
}

fn is_pipe(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|of| !of.is_file() && !of.is_dir())
}

/// The path from the root of the system on. A file that is a link keeps its own name and place.
fn canonical(path: &Path) -> Result<PathBuf, FilesError> {
    let is_folder = fs::metadata(path).map_err(unreadable(path))?.is_dir();
    let canonical = match (path.file_name(), path.parent()) {
        (Some(name), Some(parent)) if !is_folder => {
            let parent = match parent == Path::new("") {
                true => Path::new("."),
                false => parent,
            };
            fs::canonicalize(parent).map(|parent| parent.join(name))
        }
        _ => fs::canonicalize(path),
    };
    canonical.map_err(unreadable(path))
}

/// All of it, but for what is more than [`MOST_BYTES`].
fn read_all(reader: impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut text = Zeroizing::new(Vec::new());
    reader.take(MOST_BYTES + 1).read_to_end(&mut text)?;
    Ok(text)
}

/// The patterns of `exclude`, seen from the root.
fn left_out(root: &Path, exclude: &[String]) -> Result<Gitignore, FilesError> {
    let mut left_out = GitignoreBuilder::new(root);
    for pattern in exclude {
        let added = left_out.add_line(None, pattern);
        added.map_err(|_| FilesError::Pattern(without_tokens(pattern)))?;
    }
    let left_out = left_out.build();
    left_out.map_err(|_| FilesError::Pattern(without_tokens(&exclude.join(", "))))
}

/// Puts the files below `folder` into `found`, links followed, and returns what could not be looked into. What the person
/// who runs it has git ignore elsewhere does not count: the outcome is the same on every machine.
fn walk(folder: &Path, left_out: &Gitignore, found: &mut BTreeSet<PathBuf>) -> Vec<ignore::Error> {
    let left_out = left_out.clone();
    let walk = WalkBuilder::new(folder)
        .hidden(false)
        .ignore(false)
        .git_global(false)
        .git_exclude(false)
        .require_git(false)
        .follow_links(true)
        .filter_entry(move |entry| {
            let is_folder = entry.file_type().is_some_and(|kind| kind.is_dir());
            entry.file_name() != ".git" && !left_out.matched(entry.path(), is_folder).is_ignore()
        })
        .build();
    let mut errors = Vec::new();
    for entry in walk {
        match entry {
            Ok(entry) => {
                let is_file = entry.file_type().is_some_and(|kind| kind.is_file());
                if is_file && is_looked_at(entry.path()) {
                    found.insert(entry.into_path());
                }
            }
            Err(error) => errors.push(error),
        }
    }
    // A link that leads nowhere, or back to a folder above it, hides nothing.
    errors.retain(|error| {
        let of_system = error.io_error();
        of_system.is_some_and(|error| error.kind() != io::ErrorKind::NotFound)
    });
    errors
}

fn is_looked_at(path: &Path) -> bool {
    let extension = path.extension().and_then(|it| it.to_str());
    let extension = extension.unwrap_or_default().to_ascii_lowercase();
    let of_kustomize = path.file_name().is_some_and(|name| name == "Kustomization");
    of_kustomize || matches!(extension.as_str(), "yaml" | "yml" | "json")
}

impl Tree {
    fn not_seen(&mut self, file: &str, what: &str, why: &str) {
        self.unseen.push(Unseen {
            file: file.to_owned(),
            line: 1,
            what: what.to_owned(),
            why: why.to_owned(),
        });
    }

    fn template_not_seen(&mut self, path: &str) {
        let what = "a template that mentions the credential, or what makes it or uses it";
        let why = "it is no YAML before it is rendered; check what helm template prints";
        self.not_seen(path, what, why);
    }

    /// Adds a file; `named` when a person named it, and not only a folder with it.
    fn add_file(&mut self, path: &Path, selected: bool, named: bool) -> Result<(), FilesError> {
        let shown = self.shown(path);
        let text = match fs::File::open(path).and_then(read_all) {
            Ok(text) => text,
            Err(source) if named => return Err(unreadable(path)(source)),
            Err(source) => {
                if selected {
                    self.not_seen(&shown, "the file", &source.to_string());
                }
                return Ok(());
            }
        };
        if u64::try_from(text.len()).is_ok_and(|length| length > MOST_BYTES) {
            if selected {
                let why = format!("it has more than {MOST_BYTES} bytes");
                self.not_seen(&shown, "the file", &why);
            }
            return Ok(());
        }
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
            Err(broken) => match Template::of(text) {
                Some(Template::Deciding { makes_secrets }) => {
                    self.rendered
                        .extend(chart_of(&path).filter(|_| makes_secrets));
                    if selected {
                        self.template_not_seen(&path);
                    }
                }
                _ if !selected => {}
                Some(Template::Other) => {}
                // A folder has JSON of many tools, with comments in it.
                None if path.ends_with(".json") && !named => {}
                None => self.broken.push(broken),
            },
        }
    }
}

/// The folder of the chart in whose templates a file is.
fn chart_of(path: &str) -> Option<String> {
    let rooted = format!("/{path}");
    let (chart, _) = rooted.split_once("/templates/")?;
    Some(chart.trim_start_matches('/').to_owned())
}

/// A file that becomes YAML only when it is rendered.
enum Template {
    /// It mentions what keyguard looks at.
    Deciding {
        /// Whether it makes Secrets.
        makes_secrets: bool,
    },
    Other,
}

impl Template {
    fn of(text: &[u8]) -> Option<Template> {
        const WORDS: [&str; 5] = [
            "ARGO_CD_TOKEN",
            "ARGO_CD_PASSWORD",
            "argocd-cm",
            "accounts.",
            "gitops-runtime",
        ];
        const MAKERS: [&str; 3] = ["ExternalSecret", "SealedSecret", "kind: Secret"];
        let text = String::from_utf8_lossy(text);
        let has = |word: &&str| text.contains(*word);
        let makes_secrets = MAKERS.iter().any(has);
        text.contains("{{")
            .then(|| match makes_secrets || WORDS.iter().any(has) {
                true => Template::Deciding { makes_secrets },
                false => Template::Other,
            })
    }
}

fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> FilesError + use<> {
    let path = path.display().to_string();
    move |source| FilesError::Unreadable { path, source }
}
