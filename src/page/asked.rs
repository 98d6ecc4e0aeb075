//! What the URL of a page asks for: filters, and where the page before ended.

use std::time::SystemTime;

use keyguard_audit::entry::milliseconds;
use keyguard_audit::query::{Cursor, Filter};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The filters as they stand in the URL; an empty one does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
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
        Ok(asked)
    }

    /// The query of a URL that asks for the same.
    pub fn query(&self) -> String {
        serde_urlencoded::to_string(self).unwrap_or_default()
    }

    /// The same from another place on.
    pub fn after(&self, after: String) -> Asked {
        Asked {
            after,
            ..self.clone()
        }
    }

    /// Whether some records are not asked for.
    pub fn is_filtered(&self) -> bool {
        self.after(String::new()) != Asked::default()
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

/// A time, or how long ago it was, in milliseconds since 1970.
pub fn time(text: &str) -> Option<i64> {
    let ago = || {
        let ago = humantime::parse_duration(text).ok()?;
        let then = SystemTime::now().checked_sub(ago)?;
        let since = then.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        i64::try_from(since.as_millis()).ok()
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
            "namespace=a%26b&object=%3Cscript%3E&dry-run=no&after=1-2",
        ] {
            assert_eq!(Asked::parse(query).unwrap().query(), query);
        }
        let asked = Asked::parse("decision=&user=+bob+&other=1").unwrap();
        assert_eq!(asked.query(), "user=bob");
        assert!(asked.is_filtered());
        assert!(!Asked::parse("after=1-2").unwrap().is_filtered());
    }

    #[test]
    fn what_makes_no_sense_is_said() {
        let table = [
            ("since=yesterday", NotAsked::Time("from")),
            ("until=x", NotAsked::Time("until")),
            ("dry-run=maybe", NotAsked::DryRun),
            ("after=x", NotAsked::After),
        ];
        for (query, expected) in table {
            assert_eq!(Asked::parse(query).unwrap().filter(), Err(expected));
        }
        assert!(Asked::parse("user=a&user=b").is_err());
    }
}
