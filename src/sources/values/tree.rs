//! The files that values are looked for in, and paths among them.

use std::collections::BTreeMap;

use keyguard_core::document::Node;

/// The documents of every file that could be read, by its path: relative to the root, with `/`.
pub type Files = BTreeMap<String, Vec<Node>>;

/// The first document of a file, the only one that Helm reads of values.
pub(super) fn first<'a>(files: &'a Files, path: &str) -> Option<&'a Node> {
    files.get(path)?.first()
}

/// All objects of Kubernetes in a file, those in a `List` too.
pub(super) fn objects(documents: &[Node]) -> impl Iterator<Item = &Node> {
    documents.iter().flat_map(|document| {
        let is_list = document.text_at(&["kind"]) == Some("List");
        let items = document.get("items").map_or(&[][..], Node::items);
        match is_list {
            true => items.iter(),
            false => std::slice::from_ref(document).iter(),
        }
    })
}

/// Whether an object is of this kind in any version of the API group.
pub(super) fn is_kind(object: &Node, group: &str, kind: &str) -> bool {
    let of_group = object
        .text_at(&["apiVersion"])
        .and_then(|version| version.strip_prefix(group))
        .is_some_and(|rest| rest.starts_with('/'));
    of_group && object.text_at(&["kind"]) == Some(kind)
}

/// The folder of a file; empty for the root.
pub(crate) fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// The name of a file.
pub(super) fn name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// `relative` seen from `folder`, without `.` and `..`; `None` when it leads out of the root. With `/` in front it is
/// seen from the root.
pub(crate) fn resolve(folder: &str, relative: &str) -> Option<String> {
    let from = match relative.starts_with('/') {
        true => "",
        false => folder,
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in from.split('/').chain(relative.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Whether two addresses of git are of the same repository: the way to it, `.git` and capitals do not count.
pub(super) fn is_same_repository(one: &str, other: &str) -> bool {
    let plain = |address: &str| {
        let address = address.trim().trim_end_matches('/').to_ascii_lowercase();
        let address = address.strip_suffix(".git").unwrap_or(&address);
        let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
        let rest = rest.split_once('@').map_or(rest, |(_, rest)| rest);
        rest.replacen(':', "/", 1)
    };
    plain(one) == plain(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_resolved_within_the_root() {
        let table = [
            ("apps", "values.yaml", Some("apps/values.yaml")),
            ("apps/runtime", "../base/./v.yaml", Some("apps/base/v.yaml")),
            ("apps", "/v.yaml", Some("v.yaml")),
            ("", "v.yaml", Some("v.yaml")),
            ("apps", "../../v.yaml", None),
            ("apps", ".", Some("apps")),
        ];
        for (folder, relative, expected) in table {
            assert_eq!(resolve(folder, relative).as_deref(), expected, "{relative}");
        }
    }

    #[test]
    fn addresses_of_one_repository_are_told() {
        let own = "https://github.com/acme/gitops.git";
        for same in [
            "https://github.com/acme/gitops",
            "git@github.com:acme/gitops.git",
            "ssh://git@github.com/acme/gitops",
            "https://token@GitHub.com/acme/gitops/",
        ] {
            assert!(is_same_repository(own, same), "{same}");
        }
        assert!(!is_same_repository(own, "https://github.com/acme/other"));
    }
}
