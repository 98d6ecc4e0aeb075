//! Workloads as far as the Runtime's credential goes: kind, containers, environment.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// A kind of workload whose pods may read the credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkloadKind {
    /// `apps/v1` Deployment
    Deployment,
    /// `apps/v1` StatefulSet
    StatefulSet,
    /// `apps/v1` DaemonSet
    DaemonSet,
    /// `apps/v1` ReplicaSet
    ReplicaSet,
    /// `batch/v1` Job
    Job,
    /// `batch/v1` CronJob
    CronJob,
    /// `argoproj.io/v1alpha1` Rollout
    Rollout,
    /// `v1` Pod
    Pod,
}

impl WorkloadKind {
    /// Every kind.
    pub const ALL: [WorkloadKind; 8] = [
        WorkloadKind::Deployment,
        WorkloadKind::StatefulSet,
        WorkloadKind::DaemonSet,
        WorkloadKind::ReplicaSet,
        WorkloadKind::Job,
        WorkloadKind::CronJob,
        WorkloadKind::Rollout,
        WorkloadKind::Pod,
    ];

    /// API group, version, kind and plural resource name.
    pub fn names(self) -> (&'static str, &'static str, &'static str, &'static str) {
        match self {
            WorkloadKind::Deployment => ("apps", "v1", "Deployment", "deployments"),
            WorkloadKind::StatefulSet => ("apps", "v1", "StatefulSet", "statefulsets"),
            WorkloadKind::DaemonSet => ("apps", "v1", "DaemonSet", "daemonsets"),
            WorkloadKind::ReplicaSet => ("apps", "v1", "ReplicaSet", "replicasets"),
            WorkloadKind::Job => ("batch", "v1", "Job", "jobs"),
            WorkloadKind::CronJob => ("batch", "v1", "CronJob", "cronjobs"),
            WorkloadKind::Rollout => ("argoproj.io", "v1alpha1", "Rollout", "rollouts"),
            WorkloadKind::Pod => ("", "v1", "Pod", "pods"),
        }
    }

    /// The kind of a group, version and kind, or `None` when keyguard does not guard it.
    pub fn of(group: &str, version: &str, kind: &str) -> Option<WorkloadKind> {
        WorkloadKind::ALL.into_iter().find(|candidate| {
            let names = candidate.names();
            (names.0, names.1, names.2) == (group, version, kind)
        })
    }

    /// Whether a controller that owns such an object has a template of its own that is judged instead.
    pub fn follows_its_controller(self) -> bool {
        matches!(
            self,
            WorkloadKind::ReplicaSet | WorkloadKind::Job | WorkloadKind::Pod
        )
    }

    /// The path of the pod spec in the object.
    pub fn pod_spec_path(self) -> &'static str {
        match self {
            WorkloadKind::Pod => "spec",
            WorkloadKind::CronJob => "spec.jobTemplate.spec.template.spec",
            _ => "spec.template.spec",
        }
    }

    /// Reads the pod template from the JSON text of the object's `spec`.
    ///
    /// No template is not an error: a Rollout may refer to a Deployment instead.
    ///
    /// # Errors
    /// When the text has not the shape of this kind.
    pub fn template(self, spec: &str) -> Result<Template<'_>, serde_json::Error> {
        let pod_template = match self {
            WorkloadKind::Pod => {
                return Ok(Template {
                    text: None,
                    containers: serde_json::from_str::<PodSpec>(spec)?.containers(),
                });
            }
            WorkloadKind::CronJob => serde_json::from_str::<CronJobSpec>(spec)?
                .job_template
                .and_then(|job| job.spec)
                .and_then(|spec| spec.template),
            _ => serde_json::from_str::<TemplateSpec>(spec)?.template,
        };
        let Some(text) = pod_template else {
            return Ok(Template::default());
        };
        let pod_template: Option<PodTemplate> = serde_json::from_str(text.get())?;
        Ok(Template {
            text: Some(text),
            containers: pod_template
                .and_then(|template| template.spec)
                .map(PodSpec::containers)
                .unwrap_or_default(),
        })
    }
}

/// A pod template, reduced to what can refer to a credential.
///
/// No `Debug` here and below: a plain value in an environment may be a secret.
#[derive(Default)]
pub struct Template<'a> {
    /// The JSON text of the whole template; `None` for a Pod, whose environment cannot change.
    text: Option<&'a RawValue>,
    /// Init containers first, as they run.
    pub containers: Vec<Container<'a>>,
}

