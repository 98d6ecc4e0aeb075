//! What all pages have: the head, the viewer, the time zone.

use super::access::{Access, Viewer};
use super::{Page, Visit};
use crate::report::visible::visible;

/// What surrounds the content of a page.
pub(super) struct Frame {
    /// What the page is about.
    pub title: String,
    /// The name of the cluster.
    pub cluster: String,
    /// Who looks, if that is known.
    pub viewer: String,
    /// Whether there is a session that can be ended.
    pub has_session: bool,
    /// Whether there is a cluster with reports of a scan.
    pub has_scan: bool,
    /// Whether links to the pages are shown.
    pub shows_pages: bool,
    /// The name of the time zone.
    pub zone: String,
    /// The path and query of this page.
    pub here: String,
}

impl Frame {
    /// That of a page for somebody.
    pub(super) fn new(title: &str, page: &Page, visit: &Visit, viewer: &Viewer) -> Frame {
        Frame {
            viewer: visible(viewer.name(), &[]).into_owned(),
            has_session: matches!(page.access, Access::Token(..)),
            has_scan: page.cluster_reader.is_some(),
            shows_pages: true,
            ..Frame::without_viewer(title, page, visit)
        }
    }

    /// That of a page for nobody.
    pub(super) fn without_viewer(title: &str, page: &Page, visit: &Visit) -> Frame {
        Frame {
            title: title.to_owned(),
            cluster: page.cluster.clone(),
            viewer: String::new(),
            has_session: false,
            has_scan: false,
            shows_pages: false,
            zone: visit.clock.name(),
            here: visit.here(),
        }
    }
}
