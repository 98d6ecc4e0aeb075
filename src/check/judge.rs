//! The verdicts of admission on objects that are not in a cluster yet.

use serde_json::{Value, json};

use crate::admission::lookups::Admission;
use crate::check::found::{Found, Told};
use crate::check::kustomize::Renamed;
use crate::check::object::Object;
use crate::check::world::{Known, Maker, UNKNOWN_NAMESPACE, World};
use crate::report::Severity;
use crate::sources::source::{ConfigMap, ConfigMapRead};
use keyguard_core::document::field::position;
use keyguard_core::document::layers::merge;
use keyguard_core::document::{Node, Position};
use keyguard_core::policy::accounts_change::{PART_OF_LABEL, PART_OF_VALUE};
use keyguard_core::policy::check_rules::CheckRule;
use keyguard_core::policy::rules::Rule;
use keyguard_core::policy::subject::Subject;
use keyguard_core::policy::verdict::{Finding, Verdict};
use keyguard_core::review::request::{API_VERSION, DEEPEST, KIND, Request};
use keyguard_core::runtime::chart::auth::is_filled_in;
use keyguard_core::runtime::credential::Reference;
use keyguard_core::runtime::secret_maker::When;

/// Where Argo CD is by habit.
pub(crate) const ARGOCD_NAMESPACE: &str = "argocd";

/// What judges.
pub(crate) struct Judge {
    /// The pipeline of admission over what is known.
    pub(crate) admission: Admission<World>,
    /// What was looked through, for a Secret that nobody makes.
    pub(crate) looked_through: String,
    /// Secrets to which Kustomize gives another name.
    pub(crate) renamed: Renamed,
}

impl Judge {
    fn world(&self) -> &World {
        &self.admission.source
    }

    /// Everything that is wrong with a workload and the Secrets that it refers to.
    pub(crate) async fn workload(&self, object: &Object, told: &mut Told) {
        let namespace = object.namespace.as_deref().unwrap_or(UNKNOWN_NAMESPACE);
        let review = review(
            "CREATE",
            object,
            namespace,
            &object.node.to_json(),
            &Value::Null,
        );
        let Ok(mut request) = Request::decode(&review, DEEPEST) else {
            return;
        };
        // Where the value of a reference stands, for a Secret whose file is told of when the workload's is not.
        let mut values: Vec<(String, Position)> = Vec::new();
        let mut hints: Vec<(String, String)> = Vec::new();
        if let Subject::Workload { references, .. } = &mut request.case.subject {
            let secrets_store = references.secrets_store;
            references.found.retain(|reference| {
                let (secret, key) = (reference.secret.as_str(), reference.key.as_str());
                if is_filled_in(secret) || is_filled_in(key) {
                    let at = position(&object.node, &reference.field);
                    told.unseen(
                        at,
                        format!("the Secret that {} refers to", reference.variable),
                        "its name is a template",
                    );
                    return false;
                }
                match self.world().known(namespace, secret, key) {
                    Known::Seen(at) => {
                        values.extend(at.map(|at| (reference.field.clone(), at)));
                        true
                    }
                    Known::Nobody => {
                        let hint = self.renamed.hint(namespace, secret);
                        hints.extend(hint.map(|hint| (reference.field.clone(), hint)));
                        true
                    }
                    Known::Made(maker) => {
                        let maker = maker.as_ref();
                        if maker.is_some_and(|it| it.made.when == When::WithThePod)
                            && !secrets_store
                        {
                            return true;
                        }
                        told.found
                            .extend(maker.and_then(|it| too_late(object, reference, it)));
                        false
                    }
                    Known::KeysUnknown(maker) => {
                        let maker = maker.as_ref();
                        told.found
                            .extend(maker.and_then(|it| too_late(object, reference, it)));
                        told.found.push(keys_unknown(object, reference, maker));
                        false
                    }
                }
            });
        }
        let outcome = self.admission.admit(request, None).await;
        self.tell(object, outcome.verdict, (&values, &hints), told);
    }

    /// Everything that is wrong with an argocd-cm, over the one that the cluster has or that `base` is.
    pub(crate) async fn accounts(&self, object: &Object, base: Option<&Node>, told: &mut Told) {
        let namespace = object.namespace.as_deref().unwrap_or(ARGOCD_NAMESPACE);
        let (old, new) = match base {
            Some(base) => {
                let merged = merge(base.clone(), object.node.clone());
                (base.to_json(), Some(merged))
            }
            None => {
                let before = self.world().config_map_before(namespace, &object.name);
                match before.await {
                    Some(ConfigMapRead::Found(before)) => {
                        (old_object(&object.name, namespace, &before), None)
                    }
                    Some(ConfigMapRead::Unread(unread)) => {
                        told.unseen(
                            &object.node.at,
                            format!("ConfigMap {:?} as it is in the cluster", object.name),
                            unread.what(),
                        );
                        (Value::Null, None)
                    }
                    _ => (Value::Null, None),
                }
            }
        };
        let node = new.as_ref().unwrap_or(&object.node);
        self.change(object, node, &old, told).await;
    }