impl Template<'_> {
    /// Whether the two stand for the same pods: the same template, however it is spelled.
    /// For Pods, whose environment the API server keeps as it is, the containers' environment counts.
    pub fn same_as(&self, other: &Template<'_>) -> bool {
        match (self.text, other.text) {
            (Some(one), Some(two)) if one.get() == two.get() => true,
            (Some(one), Some(two)) => {
                let parse = |text: &RawValue| serde_json::from_str::<serde_json::Value>(text.get());
                matches!((parse(one), parse(two)), (Ok(one), Ok(two)) if one == two)
            }
            (None, None) => self.containers == other.containers,
            _ => false,
        }
    }
}

/// A container's place and environment.
#[derive(PartialEq, Eq)]
pub struct Container<'a> {
    /// `containers` or `initContainers`.
    pub list: &'static str,
    /// Its index in that list.
    pub index: usize,
    /// Its environment, in order.
    pub env: Vec<EnvVar<'a>>,
}

/// One environment variable.
#[derive(Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EnvVar<'a> {
    /// Its name.
    #[serde(borrow, default, deserialize_with = "null_is_empty")]
    pub name: Cow<'a, str>,
    /// Its plain value.
    #[serde(borrow, default)]
    pub value: Option<Text<'a>>,
    /// Where else its value comes from.
    #[serde(borrow, default)]
    pub value_from: Option<ValueFrom<'a>>,
}

/// Text borrowed where it has no escapes; a `Cow` inside an `Option` would be copied.
#[derive(PartialEq, Eq, Deserialize)]
pub struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

/// A source of a variable's value; only a Secret's key is of interest.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ValueFrom<'a> {
    /// A key of a Secret in the pod's namespace.
    #[serde(borrow, default)]
    pub secret_key_ref: Option<SecretKeyRef<'a>>,
}

/// A key of a Secret in the pod's namespace.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub struct SecretKeyRef<'a> {
    /// The Secret's name.
    #[serde(borrow, default, deserialize_with = "null_is_empty")]
    pub name: Cow<'a, str>,
    /// The key in its data.
    #[serde(borrow, default, deserialize_with = "null_is_empty")]
    pub key: Cow<'a, str>,
    /// Whether the container starts without it.
    #[serde(default)]
    pub optional: Option<bool>,
}

#[derive(Deserialize)]
struct TemplateSpec<'a> {
    #[serde(borrow, default)]
    template: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct CronJobSpec<'a> {
    #[serde(rename = "jobTemplate", borrow, default)]
    job_template: Option<JobTemplate<'a>>,
}

#[derive(Deserialize)]
struct JobTemplate<'a> {
    #[serde(borrow, default)]
    spec: Option<TemplateSpec<'a>>,
}

#[derive(Deserialize)]
struct PodTemplate<'a> {
    #[serde(borrow, default)]
    spec: Option<PodSpec<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodSpec<'a> {
    #[serde(borrow, default)]
    init_containers: Option<Nullable<WireContainer<'a>>>,
    #[serde(borrow, default)]
    containers: Option<Nullable<WireContainer<'a>>>,
}

#[derive(Deserialize)]
struct WireContainer<'a> {
    #[serde(borrow, default)]
    env: Option<Nullable<EnvVar<'a>>>,
}

/// A list in which `null` stands for an empty element, as it does to Go.
///
/// Lists of a Rollout are not checked against any schema that would refuse it.
type Nullable<T> = Vec<Option<T>>;

fn null_is_empty<'de: 'a, 'a, D: Deserializer<'de>>(text: D) -> Result<Cow<'a, str>, D::Error> {
    let text = Option::<Text<'a>>::deserialize(text)?;
    Ok(text.map(|text| text.0).unwrap_or_default())
}

impl<'a> PodSpec<'a> {
    fn containers(self) -> Vec<Container<'a>> {
        let place = |list: &'static str, containers: Option<Nullable<WireContainer<'a>>>| {
            let containers = containers.unwrap_or_default().into_iter();
            containers.enumerate().map(move |(index, container)| {
                let env = container.and_then(|container| container.env);
                let env = env.unwrap_or_default().into_iter();
                Container {
                    list,
                    index,
                    env: env.map(Option::unwrap_or_default).collect(),
                }
            })
        };
        place("initContainers", self.init_containers)
            .chain(place("containers", self.containers))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn raw(value: serde_json::Value) -> String {
        value.to_string()
    }

