//! Builds the programs of the control plane, and those that ask Argo CD, from
//! their Go modules, each once, into a cache.

use std::env;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf, absolute};
use std::process::{self, Command};

/// The Go modules that pin what is built.
const MODULES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests");

pub(crate) const ETCD: Recipe = Recipe {
    binary: "etcd",
    module: "control-plane/etcd",
    package: "go.etcd.io/etcd/server/v3",
    pinned: "go.etcd.io/etcd/server/v3",
    version_variable: None,
    sources: &[],
    takes: "a minute",
};
pub(crate) const KUBE_APISERVER: Recipe = Recipe {
    binary: "kube-apiserver",
    module: "control-plane/kubernetes",
    package: "k8s.io/kubernetes/cmd/kube-apiserver",
    pinned: "k8s.io/kubernetes",
    version_variable: Some("k8s.io/component-base/version.gitVersion"),
    sources: &[],
    takes: "four minutes",
};
/// The oldest that is supported.
pub(crate) const KUBE_APISERVER_1_30: Recipe = Recipe {
    module: "control-plane/kubernetes-1.30",
    takes: "six minutes",
    ..KUBE_APISERVER
};
pub(crate) const KUBECTL: Recipe = Recipe {
    binary: "kubectl",
    package: "k8s.io/kubernetes/cmd/kubectl",
    takes: "half a minute",
    ..KUBE_APISERVER
};
pub(crate) const HELM: Recipe = Recipe {
    binary: "helm",
    module: "control-plane/helm",
    package: "helm.sh/helm/v3/cmd/helm",
    pinned: "helm.sh/helm/v3",
    version_variable: Some("helm.sh/helm/v3/internal/version.version"),
    sources: &[],
    takes: "a minute and a half",
};

/// How one program is built.
#[derive(Clone, Copy)]
pub(crate) struct Recipe {
    pub(crate) binary: &'static str,
    /// Folder of the Go module.
    module: &'static str,
    package: &'static str,
    /// The required module whose version is the program's.
    pinned: &'static str,
    /// Go variable that holds the version: unset, clients would read `v0.0.0`.
    version_variable: Option<&'static str>,
    /// Files of the module that are built, besides what it requires.
    sources: &'static [&'static str],
    /// Duration of a cold build on two cores.
    takes: &'static str,
}

impl Recipe {
    /// The program that asks the Argo CD that this module requires.
    pub(crate) const fn argo_cd(module: &'static str, pinned: &'static str) -> Recipe {
        Recipe {
            binary: "ask",
            module,
            package: ".",
            pinned,
            version_variable: None,
            sources: &["main.go", "argocd.go"],
            takes: "three minutes",
        }
    }

    /// The program's path in the cache, built if it was not there.
    pub(crate) fn build(self) -> PathBuf {
        let folder = self.cache();
        let binary = folder.join(self.binary);
        fs::create_dir_all(&folder).unwrap_or_else(|error| {
            panic!("cannot create the cache {}: {error}", folder.display())
        });
        let lock = File::create(folder.join("lock")).expect("create the lock file of the cache");
        lock.lock().expect("lock the cache");
        if binary.is_file() {
            return binary;
        }
        say(&format!(
            "building {} {} into {} (once; about {})",
            self.binary,
            self.version(),
            folder.display(),
            self.takes,
        ));
        // Only a whole binary ever has the final name, and a build that was
        // left behind by a killed test binary writes elsewhere.
        let partial = folder.join(format!("{}.{}.partial", self.binary, process::id()));
        let status = self
            .go()
            .args(["build", "-trimpath", "-buildvcs=false", "-mod=readonly"])
            .args(["-ldflags", &self.linker_flags(), "-o"])
            .arg(&partial)
            .arg(self.package)
            .status()
            .unwrap_or_else(|error| missing_go(&error));
        assert!(
            status.success(),
            "go could not build {}: its output above says why",
            self.package
        );
        fs::rename(&partial, &binary).expect("rename the built program");
        binary
    }

