//! A change of Argo CD's own Secret: what Argo CD makes of it before and after, and whether a credential is lost by it.

use std::collections::BTreeMap;

use crate::argocd::certificate::{CERTIFICATE, PRIVATE_KEY};
use crate::argocd::revocation::{Entries, may_revoke};
use crate::argocd::settings::{has_readable_certificate, key};
use crate::argocd::verification::{Rejection, State};
use crate::credential::{Credential, Defect, defects, works};
use crate::policy::secret_values::States;
use crate::runtime::secret_bytes::{SecretBytes, SecretData};

/// A change of `argocd-secret`, whose entries are looked at and never kept.
pub struct Change<'a> {
    old: Entries<'a>,
    new: Entries<'a>,
    certificate_overridden: bool,
}

impl<'a> Change<'a> {
    /// The change from `old` to `new`, which is `None` when the Secret is deleted.
    pub fn of(old: &'a SecretData, new: Option<&'a SecretData>) -> Change<'a> {
        let entries = |data: &'a SecretData| -> Entries<'a> {
            data.iter()
                .map(|(key, value)| (key, value.expose()))
                .collect()
        };
        Change {
            old: entries(old),
            new: new.map(entries).unwrap_or_default(),
            certificate_overridden: false,
        }
    }

    /// Whether the change leaves a serving certificate that Argo CD cannot read, unless `argocd-server-tls` has another.
    pub fn breaks_the_certificate(&self) -> bool {
        has_readable_certificate(&self.old) && !has_readable_certificate(&self.new)
    }

    /// The same where `argocd-server-tls` has the certificate.
    pub fn with_other_certificate(mut self) -> Change<'a> {
        self.certificate_overridden = true;
        self
    }

    /// Whether the change replaces the password of any account.
    pub fn replaces_a_password(&self) -> bool {
        let mut passwords = self
            .old
            .iter()
            .filter(|(key, _)| key.ends_with(".password"));
        passwords.any(|(key, password)| self.new.get(key) != Some(password))
    }

    /// Whether the change replaces the password of this account.
    pub fn replaces_password(&self, account: &str) -> bool {
        let key = key(account, "password");
        let old = self.old.get(&*key);
        old.is_some() && old != self.new.get(&*key)
    }

    /// Whether some token may stop to work, so that it is worth while to look for who uses one.
    pub fn may_revoke(&self) -> bool {
        may_revoke(&self.old, &self.new)
            || self.breaks_the_certificate()
            || self.replaces_a_password()
    }

    /// Argo CD's state before and after, with the accounts of `argocd-cm`; each as it is then, and after the next start
    /// of argocd-server at `now` in Unix seconds.
    pub fn states(
        &self,
        config_map: Option<&'a BTreeMap<String, String>>,
        now: f64,
    ) -> [States<'a>; 2] {
        [&self.old, &self.new].map(|entries| {
            let state = || {
                let config_map = config_map.map(|data| {
                    let data = data.iter();
                    data.map(|(key, value)| (key.as_str(), value.as_str()))
                });
                let entries = entries.iter().map(|(key, value)| (*key, *value));
                let read = |key: &str| {
                    !self.certificate_overridden || ![CERTIFICATE, PRIVATE_KEY].contains(&key)
                };
                State::read(entries.filter(|(key, _)| read(key)), config_map)
            };
            [state(), state().after_start(now)]
        })
    }
}

/// Why a credential is refused after a change, and whether the next start of argocd-server would have ended it before the
/// change as well.
pub type Loss = (Vec<Rejection>, bool);

/// Whether a token that works at `now`, in Unix seconds, stops working by a change, at once or at the next start of
/// argocd-server.
pub fn lost(token: &SecretBytes, states: &[States<'_>; 2], now: f64) -> Option<Loss> {
    let token = Credential::Token(token);
    let works = |state: &State<'_>| works(&token, Some(state), now).is_ok();
    let rejections = |state: &State<'_>| {
        let found = defects(&token, Some(state), now).into_iter();
        found.filter_map(Defect::rejection).collect()
    };
    loss(states, works, rejections)
}

/// The same for a login, whatever its password is.
pub fn lost_login(account: &str, states: &[States<'_>; 2]) -> Option<Loss> {
    let rejections = |state: &State<'_>| state.login(account, b"", None);
    loss(states, |state| rejections(state).is_empty(), rejections)
}

fn loss(
    [before, after]: &[States<'_>; 2],
    works: impl Fn(&State<'_>) -> bool,
    rejections: impl Fn(&State<'_>) -> Vec<Rejection>,
) -> Option<Loss> {
    let [works_now, works_later] = before.each_ref().map(works);
    if !works_now {
        return None;
    }
    // What the next start would have ended anyway is lost only when it stops before that.
    let asked = match works_later {
        true => after.as_slice(),
        false => after.get(..1).unwrap_or_default(),
    };
    let rejections = asked.iter().map(rejections).find(|found| !found.is_empty());
    Some((rejections?, !works_later))
}
