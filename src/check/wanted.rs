//! A key of a Secret that a workload or a release will refer to, and what the tree says of it.

use crate::check::found::{Found, Told};
use crate::check::object::Object;
use crate::check::world::{Known, Maker, World};
use crate::report::{ObjectReference, Severity};
use keyguard_core::document::Position;
use keyguard_core::policy::check_rules::CheckRule;
use keyguard_core::policy::rules::Rule;
use keyguard_core::runtime::name::Name;
use keyguard_core::runtime::secret_maker::{Keys, When};

/// Who refers to a Secret.
pub(crate) struct Referrer {
    /// What a report calls it.
    pub(crate) object: Option<ObjectReference>,
    /// What a sentence calls it, such as `Deployment "runtime"`.
    pub(crate) shown: String,
    /// The folder that it is applied from.
    pub(crate) from: String,
    /// The wave of Argo CD in which it is applied.
    pub(crate) wave: i64,
    /// Whether its pods mount a volume of the Secrets Store CSI driver; `None` when that cannot be told.
    pub(crate) secrets_store: Option<bool>,
}

/// One key of a Secret.
pub(crate) struct Wanted<'a> {
    /// Who refers to it.
    pub(crate) by: &'a Referrer,
    /// The namespace.
    pub(crate) namespace: &'a str,
    /// The Secret.
    pub(crate) secret: &'a Name,
    /// The key in its data.
    pub(crate) key: &'a Name,
    /// Whether the container starts without it.
    pub(crate) optional: bool,
    /// Where the reference stands.
    pub(crate) at: Position,
    /// Where in the object or the values.
    pub(crate) field: &'a str,
    /// The same for a sentence, with the variable if there is one.
    pub(crate) place: String,
}

/// What is left to do for a reference.
pub(crate) enum Left {
    /// Policy judges the Secret as it is; where the value stands.
    Judge(Option<Position>),
    /// Nothing: whatever there was to say is told.
    Nothing,
}

impl Wanted<'_> {
    /// Tells what the tree says of it. `comes_with` tells whether a maker is applied together with the referrer.
    pub(crate) fn settle(
        &self,
        world: &World,
        comes_with: impl Fn(&Object) -> bool,
        told: &mut Told,
    ) -> Left {
        let (secret, key) = (self.secret.as_str(), self.key.as_str());
        let too_late = |maker: &Maker| {
            let with = comes_with(&maker.object);
            with.then(|| self.too_late(maker)).flatten()
        };
        match world.known(&self.by.from, self.namespace, secret, key) {
            Known::Seen(at) => return Left::Judge(at),
            Known::Nobody => return Left::Judge(None),
            Known::Made(None) => {}
            Known::Made(Some(maker)) => {
                let needs_a_mount = maker.made.when == When::WithThePod;
                if needs_a_mount && self.by.secrets_store == Some(false) {
                    return Left::Judge(None);
                }
                told.found.extend(too_late(&maker));
            }
            Known::KeysUnknown(maker) => {
                told.found.extend(too_late(&maker));
                told.found.push(self.keys_unknown(&maker));
            }
            Known::Lacks(maker) if !self.optional => told.found.push(self.lacks(&maker)),
            Known::Lacks(_) => {}
            Known::MayBeMade(why) => {
                told.unseen(&self.at, format!("Secret \"{}\"", self.secret.shown()), why);
            }
        }
        Left::Nothing
    }

    fn found(&self, rule: &'static str, severity: Severity, message: String) -> Found {
        Found {
            rule,
            severity,
            at: self.at.clone(),
            object: self.by.object.clone(),
            field: self.field.to_owned(),
            message,
        }
    }

    fn keys_unknown(&self, maker: &Maker) -> Found {
        let rule = CheckRule::KeysUnknown;
        let what = format!(
            "Secret \"{}\" is made by {} {:?}, whose keys are not written down; \"{}\" must be one of them ({})",
            self.secret.shown(),
            maker.object.kind,
            maker.object.name,
            self.key.shown(),
            self.place
        );
        let mend =
            "Make sure yourself, or name the Secret with its key under secrets in .keyguard.yaml.";
        self.found(rule.id(), Severity::Note, rule.sentence(&what, mend))
    }

    /// What makes the Secret leaves out the key.
    fn lacks(&self, maker: &Maker) -> Found {
        let rule = Rule::KeyMissing;
        let of = &maker.object;
        let keys = match &maker.made.keys {
            Keys::Known(keys) if !keys.is_empty() => {
                let shown = keys
                    .iter()
                    .map(|key| Name::from(key.as_str()).shown().to_string());
                format!("only {}", shown.collect::<Vec<_>>().join(", "))
            }
            _ => "no key".to_owned(),
        };
        let message = format!(
            "{} {:?} makes Secret \"{}\" without the key \"{}\", it has {keys} ({}): {}. Add the key to the {}, or correct \
             the reference. [{}]",
            of.kind,
            of.name,
            self.secret.shown(),
            self.key.shown(),
            self.place,
            rule.why(),
            of.kind,
            rule.id()
        );
        self.found(rule.id(), Severity::Error, message)
    }

    /// A Secret that a controller makes after the workload was refused.
    fn too_late(&self, maker: &Maker) -> Option<Found> {
        let of = &maker.object;
        let earlier = of.is_hook_before() || of.wave() < self.by.wave;
        if !maker.comes_later() || earlier || self.optional {
            return None;
        }
        let rule = CheckRule::MadeTooLate;
        let what = format!(
            "Secret \"{}\" is made from {} {:?}, which comes with {} and is applied after it ({})",
            self.secret.shown(),
            of.kind,
            of.name,
            self.by.shown,
            self.place
        );
        let mend = format!(
            "Give the {} an earlier wave (argocd.argoproj.io/sync-wave: \"-1\"), or with Helm the annotation helm.sh/hook: \
             pre-install,pre-upgrade, or put it into a release of its own that is installed before.",
            of.kind
        );
        Some(self.found(rule.id(), Severity::Warning, rule.sentence(&what, &mend)))
    }
}
