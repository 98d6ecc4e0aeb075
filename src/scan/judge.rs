//! The verdict of admission on one object of the cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::admission::lookups::Admission;
use crate::check::found::Found;
use crate::report::{Finding, ObjectReference, Unseen};
use crate::scan::shared::Shared;
use crate::sources::listing::{Item, Listed};
use crate::sources::source::{ConfigMapRead, Source};
use keyguard_core::argocd::accounts::CONFIG_MAP_NAME;
use keyguard_core::document::Position;
use keyguard_core::policy::accounts_change::{PART_OF_LABEL, PART_OF_VALUE};
use keyguard_core::policy::namespace_label::NamespaceLabel;
use keyguard_core::policy::rules::Rule;
use keyguard_core::policy::verdict;
use keyguard_core::review::request::{API_VERSION, DEEPEST, KIND, Request};

/// Rules that say that something could not be seen, and not that it is wrong.
const UNSEEN: [Rule; 2] = [Rule::SecretUnreadable, Rule::ArgocdUnreadable];

/// What judges.
pub(crate) struct Judge {
    admission: Admission<Shared>,
    /// The namespaces that a label exempts.
    exempt: BTreeSet<String>,
    /// The namespaces whose argocd-cm was judged.
    pub(crate) accounts_seen: BTreeSet<String>,
}

/// What was found in objects.
#[derive(Default)]
pub(crate) struct Judgement {
    /// What is wrong.
    pub(crate) findings: Vec<Finding>,
    /// What would have been needed.
    pub(crate) unseen: Vec<Unseen>,
    /// The objects for which something was needed that could not be seen.
    pub(crate) gaps: Vec<ObjectReference>,
}

impl Judgement {
    /// Adds what was found in others.
    pub(crate) fn add(&mut self, other: Judgement) {
        self.findings.extend(other.findings);
        self.unseen.extend(other.unseen);
        self.gaps.extend(other.gaps);
    }
}

impl Judge {
    /// Judges by the pipeline of admission.
    pub(crate) fn new(admission: Admission<Shared>) -> Judge {
        Judge {
            admission,
            exempt: BTreeSet::new(),
            accounts_seen: BTreeSet::new(),
        }
    }

    /// Exempts a namespace when it has one of `labels`.
    pub(crate) fn exempt(&mut self, namespace: &Item<'_>, labels: &[NamespaceLabel]) {
        #[derive(Deserialize)]
        struct Labelled {
            metadata: Metadata,
        }
        #[derive(Deserialize)]
        struct Metadata {
            labels: Option<BTreeMap<String, String>>,
        }
        let labelled: Option<Labelled> = serde_json::from_str(namespace.json).ok();
        let has = labelled.and_then(|labelled| labelled.metadata.labels);
        let has = has.unwrap_or_default();
        if labels
            .iter()
            .any(|label| has.get(label.key()).is_some_and(|it| it == label.value()))
        {
            self.exempt.insert(namespace.name.to_string());
        }
    }

    /// Judges an object as if it came just now.
    pub(crate) async fn object(&self, listed: Listed, item: &Item<'_>) -> Judgement {
        let (_, _, kind, _) = listed.names();
        let object = ObjectReference {
            api_version: listed.api_version(),
            kind: kind.to_owned(),
            namespace: item.namespace.to_string(),
            name: item.name.to_string(),
        };
        let mut request = match Request::decode(&review(listed, item), DEEPEST) {
            Ok(request) => request,
            Err(undecodable) => {
                return Judgement {
                    unseen: vec![Unseen {
                        file: String::new(),
                        line: 0,
                        what: object.to_string(),
                        why: undecodable.to_string(),
                    }],
                    gaps: vec![object],
                    ..Judgement::default()
                };
            }
        };
        request.case.for_the_record = self.exempt.contains(&*item.namespace);
        let outcome = self.admission.admit(request, None).await;
        told(&object, &outcome.verdict.judged)
    }

    /// Judges the argocd-cm of one namespace, label or not; whether there is one.
    pub(crate) async fn accounts_of(&self, namespace: &str) -> (bool, Judgement) {
        let read = self.admission.source.config_map(namespace, CONFIG_MAP_NAME);
        let object = ObjectReference {
            api_version: "v1".to_owned(),
            kind: "ConfigMap".to_owned(),
            namespace: namespace.to_owned(),
            name: CONFIG_MAP_NAME.to_owned(),
        };
        let found = match read.await {
            ConfigMapRead::Missing => return (false, Judgement::default()),
            ConfigMapRead::Unread(unread) => {
                let judgement = Judgement {
                    unseen: vec![Unseen {
                        file: String::new(),
                        line: 0,
                        what: object.to_string(),
                        why: unread.what(),
                    }],
                    gaps: vec![object],
                    ..Judgement::default()
                };
                return (false, judgement);
            }
            ConfigMapRead::Found(found) => found,
        };
        let labels = match found.labelled {
            true => json!({PART_OF_LABEL: PART_OF_VALUE}),
            false => Value::Null,
        };
        let metadata = json!({"name": CONFIG_MAP_NAME, "namespace": namespace, "labels": labels});
        let json = json!({"metadata": metadata, "data": found.data}).to_string();
        let item = Item {
            name: CONFIG_MAP_NAME.into(),
            namespace: namespace.into(),
            json: &json,
        };
        (true, self.object(Listed::Accounts, &item).await)
    }
}

/// The review that the API server would send if the object came just now. It may hold secrets in plain text.
fn review(listed: Listed, item: &Item<'_>) -> Zeroizing<Vec<u8>> {
    let (group, version, kind, _) = listed.names();
    let kind = json!({"group": group, "version": version, "kind": kind});
    let (name, namespace) = (json!(item.name), json!(item.namespace));
    let begin = format!(
        r#"{{"apiVersion":"{API_VERSION}","kind":"{KIND}","request":{{"uid":"scan","operation":"CREATE","name":{name},"namespace":{namespace},"kind":{kind},"userInfo":{{"username":""}},"object":"#
    );
    let mut review = Zeroizing::new(Vec::with_capacity(begin.len() + item.json.len() + 2));
    review.extend_from_slice(begin.as_bytes());
    review.extend_from_slice(item.json.as_bytes());
    review.extend_from_slice(b"}}");
    review
}

fn told(object: &ObjectReference, judged: &[verdict::Judged]) -> Judgement {
    let nowhere = Position {
        file: Arc::from(""),
        line: 0,
        column: 0,
        end_line: 0,
        end_column: 0,
    };
    let mut judgement = Judgement::default();
    for judged in judged {
        let verdict::Finding {
            rule, what, mend, ..
        } = &judged.finding;
        if UNSEEN.contains(rule) {
            judgement.gaps.push(object.clone());
            // What every workload needs is told once.
            let of_argocd = *rule == Rule::ArgocdUnreadable && !what.starts_with("the ");
            judgement.unseen.push(Unseen {
                file: String::new(),
                line: 0,
                what: match of_argocd {
                    true => "Argo CD's own state".to_owned(),
                    false => format!("what {object} needs"),
                },
                why: format!("{what}. {mend}"),
            });
        } else {
            let found = Found::of(Some(object.clone()), judged, nowhere.clone());
            judgement.findings.push(found.finding());
        }
    }
    judgement
}
