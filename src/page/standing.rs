//! What a scan of the cluster found and still stands, as its reports say it.

use std::collections::BTreeMap;

use askama::Template;
use axum::response::{Html, IntoResponse as _, Response};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::access::Viewer;
use super::asked::Asked;
use super::frame::Frame;
use super::scope::{Namespaces, Scope};
use super::zone::Clock;
use super::{Page, PageError, Visit};
use crate::collector::callers::Denied;
use crate::report::policy_report::{Api, NAME, Timestamp};
use crate::report::visible::visible;
use crate::sources::cluster::Cluster;

/// How many reports are read at once, and the most bytes of them.
const PAGE: usize = 100;
const PAGE_BYTES: usize = 16 << 20;
/// The most findings that are shown.
const MOST: usize = 1_000;

#[derive(Template)]
#[template(path = "standing.html", config = "src/page/askama.toml")]
struct Standing {
    frame: Frame,
    namespaces: Vec<Namespace>,
    is_cut: bool,
    has_more_namespaces: bool,
}

struct Namespace {
    name: String,
    results: Vec<Row>,
}

struct Row {
    /// Since when it stands; empty when that is not known.
    since: String,
    rule: String,
    result: String,
    object: String,
    message: String,
}

#[derive(Deserialize)]
struct List {
    metadata: ListMetadata,
    items: Vec<Report>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ListMetadata {
    r#continue: String,
}

#[derive(Deserialize)]
struct Report {
    metadata: Metadata,
    #[serde(default)]
    results: Vec<PolicyResult>,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    namespace: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PolicyResult {
    rule: String,
    result: String,
    message: String,
    timestamp: Option<Timestamp>,
    // The name of the member in each of the two APIs.
    #[serde(alias = "subjects")]
    resources: Vec<Object>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Object {
    kind: String,
    name: String,
}

pub(super) async fn show(
    page: &Page,
    visit: &Visit,
    viewer: &Viewer,
) -> Result<Response, PageError> {
    let asked = Asked::parse(visit.query())?;
    let cluster = page.cluster_reader.as_ref().ok_or(PageError::NotFound)?;
    let scope = page.scope(viewer, &asked.namespace).await?;
    page.looked(viewer, visit).await?;
    let mut has_more_namespaces = false;
    let places = match scope {
        Scope::All if asked.namespace.is_empty() => vec![String::new()],
        Scope::All => vec![asked.namespace.clone()],
        Scope::Some(Namespaces { names, has_more }) => {
            has_more_namespaces = has_more;
            names
        }
    };
    let mut found: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    let mut is_cut = false;
    let cluster = cluster.reading_up_to(PAGE_BYTES);
    for place in places {
        for report in reports(&cluster, &place).await? {
            let left = MOST.saturating_sub(found.values().map(Vec::len).sum());
            is_cut |= report.results.len() > left;
            let rows = report
                .results
                .into_iter()
                .take(left)
                .map(|result| row(result, &visit.clock));
            let namespace = found.entry(report.metadata.namespace).or_default();
            namespace.extend(rows);
        }
    }
    let namespaces = found.into_iter().map(|(name, results)| Namespace {
        name: visible(&name, &[]).into_owned(),
        results,
    });
    let shown = Standing {
        frame: Frame::new("What stands", page, visit, viewer),
        namespaces: namespaces.collect(),
        is_cut,
        has_more_namespaces,
    };
    Ok(Html(shown.render()?).into_response())
}

/// The reports in a namespace, or in all of them when it is empty; none where the cluster has no API for them.
async fn reports(cluster: &Cluster, namespace: &str) -> Result<Vec<Report>, PageError> {
    for api in [Api::OpenReports, Api::WgPolicy] {
        let place = match namespace {
            "" => String::new(),
            namespace => format!("/namespaces/{namespace}"),
        };
        let (version, resource) = (api.version(), api.resource());
        let (mut all, mut next) = (Vec::new(), String::new());
        loop {
            let path = format!(
                "/apis/{version}{place}/{resource}?limit={PAGE}&labelSelector=app.kubernetes.io%2Fmanaged-by%3D{NAME}{next}"
            );
            let read = cluster.get(&path).await.map_err(Denied::Unread)?;
            let Some(json) = read else { break };
            let garbled = |_| Denied::Unread(keyguard_core::policy::facts::Unread::Garbled);
            let list: List = serde_json::from_slice(&json).map_err(garbled)?;
            all.extend(list.items);
            match list.metadata.r#continue.as_str() {
                "" => return Ok(all),
                token => {
                    next = format!("&continue={}", utf8_percent_encode(token, NON_ALPHANUMERIC))
                }
            }
            if all.len() > MOST {
                return Ok(all);
            }
        }
    }
    Ok(Vec::new())
}

fn row(result: PolicyResult, clock: &Clock) -> Row {
    let shown = |text: &str| visible(text, &[]).into_owned();
    let objects = result.resources.iter();
    let objects: Vec<String> = objects
        .map(|it| format!("{} {}", it.kind, it.name))
        .collect();
    let since = result
        .timestamp
        .map(|at| clock.short(at.seconds.saturating_mul(1_000)));
    Row {
        since: since.unwrap_or_default(),
        rule: shown(&result.rule),
        result: match result.result.as_str() {
            "fail" => "does not work".to_owned(),
            "warn" => "warned of".to_owned(),
            "skip" => "ignored by a comment".to_owned(),
            other => shown(other),
        },
        object: shown(&objects.join(", ")),
        message: shown(&result.message),
    }
}
