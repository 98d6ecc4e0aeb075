//! Who calls the collector, and what RBAC lets them do: by a token for its own audience, and by nothing weaker.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper::Request;
use hyper::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::{RBAC_GROUP, RBAC_PATH, RBAC_RESOURCE};
use crate::sources::cluster::Cluster;
use keyguard_core::policy::facts::Unread;

/// How long an answer of the API server counts, as it does for the API server itself.
const REMEMBERED: Duration = Duration::from_secs(60);
/// The most answers that are remembered.
const MOST_REMEMBERED: usize = 1_000;
/// The most calls of the API server at once.
const MOST_ASKED: usize = 8;
/// How long the API server may take.
const DEADLINE: Duration = Duration::from_secs(5);
const REVIEWS: &str = "/apis/authentication.k8s.io/v1/tokenreviews";
const ACCESS: &str = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
/// Where a token says which pod it was made for.
const POD: &str = "authentication.kubernetes.io/pod-name";

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The name of the user, such as `system:serviceaccount:keyguard:keyguard`.
    pub user: String,
    /// The pod that the token was made for.
    pub pod: Option<String>,
}

/// What a caller wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wanted {
    /// To read records and the log.
    Get,
    /// To add records.
    Post,
}

/// Why a caller is not let in.
#[derive(Debug, Error)]
pub enum Denied {
    /// No token, or none that counts.
    #[error(
        "send a ServiceAccount token for the audience {0:?} as Authorization: Bearer, such as kubectl create token --audience {0} makes"
    )]
    Unknown(String),
    /// RBAC says no.
    #[error(
        "{user} may not {verb} {RBAC_PATH}; bind it to a ClusterRole with that verb on this nonResourceURL"
    )]
    Forbidden {
        /// Who it is.
        user: String,
        /// What it wanted.
        verb: &'static str,
    },
    /// The API server cannot say.
    #[error("the API server cannot say who calls: {}; try again", .0.what())]
    Unread(Unread),
}

