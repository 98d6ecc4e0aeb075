//! A running keyguard with the namespaces that it guards.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use super::objects::{deployment, token_from};
use super::said::Answers;
use crate::control_plane::ControlPlane;
use crate::control_plane::keyguard::{Keyguard, Options};
use crate::control_plane::kubectl::{Client, Finished};
use crate::control_plane::users::{ADMIN, ALICE};
use crate::control_plane::webhook::Installation;

/// A keyguard behind the shared control plane, and its registration.
pub(crate) struct Guard {
    // Dropped in this order: nobody is to call a keyguard that is gone.
    installed: Installation<'static>,
    pub(crate) keyguard: Keyguard,
    label: String,
}

impl Guard {
    /// The one with nothing configured, which most tests share.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Guard> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(&Options::default()))
    }

    /// One with a configuration of its own.
    pub(crate) fn configured(config: &str) -> Self {
        Self::start(&Options {
            config: Some(config.to_owned()),
            ..Options::default()
        })
    }

    pub(crate) fn start(options: &Options) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let label = format!("guard-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let keyguard = Keyguard::start(ControlPlane::shared(), options);
        Self {
            installed: keyguard.install_for(ControlPlane::shared(), &label),
            keyguard,
            label,
        }
    }

    /// Ends the keyguard; the API server goes on calling it.
    pub(crate) fn crash(self) -> Installation<'static> {
        drop(self.keyguard);
        self.installed
    }

    /// A fresh namespace that it guards.
    pub(crate) fn scene(&self, prefix: &str) -> Scene {
        self.scenes(prefix, 1).remove(0)
    }

    /// Many of them at once.
    pub(crate) fn scenes(&self, prefix: &str, count: usize) -> Vec<Scene> {
        let plane = ControlPlane::shared();
        let namespaces = plane.fresh_namespaces_guarded_by(&self.label, prefix, count);
        let namespaces = namespaces.into_iter();
        namespaces
            .map(|namespace| Scene { plane, namespace })
            .collect()
    }

    /// The decisions in this namespace up to now, oldest first: a dry run that
    /// is asked about, whatever comes of it, marks the end of the log.
    pub(crate) fn decisions(&self, scene: &Scene) -> Vec<Value> {
        let marker = "end-of-log";
        let object = deployment(marker, vec![token_from("missing", "token")]);
        let _ = scene.send(["create", "--dry-run=server"], &object);
        let in_scene = |line: &Value| line["object"]["namespace"] == scene.namespace;
        let is_marker = |line: &Value| in_scene(line) && line["object"]["name"] == marker;
        self.keyguard.log_line("the marker", is_marker);
        let lines = self.keyguard.log().into_iter();
        lines
            .filter(|line| in_scene(line) && !is_marker(line))
            .collect()
    }
}

/// A namespace in which a test plays.
pub(crate) struct Scene {
    pub(crate) plane: &'static ControlPlane,
    pub(crate) namespace: String,
}

impl Scene {
    /// kubectl of an ordinary person.
    pub(crate) fn alice(&self) -> Client<'static> {
        self.user(ALICE)
    }

    /// kubectl of someone who may do everything.
    pub(crate) fn admin(&self) -> Client<'static> {
        self.user(ADMIN)
    }

    /// kubectl of one of the [`users`](crate::control_plane::users).
    pub(crate) fn user(&self, user: &str) -> Client<'static> {
        self.plane
            .kubectl()
            .as_user(user)
            .namespace(&self.namespace)
    }

    /// Runs kubectl as alice on an object.
    #[must_use = "say what is expected of it"]
    pub(crate) fn send<const N: usize>(&self, arguments: [&str; N], object: &Value) -> Finished {
        let arguments = arguments.into_iter().chain(["-f", "-"]);
        self.alice().stdin(object.to_string()).run(arguments)
    }

    /// Creates objects, each of which may be refused, as alice and in one
    /// kubectl.
    pub(crate) fn create(&self, objects: &[Value]) -> Answers {
        Answers::create(self.alice(), &self.namespace, objects, &[])
    }

    /// One field of an object, as `jsonpath` says; empty when it is not there.
    pub(crate) fn read(&self, object: &str, jsonpath: &str) -> String {
        let output = format!("--output=jsonpath={jsonpath}");
        let get = ["get", object, "--ignore-not-found", &output];
        self.admin().run(get).expect_ok().stdout
    }
}
