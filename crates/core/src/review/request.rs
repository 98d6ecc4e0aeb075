//! Bytes to a request: one pass, typed, keeping only what is decided on.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray};

use super::secret::SecretChange;
pub use super::undecodable::Undecodable;
use super::{depth, wire};
use crate::argocd::accounts::CONFIG_MAP_NAME;
use crate::argocd::settings::SECRET_NAME;
use crate::policy::accounts_change::AccountsConfigMap;
use crate::policy::subject::{Case, Operation, Subject};
use crate::review::tool::{Tool, UsedCredential};
use crate::runtime::credential::{References, may_be_mentioned_in, references};
use crate::runtime::json_object::Object;
use crate::runtime::malformed::Malformed;
use crate::runtime::name::Name;
use crate::runtime::workload::{Template, WorkloadKind};

/// The only version of AdmissionReview that is spoken.
pub const API_VERSION: &str = "admission.k8s.io/v1";
/// The only kind that is spoken.
pub const KIND: &str = "AdmissionReview";
/// The deepest nesting that can be asked for.
pub const DEEPEST: usize = 128;

/// A request of the API server.
#[derive(Debug)]
pub struct Request {
    /// What the answer must carry.
    pub uid: String,
    /// The group and version of the object, such as `apps/v1`.
    pub api_version: String,
    /// The kind of the object, such as `ConfigMap`.
    pub kind: String,
    /// The object's name; empty when it has none yet.
    pub name: String,
    /// Which webhook guards it.
    pub webhook: Webhook,
    /// What the API server knows of the credential that was used.
    pub credential: UsedCredential,
    /// By what the change came.
    pub tool: Tool,
    /// What is decided on.
    pub case: Case,
    /// What a Secret holds, to be looked at and never kept; nothing for anything else.
    pub secret: SecretChange,
}

/// The webhooks that keyguard registers.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    IntoStaticStr,
    VariantArray,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
#[schemars(inline)]
pub enum Webhook {
    /// Changes of `argocd-cm`.
    ArgocdCm,
    /// Built-in workloads that refer to a credential.
    Workloads,
    /// Rollouts of Argo Rollouts that do.
    Rollouts,
    /// Secrets that a workload may refer to.
    Secrets,
    /// Changes of Argo CD's own Secret.
    ArgocdSecret,
    /// None of them: something keyguard was not asked for.
    None,
}

impl Webhook {
    /// The name in logs and metrics.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

impl Request {
    /// Decodes the body of a review.
    ///
    /// # Errors
    /// When there is nothing that could be answered or decided; the caller answers HTTP 400.
    pub fn decode(body: &[u8], max_depth: usize) -> Result<Request, Undecodable> {
        let body = std::str::from_utf8(body).map_err(|_| Undecodable::NotUtf8)?;
        if !depth::within(body.as_bytes(), max_depth) {
            return Err(Undecodable::TooDeep(max_depth));
        }
        // serde takes an array for a struct, field by field; nobody sends a review like that.
        if !body.trim_ascii_start().starts_with('{') {
            return Err(Undecodable::NoObject);
        }
        let review = serde_json::from_str(body).map_err(|error| Undecodable::from(&error))?;
        Request::of(review, body)
    }