    /// The folder that belongs to these exact sources, tools and settings.
    fn cache(self) -> PathBuf {
        let mut key = DefaultHasher::new();
        self.read("go.mod").hash(&mut key);
        self.read("go.sum").hash(&mut key);
        self.go_version().hash(&mut key);
        self.linker_flags().hash(&mut key);
        for source in self.sources {
            self.read(source).hash(&mut key);
        }
        let name = Path::new(self.module).file_name().unwrap_or_default();
        let name = name.to_string_lossy();
        cache_root().join(format!("{name}-{:016x}", key.finish()))
    }

    fn linker_flags(self) -> String {
        let version = self.version();
        let mut flags = "-s -w".to_owned();
        let mut set = |variable: &str, value: &str| flags.extend([" -X ", variable, "=", value]);
        if let Some(variable) = self.version_variable {
            set(variable, &version);
        }
        if self.pinned == KUBE_APISERVER.pinned {
            let mut numbers = version.trim_start_matches('v').split('.');
            for part in ["gitMajor", "gitMinor"] {
                let number = numbers.next().expect("a version has major and minor");
                set(&format!("k8s.io/component-base/version.{part}"), number);
            }
        }
        flags
    }

    /// The version that go.mod requires.
    pub(crate) fn version(self) -> String {
        let manifest = self.read("go.mod");
        let required = manifest.lines().find_map(|line| {
            let line = line.trim_start_matches("require").trim();
            line.strip_prefix(self.pinned)?.strip_prefix(' ')
        });
        required
            .and_then(|version| version.split_whitespace().next())
            .unwrap_or_else(|| panic!("{}/go.mod does not require {}", self.module, self.pinned))
            .to_owned()
    }

    fn go_version(self) -> String {
        let output = self
            .go()
            .args(["env", "GOVERSION"])
            .output()
            .unwrap_or_else(|error| missing_go(&error));
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "go env GOVERSION: {complaint}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn go(self) -> Command {
        let mut command = Command::new("go");
        command
            .current_dir(Path::new(MODULES).join(self.module))
            .env("CGO_ENABLED", "0")
            .env("GOWORK", "off")
            .env("GOFLAGS", "");
        command
    }

    fn read(self, file: &str) -> String {
        let path = Path::new(MODULES).join(self.module).join(file);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }
}

/// `KEYGUARD_TEST_CACHE`, or `keyguard/control-plane` in the user's cache:
/// outside the target folder, so that `cargo clean` leaves it alone.
fn cache_root() -> PathBuf {
    let folder = |variable| env::var_os(variable).filter(|path| !path.is_empty());
    let root = folder("KEYGUARD_TEST_CACHE")
        .map(PathBuf::from)
        .or_else(|| {
            folder("XDG_CACHE_HOME")
                .map(PathBuf::from)
                .or_else(|| Some(PathBuf::from(folder("HOME")?).join(".cache")))
                .map(|cache| cache.join("keyguard/control-plane"))
        })
        .expect("no folder for the built control plane: set KEYGUARD_TEST_CACHE or HOME");
    absolute(root).expect("the current folder is known")
}

fn missing_go(error: &io::Error) -> ! {
    panic!(
        "cannot run go ({error}): install Go 1.26 or later, with which the tests build etcd, kube-apiserver, kubectl and helm, or set KUBEBUILDER_ASSETS to a folder that holds them"
    )
}

/// Tells the person who waits; `eprintln!` would be captured by the test.
fn say(line: &str) {
    let _: io::Result<_> = writeln!(io::stderr(), "{line}");
}

#[test]
fn the_programs_say_the_versions_that_are_pinned() {
    for recipe in [KUBE_APISERVER, KUBE_APISERVER_1_30, KUBECTL, HELM] {
        let version = recipe.version();
        assert!(
            recipe.linker_flags().contains(&format!("ersion={version}")),
            "{version}"
        );
    }
}