    fn pod_spec() -> serde_json::Value {
        json!({
            "initContainers": [{"name": "init", "env": [{"name": "A", "value": "1"}]}],
            "containers": [{"name": "one"}, {"name": "two", "env": [
                {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k", "optional": true}}},
                {"name": "C", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            ]}],
        })
    }

    #[test]
    fn every_kind_gives_its_containers_with_their_places() {
        for kind in WorkloadKind::ALL {
            let spec = match kind {
                WorkloadKind::Pod => pod_spec(),
                WorkloadKind::CronJob => {
                    json!({"jobTemplate": {"spec": {"template": {"spec": pod_spec()}}}})
                }
                _ => json!({"replicas": 1, "template": {"metadata": {}, "spec": pod_spec()}}),
            };
            let spec = raw(spec);
            let template = kind.template(&spec).unwrap();
            let places: Vec<_> = template
                .containers
                .iter()
                .map(|container| (container.list, container.index, container.env.len()))
                .collect();
            assert_eq!(
                places,
                [
                    ("initContainers", 0, 1),
                    ("containers", 0, 0),
                    ("containers", 1, 2)
                ],
                "{kind:?}"
            );
            let (group, version, name, _) = kind.names();
            assert_eq!(WorkloadKind::of(group, version, name), Some(kind));
        }
        assert_eq!(WorkloadKind::of("apps", "v1beta1", "Deployment"), None);
    }

    #[test]
    fn a_template_may_be_absent_or_null() {
        for spec in [
            json!({}),
            json!({"template": null}),
            json!({"workloadRef": {"name": "x"}}),
            json!({"template": {"spec": null}}),
            json!({"template": {"spec": {"containers": null, "initContainers": null}}}),
            json!({"template": {"spec": {"containers": [{"env": null}]}}}),
        ] {
            let spec = raw(spec);
            let template = WorkloadKind::Rollout.template(&spec).unwrap();
            assert!(
                template
                    .containers
                    .iter()
                    .all(|container| container.env.is_empty())
            );
        }
    }

    #[test]
    fn null_is_an_empty_element_and_the_others_keep_their_place() {
        let spec = raw(json!({"template": {"spec": {
            "initContainers": [null],
            "containers": [null, {"env": [null, {"name": null}, {"name": "A", "value": null, "valueFrom":
                {"secretKeyRef": {"name": null, "key": "k", "optional": null}}}]}],
        }}}));
        let template = WorkloadKind::Rollout.template(&spec).unwrap();
        let lengths: Vec<_> = template
            .containers
            .iter()
            .map(|container| container.env.len())
            .collect();
        assert_eq!(lengths, [0, 0, 3]);
        let names: Vec<_> = template.containers[2]
            .env
            .iter()
            .map(|env| &*env.name)
            .collect();
        assert_eq!(names, ["", "", "A"]);
    }

    #[test]
    fn a_template_is_the_same_however_its_json_is_spelled() {
        let table = [
            (
                r#"{"template":{"a":1,"b":2}}"#,
                r#"{"template":{"b":2,"a":1}}"#,
                true,
            ),
            (
                r#"{"template":{"a":1}}"#,
                r#"{"replicas":3,"template":{"a":1}}"#,
                true,
            ),
            (r#"{"template":{"a":1}}"#, r#"{"template":{"a":2}}"#, false),
            (r#"{}"#, r#"{"template":{"a":2}}"#, false),
        ];
        for (one, two, same) in table {
            let kind = WorkloadKind::Deployment;
            let verdict = kind
                .template(one)
                .unwrap()
                .same_as(&kind.template(two).unwrap());
            assert_eq!(verdict, same, "{one} {two}");
        }
    }

    #[test]
    fn a_pod_is_the_same_while_its_environment_is() {
        let one =
            raw(json!({"containers": [{"env": [{"name": "A", "value": "1"}], "image": "a"}]}));
        let image =
            raw(json!({"containers": [{"env": [{"name": "A", "value": "1"}], "image": "b"}]}));
        let env =
            raw(json!({"containers": [{"env": [{"name": "A", "value": "2"}], "image": "a"}]}));
        let read = |spec| WorkloadKind::Pod.template(spec).unwrap();
        assert!(read(&one).same_as(&read(&image)));
        assert!(!read(&one).same_as(&read(&env)));
    }
}
