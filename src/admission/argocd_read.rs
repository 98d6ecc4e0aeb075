//! Argo CD's own state as it was read.

use crate::sources::source::{ConfigMapRead, SecretRead};
use keyguard_core::argocd::certificate::{CERTIFICATE, PRIVATE_KEY};
use keyguard_core::argocd::settings::has_readable_certificate;
use keyguard_core::argocd::verification::State;
use keyguard_core::policy::accounts_in_use::argocd_namespace;
use keyguard_core::policy::facts::{ModeFact, Unread};
use keyguard_core::runtime::secret_bytes::SecretBytes;

/// The Secret whose certificate argocd-server takes before that of `argocd-secret`.
pub(crate) const SERVER_TLS: &str = "argocd-server-tls";
/// The keys that are read of it.
pub(crate) const SERVER_TLS_KEYS: [&str; 2] = [CERTIFICATE, PRIVATE_KEY];

/// What messages call `argocd-secret`.
const SECRET: &str = "Secret \"argocd-secret\"";

/// Argo CD's own state as it was read.
pub(crate) struct ArgocdRead {
    pub(crate) namespace: String,
    pub(crate) secret: SecretRead,
    pub(crate) config_map: ConfigMapRead,
}

impl ArgocdRead {
    /// Reads `argocd-secret` and `argocd-cm` at once, and `argocd-server-tls` when its certificate is the one that counts.
    pub(crate) async fn read(
        namespace: &str,
        secret: impl Future<Output = SecretRead>,
        config_map: impl Future<Output = ConfigMapRead>,
        server_tls: impl Future<Output = SecretRead>,
    ) -> ArgocdRead {
        let (mut secret, config_map) = tokio::join!(secret, config_map);
        if let SecretRead::Found(found) = &mut secret
            && !has_readable_certificate(&found.iter().map(entry).collect())
            && has_certificate(&server_tls.await)
        {
            // It is passed over.
            found.remove(CERTIFICATE);
            found.remove(PRIVATE_KEY);
        }
        ArgocdRead {
            namespace: namespace.to_owned(),
            secret,
            config_map,
        }
    }

    /// Whether it is the Argo CD of a Runtime in `namespace`. A Runtime with an Argo CD of its own has it in its own
    /// namespace, and no other knows its credentials.
    pub(crate) fn is_of(&self, namespace: &str, mode: &ModeFact) -> bool {
        argocd_namespace(namespace, mode, Some(&self.namespace)) == Some(&self.namespace)
    }

    /// The state, or what could not be read, and why; `None` for the why when there is no `argocd-secret`.
    pub(crate) fn state(&self) -> Result<State<'_>, (&'static str, Option<&Unread>)> {
        let secret = match &self.secret {
            SecretRead::Missing => return Err((SECRET, None)),
            SecretRead::Unread(cause) => return Err((SECRET, Some(cause))),
            SecretRead::Found(found) => found,
        };
        let config_map = match &self.config_map {
            ConfigMapRead::Unread(cause) => {
                return Err(("ConfigMap \"argocd-cm\"", Some(cause)));
            }
            // Argo CD finds it by its label only.
            ConfigMapRead::Found(found) => found.labelled.then_some(&found.data),
            ConfigMapRead::Missing => None,
        };
        let data = config_map.map(|data| data.iter().map(|(key, value)| (&**key, &**value)));
        Ok(State::read(secret.iter().map(entry), data))
    }
}

/// Whether `argocd-server-tls` has a certificate in the place of the one in `argocd-secret`.
pub(crate) fn has_certificate(server_tls: &SecretRead) -> bool {
    match server_tls {
        SecretRead::Found(found) => {
            found.len() == SERVER_TLS_KEYS.len()
                && has_readable_certificate(&found.iter().map(entry).collect())
        }
        // Not knowing is no reason to say that Argo CD cannot work.
        SecretRead::Unread(_) => true,
        SecretRead::Missing => false,
    }
}

fn entry<'a>((key, value): (&'a String, &'a SecretBytes)) -> (&'a str, &'a [u8]) {
    (key.as_str(), value.expose())
}
