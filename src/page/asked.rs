//! What the URL of a page asks for: filters, and where the page before ended.

use std::time::SystemTime;

use keyguard_audit::entry::milliseconds;
use keyguard_audit::query::{Cursor, Filter};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use keyguard_core::policy::plan::is_object_name;

/// The filters as they stand in the URL; an empty one does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Asked {
    /// What was decided, such as `deny`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub decision: String,
    /// A rule that found something.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub rule: String,
    /// Who asked.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// By what the change came.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub tool: String,
    /// The namespace of the object.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// The name of the object.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub object: String,
    /// The fingerprint of the attempt.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub fingerprint: String,
    /// Whether nothing was to be stored: `yes` or `no`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub dry_run: String,
    /// From this time on.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub since: String,
    /// Before this time.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub until: String,
    /// Where the page before ended.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub after: String,
    /// The last position that the store had when the first page was made.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub as_of: String,
    /// Of an export: `csv`, `jsonl` or `ocsf`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub format: String,
}

/// Why it cannot be asked for.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum NotAsked {
    /// No query of a URL.
    #[error("the address of the page cannot be read: {0}")]
    Query(String),
    /// No time.
    #[error(
        "{0}: a time is written as 2026-11-27T12:00:00Z, or as how long ago it was, such as 7d"
    )]
    Time(&'static str),
    /// Neither yes nor no.
    #[error("dry-run is yes or no")]
    DryRun,
    /// No cursor.
    #[error("after is not what a page gave as its next; begin with the newest")]
    After,
    /// No name of a namespace.
    #[error(
        "{0:?} is no name of a namespace: it has lower-case letters, digits and hyphens; correct the filter"
    )]
    Namespace(String),
    /// A page that takes no filter.
    #[error("this page takes no filter; take away what follows the question mark of its address")]
    Filters,
}

impl Asked {
    /// Reads the query of a URL.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(query: &str) -> Result<Asked, NotAsked> {
        let asked: Result<Asked, _> = serde_urlencoded::from_str(query);
        let mut asked = asked.map_err(|error| NotAsked::Query(error.to_string()))?;
        for text in [
            &mut asked.user,
            &mut asked.tool,
            &mut asked.namespace,
            &mut asked.object,
            &mut asked.fingerprint,
            &mut asked.since,
            &mut asked.until,
        ] {
            // Names in Kubernetes have no blanks at their ends; what is pasted has.
            *text = text.trim().to_owned();
        }
        // It becomes a part of paths of the API server.
        match asked.namespace.is_empty() || is_namespace(&asked.namespace) {
            true => Ok(asked),
            false => Err(NotAsked::Namespace(asked.namespace)),
        }
    }

    /// The query of a URL that asks for the same.
    pub fn query(&self) -> String {
        serde_urlencoded::to_string(self).unwrap_or_default()
    }

    /// The same after a page, of what the store had at `as_of`.
    pub fn after(&self, after: Cursor, as_of: i64) -> Asked {
        Asked {
            after: after.to_string(),
            as_of: as_of.to_string(),
            ..self.clone()
        }
    }

    /// The same from the newest on.
    pub fn from_the_newest(&self) -> Asked {
        Asked {
            after: String::new(),
            as_of: String::new(),
            ..self.clone()
        }
    }

    /// The last position that the store had when the first page was made.
    ///
    /// # Errors
    /// When it is none.
    pub fn as_of(&self) -> Result<Option<i64>, NotAsked> {
        match self.as_of.as_str() {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| NotAsked::After),
        }
    }

    /// Whether some records are not asked for.
    pub fn is_filtered(&self) -> bool {
        self.from_the_newest() != Asked::default()
    }

    /// What the store is asked for.
    ///
    /// # Errors
    /// When a value makes no sense.
    pub fn filter(&self) -> Result<Filter, NotAsked> {
        fn text(text: &str) -> Option<String> {
            Some(text.to_owned()).filter(|text| !text.is_empty())
        }
        let at = |name, text: &String| match text.as_str() {
            "" => Ok(None),
            text => time(text).map(Some).ok_or(NotAsked::Time(name)),
        };
        Ok(Filter {
            decision: text(&self.decision),
            rule: text(&self.rule),
            user: text(&self.user),
            tool: text(&self.tool),
            namespace: text(&self.namespace),
            object: text(&self.object),
            fingerprint: text(&self.fingerprint),
            dry_run: match self.dry_run.as_str() {
                "" => None,
                "yes" => Some(true),
                "no" => Some(false),
                _ => return Err(NotAsked::DryRun),
            },
            since: at("from", &self.since)?,
            until: at("until", &self.until)?,
            after: match self.after.as_str() {
                "" => None,
                text => Some(Cursor::parse(text).ok_or(NotAsked::After)?),
            },
        })
    }
}

/// Whether a namespace can have this name.
pub(super) fn is_namespace(name: &str) -> bool {
    is_object_name(name) && !name.contains('.')
}

/// A time, or how long ago it was, in milliseconds since 1970.
pub fn time(text: &str) -> Option<i64> {
    let ago = || {
        let ago = humantime::parse_duration(text).ok()?;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = i64::try_from(now.ok()?.as_millis()).ok()?;
        let ago = i64::try_from(ago.as_millis()).unwrap_or(i64::MAX);
        Some(now.saturating_sub(ago))
    };
    milliseconds(text).or_else(ago)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_again_what_it_asks_for() {
        for query in [
            "",
            "decision=deny&user=alice",
            "namespace=a-b&object=%3Cscript%3E&dry-run=no&after=1-2&as-of=3",
        ] {
            assert_eq!(Asked::parse(query).unwrap().query(), query);
        }
        let asked = Asked::parse("decision=&user=+bob+").unwrap();
        assert_eq!(asked.query(), "user=bob");
        assert!(asked.is_filtered());
        assert!(!Asked::parse("after=1-2&as-of=3").unwrap().is_filtered());
    }

    #[test]
    fn a_time_long_ago_is_one() {
        let year = 365 * 86_400_000;
        let now = time("0s").unwrap();
        for (ago, years) in [("1y", 1), ("100y", 100), ("100000000y", 100_000_000)] {
            let then = time(ago).unwrap();
            assert!(then <= now - years * year, "{ago}: {then}");
        }
        assert_eq!(time("1 fortnight"), None);
    }

    #[test]
    fn what_makes_no_sense_is_said() {
        let table = [
            ("since=yesterday", NotAsked::Time("from")),
            ("until=x", NotAsked::Time("until")),
            ("dry-run=maybe", NotAsked::DryRun),
            ("after=x", NotAsked::After),
        ];
        assert_eq!(
            Asked::parse("as-of=x").unwrap().as_of(),
            Err(NotAsked::After)
        );
        for name in [
            "a/b",
            "team-a/policyreports?x=",
            "../secrets",
            "a b",
            "a.b",
            "A",
            "a#",
        ] {
            let query = serde_urlencoded::to_string([("namespace", name)]).unwrap();
            let refused = Asked::parse(&query).unwrap_err();
            assert_eq!(refused, NotAsked::Namespace(name.to_owned()));
        }
        let misspelt = Asked::parse("nspace=a").unwrap_err().to_string();
        assert!(misspelt.contains("`nspace`"), "{misspelt}");
        for (query, expected) in table {
            assert_eq!(Asked::parse(query).unwrap().filter(), Err(expected));
        }
        assert!(Asked::parse("user=a&user=b").is_err());
    }
}
