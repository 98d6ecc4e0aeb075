//! What is filtered, as a file: all pages of it, one after the other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use futures_util::future::BoxFuture;
use futures_util::stream;
use keyguard_audit::query::Filter;
use keyguard_audit::store::{Store, StoreError};
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use super::access::Viewer;
use super::asked::Asked;
use super::timeline::within;
use super::{Page, PageError, Visit};
use crate::report::records::Lines;

/// How many records are read at once, and how many bytes are sent at once unless one record alone has more.
const READ: u32 = 50;
const CHUNK: usize = 64 << 10;
/// The most exports at once, of all viewers and of one.
const MOST: usize = 8;
const MOST_OF_ONE: usize = 2;
/// How long an export goes on until RBAC is asked again.
const ASKS_AGAIN: Duration = Duration::from_secs(5);
/// How long a reader may take nothing.
const PATIENCE: Duration = Duration::from_secs(30);

/// The exports that run, by viewer.
#[derive(Default)]
pub(super) struct Exports(Mutex<HashMap<String, usize>>);

/// One that runs, until it is dropped.
pub(super) struct Running {
    exports: Arc<Exports>,
    viewer: String,
}

impl Exports {
    /// One more, if that is not too many.
    fn begin(self: &Arc<Self>, viewer: &str) -> Option<Running> {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = running.values().sum();
        let own = running.get(viewer).copied().unwrap_or_default();
        if all >= MOST || own >= MOST_OF_ONE {
            return None;
        }
        running.insert(viewer.to_owned(), own + 1);
        Some(Running {
            exports: Arc::clone(self),
            viewer: viewer.to_owned(),
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let running = self.exports.0.lock();
        let mut running = running.unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = running.get_mut(&self.viewer) {
            *own -= 1;
        }
        running.retain(|_, own| *own > 0);
    }
}

/// Why an export breaks off.
#[derive(Debug, Error)]
enum BrokenOff {
    #[error("the reader took nothing for {} seconds", PATIENCE.as_secs())]
    Slow,
    #[error("the reader is gone")]
    Gone,
    #[error("records that are left out, as they are none of this version of keyguard: {0}")]
    LeftOut(usize),
    #[error("its viewer may not see it any more")]
    Forbidden,
    #[error("the API server or the store does not answer: {0}")]
    Page(#[from] PageError),
    #[error("the export broke off; export it again")]
    Unfinished,
}

impl From<StoreError> for BrokenOff {
    fn from(error: StoreError) -> BrokenOff {
        BrokenOff::Page(error.into())
    }
}

pub(super) async fn show(
    page: &Arc<Page>,
    visit: &Visit,
    viewer: &Viewer,
) -> Result<Response, PageError> {
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
    let scope = page.scope(viewer, &asked.namespace).await?;
    let (filter, _) = within(asked.filter()?, scope);
    let running = page.bounds.exports.begin(viewer.name());
    let running = running.ok_or(PageError::Busy)?;
    page.looked(viewer, visit).await?;
    let (sender, receiver) = mpsc::channel(1);
    let export = Export {
        store: page.store.clone(),
        still: still(page, visit, filter.namespace.clone().unwrap_or_default()),
        filter,
        format,
        asks_again: ASKS_AGAIN,
        patience: PATIENCE,
    };
    let (viewer, in_progress) = (viewer.name().to_owned(), visit.in_progress.clone());
    tokio::spawn(async move {
        let _held = (running, in_progress);
        if let Err(reason) = export.feed(sender).await {
            tracing::info!(viewer, %reason, "an export is ended");
        }
    });
    let headers = [
        (CONTENT_TYPE, media_type.to_owned()),
        (
            CONTENT_DISPOSITION,
            format!("attachment; filename=\"{name}\""),
        ),
    ];
    Ok((headers, body(receiver)).into_response())
}

pub(super) type Still = Box<dyn Fn() -> BoxFuture<'static, Result<bool, PageError>> + Send + Sync>;

/// Whether who asked may still see it, by the same session.
pub(super) fn still(page: &Arc<Page>, visit: &Visit, namespace: String) -> Still {
    let (page, headers) = (Arc::clone(page), visit.headers.clone());
    Box::new(move || {
        let (page, headers, namespace) = (Arc::clone(&page), headers.clone(), namespace.clone());
        Box::pin(async move {
            match page.access.viewer(&headers).await {
                Err(PageError::SignedOut(_)) => Ok(false),
                viewer => page.access.may_list(&viewer?, &namespace).await,
            }
        })
    })
}

/// What is sent. What ends without the empty chunk is an error, so that nobody takes a part for all of it.
fn body(receiver: mpsc::Receiver<Bytes>) -> Body {
    Body::from_stream(stream::try_unfold(
        receiver,
        async |mut receiver| match receiver.recv().await {
            Some(chunk) if chunk.is_empty() => Ok(None),
            Some(chunk) => Ok(Some((chunk, receiver))),
            None => Err(BrokenOff::Unfinished),
        },
    ))
}

/// What is to be sent, apart from the connection: a reader that stands still does not keep it.
struct Export {
    store: Store,
    filter: Filter,
    format: Lines,
    still: Still,
    asks_again: Duration,
    patience: Duration,
}

impl Export {
    async fn feed(mut self, sender: mpsc::Sender<Bytes>) -> Result<(), BrokenOff> {
        let mut text = self.format.header();
        let (mut asked, mut left_out) = (Instant::now(), 0);
        loop {
            let (found, more) = self.store.find(&self.filter, READ).await?;
            for found in found {
                match (self.format, found.record()) {
                    // As it is, it can be read by who knows it.
                    (Lines::Jsonl, Err(_)) => text.extend([found.body.get(), "\n"]),
                    (_, Ok(record)) => text.push_str(&self.format.line(found.body.get(), &record)),
                    (_, Err(_)) => left_out += 1,
                }
                self.filter.after = Some(found.cursor);
                if text.len() >= CHUNK {
                    if asked.elapsed() >= self.asks_again {
                        if !(self.still)().await? {
                            return Err(BrokenOff::Forbidden);
                        }
                        asked = Instant::now();
                    }
                    self.send(&sender, std::mem::take(&mut text)).await?;
                }
            }
            if !more {
                break;
            }
        }
        if !text.is_empty() {
            self.send(&sender, text).await?;
        }
        // It ends as one that broke off, so that nobody takes it for all.
        if left_out > 0 {
            return Err(BrokenOff::LeftOut(left_out));
        }
        self.send(&sender, String::new()).await?;
        // What is on its way still needs the connection.
        let taken = timeout(self.patience, sender.closed()).await;
        taken.map_err(|_| BrokenOff::Slow)
    }

    async fn send(&self, sender: &mpsc::Sender<Bytes>, text: String) -> Result<(), BrokenOff> {
        let sent = timeout(self.patience, sender.send(text.into())).await;
        let sent = sent.map_err(|_| BrokenOff::Slow)?;
        sent.map_err(|_| BrokenOff::Gone)
    }
}

#[cfg(test)]
#[path = "export_tests.rs"]
mod tests;