    /// What is decided on of a `review`, which was read from `body`.
    fn of(review: wire::Review<'_>, body: &str) -> Result<Request, Undecodable> {
        if review.api_version.as_deref() != Some(API_VERSION)
            || review.kind.as_deref() != Some(KIND)
        {
            return Err(Undecodable::Version);
        }
        let request = review.request.ok_or(Undecodable::Missing("request"))?.0;
        let uid = request.uid.as_deref().filter(|uid| !uid.is_empty());
        let uid = uid.ok_or(Undecodable::Missing("request.uid"))?;
        let operation = operation(request.operation.as_deref())?;
        let kind = request.kind.as_ref().and_then(|kind| kind.0.names());
        let kind = kind.ok_or(Undecodable::Missing("request.kind"))?;
        let (object, old_object) = (guarded(&request.object), guarded(&request.old_object));
        let standing = old_object.or(object);
        let being_deleted =
            metadata(standing).is_some_and(|metadata| metadata.deletion_timestamp.is_some());
        let (webhook, subject) = subject(operation, kind, &request, being_deleted)?;
        let user = request.user_info.as_ref().map(|user| &user.0);
        let groups = user.and_then(|user| user.groups.as_deref());
        Ok(Request {
            uid: uid.to_owned(),
            name: name(request.name.as_deref(), object, old_object).to_owned(),
            webhook,
            case: Case {
                operation,
                user: user
                    .and_then(|user| user.username.as_deref())
                    .unwrap_or_default()
                    .to_owned(),
                namespace: namespace(request.namespace.as_deref(), standing).to_owned(),
                groups: groups
                    .unwrap_or_default()
                    .iter()
                    .map(|group| (**group).to_owned())
                    .collect(),
                being_deleted,
                dry_run: request.dry_run.unwrap_or(false),
                controller: metadata(standing).and_then(wire::Metadata::controller),
                for_the_record: false,
                // What will be there decides, and what was there when nothing will be.
                allow: metadata(object.or(old_object)).and_then(wire::Metadata::allow),
                subject,
            },
            api_version: match kind {
                ("", version, _) => version.to_owned(),
                (group, version, _) => format!("{group}/{version}"),
            },
            kind: kind.2.to_owned(),
            credential: UsedCredential::of(user),
            tool: Tool::of(&request, metadata(object.or(old_object))),
            secret: match webhook {
                Webhook::Secrets | Webhook::ArgocdSecret => {
                    SecretChange::decode(body).map_err(|error| Undecodable::from(&error))?
                }
                _ => SecretChange::default(),
            },
        })
    }
}

fn metadata<'a, 'b>(object: Option<&'a wire::Guarded<'b>>) -> Option<&'a wire::Metadata<'b>> {
    let metadata = object.and_then(|object| object.metadata.as_ref());
    metadata.map(|metadata| &metadata.0)
}

fn guarded<'a, 'b>(object: &'a Option<Object<wire::Guarded<'b>>>) -> Option<&'a wire::Guarded<'b>> {
    object.as_ref().map(|object| &object.0)
}

fn operation(name: Option<&str>) -> Result<Operation, Undecodable> {
    match name {
        Some("CREATE") => Ok(Operation::Create),
        Some("UPDATE") => Ok(Operation::Update),
        Some("DELETE") => Ok(Operation::Delete),
        Some("CONNECT") => Ok(Operation::Connect),
        _ => Err(Undecodable::Missing("request.operation")),
    }
}

/// The object's own name first: a review of a collection's DELETE carries none beside it.
fn name<'a>(
    name: Option<&'a str>,
    object: Option<&'a wire::Guarded<'_>>,
    old_object: Option<&'a wire::Guarded<'_>>,
) -> &'a str {
    [object, old_object]
        .into_iter()
        .find_map(|object| metadata(object)?.name.as_deref())
        .or(name)
        .unwrap_or_default()
}

fn namespace<'a>(namespace: Option<&'a str>, object: Option<&'a wire::Guarded<'_>>) -> &'a str {
    namespace
        .or_else(|| metadata(object)?.namespace.as_deref())
        .unwrap_or_default()
}

fn subject(
    operation: Operation,
    (group, version, kind): (&str, &str, &str),
    request: &wire::Request<'_>,
    being_deleted: bool,
) -> Result<(Webhook, Subject), Undecodable> {
    let nothing = Ok((Webhook::None, Subject::NotGuarded));
    if request
        .sub_resource
        .as_deref()
        .is_some_and(|sub_resource| !sub_resource.is_empty())
    {
        return nothing;
    }
    let (object, old_object) = (guarded(&request.object), guarded(&request.old_object));
    if (group, version, kind) == ("", "v1", "ConfigMap") {
        if name(request.name.as_deref(), object, old_object) != CONFIG_MAP_NAME {
            return nothing;
        }
        let (old, new) = states(operation, object, old_object)?;
        let subject = Subject::Accounts {
            old: old.map(accounts).transpose()?,
            new: new.map(accounts).transpose()?,
        };
        return Ok((Webhook::ArgocdCm, subject));
    }
    if (group, version, kind) == ("", "v1", "Secret") {
        states(operation, object, old_object)?;
        return Ok(match name(request.name.as_deref(), object, old_object) {
            SECRET_NAME => {
                let hidden = |object: Option<&wire::Guarded<'_>>| {
                    metadata(object).is_some_and(wire::Metadata::is_of_a_cluster)
                };
                let hidden = hidden(object) && !hidden(old_object);
                (Webhook::ArgocdSecret, Subject::ArgocdSecret { hidden })
            }
            name => (
                Webhook::Secrets,
                Subject::Secret {
                    name: Name::from(name),
                },
            ),
        });
    }
    let Some(kind) = WorkloadKind::of(group, version, kind) else {
        return nothing;
    };
    let webhook = match kind {
        WorkloadKind::Rollout => Webhook::Rollouts,
        _ => Webhook::Workloads,
    };
    match states(operation, object, old_object)? {
        // Whatever it looks like, nobody is kept from letting it go.
        (_, Some(_)) if being_deleted => Ok((webhook, LEAVING)),
        (old, Some(new)) => Ok((webhook, workload(kind, old, new))),
        _ => Ok((webhook, Subject::NotGuarded)),
    }
}

