//! How deeply JSON is nested, before anything is parsed.

/// Whether no array or object in `json` lies deeper than `limit`.
///
/// Brackets in strings do not count. Text that is no JSON gets some answer; parsing it fails anyway.
pub(super) fn within(json: &[u8], limit: usize) -> bool {
    openings(json) <= limit || deepest(json) <= limit
}

/// How many brackets open anywhere: no fewer than any depth, and many times faster to count.
fn openings(json: &[u8]) -> usize {
    // Counted in bytes, so that the compiler does many at once.
    json.chunks(u8::MAX.into())
        .map(|chunk| {
            let count = chunk.iter().fold(0_u8, |count, byte| {
                count.wrapping_add(u8::from(matches!(byte, b'{' | b'[')))
            });
            usize::from(count)
        })
        .sum()
}

fn deepest(json: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut bytes = json.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => skip_string(&mut bytes),
            _ => {}
        }
    }
    deepest
}

fn skip_string(bytes: &mut std::slice::Iter<'_, u8>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return,
            b'\\' => {
                bytes.next();
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_nesting_outside_strings_only() {
        let table = [
            ("{}", 1),
            ("[[],[]]", 2),
            (r#"{"a":"[[[[","b":{}}"#, 2),
            (r#"{"a":"\"[[[[","b":{}}"#, 2),
            (r#"{"a":"\\","b":[[]]}"#, 3),
            ("1", 0),
        ];
        for (json, depth) in table {
            assert_eq!(deepest(json.as_bytes()), depth, "{json}");
            assert!(within(json.as_bytes(), depth), "{json}");
            assert!(depth == 0 || !within(json.as_bytes(), depth - 1), "{json}");
        }
    }

    #[test]
    fn a_million_open_brackets_are_refused_without_recursion() {
        assert!(!within(&vec![b'['; 1_000_000], 128));
    }
}
