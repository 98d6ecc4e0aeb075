//! Ranges of versions as Helm, Argo CD and Flux read them, as spans of the three numbers.
//!
//! Source: `github.com/Masterminds/semver/v3` `constraints.go`. Pre-releases count as their release.

/// Major, minor, patch.
pub(super) type Triple = (u64, u64, u64);

/// Versions from one on until before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: Triple,
    pub(super) until: Option<Triple>,
}

impl Span {
    const ALL: Span = Span {
        from: (0, 0, 0),
        until: None,
    };

    /// Whether it is one version.
    pub(super) fn is_one(&self) -> bool {
        let (major, minor, patch) = self.from;
        self.until == Some((major, minor, patch + 1))
    }

    /// Whether both have a version.
    pub(super) fn meets(&self, other: &Span) -> bool {
        !self.and(*other).is_empty()
    }

    fn is_empty(&self) -> bool {
        self.until.is_some_and(|until| until <= self.from)
    }

    fn and(self, other: Span) -> Span {
        let until = match (self.until, other.until) {
            (Some(one), Some(two)) => Some(one.min(two)),
            (one, two) => one.or(two),
        };
        Span {
            from: self.from.max(other.from),
            until,
        }
    }
}

/// The spans of a version or range; none when it is neither, or allows no version.
pub(super) fn spans(text: &str) -> Vec<Span> {
    let alternatives: Option<Vec<Span>> = text.split("||").map(alternative).collect();
    let mut spans = alternatives.unwrap_or_default();
    spans.retain(|span| !span.is_empty());
    spans
}

fn alternative(text: &str) -> Option<Span> {
    if let Some((from, to)) = text.split_once(" - ") {
        let (from, to) = (Partial::read(from.trim())?, Partial::read(to.trim())?);
        return Some(Span {
            from: from.span().from,
            until: to.span().until,
        });
    }
    let joined = operators_joined(text);
    let mut parts = joined
        .split(|character: char| character == ',' || character.is_whitespace())
        .filter(|part| !part.is_empty())
        .peekable();
    parts.peek()?;
    parts.try_fold(Span::ALL, |span, part| Some(span.and(constraint(part)?)))
}

/// `>= 1.2` as `>=1.2`.
fn operators_joined(text: &str) -> String {
    let mut joined = String::with_capacity(text.len());
    for character in text.chars() {
        let after_operator = joined.ends_with(['<', '>', '=', '~', '^', '!']);
        if !(character.is_whitespace() && after_operator) {
            joined.push(character);
        }
    }
    joined
}

fn constraint(text: &str) -> Option<Span> {
    let at = text
        .find(|character| !"<>=~^!".contains(character))
        .unwrap_or(text.len());
    let (operator, version) = text.split_at(at);
    let partial = Partial::read(version)?;
    let span = partial.span();
    let above = |from: Triple| Span { from, until: None };
    let below = |until: Option<Triple>| Span { until, ..Span::ALL };
    Some(match operator {
        "" | "=" | "==" => span,
        ">=" | "=>" => above(span.from),
        ">" => above(span.until?),
        "<" => below(Some(span.from)),
        "<=" | "=<" => below(span.until),
        "!=" => Span::ALL,
        "~" | "~>" => partial.tilde(),
        "^" => partial.caret(),
        _ => return None,
    })
}

/// A version of which the last numbers may be missing, or `x` or `*`.
struct Partial {
    numbers: Vec<u64>,
}

impl Partial {
    fn read(text: &str) -> Option<Partial> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let release = text.split(['-', '+']).next()?;
        let parts: Vec<&str> = release.split('.').collect();
        if parts.len() > 3 {
            return None;
        }
        let wild = |part: &&str| matches!(*part, "x" | "X" | "*");
        let known = parts.iter().position(wild).unwrap_or(parts.len());
        let numbers: Option<Vec<u64>> = parts
            .iter()
            .take(known)
            .map(|part| part.parse::<u32>().ok().map(u64::from))
            .collect();
        Some(Partial { numbers: numbers? })
    }

    fn number(&self, index: usize) -> u64 {
        self.numbers.get(index).copied().unwrap_or(0)
    }

    fn span(&self) -> Span {
        let (major, minor, patch) = (self.number(0), self.number(1), self.number(2));
        let until = match self.numbers.len() {
            0 => None,
            1 => Some((major + 1, 0, 0)),
            2 => Some((major, minor + 1, 0)),
            _ => Some((major, minor, patch + 1)),
        };
        Span {
            from: (major, minor, patch),
            until,
        }
    }

    fn tilde(&self) -> Span {
        let span = self.span();
        match self.numbers.len() {
            3 => Span {
                until: Some((self.number(0), self.number(1) + 1, 0)),
                ..span
            },
            _ => span,
        }
    }

    fn caret(&self) -> Span {
        let span = self.span();
        let until = match (self.number(0), self.number(1), self.numbers.len()) {
            (_, _, 0) => None,
            (0, _, 1) => Some((1, 0, 0)),
            (0, 0, _) => span.until,
            (0, minor, _) => Some((0, minor + 1, 0)),
            (major, _, _) => Some((major + 1, 0, 0)),
        };
        Span { until, ..span }
    }
}
