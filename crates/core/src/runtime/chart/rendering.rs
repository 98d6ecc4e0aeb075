//! What one generation of the chart renders of some values.

use super::auth::{
    Auth, DEFAULT_PASSWORD, SecretKey, is_optional, is_template, is_true, reference_key,
};
use super::overrides::{Component, override_of};
use super::references::{ChartReference, SecretMaker, is_external};
use super::version::{ChartVersion, Generation};
use crate::document::{Node, Position};
use crate::runtime::credential::{PASSWORD, TOKEN, TOKEN_SECRET_KEY, TOKEN_SECRET_NAME};
use crate::runtime::mode::{self, Mode};
use crate::runtime::name::Name;
use crate::runtime::value::Role;

/// The Secret and key of an API key that App Proxy makes.
const APP_PROXY_TOKEN: (&str, &str) = ("argocd-token", "token");
/// The key in the Secrets that the chart makes of plain credentials.
const CHART_KEY: &str = "token";

/// What is used of the values in one generation.
pub(super) struct Rendering<'a> {
    values: &'a Node,
    generation: Generation,
    auth: Option<Auth<'a>>,
    /// `None`: the chart refuses to render.
    role: Option<Role>,
    external: bool,
}

/// A Secret and who makes it.
struct Source {
    secret: SecretKey,
    maker: SecretMaker,
    path: String,
}

