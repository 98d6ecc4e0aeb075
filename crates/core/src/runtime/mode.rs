//! Which Argo CD a Runtime talks to and how it authenticates, as `cap-app-proxy-cm` tells,
//! and so which Secrets come into being by themselves.
//!
//! Source: the `gitops-runtime` chart; App Proxy and argocd-server at their first start.

use super::credential::{Reference, TOKEN};

/// The ConfigMap, in the Runtime's namespace, that tells the mode.
pub const CONFIG_MAP_NAME: &str = "cap-app-proxy-cm";
/// Its key that tells a built-in Argo CD from an external one.
pub const IS_EXTERNAL_KEY: &str = "isExternalArgoCD";
/// Its key that is there in password mode and with the built-in Argo CD only.
pub const USERNAME_KEY: &str = "argoCdUsername";

/// App Proxy's own Secret and key: an API key it makes after it has started.
const APP_PROXY: (&str, &str) = ("argocd-token", "token");
/// argocd-server's own Secret and key: the password it makes at its first start.
const INITIAL_ADMIN: (&str, &str) = ("argocd-initial-admin-secret", "password");

/// How a Runtime authenticates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// With the Argo CD that its own chart installs, by user name and password.
    BuiltIn,
    /// With the Argo CD that its own chart installs, by a token that a person made.
    BuiltInToken,
    /// With an external Argo CD, by user name and password.
    ExternalPassword,
    /// With an external Argo CD, by a token that a person made.
    ExternalToken,
    /// By user name and password; whether Argo CD is external is not told.
    Password,
    /// Not told.
    Unknown,
}

impl Mode {
    /// Reads the mode from the two keys of `cap-app-proxy-cm`.
    pub fn read(is_external: Option<&str>, username: Option<&str>) -> Mode {
        match (is_external, username) {
            (Some("false"), Some(_)) => Mode::BuiltIn,
            (Some("false"), None) => Mode::BuiltInToken,
            (Some("true"), Some(_)) => Mode::ExternalPassword,
            (Some("true"), None) => Mode::ExternalToken,
            (_, Some(_)) => Mode::Password,
            (_, None) => Mode::Unknown,
        }
    }
}

/// Who brings a Secret into being.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maker {
    /// A person or a chart: it must be there before the workload.
    Person,
    /// App Proxy, which also makes it again when needed.
    AppProxy,
    /// argocd-server, once.
    ArgoCd,
    /// It depends on the mode, which is not told.
    Unknown,
}

/// Whether anybody but a person may make this key of this Secret: only then does the mode matter.
pub fn may_be_self_made(secret: &str, key: &str) -> bool {
    (secret, key) == APP_PROXY || (secret, key) == INITIAL_ADMIN
}

/// Who makes what a reference is to, in `mode`.
pub fn maker_of(reference: &Reference, mode: Mode) -> Maker {
    // App Proxy itself waits for a variable that must be there, and so never makes its token.
    let waited_for = reference.variable == TOKEN && !reference.optional;
    if reference.made_by_a_person || (mode == Mode::BuiltInToken && waited_for) {
        return Maker::Person;
    }
    maker(mode, reference.secret.as_str(), reference.key.as_str())
}

/// The Secret and key of the password that argocd-server makes at its first start.
pub fn is_initial_password(reference: &Reference) -> bool {
    (reference.secret.as_str(), reference.key.as_str()) == INITIAL_ADMIN
}

/// Who makes this key of this Secret in `mode`.
pub fn maker(mode: Mode, secret: &str, key: &str) -> Maker {
    match (mode, (secret, key)) {
        (Mode::Unknown, APP_PROXY | INITIAL_ADMIN) | (Mode::Password, INITIAL_ADMIN) => {
            Maker::Unknown
        }
        (
            Mode::BuiltIn | Mode::BuiltInToken | Mode::ExternalPassword | Mode::Password,
            APP_PROXY,
        ) => Maker::AppProxy,
        (Mode::BuiltIn | Mode::BuiltInToken, INITIAL_ADMIN) => Maker::ArgoCd,
        _ => Maker::Person,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_config_map_tells_the_mode() {
        let table = [
            (Some("false"), Some("admin"), Mode::BuiltIn),
            (Some("false"), None, Mode::BuiltInToken),
            (Some("true"), Some("gitops"), Mode::ExternalPassword),
            (Some("true"), None, Mode::ExternalToken),
            (Some("yes"), None, Mode::Unknown),
            (None, Some("admin"), Mode::Password),
            (None, None, Mode::Unknown),
        ];
        for (is_external, username, mode) in table {
            assert_eq!(
                Mode::read(is_external, username),
                mode,
                "{is_external:?} {username:?}"
            );
        }
    }

    #[test]
    fn the_mode_tells_who_makes_a_secret() {
        use Maker::*;
        let table = [
            // mode                  argocd-token  initial admin  any other
            (Mode::BuiltIn, AppProxy, ArgoCd, Person),
            (Mode::ExternalPassword, AppProxy, Person, Person),
            (Mode::ExternalToken, Person, Person, Person),
            (Mode::Password, AppProxy, Unknown, Person),
            (Mode::Unknown, Unknown, Unknown, Person),
        ];
        for (mode, app_proxy, initial_admin, other) in table {
            assert_eq!(maker(mode, "argocd-token", "token"), app_proxy, "{mode:?}");
            assert_eq!(
                maker(mode, "argocd-initial-admin-secret", "password"),
                initial_admin,
                "{mode:?}"
            );
            assert_eq!(maker(mode, "argocd-token", "other"), other, "{mode:?}");
            assert_eq!(maker(mode, "my-secret", "token"), other, "{mode:?}");
        }
        assert!(may_be_self_made("argocd-token", "token"));
        assert!(!may_be_self_made("argocd-token", "password"));
    }
}
