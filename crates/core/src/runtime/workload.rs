//! Workloads as far as the Runtime's credential goes: kind, containers, environment.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::json_object::{Object, same_json};
use super::malformed::Malformed;

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
    pub const fn names(self) -> (&'static str, &'static str, &'static str, &'static str) {
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
    pub fn template(self, spec: &str) -> Result<Template<'_>, Malformed<'_>> {
        if self == WorkloadKind::Pod {
            let pod = read::<Object<PodSpec>>(spec)?.0;
            return Ok(Template {
                text: None,
                secrets_store: pod.mounts_secrets_store(),
                containers: pod.containers(),
            });
        }
        let Some(text) = self.template_text(spec)? else {
            return Ok(Template::default());
        };
        let path = self.pod_spec_path();
        let path = path.strip_suffix(".spec").unwrap_or(path);
        let pod_template: Result<Option<Object<PodTemplate>>, _> = serde_json::from_str(text.get());
        let pod = pod_template
            .map_err(|_| Malformed::of::<Option<Object<PodTemplate>>>(text.get(), path))?
            .and_then(|template| template.0.spec);
        Ok(Template {
            text: Some(text),
            secrets_store: pod.as_ref().is_some_and(|pod| pod.0.mounts_secrets_store()),
            containers: pod.map(|pod| pod.0.containers()).unwrap_or_default(),
        })
    }

    fn template_text(self, spec: &str) -> Result<Option<&RawValue>, Malformed<'_>> {
        if self != WorkloadKind::CronJob {
            return Ok(read::<Object<TemplateSpec>>(spec)?.0.template);
        }
        let cron_job: Object<CronJobSpec> = read(spec)?;
        let job = cron_job.0.job_template.and_then(|job| job.0.spec);
        Ok(job.and_then(|spec| spec.0.template))
    }
}

/// Reads a `spec`, or says where it is no such thing.
fn read<'a, T: Deserialize<'a>>(spec: &'a str) -> Result<T, Malformed<'a>> {
    serde_json::from_str(spec).map_err(|_| Malformed::of::<T>(spec, "spec"))
}

/// A pod template, reduced to what can refer to a credential.
///
/// No `Debug` here and below: a plain value in an environment may be a secret, and a name too.
#[derive(Default)]
pub struct Template<'a> {
    /// The JSON text of the whole template; `None` for a Pod, whose environment cannot change.
    text: Option<&'a RawValue>,
    /// Init containers first, as they run.
    pub containers: Vec<Container<'a>>,
    /// Whether it mounts a volume of the Secrets Store CSI driver.
    pub secrets_store: bool,
}

impl Template<'_> {
    /// Whether the two stand for the same pods: the same template, however it is spelled.
    /// For Pods, whose environment the API server keeps as it is, the containers' environment counts.
    pub fn same_as(&self, other: &Template<'_>) -> bool {
        match (self.text, other.text) {
            (Some(one), Some(two)) => same_json(one.get(), two.get()),
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
    pub value_from: Option<Object<ValueFrom<'a>>>,
}

/// Text borrowed where it has no escapes; a `Cow` inside an `Option` would be copied.
#[derive(PartialEq, Eq, Deserialize)]
pub struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

/// A source of a variable's value; only a key of a Secret or of a ConfigMap is of interest.
#[derive(PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ValueFrom<'a> {
    /// A key of a Secret in the pod's namespace.
    #[serde(borrow, default)]
    pub secret_key_ref: Option<Object<KeyRef<'a>>>,
    /// A key of a ConfigMap in the pod's namespace.
    #[serde(borrow, default)]
    pub config_map_key_ref: Option<Object<KeyRef<'a>>>,
}

/// A key of a Secret or ConfigMap in the pod's namespace.
#[derive(PartialEq, Eq, Deserialize)]
pub struct KeyRef<'a> {
    /// The object's name.
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
    job_template: Option<Object<JobTemplate<'a>>>,
}

#[derive(Deserialize)]
struct JobTemplate<'a> {
    #[serde(borrow, default)]
    spec: Option<Object<TemplateSpec<'a>>>,
}

#[derive(Deserialize)]
struct PodTemplate<'a> {
    #[serde(borrow, default)]
    spec: Option<Object<PodSpec<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodSpec<'a> {
    #[serde(borrow, default)]
    init_containers: Option<Nullable<WireContainer<'a>>>,
    #[serde(borrow, default)]
    containers: Option<Nullable<WireContainer<'a>>>,
    /// Not read unless it has the shape of volumes, which decides nothing else.
    #[serde(borrow, default)]
    volumes: Option<&'a RawValue>,
}

/// The driver of the volumes by which the Secrets Store CSI driver makes Secrets.
const SECRETS_STORE: &str = "secrets-store.csi.k8s.io";

#[derive(Deserialize)]
struct Volume {
    #[serde(default)]
    csi: Option<CsiVolume>,
}

#[derive(Deserialize)]
struct CsiVolume {
    #[serde(default)]
    driver: String,
}

#[derive(Deserialize)]
struct WireContainer<'a> {
    #[serde(borrow, default)]
    env: Option<Nullable<EnvVar<'a>>>,
}

/// A list in which `null` stands for an empty element, as it does to Go.
///
/// Lists of a Rollout are not checked against any schema that would refuse it.
type Nullable<T> = Vec<Option<Object<T>>>;

fn null_is_empty<'de: 'a, 'a, D: Deserializer<'de>>(text: D) -> Result<Cow<'a, str>, D::Error> {
    let text = Option::<Text<'a>>::deserialize(text)?;
    Ok(text.map(|text| text.0).unwrap_or_default())
}

impl<'a> PodSpec<'a> {
    fn mounts_secrets_store(&self) -> bool {
        let volumes = self
            .volumes
            .map(|volumes| serde_json::from_str(volumes.get()));
        let volumes: Vec<Volume> = volumes.and_then(Result::ok).unwrap_or_default();
        let mut drivers = volumes.iter().filter_map(|volume| volume.csi.as_ref());
        drivers.any(|csi| csi.driver == SECRETS_STORE)
    }

    fn containers(self) -> Vec<Container<'a>> {
        let place = |list: &'static str, containers: Option<Nullable<WireContainer<'a>>>| {
            let containers = containers.unwrap_or_default().into_iter();
            containers.enumerate().map(move |(index, container)| {
                let env = container.and_then(|container| container.0.env);
                let env = env.unwrap_or_default().into_iter();
                Container {
                    list,
                    index,
                    env: env.map(|env| env.unwrap_or_default().0).collect(),
                }
            })
        };
        place("initContainers", self.init_containers)
            .chain(place("containers", self.containers))
            .collect()
    }
}

#[cfg(test)]
#[path = "workload_tests.rs"]
mod tests;
