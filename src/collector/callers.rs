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

use super::RBAC_PATH;
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

type Known = HashMap<([u8; 32], Wanted), (Caller, Instant)>;

/// Asks the API server who calls, and remembers whom it let in for a minute.
pub struct Callers {
    cluster: Cluster,
    audience: String,
    /// So that who calls with tokens that are none costs the API server no more than this at once.
    asking: Semaphore,
    known: Mutex<Known>,
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

#[derive(Default, Deserialize)]
#[serde(default)]
struct User {
    username: String,
    uid: String,
    groups: Vec<String>,
    extra: BTreeMap<String, Vec<String>>,
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
        if let Some((caller, until)) = self.lock().get(&(key, wanted))
            && now < *until
        {
            return Ok(caller.clone());
        }
        let ask = async {
            let _turn = self.asking.acquire().await;
            self.ask(token, wanted).await
        };
        let asked = timeout(DEADLINE, ask).await;
        let caller = asked.unwrap_or(Err(Denied::Unread(Unread::Timeout)))?;
        let mut known = self.lock();
        if known.len() >= MOST_REMEMBERED {
            known.clear();
        }
        known.insert((key, wanted), (caller.clone(), now + REMEMBERED));
        Ok(caller)
    }

    async fn ask(&self, token: &str, wanted: Wanted) -> Result<Caller, Denied> {
        let review = TokenToReview {
            api_version: "authentication.k8s.io/v1",
            kind: "TokenReview",
            spec: TokenSpec {
                token,
                audiences: [&self.audience],
            },
        };
        let TokenReview { status } = self.review(REVIEWS, &review).await?;
        let User {
            username,
            uid,
            groups,
            extra,
        } = status.user;
        // An API server that knows nothing of audiences would say that every token counts.
        let counts = status.authenticated && status.audiences.contains(&self.audience);
        if !counts || !username.starts_with("system:serviceaccount:") {
            return Err(Denied::Unknown(self.audience.clone()));
        }
        let verb = wanted.verb();
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "nonResourceAttributes": {"path": RBAC_PATH, "verb": verb},
                "user": username, "uid": uid, "groups": groups, "extra": extra,
            },
        });
        let access: AccessReview = self.review(ACCESS, &review).await?;
        match access.status.allowed {
            true => Ok(Caller {
                pod: extra.get(POD).and_then(|pods| pods.first().cloned()),
                user: username,
            }),
            false => Err(Denied::Forbidden {
                user: username,
                verb,
            }),
        }
    }

    async fn review<T: for<'a> Deserialize<'a>>(
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

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
