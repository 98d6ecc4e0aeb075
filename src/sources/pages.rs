//! Goes through what is listed, page by page.

use std::time::Duration;

use crate::sources::any_source::AnySource;
use crate::sources::cluster::Cluster;
use crate::sources::listing::{Listed, PAGE, Page};
use crate::sources::patience::{once, patiently};
use keyguard_core::policy::facts::Unread;

/// The most bytes of one answer; when there are more, fewer objects are asked for.
const PAGE_BYTES: usize = 16 << 20;
/// How long the API server may take for a page.
const PAGE_TIMEOUT: Duration = Duration::from_secs(60);

/// Goes through one list, page by page.
pub struct Pages<'a> {
    source: &'a AnySource,
    listed: Listed,
    namespace: Option<&'a str>,
    limit: usize,
    /// What to ask for the next page with; `None` when there is no further one.
    next: Option<String>,
    /// How many answers were asked for.
    pub requests: usize,
    /// Whether to ask again when the API server does not answer.
    pub insists: bool,
}

impl<'a> Pages<'a> {
    /// Of one namespace, or of all. The caller has checked that `namespace` is an object name.
    pub fn new(source: &'a AnySource, listed: Listed, namespace: Option<&'a str>) -> Pages<'a> {
        Pages {
            source,
            listed,
            namespace,
            limit: PAGE,
            next: Some(String::new()),
            requests: 0,
            insists: true,
        }
    }

    /// The next page; `None` behind the last one. A kind that the cluster does not have has no objects.
    ///
    /// # Errors
    /// When it cannot be read. HTTP 410 says that the list has to be begun again: it took too long.
    pub async fn next(&mut self) -> Result<Option<Page>, Unread> {
        let Some(next) = self.next.take() else {
            return Ok(None);
        };
        let cluster = match self.source {
            AnySource::Cluster(cluster) => cluster.reading_up_to(PAGE_BYTES),
            AnySource::Manifests(manifests) => {
                let page = manifests.page(self.listed, self.namespace).await;
                return page.map(Some);
            }
        };
        let Some(page) = self.read(&cluster, &next).await? else {
            return Ok(None);
        };
        self.next = page.next()?;
        Ok(Some(page))
    }

    async fn read(&mut self, cluster: &Cluster, next: &str) -> Result<Option<Page>, Unread> {
        let mut read = async || {
            loop {
                let path = self.listed.path(self.namespace, self.limit, next);
                self.requests += 1;
                match cluster.get(&path).await {
                    Err(Unread::TooLarge) if self.limit > 1 => self.limit = (self.limit / 4).max(1),
                    answer => return answer,
                }
            }
        };
        let page = match self.insists {
            true => patiently(PAGE_TIMEOUT, read).await,
            false => once(PAGE_TIMEOUT, &mut read).await,
        };
        Ok(page?.map(Page))
    }
}