impl Denied {
    /// The status of an answer that says it.
    pub fn status(&self) -> StatusCode {
        match self {
            Denied::Unknown(_) => StatusCode::UNAUTHORIZED,
            Denied::Forbidden { .. } => StatusCode::FORBIDDEN,
            Denied::Unread(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl Wanted {
    fn verb(self) -> &'static str {
        match self {
            Wanted::Get => "get",
            Wanted::Post => "post",
        }
    }
}

type Remembered = HashMap<([u8; 32], Wanted), (Caller, Instant)>;

/// Asks the API server who calls, and remembers whom it let in for a minute.
pub struct Callers {
    cluster: Cluster,
    audience: String,
    /// So that who calls with tokens that are none costs the API server no more than this at once.
    asking: Semaphore,
    /// The same for tokens that counted before, so that the others do not keep them waiting.
    asking_again: Semaphore,
    known: Mutex<Remembered>,
}

/// Borrows the token, of which no other copy is to be made.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TokenToReview<'a> {
    api_version: &'static str,
    kind: &'static str,
    spec: TokenSpec<'a>,
}

#[derive(Serialize)]
struct TokenSpec<'a> {
    token: &'a str,
    audiences: [&'a str; 1],
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct TokenReview {
    status: TokenStatus,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct TokenStatus {
    authenticated: bool,
    user: User,
    audiences: Vec<String>,
}

/// Whether a token counted before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// It did, so it does not wait behind those that never did.
    Before,
    /// It did not.
    Never,
}

/// Who somebody is for RBAC.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct User {
    /// The name of the user.
    pub username: String,
    /// The uid, if there is one.
    pub uid: String,
    /// The groups.
    pub groups: Vec<String>,
    /// What authentication tells besides, such as the pod of a token.
    pub extra: BTreeMap<String, Vec<String>>,
}

/// What RBAC is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access<'a> {
    /// [`RBAC_PATH`].
    Path(Wanted),
    /// Decisions: the resource `decisions` of the group `keyguard.dev`, of which the API server has no objects.
    Decisions {
        /// `list` or `get`.
        verb: &'static str,
        /// The namespace of their objects; empty for all, and for objects without.
        namespace: &'a str,
    },
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct AccessReview {
    status: AccessStatus,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct AccessStatus {
    allowed: bool,
}

impl Callers {
    /// Those that have tokens for `audience`, as `cluster` knows them.
    pub fn new(cluster: Cluster, audience: String) -> Callers {
        Callers {
            cluster,
            audience,
            asking: Semaphore::new(MOST_ASKED),
            asking_again: Semaphore::new(MOST_ASKED),
            known: Mutex::default(),
        }
    }

    /// Who calls with this token, if they may do what they want.
    ///
    /// # Errors
    /// When the token does not count, RBAC says no, or the API server does not answer.
    pub async fn admit(&self, token: Option<&str>, wanted: Wanted) -> Result<Caller, Denied> {
        let token = token.ok_or_else(|| Denied::Unknown(self.audience.clone()))?;
        // The token itself is not kept.
        let key: [u8; 32] = Sha256::digest(token).into();
        let now = Instant::now();
        let known = self.lock().get(&(key, wanted)).cloned();
        let known_as = match known {
            Some((caller, until)) if now < until => return Ok(caller),
            Some(_) => Known::Before,
            None => Known::Never,
        };
        let user = self.identify(token, known_as).await?;
        if !self.may(&user, Access::Path(wanted)).await? {
            return Err(Denied::Forbidden {
                user: user.username,
                verb: wanted.verb(),
            });
        }
        let caller = Caller {
            pod: user.extra.get(POD).and_then(|pods| pods.first().cloned()),
            user: user.username,
        };
        let mut known = self.lock();
        if known.len() >= MOST_REMEMBERED {
            known.clear();
        }
        known.insert((key, wanted), (caller.clone(), now + REMEMBERED));
        Ok(caller)
    }

    /// Whose token it is, as the API server says it now.
    ///
    /// # Errors
    /// When the token does not count, or the API server does not answer.
    pub async fn identify(&self, token: &str, known: Known) -> Result<User, Denied> {
        let review = TokenToReview {
            api_version: "authentication.k8s.io/v1",
            kind: "TokenReview",
            spec: TokenSpec {
                token,
                audiences: [&self.audience],
            },
        };
        let lane = match known {
            Known::Before => &self.asking_again,
            Known::Never => &self.asking,
        };
        let TokenReview { status } = self.review(lane, REVIEWS, &review).await?;
        // An API server that knows nothing of audiences would say that every token counts.
        let counts = status.authenticated && status.audiences.contains(&self.audience);
        match counts && status.user.username.starts_with("system:serviceaccount:") {
            true => Ok(status.user),
            false => Err(Denied::Unknown(self.audience.clone())),
        }
    }

    /// Whether RBAC lets somebody in, as the API server says it now.
    ///
    /// # Errors
    /// When the API server does not answer.
    pub async fn may(&self, user: &User, access: Access<'_>) -> Result<bool, Denied> {
        let mut spec = json!({
            "user": user.username, "uid": user.uid, "groups": user.groups, "extra": user.extra,
        });
        let (member, attributes) = match access {
            Access::Path(wanted) => (
                "nonResourceAttributes",
                json!({"path": RBAC_PATH, "verb": wanted.verb()}),
            ),
            Access::Decisions { verb, namespace } => (
                "resourceAttributes",
                json!({"group": RBAC_GROUP, "resource": RBAC_RESOURCE, "verb": verb, "namespace": namespace}),
            ),
        };
        if let Some(spec) = spec.as_object_mut() {
            spec.insert(member.to_owned(), attributes);
        }
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec,
        });
        let access: AccessReview = self.review(&self.asking_again, ACCESS, &review).await?;
        Ok(access.status.allowed)
    }

    /// Asks for a review, within [`DEADLINE`] and when it is its turn.
    async fn review<T: for<'a> Deserialize<'a>>(
        &self,
        lane: &Semaphore,
        path: &str,
        review: &impl Serialize,
    ) -> Result<T, Denied> {
        let ask = async {
            let _turn = lane.acquire().await;
            self.ask(path, review).await
        };
        let asked = timeout(DEADLINE, ask).await;
        asked.unwrap_or(Err(Denied::Unread(Unread::Timeout)))
    }

    async fn ask<T: for<'a> Deserialize<'a>>(
        &self,
        path: &str,
        review: &impl Serialize,
    ) -> Result<T, Denied> {
        let json = serde_json::to_vec(review).map_err(|_| Denied::Unread(Unread::Garbled))?;
        let json = Zeroizing::new(json);
        let sent = self
            .cluster
            .send_json(Request::post(path), "application/json", json);
        let response = sent.await.map_err(Denied::Unread)?;
        match response.status() {
            StatusCode::CREATED | StatusCode::OK => {}
            StatusCode::FORBIDDEN => return Err(Denied::Unread(Unread::Forbidden)),
            status => return Err(Denied::Unread(Unread::Status(status.as_u16()))),
        }
        // It repeats the token.
        let answer = self.cluster.bounded(response.into_body()).await;
        let answer = answer.map_err(Denied::Unread)?;
        serde_json::from_slice(&answer).map_err(|_| Denied::Unread(Unread::Garbled))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Remembered> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
