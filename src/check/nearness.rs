//! How near two folders are to each other.

/// How many folders from the root on two have in common.
pub(crate) fn in_common(one: &str, other: &str) -> usize {
    let (one, other) = (one.split('/'), other.split('/'));
    one.zip(other)
        .take_while(|(one, other)| one == other && !one.is_empty())
        .count()
}

/// Whether one of two folders is the other or lies in it.
pub(crate) fn is_related(one: &str, other: &str) -> bool {
    let depth = |folder: &str| folder.split('/').filter(|part| !part.is_empty()).count();
    in_common(one, other) == depth(one).min(depth(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_have_their_first_parts_in_common() {
        let table = [
            ("", "", 0, true),
            ("a/b", "a/b/c", 2, true),
            ("a/b", "a/c", 1, false),
            ("a", "ab", 0, false),
            ("", "a/b", 0, true),
        ];
        for (one, other, expected, related) in table {
            assert_eq!(in_common(one, other), expected, "{one} {other}");
            assert_eq!(is_related(one, other), related, "{one} {other}");
        }
    }
}
