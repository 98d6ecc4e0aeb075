//! Which version of the chart is used, and where versions differ in what they read.

use std::fmt;

use super::version_range::{Span, spans};

/// Versions of the chart that read the same settings in the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Generation {
    /// Before 0.18.0: there is no external Argo CD, and no setting for how to authenticate.
    BuiltInOnly,
    /// 0.18.0 to 0.24.3: App Proxy takes a reference before a plain value.
    ReferenceFirst,
    /// 0.24.4 to 0.25.2: a plain value counts before a reference.
    External,
    /// 0.26.0 and later.
    Integrations,
}

/// Where 0.26.0 and later read how to authenticate.
pub const INTEGRATIONS: &[&str] = &["global", "integrations", "argo-cd", "server", "auth"];
/// Where 0.18.0 to 0.25.2 read it.
pub const EXTERNAL: &[&str] = &["global", "external-argo-cd", "auth"];
/// Where no version ever read it, and the documentation said so for two months.
pub const NEVER: &[&str] = &["global", "external-arg-cd", "auth"];

impl Generation {
    /// Every generation, the oldest first.
    pub const ALL: [Generation; 4] = [
        Generation::BuiltInOnly,
        Generation::ReferenceFirst,
        Generation::External,
        Generation::Integrations,
    ];

    /// Where these versions read how to authenticate.
    pub fn auth_path(self) -> Option<&'static [&'static str]> {
        match self {
            Generation::BuiltInOnly => None,
            Generation::ReferenceFirst | Generation::External => Some(EXTERNAL),
            Generation::Integrations => Some(INTEGRATIONS),
        }
    }

    /// The versions, as a text that follows "version" or stands alone.
    pub fn versions(self) -> &'static str {
        match self {
            Generation::BuiltInOnly => "0.17.1 and earlier",
            Generation::ReferenceFirst => "0.18.0 to 0.24.3",
            Generation::External => "0.24.4 to 0.25.2",
            Generation::Integrations => "0.26.0 and later",
        }
    }

    fn span(self) -> Span {
        let (from, until) = match self {
            Generation::BuiltInOnly => ((0, 0, 0), Some((0, 18, 0))),
            Generation::ReferenceFirst => ((0, 18, 0), Some((0, 24, 4))),
            Generation::External => ((0, 24, 4), Some((0, 26, 0))),
            Generation::Integrations => ((0, 26, 0), None),
        };
        Span { from, until }
    }
}

/// The version of a chart, as it is named where the chart is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChartVersion {
    /// One version.
    Exact(String),
    /// Any version of a range, such as `0.25.x` or `>=0.24.0 <0.27.0`.
    Range(String),
    /// Not told, or not to be read.
    Unknown,
}

impl ChartVersion {
    /// Reads a version or a range as Helm does. What is neither is unknown; so is `0.0.0`, by which the chart's own
    /// repository calls itself between releases.
    pub fn parse(text: &str) -> ChartVersion {
        let text = text.trim();
        match spans(text).as_slice() {
            [] => ChartVersion::Unknown,
            [span]
                if span.is_one()
                    && text.starts_with(|start: char| start == 'v' || start.is_ascii_digit()) =>
            {
                match span.from {
                    (0, 0, 0) => ChartVersion::Unknown,
                    (major, minor, patch) => {
                        ChartVersion::Exact(format!("{major}.{minor}.{patch}"))
                    }
                }
            }
            _ => ChartVersion::Range(text.to_owned()),
        }
    }

    /// The generations that it may be of, the oldest first; at least one. One without an external Argo CD counts only
    /// when it is the only one.
    pub fn generations(&self) -> Vec<Generation> {
        let spans: Vec<Span> = match self {
            ChartVersion::Exact(text) | ChartVersion::Range(text) => spans(text),
            ChartVersion::Unknown => Vec::new(),
        };
        let possible = |generation: &Generation| {
            let own = generation.span();
            spans.iter().any(|span| span.meets(&own))
        };
        let mut generations: Vec<Generation> =
            Generation::ALL.into_iter().filter(possible).collect();
        if generations.is_empty() {
            generations = Generation::ALL.to_vec();
        }
        if generations.len() > 1 {
            generations.retain(|generation| *generation != Generation::BuiltInOnly);
        }
        generations
    }
}

/// A noun phrase, such as `version 0.30.0 of the chart`.
impl fmt::Display for ChartVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ChartVersion::Exact(version) => write!(formatter, "version {version} of the chart"),
            ChartVersion::Range(range) => write!(formatter, "any version {range:?} of the chart"),
            ChartVersion::Unknown => formatter.write_str("the chart, whose version is not known,"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_ranges_have_their_generations() {
        use Generation::*;
        let any = [ReferenceFirst, External, Integrations];
        let table: [(&str, &[Generation]); 24] = [
            ("0.17.1", &[BuiltInOnly]),
            ("0.18.0", &[ReferenceFirst]),
            ("0.24.3", &[ReferenceFirst]),
            ("0.24.4", &[External]),
            ("0.25.2", &[External]),
            ("0.26.0", &[Integrations]),
            ("v0.30.0", &[Integrations]),
            ("0.26.0-rc1", &[Integrations]),
            ("1.4.0+build", &[Integrations]),
            ("0.25.x", &[External]),
            ("0.25", &[External]),
            ("~0.25.0", &[External]),
            ("^0.25.1", &[External]),
            ("0.24.*", &[ReferenceFirst, External]),
            (">=0.25.0", &[External, Integrations]),
            (">= 0.25.0, < 0.26.0", &[External]),
            (">=0.25.0 <0.27.0", &[External, Integrations]),
            ("0.20.0 - 0.25", &[ReferenceFirst, External]),
            ("0.19.0 || 0.30.x", &[ReferenceFirst, Integrations]),
            ("<0.18.0", &[BuiltInOnly]),
            ("<=0.18", &[ReferenceFirst]),
            ("*", &any),
            ("main", &any),
            ("0.0.0", &any),
        ];
        for (text, expected) in table {
            assert_eq!(ChartVersion::parse(text).generations(), expected, "{text}");
        }
    }

    #[test]
    fn a_version_is_exact_a_range_or_unknown() {
        use ChartVersion::*;
        let table = [
            ("0.30.0", Exact("0.30.0".to_owned())),
            ("v0.30.0", Exact("0.30.0".to_owned())),
            ("=0.30.0", Range("=0.30.0".to_owned())),
            ("0.30.x", Range("0.30.x".to_owned())),
            ("", Unknown),
            ("HEAD", Unknown),
            ("0.0.0", Unknown),
            ("0.1.2.3", Unknown),
            (">0.30.0 <0.20.0", Unknown),
        ];
        for (text, expected) in table {
            assert_eq!(ChartVersion::parse(text), expected, "{text}");
        }
    }
}