    /// Everything that is wrong with an argocd-cm that becomes `node` and was `old`: null when there was none.
    pub(crate) async fn change(&self, object: &Object, node: &Node, old: &Value, told: &mut Told) {
        let data = node.get("data").map_or(&[][..], Node::entries);
        let templates = data.iter().filter(|entry| {
            let decides = entry.key.starts_with("accounts.") || entry.key == "admin.enabled";
            decides && entry.value.text().is_some_and(is_filled_in)
        });
        let seen = told.unseen.len();
        for entry in templates {
            told.unseen(
                &entry.value.at,
                format!("data[{:?}]", entry.key),
                "it is a template",
            );
        }
        if told.unseen.len() > seen {
            return;
        }
        let namespace = object.namespace.as_deref().unwrap_or(ARGOCD_NAMESPACE);
        let operation = match old.is_null() {
            true => "CREATE",
            false => "UPDATE",
        };
        let review = review(operation, object, namespace, &node.to_json(), old);
        match Request::decode(&review, DEEPEST) {
            Ok(request) => {
                let outcome = self.admission.admit(request, None).await;
                let judged = outcome.verdict.judged.iter();
                told.found.extend(judged.map(|judged| {
                    let at = place(node, &judged.finding);
                    Found::of(Some(object.reference()), judged, at)
                }));
            }
            Err(undecodable) => told.found.push(Found {
                rule: CheckRule::ObjectMalformed.id(),
                severity: Severity::Error,
                at: object.node.at.clone(),
                object: Some(object.reference()),
                field: "data".to_owned(),
                message: CheckRule::ObjectMalformed.sentence(&format!("ConfigMap {:?}: {undecodable}", object.name),
                    "Correct what stands there; a number or a boolean that is to be text needs quotes.",
                ),
            }),
        }
    }

    fn tell(
        &self,
        object: &Object,
        verdict: Verdict,
        (values, hints): (&[(String, Position)], &[(String, String)]),
        told: &mut Told,
    ) {
        for mut judged in verdict.judged {
            let finding = &mut judged.finding;
            let mut at = place(&object.node, finding);
            if !object.selected {
                let value = values
                    .iter()
                    .find(|(field, _)| finding.fields.contains(field));
                at = value.map_or(at, |(_, value)| value.clone());
            }
            match finding.rule {
                Rule::SecretMissing | Rule::KeyMissing => {
                    let hint = hints
                        .iter()
                        .find(|(field, _)| finding.fields.contains(field));
                    if let Some((_, hint)) = hint {
                        finding.mend = hint.clone();
                    }
                    finding.mend = format!(
                        "{} Nothing makes it in what was looked through: {}. When a person makes it, name it under \
                         secrets in .keyguard.yaml.",
                        finding.mend, self.looked_through
                    );
                }
                Rule::SecretUnreadable | Rule::ArgocdUnreadable => {
                    told.unseen(&at, finding.what.clone(), finding.rule.why());
                    continue;
                }
                _ => {}
            }
            let found = Found::of(Some(object.reference()), &judged, at);
            told.found.push(found);
        }
    }
}

/// An argocd-cm as the API server shows it.
fn old_object(name: &str, namespace: &str, before: &ConfigMap) -> Value {
    let labels = match before.labelled {
        true => json!({PART_OF_LABEL: PART_OF_VALUE}),
        false => json!({}),
    };
    let metadata = json!({"name": name, "namespace": namespace, "labels": labels});
    json!({"metadata": metadata, "data": before.data})
}

/// Where the first field of a finding stands.
fn place(node: &Node, finding: &Finding) -> Position {
    let field = finding.fields.first().map_or("", String::as_str);
    position(node, field).clone()
}

fn review(operation: &str, object: &Object, namespace: &str, new: &Value, old: &Value) -> Vec<u8> {
    let (group, version) = object
        .api_version
        .split_once('/')
        .unwrap_or(("", &object.api_version));
    let request = json!({
        "uid": "check", "operation": operation, "name": object.name, "namespace": namespace,
        "kind": {"group": group, "version": version, "kind": object.kind},
        "userInfo": {"username": ""}, "object": new, "oldObject": old,
    });
    let review = json!({"apiVersion": API_VERSION, "kind": KIND, "request": request});
    review.to_string().into_bytes()
}

fn keys_unknown(object: &Object, reference: &Reference, maker: Option<&Maker>) -> Found {
    let by = maker.map_or_else(String::new, |maker| {
        format!(" by {} {:?}", maker.object.kind, maker.object.name)
    });
    let what = format!(
        "Secret {:?} is made{by}, whose keys are not written down; {:?} must be one of them ({}: {})",
        reference.secret.shown().to_string(),
        reference.key.shown().to_string(),
        reference.field,
        reference.variable
    );
    Found {
        rule: CheckRule::KeysUnknown.id(),
        severity: Severity::Note,
        at: position(&object.node, &reference.field).clone(),
        object: Some(object.reference()),
        field: reference.field.clone(),
        message: CheckRule::KeysUnknown.sentence(
            &what,
            "Make sure yourself, or name the Secret with its key under secrets in .keyguard.yaml.",
        ),
    }
}

/// A Secret that a controller makes after the workload was refused.
fn too_late(object: &Object, reference: &Reference, maker: &Maker) -> Option<Found> {
    let of = &maker.object;
    let together = of.file() == object.file() || of.folder() == object.folder();
    let earlier = of.is_hook_before() || of.wave() < object.wave();
    if !maker.comes_later() || !together || earlier || reference.optional {
        return None;
    }
    let what = format!(
        "Secret {:?} is made from {} {:?}, which comes with {} {:?} and is applied after it ({}: {})",
        reference.secret.shown().to_string(),
        of.kind,
        of.name,
        object.kind,
        object.name,
        reference.field,
        reference.variable
    );
    let mend = format!(
        "Give the {} an earlier wave (argocd.argoproj.io/sync-wave: \"-1\"), or with Helm the annotation helm.sh/hook: \
         pre-install,pre-upgrade, or put it into a release of its own that is installed before.",
        of.kind
    );
    Some(Found {
        rule: CheckRule::MadeTooLate.id(),
        severity: Severity::Warning,
        at: position(&object.node, &reference.field).clone(),
        object: Some(object.reference()),
        field: reference.field.clone(),
        message: CheckRule::MadeTooLate.sentence(&what, &mend),
    })
}
