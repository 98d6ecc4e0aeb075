//! The decisions, newest first: attempts of one fingerprint in one row.

use askama::Template;
use axum::response::{Html, IntoResponse as _, Response};
use keyguard_audit::attempts::AttemptsPage;
use keyguard_audit::query::Filter;
use strum::VariantArray as _;

use super::access::Viewer;
use super::asked::Asked;
use super::frame::Frame;
use super::row::Row;
use super::scope::{Namespaces, Scope};
use super::{Page, PageError, Visit};
use crate::report::records::word;
use keyguard_core::policy::rules::Rule;
use keyguard_core::policy::verdict::Decision;

/// The most rows of a page.
const ROWS: usize = 50;

#[derive(Template)]
#[template(path = "timeline.html", config = "src/page/askama.toml")]
struct Timeline {
    frame: Frame,
    quick: Vec<Link>,
    times: Vec<Link>,
    namespaces: Option<Namespaces>,
    is_filtered: bool,
    /// Whether more is filtered than the links above the form do.
    shows_filters: bool,
    asked: Asked,
    decisions: Vec<Choice>,
    rules: Vec<Choice>,
    dry_run: Vec<Choice>,
    rows: Vec<Row>,
    /// How many records could not be read.
    unreadable: usize,
    newest: String,
    next: Option<String>,
    export: String,
}

struct Link {
    text: &'static str,
    query: String,
    is_current: bool,
}

struct Choice {
    value: String,
    text: String,
    is_current: bool,
}

pub(super) async fn show(
    page: &Page,
    visit: &Visit,
    viewer: &Viewer,
) -> Result<Response, PageError> {
    let asked = Asked::parse(visit.query())?;
    let scope = page.scope(viewer, &asked.namespace).await?;
    page.looked(viewer, visit).await?;
    let (filter, namespaces) = within(asked.filter()?, scope);
    let asked = Asked {
        namespace: filter.namespace.clone().unwrap_or_default(),
        ..asked
    };
    let found = page.store.attempts(&filter, asked.as_of()?, ROWS).await?;
    let timeline = Timeline::of(page, visit, viewer, asked, namespaces, &found);
    Ok(Html(timeline.render()?).into_response())
}

/// What of `filter` somebody may see, and the namespaces to choose from if it is one of them.
pub(super) fn within(filter: Filter, scope: Scope) -> (Filter, Option<Namespaces>) {
    match scope {
        Scope::All => (filter, None),
        Scope::Some(namespaces) => {
            let namespace = filter.namespace.clone();
            let namespace = namespace.or_else(|| namespaces.names.first().cloned());
            (
                Filter {
                    namespace,
                    ..filter
                },
                Some(namespaces),
            )
        }
    }
}

impl Timeline {
    fn of(
        page: &Page,
        visit: &Visit,
        viewer: &Viewer,
        asked: Asked,
        namespaces: Option<Namespaces>,
        found: &AttemptsPage,
    ) -> Timeline {
        let base = asked.from_the_newest();
        let query = |asked: &Asked| match asked.query() {
            query if query.is_empty() => query,
            query => format!("?{query}"),
        };
        let kinds = [
            ("All", ""),
            ("Refused", "deny"),
            ("Break glass", "break-glass"),
            ("Warned", "warn"),
        ];
        let quick = kinds.map(|(text, decision)| Link {
            text,
            query: query(&Asked {
                decision: decision.to_owned(),
                ..base.clone()
            }),
            is_current: base.decision == decision,
        });
        let times = [
            ("Ever", ""),
            ("24 hours", "24h"),
            ("7 days", "7d"),
            ("30 days", "30d"),
        ];
        let times = times.map(|(text, since)| Link {
            text,
            query: query(&Asked {
                since: since.to_owned(),
                ..base.clone()
            }),
            is_current: base.since == since,
        });
        let choice = |value: &str, text: &str, current: &str| Choice {
            value: value.to_owned(),
            text: text.to_owned(),
            is_current: value == current,
        };
        let decisions = Decision::VARIANTS
            .iter()
            .map(|it| choice(it.name(), word(*it), &base.decision));
        let rules = Rule::ALL
            .iter()
            .map(|it| choice(it.id(), it.id(), &base.rule));
        let dry_run = [("no", "no"), ("yes", "yes")];
        let dry_run = dry_run.map(|(value, text)| choice(value, text, &base.dry_run));
        let rows = found.rows.iter();
        let rows = rows.map(|row| Row::of(&row.record, row.attempts.as_ref(), &base, &visit.clock));
        let next = found
            .next
            .map(|next| query(&asked.after(next, found.as_of)));
        let export = match base.query() {
            query if query.is_empty() => query,
            query => format!("{query}&"),
        };
        Timeline {
            frame: Frame::new("Decisions", page, visit, viewer),
            quick: quick.into(),
            namespaces,
            is_filtered: asked.is_filtered(),
            shows_filters: Asked {
                decision: String::new(),
                since: match times.iter().any(|link| link.is_current) {
                    true => String::new(),
                    false => asked.since.clone(),
                },
                ..asked.clone()
            }
            .is_filtered(),
            decisions: decisions.collect(),
            rules: rules.collect(),
            dry_run: dry_run.into(),
            rows: rows.collect(),
            unreadable: found.unreadable,
            times: times.into(),
            newest: query(&base),
            next,
            export,
            asked,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_not_see_all_sees_one_namespace_at_a_time() {
        let scope = || {
            Scope::Some(Namespaces {
                names: vec!["a".to_owned(), "b".to_owned()],
                has_more: false,
            })
        };
        let namespace = |wanted: Option<&str>, scope| {
            let filter = Filter {
                namespace: wanted.map(str::to_owned),
                ..Filter::default()
            };
            within(filter, scope).0.namespace
        };
        assert_eq!(namespace(None, Scope::All), None);
        assert_eq!(namespace(None, scope()).as_deref(), Some("a"));
        assert_eq!(namespace(Some("b"), scope()).as_deref(), Some("b"));
    }
}
