//! Objects that the API server is asked to create and does not store.

use hyper::Request;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::sources::cluster::Cluster;
use keyguard_core::policy::facts::Unread;

/// What the API server answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Why not, if not.
    pub message: String,
    /// What came along in headers, as it came.
    pub warnings: Vec<String>,
}

impl Cluster {
    /// Lets the API server admit `object` to the collection at `path`, and store nothing.
    ///
    /// # Errors
    /// When no answer comes. A refusal is an answer.
    pub async fn dry_run_create(&self, path: &str, object: &Value) -> Result<Answer, Unread> {
        let request = Request::post(format!("{path}?dryRun=All"));
        let json = Zeroizing::new(object.to_string().into_bytes());
        let response = self.send_json(request, "application/json", json).await?;
        let status = response.status();
        let warnings = response.headers().get_all("warning").iter();
        // A header need not be ASCII, and a warning that was cut ends in an ellipsis.
        let warnings = warnings
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect();
        let body = self.bounded(response.into_body()).await?;
        let refusal = match status.is_success() {
            true => None,
            false => serde_json::from_slice::<Status>(&body).ok(),
        };
        Ok(Answer {
            status: status.as_u16(),
            message: refusal
                .and_then(|refusal| refusal.message)
                .unwrap_or_default(),
            warnings,
        })
    }
}