type States<'a, 'b> = (Option<&'a wire::Guarded<'b>>, Option<&'a wire::Guarded<'b>>);

/// The states before and after, each there exactly when the operation has it.
fn states<'a, 'b>(
    operation: Operation,
    object: Option<&'a wire::Guarded<'b>>,
    old_object: Option<&'a wire::Guarded<'b>>,
) -> Result<States<'a, 'b>, Undecodable> {
    let new = object.ok_or(Undecodable::Missing("request.object"));
    let old = old_object.ok_or(Undecodable::Missing("request.oldObject"));
    Ok(match operation {
        Operation::Create => (None, Some(new?)),
        Operation::Update => (Some(old?), Some(new?)),
        Operation::Delete => (Some(old?), None),
        Operation::Connect => (None, None),
    })
}

fn accounts(object: &wire::Guarded<'_>) -> Result<AccountsConfigMap, Undecodable> {
    let data = match &object.data {
        None => BTreeMap::new(),
        Some(data) => data.texts().ok_or(Undecodable::Missing("a text in data"))?,
    };
    Ok(AccountsConfigMap {
        data,
        labelled: metadata(Some(object)).is_some_and(wire::Metadata::labelled),
    })
}

/// A workload that is being deleted, whose spec is not looked at.
const LEAVING: Subject = Subject::Workload {
    references: References {
        found: Vec::new(),
        unresolved: Vec::new(),
        secrets_store: false,
    },
    controlled: false,
    unchanged: true,
};

fn workload(
    kind: WorkloadKind,
    old: Option<&wire::Guarded<'_>>,
    new: &wire::Guarded<'_>,
) -> Subject {
    let owner = metadata(Some(new)).and_then(wire::Metadata::controller);
    let controlled = owner.is_some_and(|owner| kind.is_judged_in(&owner));
    let old = |same: &dyn Fn(Result<Template<'_>, Malformed<'_>>) -> bool| {
        old.is_some_and(|old| same(template(kind, old)))
    };
    match template(kind, new) {
        Ok(new) => {
            let mut references = references(&new.containers, kind.pod_spec_path());
            references.secrets_store = new.secrets_store;
            let mentions = !references.found.is_empty() || !references.unresolved.is_empty();
            Subject::Workload {
                controlled,
                references,
                // A template that could not be read has changed, now that it can be.
                unchanged: mentions && old(&|old| old.is_ok_and(|old| new.same_as(&old))),
            }
        }
        Err(new) if may_be_mentioned_in(new.text()) => Subject::Malformed {
            kind: kind.names().2,
            controlled,
            unchanged: old(&|old| old.err().is_some_and(|old| new.same_as(&old))),
            field: new.field,
        },
        Err(_) => Subject::Workload {
            references: References::default(),
            controlled,
            unchanged: false,
        },
    }
}

fn template<'a>(
    kind: WorkloadKind,
    object: &wire::Guarded<'a>,
) -> Result<Template<'a>, Malformed<'a>> {
    match object.spec {
        None => Ok(Template::default()),
        Some(spec) => kind.template(spec.get()),
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "request_workload_tests.rs"]
mod workload_tests;

#[cfg(test)]
#[path = "request_secret_tests.rs"]
mod secret_tests;
