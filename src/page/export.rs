//! What is filtered, as a file: all pages of it, one after the other.

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use keyguard_audit::query::Filter;
use keyguard_audit::store::{Store, StoreError};

use super::asked::Asked;
use super::timeline::within;
use super::{Page, PageError, Visit};
use crate::report::records::Lines;

/// How many records are read at once.
const READ: u32 = 1_000;

pub(super) async fn show(page: &Page, visit: &Visit) -> Result<Response, PageError> {
    let viewer = page.access.viewer(&visit.headers).await?;
    let asked = Asked::parse(visit.query())?;
    let (format, media_type, name) = match asked.format.as_str() {
        "csv" => (Lines::Csv, "text/csv; charset=utf-8", "decisions.csv"),
        "jsonl" => (Lines::Jsonl, "application/jsonl", "decisions.jsonl"),
        "ocsf" => (Lines::Ocsf, "application/jsonl", "decisions.ocsf.jsonl"),
        _ => {
            return Err(PageError::Form(
                "An export has the format csv, jsonl or ocsf.",
            ));
        }
    };
    let scope = page.scope(&viewer, &asked.namespace).await?;
    let (filter, _) = within(asked.filter()?, scope);
    page.looked(&viewer, visit).await;
    let headers = [
        (CONTENT_TYPE, media_type.to_owned()),
        (
            CONTENT_DISPOSITION,
            format!("attachment; filename=\"{name}\""),
        ),
    ];
    let body = Body::from_stream(stream::try_unfold(
        Some((page.store.clone(), filter, true)),
        move |left| pages(left, format),
    ));
    Ok((headers, body).into_response())
}

type Left = Option<(Store, Filter, bool)>;

/// The next page, and what is left behind it.
async fn pages(left: Left, format: Lines) -> Result<Option<(Bytes, Left)>, StoreError> {
    let Some((store, mut filter, is_first)) = left else {
        return Ok(None);
    };
    let (found, more) = store.find(&filter, READ).await?;
    let mut text = match is_first {
        true => format.header(),
        false => String::new(),
    };
    for found in &found {
        text.push_str(&format.line(found.body.get(), &found.record()?));
    }
    filter.after = found.last().map(|found| found.cursor);
    let left = more.then_some((store, filter, false));
    Ok(Some((text.into(), left)))
}
