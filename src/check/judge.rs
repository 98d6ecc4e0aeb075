//! The verdicts of admission on objects that are not in a cluster yet.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::admission::configuration::admission;
use crate::admission::lookups::Admission;
use crate::check::found::{Found, Told};
use crate::check::kustomize::Renamed;
use crate::check::object::Object;
use crate::check::wanted::{Left, Referrer, Wanted};
use crate::check::world::{UNKNOWN_NAMESPACE, View, World};
use crate::config::Config;
use crate::report::Severity;
use crate::sources::source::{ConfigMap, ConfigMapRead};
use crate::telemetry::log::LogWriter;
use crate::telemetry::metrics::Metrics;
use keyguard_core::document::field::position;
use keyguard_core::document::layers::merge;
use keyguard_core::document::{Entry, Node, Position};
use keyguard_core::policy::accounts_change::{PART_OF_LABEL, PART_OF_VALUE};
use keyguard_core::policy::check_rules::CheckRule;
use keyguard_core::policy::rules::Rule;
use keyguard_core::policy::subject::Subject;
use keyguard_core::policy::verdict::{Finding, Verdict};
use keyguard_core::review::request::{API_VERSION, DEEPEST, KIND, Request};
use keyguard_core::runtime::chart::auth::is_filled_in;

/// Where Argo CD is by habit.
pub(crate) const ARGOCD_NAMESPACE: &str = "argocd";

/// What judges.
pub(crate) struct Judge {
    /// What is known.
    pub(crate) world: Arc<World>,
    /// The configuration with which keyguard serves.
    pub(crate) config: Config,
    /// What admission counts, for nobody.
    pub(crate) metrics: Arc<Metrics>,
    /// Where admission writes, for nobody.
    pub(crate) log: LogWriter,
    /// What was looked through, for a Secret that nobody makes.
    pub(crate) looked_through: String,
    /// Secrets to which Kustomize gives another name.
    pub(crate) renamed: Renamed,
}

impl Judge {
    /// What is known, seen from a folder.
    pub(crate) fn view(&self, from: &str) -> View {
        View {
            world: Arc::clone(&self.world),
            from: Arc::from(from),
        }
    }

    /// The same with another configuration.
    pub(crate) fn protecting(&self, config: Config) -> Judge {
        Judge {
            world: Arc::clone(&self.world),
            config,
            metrics: Arc::clone(&self.metrics),
            log: self.log.clone(),
            looked_through: self.looked_through.clone(),
            renamed: self.renamed.clone(),
        }
    }

    /// The pipeline of admission over what is known, seen from a folder.
    fn admission(&self, from: &str) -> Admission<View> {
        let Judge {
            config,
            metrics,
            log,
            ..
        } = self;
        let view = Arc::new(self.view(from));
        admission(config, view, metrics, log, &Arc::default())
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
            let by = Referrer {
                object: Some(object.reference()),
                shown: format!("{} {:?}", object.kind, object.name),
                from: object.folder().to_owned(),
                wave: object.wave(),
                secrets_store: Some(references.secrets_store),
            };
            let comes_with = |maker: &Object| maker.folder() == object.folder();
            references.found.retain(|reference| {
                let at = position(&object.node, &reference.field);
                let filled_in = [&reference.secret, &reference.key];
                if filled_in.iter().any(|name| is_filled_in(name.as_str())) {
                    let what = format!("the Secret that {} refers to", reference.variable);
                    told.unseen(at, what, "its name is a template");
                    return false;
                }
                let wanted = Wanted {
                    by: &by,
                    namespace,
                    secret: &reference.secret,
                    key: &reference.key,
                    optional: reference.optional,
                    at: at.clone(),
                    field: &reference.field,
                    place: format!("{}: {}", reference.field, reference.variable),
                };
                match wanted.settle(&self.world, comes_with, told) {
                    Left::Judge(at) => {
                        let hint = self.renamed.hint(namespace, reference.secret.as_str());
                        let hint = hint.filter(|_| at.is_none());
                        hints.extend(hint.map(|hint| (reference.field.clone(), hint)));
                        values.extend(at.map(|at| (reference.field.clone(), at)));
                        true
                    }
                    Left::Nothing => false,
                }
            });
        }
        let outcome = self.admission(object.folder()).admit(request, None).await;
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
                let before = self.world.config_map_before(namespace, &object.name);
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
        let wrong = data.iter().filter(|entry| is_no_text(&entry.value));
        let wrong: Vec<Found> = wrong.map(|entry| no_text(object, entry)).collect();
        if told.unseen.len() > seen || !wrong.is_empty() {
            told.found.extend(wrong);
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
                let outcome = self.admission(object.folder()).admit(request, None).await;
                let judged = outcome.verdict.judged.iter();
                told.found.extend(judged.map(|judged| {
                    let at = place(node, &judged.finding);
                    Found::of(Some(object.reference()), judged, at)
                }));
            }
            Err(undecodable) => {
                let what = format!("ConfigMap {:?}: {undecodable}", object.name);
                let found = malformed(object, &object.node.at, "data".to_owned(), &what);
                told.found.push(found);
            }
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

fn is_no_text(value: &Node) -> bool {
    value.text().is_none() && !value.is_null()
}

/// An entry of a ConfigMap that the API server refuses.
fn no_text(object: &Object, entry: &Entry) -> Found {
    let field = format!("data[{:?}]", entry.key);
    let what = format!("{field} of ConfigMap {:?} is not text", object.name);
    malformed(object, &entry.value.at, field, &what)
}

fn malformed(object: &Object, at: &Position, field: String, what: &str) -> Found {
    let mend = "Correct what stands there; a number or a boolean that is to be text needs quotes.";
    Found {
        rule: CheckRule::ObjectMalformed.id(),
        severity: Severity::Error,
        at: at.clone(),
        object: Some(object.reference()),
        field,
        message: CheckRule::ObjectMalformed.sentence(what, mend),
    }
}
