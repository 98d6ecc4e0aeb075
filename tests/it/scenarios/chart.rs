//! The twelve renderings of the real chart, as manifests.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::objects::secret;
use super::tokens::{Token, random_text};

const RENDERINGS: &str = include_str!("../../fixtures/runtime-chart.json");

/// The objects of one version of the chart in one mode.
#[derive(Deserialize)]
pub(super) struct Rendering {
    pub(super) chart: String,
    pub(super) mode: String,
    objects: Vec<Rendered>,
}

/// An object of a rendering, reduced to what matters.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rendered {
    api_version: String,
    kind: String,
    name: String,
    #[serde(default)]
    labels: Map<String, Value>,
    #[serde(default)]
    annotations: Map<String, Value>,
    #[serde(default)]
    data: Value,
    /// The keys of a Secret, whose values are whatever the user has written.
    #[serde(default)]
    keys: Vec<String>,
    #[serde(default)]
    containers: Vec<RenderedContainer>,
}

#[derive(Deserialize)]
struct RenderedContainer {
    #[serde(rename = "in")]
    list: String,
    name: String,
    #[serde(default)]
    env: Value,
}

/// A Secret that must be there before the Runtime.
pub(super) struct Needed {
    pub(super) name: &'static str,
    pub(super) key: &'static str,
    pub(super) holds: Holds,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    Token,
    Password,
}

impl Needed {
    /// The Secret as a user makes it.
    pub(super) fn good(&self) -> Value {
        let value = match self.holds {
            Holds::Token => Token::api_key("admin").text(),
            Holds::Password => random_text(),
        };
        secret(self.name, self.key, value)
    }
}

impl Rendering {
    pub(super) fn all() -> Vec<Self> {
        let renderings: Vec<Self> = serde_json::from_str(RENDERINGS).expect("renderings");
        assert_eq!(renderings.len(), 12);
        renderings
    }

    /// The Secret that must be there before its Deployments; the chart makes it
    /// itself in the plain modes.
    pub(super) fn needs(&self) -> Option<Needed> {
        let (name, key, holds) = match self.mode.as_str() {
            "builtin" => return None,
            "token-ref" => ("my-argocd-secret", "my-token", Holds::Token),
            "token-plain" => ("gitops-runtime-argo-cd-token", "token", Holds::Token),
            "password-ref" => ("my-password", "pw", Holds::Password),
            // The key of the password is called token.
            "password-plain" => ("gitops-runtime-argo-cd-password", "token", Holds::Password),
            "password-default" => ("argocd-initial-admin-secret", "password", Holds::Password),
            mode => panic!("no such mode: {mode}"),
        };
        Some(Needed { name, key, holds })
    }

    /// Whether App Proxy makes the token of the others once it has started.
    pub(super) fn makes_its_token(&self) -> bool {
        !self.mode.starts_with("token")
    }

    /// Every object but the Deployments; of Secrets, none.
    pub(super) fn config_maps(&self) -> Vec<Value> {
        self.manifests("ConfigMap")
    }

    pub(super) fn deployments(&self) -> Vec<Value> {
        self.manifests("Deployment")
    }

    /// The Secrets of the chart itself, with values that work.
    pub(super) fn own_secrets(&self) -> Vec<Value> {
        let secrets = self.objects.iter().filter(|object| object.kind == "Secret");
        secrets
            .map(|object| match self.needs() {
                Some(needed) if needed.name == object.name => {
                    assert_eq!(object.keys, [needed.key]);
                    needed.good()
                }
                _ => object.manifest(),
            })
            .collect()
    }

    fn manifests(&self, kind: &str) -> Vec<Value> {
        let objects = self.objects.iter().filter(|object| object.kind == kind);
        objects.map(Rendered::manifest).collect()
    }
}

impl Rendered {
    fn manifest(&self) -> Value {
        let mut manifest = json!({
            "apiVersion": self.api_version,
            "kind": self.kind,
            "metadata": {
                "name": self.name,
                "labels": self.labels,
                "annotations": self.annotations,
            },
        });
        if self.kind == "Deployment" {
            manifest["spec"] = self.deployment_spec();
        } else if !self.data.is_null() {
            manifest["data"] = self.data.clone();
        }
        manifest
    }

    fn deployment_spec(&self) -> Value {
        let labels = json!({"app": self.name});
        let list = |list: &str| -> Vec<Value> {
            let containers = self.containers.iter().filter(|known| known.list == list);
            containers
                .map(|container| {
                    json!({
                        "name": container.name,
                        "image": "example.invalid/runtime",
                        "env": container.env,
                    })
                })
                .collect()
        };
        json!({
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "containers": list("containers"),
                    "initContainers": list("initContainers"),
                },
            },
        })
    }
}
