//! The CEL conditions by which the API server knows, without a call, that a review is not needed.
//!
//! An expression that fails refuses the request. The API server has checked the types of its own kinds before it asks, and
//! that a pod has containers; of a Rollout, whose schema may say nothing of its template, each step asks first whether it
//! has what it expects. The metadata of every object is typed.

use std::fmt::Display;

use k8s_openapi::api::admissionregistration::v1::MatchCondition;

use keyguard_core::argocd::accounts::CONFIG_MAP_NAME;
use keyguard_core::argocd::settings::SECRET_NAME;
use keyguard_core::policy::argocd_secret::TYPE_LABEL;
use keyguard_core::policy::decide::CLUSTER_CONTROLLERS;
use keyguard_core::runtime::controller::JUDGED_IN;
use keyguard_core::runtime::credential::VARIABLES;

fn condition(name: &str, expression: String) -> MatchCondition {
    MatchCondition {
        name: name.to_owned(),
        expression,
    }
}

/// True for `argocd-cm` itself, by its own name: a collection's DELETE has no `request.name`.
pub(super) fn is_argocd_cm() -> MatchCondition {
    let named =
        format!("(object != null ? object : oldObject).metadata.name == '{CONFIG_MAP_NAME}'");
    condition("is-argocd-cm", named)
}

/// True for Argo CD's own Secret, which has a webhook of its own.
pub(super) fn is_argocd_secret() -> MatchCondition {
    let named = format!("oldObject.metadata.name == '{SECRET_NAME}'");
    condition("is-argocd-secret", named)
}

/// True for every other Secret.
pub(super) fn is_not_argocd_secret() -> MatchCondition {
    let named = format!("oldObject.metadata.name != '{SECRET_NAME}'");
    condition("is-not-argocd-secret", named)
}

/// The types of Secrets that others make and read, none of which is a person's credential for Argo CD.
const OTHER_TYPES: [&str; 7] = [
    "helm.sh/release.v1",
    "kubernetes.io/service-account-token",
    "kubernetes.io/tls",
    "kubernetes.io/dockerconfigjson",
    "kubernetes.io/dockercfg",
    "kubernetes.io/ssh-auth",
    "bootstrap.kubernetes.io/token",
];

/// True unless the Secret's type, which never changes, says that it holds something else.
pub(super) fn may_hold_a_credential() -> MatchCondition {
    let typed = format!("!(oldObject.type in {})", list(OTHER_TYPES, ""));
    condition("may-hold-a-credential", typed)
}

const IS_CHANGED: &str = "\
request.operation != 'UPDATE' ||
object.?data.orValue({}) != oldObject.?data.orValue({})";

/// True unless the Secret holds what it held.
pub(super) fn is_changed() -> MatchCondition {
    condition("is-changed", IS_CHANGED.to_owned())
}

/// True unless Argo CD's own Secret holds what it held, and is as much its own as it was.
pub(super) fn is_changed_for_argocd() -> MatchCondition {
    let label = |object| format!("{object}.metadata.?labels[?'{TYPE_LABEL}'].orValue('')");
    let (new, old) = (label("object"), label("oldObject"));
    condition("is-changed", format!("{IS_CHANGED} ||\n{new} != {old}"))
}

const MENTIONS_A_CREDENTIAL: &str = "mentions-a-credential";

/// True when a container or init container of a built-in workload has a variable that mentions a credential.
pub(super) fn mentions_a_credential() -> MatchCondition {
    let mentions = format!(
        "\
[
  request.kind.kind == 'Pod' ? object.spec :
  request.kind.kind == 'CronJob' ? object.spec.jobTemplate.spec.template.spec :
  object.spec.template.spec
].exists(pod,
  (pod.containers + pod.?initContainers.orValue([])).exists(container,
    container.?env.orValue([]).exists(variable,
      variable.name in {})))",
        list(VARIABLES, "      ")
    );
    condition(MENTIONS_A_CREDENTIAL, mentions)
}

/// The same of a Rollout. Where one side of an `&&` is false the other side may fail: nothing is asked of what has not
/// the type.
pub(super) fn rollout_mentions_a_credential() -> MatchCondition {
    let mentions = format!(
        "\
type(object.?spec.orValue(null)) == map &&
type(object.spec.?template.orValue(null)) == map &&
type(object.spec.template.?spec.orValue(null)) == map &&
[
  object.spec.template.spec.?containers.orValue(null),
  object.spec.template.spec.?initContainers.orValue(null)
].exists(containers, type(containers) == list &&
  containers.exists(container, type(container) == map &&
    type(container.?env.orValue(null)) == list &&
    container.env.exists(variable, type(variable) == map &&
      variable.?name.orValue('') in {})))",
        list(VARIABLES, "      ")
    );
    condition(MENTIONS_A_CREDENTIAL, mentions)
}

/// True unless a controller owns the object whose own template was asked about instead. No controller owns Rollouts.
pub(super) fn is_not_controlled() -> MatchCondition {
    let judged =
        JUDGED_IN.map(|(kind, group, owner)| format!("{} {group}/{owner}", kind.names().2));
    let controlled = format!(
        "\
!object.metadata.?ownerReferences.orValue([]).exists(owner,
  owner.?controller.orValue(false) &&
  request.kind.kind + ' ' + owner.apiVersion.split('/')[0] + '/' + owner.kind in {})",
        list(judged, "  ")
    );
    condition("is-not-controlled", controlled)
}

/// True unless the object has been asked to go already. While keyguard is down nothing that is on its way out may hang
/// on a finalizer.
pub(super) fn is_not_being_deleted() -> MatchCondition {
    let stays = "oldObject == null || !has(oldObject.metadata.deletionTimestamp)";
    condition("is-not-being-deleted", stays.to_owned())
}

/// True unless a controller that only cleans up deletes the object: a namespace ends whether keyguard is there or not.
pub(super) fn is_not_cleaned_up() -> MatchCondition {
    let theirs = by_cluster_controller();
    let not_theirs = format!("!(request.operation == 'DELETE' && {theirs})");
    condition("is-not-cleaned-up", not_theirs)
}

/// True unless a controller that only cleans up writes the object. Of a workload it changes nothing but owners and
/// finalizers, without which neither goes.
pub(super) fn is_not_kept_in_order() -> MatchCondition {
    condition(
        "is-not-kept-in-order",
        format!("!({})", by_cluster_controller()),
    )
}

fn by_cluster_controller() -> String {
    let controllers = list(CLUSTER_CONTROLLERS, "");
    format!("request.userInfo.username in {controllers}")
}

/// A list of texts, each on a line of its own, in a line that begins with `indent`.
fn list<T: Display>(texts: impl IntoIterator<Item = T>, indent: &str) -> String {
    let texts = texts.into_iter();
    let lines: Vec<String> = texts.map(|text| format!("\n{indent}  '{text}'")).collect();
    format!("[{}\n{indent}]", lines.join(","))
}
