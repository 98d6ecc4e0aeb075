//! The programs of the control plane: found, or built once from source.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::recipe::{ETCD, HELM, KUBE_APISERVER, KUBE_APISERVER_1_30, KUBECTL, Recipe};

/// Where the programs are.
pub(crate) struct Binaries {
    pub(crate) etcd: PathBuf,
    pub(crate) kube_apiserver: PathBuf,
    pub(crate) kubectl: PathBuf,
    pub(crate) helm: PathBuf,
}

impl Binaries {
    /// Finds the programs on first use: in the folder `KUBEBUILDER_ASSETS`
    /// when that is set (helm only if it is there), else builds what the cache
    /// does not hold.
    ///
    /// # Panics
    /// When one can be neither found nor built: says what to install.
    pub(crate) fn shared() -> &'static Self {
        static BINARIES: OnceLock<Binaries> = OnceLock::new();
        BINARIES.get_or_init(Self::find)
    }

    fn find() -> Self {
        assets().map_or_else(Self::build, |folder| Self::find_in(&folder))
    }

    fn build() -> Self {
        Self {
            etcd: ETCD.build(),
            kube_apiserver: kube_apiserver().build(),
            kubectl: KUBECTL.build(),
            helm: HELM.build(),
        }
    }

    fn find_in(assets: &Path) -> Self {
        let required = |recipe: Recipe| {
            let path = assets.join(recipe.binary);
            assert!(
                path.is_file(),
                "KUBEBUILDER_ASSETS has no {}: put it at {}, or unset KUBEBUILDER_ASSETS to have it built from source",
                recipe.binary,
                path.display(),
            );
            path
        };
        let helm = assets.join(HELM.binary);
        Self {
            etcd: required(ETCD),
            kube_apiserver: required(KUBE_APISERVER),
            kubectl: required(KUBECTL),
            helm: if helm.is_file() { helm } else { HELM.build() },
        }
    }
}

/// The versions of the API server and of kubectl that are built, such as
/// `v1.36.2`; none when `KUBEBUILDER_ASSETS` decides.
pub(crate) fn pinned_kubernetes_versions() -> Option<[String; 2]> {
    let pinned = [kube_apiserver(), KUBECTL].map(Recipe::version);
    assets().is_none().then_some(pinned)
}

/// The newest, or the one that `KEYGUARD_TEST_KUBERNETES` names.
fn kube_apiserver() -> Recipe {
    match env::var("KEYGUARD_TEST_KUBERNETES").as_deref() {
        Err(_) | Ok("") => KUBE_APISERVER,
        Ok("1.30") => KUBE_APISERVER_1_30,
        Ok(other) => {
            panic!("KEYGUARD_TEST_KUBERNETES is {other}: only 1.30 is there besides the newest")
        }
    }
}

fn assets() -> Option<PathBuf> {
    env::var_os("KUBEBUILDER_ASSETS")
        .filter(|folder| !folder.is_empty())
        .map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::super::workspace::Workspace;
    use super::*;

    #[test]
    fn the_assets_folder_is_used_as_it_is() {
        let assets = Workspace::new();
        let [etcd, _, kubectl, helm] =
            ["etcd", "kube-apiserver", "kubectl", "helm"].map(|name| assets.write(name, ""));
        let found = Binaries::find_in(&assets.path(""));
        assert_eq!(
            [found.etcd, found.kubectl, found.helm],
            [etcd, kubectl, helm]
        );
    }

    #[test]
    #[should_panic(expected = "KUBEBUILDER_ASSETS has no kubectl: put it at ")]
    fn an_assets_folder_without_kubectl_says_what_is_missing() {
        let assets = Workspace::new();
        let _ = ["etcd", "kube-apiserver"].map(|name| assets.write(name, ""));
        Binaries::find_in(&assets.path(""));
    }
}