impl<'a> Rendering<'a> {
    /// The chart of this generation with these values.
    pub(super) fn of(values: &'a Node, generation: Generation) -> Rendering<'a> {
        let external = is_external(values);
        let built_in = values.path(&["argo-cd", "enabled"]).is_some_and(is_true);
        let auth = generation
            .auth_path()
            .and_then(|path| Auth::at(values, path))
            // Before 0.26.0 they are those of an external Argo CD.
            .filter(|_| !built_in || generation == Generation::Integrations);
        Rendering {
            values,
            generation,
            auth,
            role: match is_filled_in(values, generation) {
                true => None,
                false => auth.map_or(Some(Role::Password), |auth| auth.kind().role()),
            },
            external,
        }
    }

    /// What each component refers to.
    pub(super) fn references(&self) -> Vec<ChartReference> {
        let components = Component::of(self.generation).iter();
        components
            .flat_map(|component| match component {
                Component::AppProxy => self.app_proxy(),
                component => self.by_name(*component).into_iter().collect(),
            })
            .collect()
    }

    fn app_proxy(&self) -> Vec<ChartReference> {
        let mut sources: Vec<(Role, Source)> = Vec::new();
        if let Some(role) = self.role
            && let Some(source) =
                self.credential(role, self.generation == Generation::ReferenceFirst)
        {
            sources.push((role, source));
        }
        self.override_app_proxy(&mut sources);
        let component = Component::AppProxy;
        sources
            .into_iter()
            .map(|(role, source)| self.reference(component, role, source))
            .collect()
    }

    fn by_name(&self, component: Component) -> Option<ChartReference> {
        let source = match self.role? {
            Role::Token => self.credential(Role::Token, false),
            Role::Password => Some(self.made_by_app_proxy()),
        };
        let source = self.override_by_name(component, source)?;
        Some(self.reference(component, Role::Token, source))
    }

    /// The credential of the settings: the plain one or the one that is referred to.
    fn credential(&self, role: Role, reference_first: bool) -> Option<Source> {
        let base = self.generation.auth_path().unwrap_or_default().join(".");
        let plain = self.auth.and_then(|auth| auth.plain(role));
        let referred = match self.auth {
            Some(auth) => auth.secret(role),
            None => default_secret(role),
        };
        let chart_made = plain.map(|entry| {
            let secret = match role {
                Role::Token => "gitops-runtime-argo-cd-token",
                Role::Password => "gitops-runtime-argo-cd-password",
            };
            Source {
                secret: SecretKey {
                    name: secret.into(),
                    key: CHART_KEY.into(),
                    optional: false,
                    at: Some(entry.at.clone()),
                },
                maker: SecretMaker::Chart,
                path: format!("{base}.{}", entry.key),
            }
        });
        let referred = referred.map(|secret| Source {
            maker: self.maker(role, &secret),
            secret,
            path: format!("{base}.{}", reference_key(role)),
        });
        match reference_first {
            true => referred.or(chart_made),
            false => chart_made.or(referred),
        }
    }

    fn made_by_app_proxy(&self) -> Source {
        let (name, key) = APP_PROXY_TOKEN;
        Source {
            secret: SecretKey {
                name: name.into(),
                key: key.into(),
                optional: false,
                at: None,
            },
            maker: SecretMaker::AppProxy,
            path: "argo-cd.enabled".to_owned(),
        }
    }

    fn maker(&self, role: Role, secret: &SecretKey) -> SecretMaker {
        let mode = match (self.external, role) {
            (true, Role::Password) => Mode::ExternalPassword,
            (false, Role::Password) => Mode::BuiltIn,
            // App Proxy waits for its token with any Argo CD.
            (_, Role::Token) => Mode::ExternalToken,
        };
        maker(mode, secret)
    }

    fn override_app_proxy(&self, sources: &mut Vec<(Role, Source)>) {
        let Some(map) = override_of(Component::AppProxy, self.generation) else {
            return;
        };
        for entry in map.variables(self.values) {
            let role = match entry.key.as_str() {
                TOKEN => Role::Token,
                PASSWORD => Role::Password,
                _ => continue,
            };
            let known = sources.iter().position(|(known, _)| *known == role);
            let before = known.map(|place| sources.remove(place).1.secret);
            let Some(reference) = entry.value.path(&["valueFrom", "secretKeyRef"]) else {
                continue;
            };
            // Maps are merged with what the chart has.
            let part = |written: &str, before: Option<&Name>| match reference.get(written) {
                None => before.cloned(),
                Some(node) => node.text().filter(|_| !is_template(node)).map(Name::from),
            };
            let name = part("name", before.as_ref().map(|secret| &secret.name));
            let key = part("key", before.as_ref().map(|secret| &secret.key));
            if let (Some(name), Some(key)) = (name, key) {
                let secret = SecretKey {
                    name,
                    key,
                    optional: is_optional(reference),
                    at: Some(reference.get("name").map_or(&entry.at, |it| &it.at).clone()),
                };
                let maker = self.maker_of_override(&secret);
                let path = format!("{}.{}", map.path.join("."), entry.key);
                let source = Source {
                    secret,
                    maker,
                    path,
                };
                sources.push((role, source));
            }
        }
    }

    fn override_by_name(&self, component: Component, source: Option<Source>) -> Option<Source> {
        let Some(map) = override_of(component, self.generation) else {
            return source;
        };
        let written = |variable: &str| {
            let entry = map
                .variables(self.values)
                .find(|entry| entry.key == variable)?;
            Some((entry, Name::from(entry.value.scalar()?.text.as_str())))
        };
        let (name, key) = (written(TOKEN_SECRET_NAME), written(TOKEN_SECRET_KEY));
        if [&name, &key]
            .into_iter()
            .flatten()
            .any(|(entry, _)| is_template(&entry.value))
        {
            return None;
        }
        let Some((entry, _)) = name.as_ref().or(key.as_ref()) else {
            return source;
        };
        let at = entry.value.at.clone();
        let path = format!("{}.{}", map.path.join("."), entry.key);
        let (before_name, before_key) = source
            .map(|source| (source.secret.name, source.secret.key))
            .unzip();
        let secret = SecretKey {
            name: name.map(|(_, name)| name).or(before_name)?,
            key: key.map(|(_, key)| key).or(before_key)?,
            optional: false,
            at: Some(at),
        };
        Some(Source {
            maker: self.maker_of_override(&secret),
            secret,
            path,
        })
    }

    /// Who makes what an override names: the settings tell the mode.
    fn maker_of_override(&self, secret: &SecretKey) -> SecretMaker {
        let chart_makes = |role, name: &str| {
            let plain = self.auth.and_then(|auth| auth.plain(role));
            plain.is_some() && secret.name == name
        };
        if chart_makes(Role::Token, "gitops-runtime-argo-cd-token")
            || chart_makes(Role::Password, "gitops-runtime-argo-cd-password")
        {
            return SecretMaker::Chart;
        }
        self.maker(self.role.unwrap_or(Role::Password), secret)
    }

    fn reference(&self, component: Component, role: Role, source: Source) -> ChartReference {
        let Source {
            secret,
            maker,
            path,
        } = source;
        ChartReference {
            component,
            generation: self.generation,
            role,
            secret: secret.name,
            key: secret.key,
            maker,
            optional: secret.optional,
            is_written: secret.at.is_some(),
            at: secret.at.unwrap_or_else(|| self.default_place()),
            path,
        }
    }

    fn default_place(&self) -> Position {
        let argocd = self.values.get("argo-cd");
        argocd
            .and_then(|argocd| argocd.entry("enabled"))
            .map_or(&self.values.at, |entry| &entry.at)
            .clone()
    }
}

/// Whether a template fills in all settings of how to authenticate, or something above them.
pub(super) fn is_filled_in(values: &Node, generation: Generation) -> bool {
    let path = generation.auth_path().unwrap_or_default();
    let above = (1..=path.len()).filter_map(|end| values.path(path.get(..end)?));
    above.into_iter().any(is_template)
}

fn default_secret(role: Role) -> Option<SecretKey> {
    (role == Role::Password).then(|| SecretKey {
        name: DEFAULT_PASSWORD.0.into(),
        key: DEFAULT_PASSWORD.1.into(),
        optional: false,
        at: None,
    })
}

fn maker(mode: Mode, secret: &SecretKey) -> SecretMaker {
    match mode::maker(mode, secret.name.as_str(), secret.key.as_str()) {
        mode::Maker::AppProxy => SecretMaker::AppProxy,
        mode::Maker::ArgoCd => SecretMaker::ArgoCd,
        mode::Maker::Person | mode::Maker::Unknown => SecretMaker::Person,
    }
}

/// Every reference that the chart renders. Where the version may be of several generations, those count whose settings
/// are written, or else the newest.
pub fn references(values: &Node, version: &ChartVersion) -> Vec<ChartReference> {
    answering(values, version)
        .into_iter()
        .flat_map(|generation| Rendering::of(values, generation).references())
        .collect()
}

/// The generations that [`references`] and the account are told for.
pub fn answering(values: &Node, version: &ChartVersion) -> Vec<Generation> {
    let mut generations = version.generations();
    let written = |generation: &Generation| {
        let path = generation.auth_path();
        path.is_some_and(|path| Auth::at(values, path).is_some())
    };
    // Two generations that read the same path: the newer one tells enough.
    if generations.contains(&Generation::External) {
        generations.retain(|generation| *generation != Generation::ReferenceFirst);
    }
    if generations.iter().any(written) {
        generations.retain(written);
    } else {
        generations.drain(..generations.len().saturating_sub(1));
    }
    generations
}
