//! The maps of values that override a component's environment.

use super::version::Generation;
use crate::document::{Entry, Node};
use crate::runtime::credential::{PASSWORD, TOKEN, VARIABLES};

/// A part of the Runtime that talks to Argo CD.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Component {
    /// `cap-app-proxy`.
    AppProxy,
    /// `gitops-operator`.
    GitopsOperator,
    /// `argo-gateway`, formerly `sources-server`.
    ArgoGateway,
    /// `runtime-event-reporter`.
    RuntimeEventReporter,
    /// `cluster-event-reporter`, formerly `event-reporter`.
    ClusterEventReporter,
}

impl Component {
    /// The name of its workload in the newest versions.
    pub fn name(self) -> &'static str {
        match self {
            Component::AppProxy => "cap-app-proxy",
            Component::GitopsOperator => "gitops-operator",
            Component::ArgoGateway => "argo-gateway",
            Component::RuntimeEventReporter => "runtime-event-reporter",
            Component::ClusterEventReporter => "cluster-event-reporter",
        }
    }

    /// Those that the chart of this generation has.
    pub fn of(generation: Generation) -> &'static [Component] {
        const ALL: [Component; 5] = [
            Component::AppProxy,
            Component::GitopsOperator,
            Component::ArgoGateway,
            Component::RuntimeEventReporter,
            Component::ClusterEventReporter,
        ];
        const BEFORE: [Component; 4] = [
            Component::AppProxy,
            Component::GitopsOperator,
            Component::ArgoGateway,
            Component::ClusterEventReporter,
        ];
        match generation {
            Generation::Integrations => &ALL,
            _ => &BEFORE,
        }
    }
}

/// A map that overrides the environment of a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Override {
    /// Of which component.
    pub component: Component,
    /// Where the map stands.
    pub path: &'static [&'static str],
    /// The first generation that reads it.
    pub since: Generation,
    /// The last generation that reads it.
    pub until: Generation,
}

const OLDEST: Generation = Generation::BuiltInOnly;
const NEWEST: Generation = Generation::Integrations;

/// Every map that overrides the environment of a component in any version.
pub const OVERRIDES: [Override; 7] = [
    Override {
        component: Component::AppProxy,
        path: &["app-proxy", "env"],
        since: OLDEST,
        until: NEWEST,
    },
    Override {
        component: Component::GitopsOperator,
        path: &["gitops-operator", "env"],
        since: OLDEST,
        until: NEWEST,
    },
    Override {
        component: Component::ArgoGateway,
        path: &["argo-gateway", "env"],
        since: NEWEST,
        until: NEWEST,
    },
    Override {
        component: Component::RuntimeEventReporter,
        path: &["event-reporters", "runtime-event-reporter", "env"],
        since: NEWEST,
        until: NEWEST,
    },
    Override {
        component: Component::ClusterEventReporter,
        path: &["event-reporters", "cluster-event-reporter", "env"],
        since: NEWEST,
        until: NEWEST,
    },
    Override {
        component: Component::ArgoGateway,
        path: &["cf-argocd-extras", "sourcesServer", "container", "env"],
        since: OLDEST,
        until: Generation::External,
    },
    Override {
        component: Component::ClusterEventReporter,
        path: &["cf-argocd-extras", "eventReporter", "container", "env"],
        since: OLDEST,
        until: Generation::External,
    },
];

impl Override {
    /// Whether this generation reads it.
    pub fn is_read_by(&self, generation: Generation) -> bool {
        (self.since..=self.until).contains(&generation)
    }

    /// The variables in it that mention a credential.
    pub fn variables<'a>(&self, values: &'a Node) -> impl Iterator<Item = &'a Entry> {
        let entries = values.path(self.path).map_or(&[][..], Node::entries);
        entries
            .iter()
            .filter(|entry| VARIABLES.contains(&entry.key.as_str()))
    }

    /// The variables in it that hold a credential as it is.
    pub fn plain<'a>(&self, values: &'a Node) -> impl Iterator<Item = &'a Entry> {
        self.variables(values)
            .filter(|entry| [TOKEN, PASSWORD].contains(&entry.key.as_str()))
            .filter(|entry| entry.value.scalar().is_some_and(|it| !it.text.is_empty()))
    }
}

/// The map that this generation reads for a component.
pub fn override_of(component: Component, generation: Generation) -> Option<&'static Override> {
    OVERRIDES
        .iter()
        .find(|it| it.component == component && it.is_read_by(generation))
}
